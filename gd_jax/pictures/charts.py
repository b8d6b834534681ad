"""The one look of a tournament's plotly figures, and what they are built of.

A figure is plain data, {'data': [...], 'layout': {...}}. Names go in escaped,
because plotly.js reads a little HTML in every text that it draws, and hover
texts are given whole, because it reads %{...} in templates.
"""

import html
import math
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from gd_jax.pictures import readings
from gd_jax.pictures.readings import Entry

Figure = dict[str, Any]
CLEAR = 'rgba(0,0,0,0)'
DASHES = ('solid', 'dash', 'dot', 'dashdot', 'longdash', 'longdashdot')


def safe(text: object) -> str:
  """Text that plotly.js draws as it is: no markup, and no formula."""
  return html.escape(str(text), quote=False).replace('$', '&#36;')


def lines(parts: Sequence[str]) -> str:
  """A hover text."""
  return '<br>'.join(map(safe, parts))


def two_lines(first: object, second: str) -> str:
  """A tick's text with something smaller below it."""
  return f'{safe(first)}<br><span style="font-size:11px">{safe(second)}</span>'


def panel(
  place: int,
  *,
  x: Mapping[str, Any],
  y: Mapping[str, Any],
  across: tuple[float, float] = (0, 1),
  up: tuple[float, float] = (0, 1),
) -> dict[str, Any]:
  """The axes of panel 1, 2, ... of a figure: where it lies, what they say."""
  at = '' if place == 1 else str(place)
  common = {'zeroline': False, 'automargin': True}
  return {
    f'xaxis{at}': {**common, 'domain': list(across), 'anchor': f'y{at}', **x},
    f'yaxis{at}': {**common, 'domain': list(up), 'anchor': f'x{at}', **y},
  }


def on(place: int) -> dict[str, str]:
  """What puts a trace on a panel."""
  at = '' if place == 1 else str(place)
  return {'xaxis': f'x{at}', 'yaxis': f'y{at}'}


def axis(title: str, **more: Any) -> dict[str, Any]:
  """An axis with its title."""
  return {'title': {'text': safe(title), 'standoff': 8}, **more}


def log_axis(title: str, values: Iterable[float | None]) -> dict[str, Any]:
  """A logarithmic axis for these values, ticked at 1, 2, 5 where they fit."""
  numbers = [value for value in values if value is not None and value > 0]
  decades = math.log10(max(numbers) / min(numbers)) if numbers else 0
  return axis(
    title,
    type='log',
    dtick='D2' if decades < 2.2 else 1,
    minorloglabels='complete',
    exponentformat='none' if decades < 8 else 'power',
  )


def fitting_axis(title: str, values: Iterable[float | None]) -> dict[str, Any]:
  """Logarithmic where the values ask for it."""
  values = list(values)
  if readings.wants_log(values):
    return log_axis(title, values)
  return axis(title)


def figure(
  data: Sequence[Mapping[str, Any]], axes: Mapping[str, Any], height: int
) -> Figure:
  """Traces and axes in the one look."""
  return {
    'data': list(data),
    'layout': {
      'height': height,
      'paper_bgcolor': CLEAR,
      'plot_bgcolor': CLEAR,
      'font': {'family': 'system-ui, sans-serif', 'size': 13},
      'margin': {'l': 60, 'r': 40, 't': 16, 'b': 48},
      'hovermode': 'closest',
      'hoverlabel': {
        'bgcolor': '#1c2430',
        'bordercolor': '#1c2430',
        'font': {'color': '#ffffff', 'size': 12},
        'align': 'left',
        'namelength': -1,
      },
      'modebar': {
        'orientation': 'v',
        'bgcolor': CLEAR,
        'color': '#8a94a0',
        'activecolor': '#5e8bb5',
      },
      'legend': {
        'orientation': 'h',
        'y': 1.02,
        'yanchor': 'bottom',
        'x': 0,
        'bgcolor': CLEAR,
      },
      **axes,
    },
  }


def line_of(entry: Entry, *, place: int = 1, legend: bool) -> dict[str, Any]:
  """What all lines of an entry have in common."""
  return {
    'type': 'scatter',
    'mode': 'lines+markers',
    'name': safe(entry.label),
    'legendgroup': entry.name,
    'showlegend': legend,
    'hoverinfo': 'text',
    'line': {
      'color': entry.colour,
      'width': 2,
      'dash': DASHES[entry.place % len(DASHES)],
    },
    'marker': {'size': 6, 'color': entry.colour},
    **on(place),
  }
