"""What a tournament's matplotlib pictures are built of, in the one look."""

from collections.abc import Sequence
from typing import Any

from gd_jax.pictures import readings
from gd_jax.pictures.readings import Entry

LINES = ('-', '--', ':', '-.')


def panels(*shape: int, width: float, height: float, **more: Any) -> Any:
  """(figure, axes [rows, columns]); width and height in inches."""
  from matplotlib import pyplot

  return pyplot.subplots(
    *shape, figsize=(width, height), squeeze=False, dpi=150, **more
  )


def scale(axes: Any, which: str, values: Sequence[readings.Value]) -> None:
  """A logarithmic axis where the values ask for it, its ticks plain numbers."""
  from matplotlib import ticker

  if not readings.wants_log(values):
    return
  axes.set(**{f'{which}scale': 'log'})
  axis = axes.xaxis if which == 'x' else axes.yaxis
  numbers = [value for value in values if value is not None]
  wide = max(numbers) > 100 * min(numbers)
  # Labels of more than five decades would touch: every other one.
  base = 100.0 if max(numbers) > 1e5 * min(numbers) else 10.0
  axis.set_major_locator(
    ticker.LogLocator(base, subs=(1.0,) if wide else (1.0, 2.0, 5.0))
  )
  axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f'{value:g}'))
  axis.set_minor_locator(ticker.NullLocator())  # they take most of the time


def line(entry: Entry) -> dict[str, Any]:
  """What all lines of an entry have in common."""
  return {
    'color': entry.colour,
    'linestyle': LINES[entry.place % len(LINES)],
    'marker': 'o',
    'markersize': 3,
    'label': entry.label,
  }


def legend(figure: Any, panel: Any) -> None:
  """The panel's lines above the figure, in as many columns as fit."""
  handles, labels = panel.get_legend_handles_labels()
  each = 0.6 + 0.07 * max(map(len, labels), default=0)  # inches
  columns = max(1, min(len(labels), int(figure.get_figwidth() / each)))
  figure.legend(
    handles, labels, loc='outside upper center', ncols=columns, fontsize=8
  )


def gapped(values: Sequence[readings.Value]) -> list[float]:
  """None as what leaves a gap."""
  return [float('nan') if value is None else value for value in values]
