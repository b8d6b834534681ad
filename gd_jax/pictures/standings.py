"""Who won, as plotly figures: the verdicts, and the seeds behind them."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from gd_jax.pictures import charts
from gd_jax.pictures import readings
from gd_jax.pictures import wording
from gd_jax.pictures.readings import Entry
from gd_jax.pictures.readings import Row

# Half transparent, so that they carry a page's ink in light and in dark.
CELLS = {
  'better': 'rgba(0,114,178,0.50)',
  'worse': 'rgba(213,94,0,0.48)',
  'equivalent': 'rgba(0,158,115,0.42)',
  'unresolved': 'rgba(128,128,128,0.16)',
}


def verdicts(study: Mapping[str, Any]) -> charts.Figure:
  """The word about each row against each column, as colour, sign and word."""
  names = study['ranking']
  words = list(CELLS)
  roomy = len(names) <= readings.MOST_NAMED
  z, signs, hover = [], [], []
  for a in names:
    row = [study['matrix'].get(a, {}).get(b) for b in names]
    z.append([None if word is None else words.index(word) for word in row])
    signs.append([sign_of(word, roomy) for word in row])
    hover.append(
      [
        '' if word is None else charts.lines(wording.pair_words(study, a, b))
        for word, b in zip(row, names, strict=True)
      ]
    )
  places = list(range(len(names)))
  trace = {
    'type': 'heatmap',
    'z': z,
    'x': places,
    'y': places,
    'text': signs,
    'texttemplate': '%{text}',
    'textfont': {'size': 13 if roomy else 15},
    'hovertext': hover,
    'hoverinfo': 'text',
    'hoverongaps': False,
    'zmin': -0.5,
    'zmax': len(words) - 0.5,
    'colorscale': [
      [(k + end) / len(words), CELLS[word]]
      for k, word in enumerate(words)
      for end in (0, 1)
    ],
    'showscale': False,
    'xgap': 3,
    'ygap': 3,
  }
  ticks = {'tickvals': places, 'showgrid': False, 'ticks': ''}
  short = [readings.label(name, 18 if roomy else 30) for name in names]
  across = [
    charts.safe(name if roomy else place)
    for place, name in enumerate(short, start=1)
  ]
  down = [
    charts.safe(name if roomy else f'{name}  {place}')
    for place, name in enumerate(short, start=1)
  ]
  axes = {'margin': {'l': 60, 'r': 40, 't': 30, 'b': 8}} | charts.panel(
    1,
    x={**ticks, 'ticktext': across, 'side': 'top'},
    y={**ticks, 'ticktext': down, 'autorange': 'reversed'},
  )
  return charts.figure(
    [trace], axes, 38 + max(28, 52 - len(names)) * len(names)
  )


def sign_of(word: str | None, roomy: bool) -> str:
  """A sign, and the word where there is room."""
  if word is None:
    return ''
  sign = wording.SIGNS[word]
  return f'<b>{sign}</b> {word}' if roomy else f'<b>{sign}</b>'


def strips(
  study: Mapping[str, Any], rows: Sequence[Row], quantities: Sequence[str]
) -> charts.Figure:
  """Every seed a dot, the mean with its interval, the failed in words."""
  entries = readings.entries(study)
  data, axes, notes = [], {}, []
  width = 1 / len(quantities)
  for place, quantity in enumerate(quantities, start=1):
    found = [readings.strip(rows, entry, quantity) for entry in entries]
    for k, (entry, seeds) in enumerate(zip(entries, found, strict=True)):
      data += _strip(entry, seeds, quantity, k, place)
      if all(seed.value is None for seed in seeds):
        notes.append(_nothing(k, place))
    title = readings.axis_title(study, quantity)
    values = [seed.value for seeds in found for seed in seeds]
    values += [entry.record['figures'][quantity]['low'] for entry in entries]
    axes |= charts.panel(
      place,
      x=charts.axis(title)
      if readings.is_accuracy(quantity)
      else charts.fitting_axis(title, values),
      y={
        'tickvals': list(range(len(entries))),
        'ticktext': [
          charts.two_lines(
            e.label, wording.failures_in_short(e.record['failures'])
          )
          for e in entries
        ],
        'range': [len(entries) - 0.45, -0.55],
        'showticklabels': place == 1,
      },
      across=((place - 1) * width, place * width - 0.03 * (place < 2)),
    )
  axes['annotations'] = notes
  return charts.figure(data, axes, 80 + 58 * len(entries))


def _nothing(k: int, place: int) -> dict[str, Any]:
  panel = charts.on(place)
  return {
    'text': 'no seed has a number',
    'showarrow': False,
    'xref': f'{panel["xaxis"]} domain',
    'yref': panel['yaxis'],
    'x': 0.5,
    'y': k,
  }


def _strip(
  entry: Entry,
  seeds: Sequence[readings.Seed],
  quantity: str,
  k: int,
  place: int,
) -> list[dict[str, Any]]:
  numbers = [seed for seed in seeds if seed.value is not None]
  title = readings.title(quantity)
  common = {
    'type': 'scatter',
    'mode': 'markers',
    'hoverinfo': 'text',
    'showlegend': False,
    **charts.on(place),
  }
  dots = common | {
    'x': [seed.value for seed in numbers],
    # Neighbours in value stand on different heights.
    'y': [k + 0.12 + 0.07 * (seed.seed % 4) for seed in numbers],
    'hovertext': [
      charts.lines(
        [entry.label, f'seed {seed.seed}: {title} {seed.value:.4g}']
        + ([f'failed: {seed.failed}'] if seed.failed else [])
      )
      for seed in numbers
    ],
    'marker': {
      'color': entry.colour,
      'size': 7,
      'opacity': 0.6,
      'symbol': ['x' if seed.failed else 'circle' for seed in numbers],
    },
  }
  figures = entry.record['figures'][quantity]
  mean, low, high = (
    readings.drawn(quantity, figures[name]) for name in ('mean', 'low', 'high')
  )
  if mean is None:
    return [dots]
  bar = common | {
    'x': [mean],
    'y': [k - 0.14],
    'hovertext': [
      charts.lines(
        [
          entry.label,
          f'mean {mean:.4g}, unadjusted 95 % interval '
          f'{wording.number(low)} to {wording.number(high)}',
          wording.failures_in_words(entry.record['failures']),
        ]
      )
    ],
    'marker': {'color': entry.colour, 'size': 11, 'symbol': 'diamond'},
  }
  if low is not None and high is not None:
    bar['error_x'] = {
      'type': 'data',
      'symmetric': False,
      'array': [high - mean],
      'arrayminus': [mean - low],
      'color': entry.colour,
      'thickness': 2.5,
      'width': 5,
    }
  return [dots, bar]
