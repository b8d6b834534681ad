"""What tuning saw, as plotly figures: rates, failures, luck."""

from collections.abc import Mapping
from typing import Any

from gd_jax.pictures import charts
from gd_jax.pictures import readings
from gd_jax.pictures import wording
from gd_jax.pictures.readings import Entry


def sensitivity(study: Mapping[str, Any]) -> charts.Figure:
  """Validation figures against the learning rate, failures, and good regions.

  Above, what the rate was chosen by and the accuracy; below, the share of
  lanes that failed and the rates within 0.5 points of the best accuracy.
  """
  entries = readings.entries(study)
  chosen_by = study['chosen_by']
  above = [('sensitivity', chosen_by)]
  if not readings.is_accuracy(chosen_by):
    above.append(('sensitivity_accuracy', 'validation_accuracy'))
  halves = ((0, 0.46), (0.54, 1))
  rates = [
    score['learning_rate'] for e in entries for score in e.record['sensitivity']
  ]
  data, axes = [], {}
  for place, (key, quantity) in enumerate(above, start=1):
    for entry in entries:
      data += _rates(entry, key, quantity, place)
    values = [
      readings.drawn(quantity, score[name])
      for entry in entries
      for score in entry.record[key]
      for name in ('mean', 'lowest', 'highest')
    ]
    title = readings.axis_title(study, quantity)
    axes |= charts.panel(
      place,
      x=charts.log_axis('', rates),
      y=charts.axis(title)
      if readings.is_accuracy(quantity)
      else charts.fitting_axis(title, values),
      across=halves[place - 1] if len(above) > 1 else (0, 1),
      up=(0.44, 1),
    )
  for entry in entries:
    data.append(_failed(entry))
  axes |= charts.panel(
    3,
    x=charts.log_axis('learning rate', rates),
    y=charts.axis('failed (%)', range=[-6, 106]),
    across=halves[0],
    up=(0, 0.32),
  )
  for k, entry in enumerate(entries):
    data += _region(entry, k)
  axes |= charts.panel(
    4,
    x=charts.log_axis('rates within 0.5 points of the best accuracy', rates),
    y={
      'tickvals': list(range(len(entries))),
      'ticktext': [charts.safe(readings.label(e.name, 16)) for e in entries],
      'range': [len(entries) - 0.5, -0.5],
    },
    across=(0.62, 1),
    up=(0, 0.32),
  )
  return charts.figure(data, axes, 640 + 12 * max(0, len(entries) - 6))


def _rates(
  entry: Entry, key: str, quantity: str, place: int
) -> list[dict[str, Any]]:
  """Mean, lowest and highest seed at each rate; the chosen rate is ringed."""
  found = []
  for score in entry.record[key]:
    mean, low, high = (
      readings.drawn(quantity, score[name])
      for name in ('mean', 'lowest', 'highest')
    )
    found.append((score, mean, low, high))
  shown = [one for one in found if one[1] is not None]
  chosen = entry.record['learning_rate']
  line = charts.line_of(entry, place=place, legend=place == 1) | {
    'x': [score['learning_rate'] for score, *_ in found],
    'y': [mean for _, mean, *_ in found],
    'hovertext': [
      charts.lines(
        [
          entry.label,
          f'rate {score["learning_rate"]:g}'
          + (' (chosen)' if score['learning_rate'] == chosen else ''),
          f'{readings.title(quantity)}: mean {wording.number(mean)}, seeds '
          f'{wording.number(low)} to {wording.number(high)}',
          _failures(score),
        ]
      )
      for score, mean, low, high in found
    ],
    'error_y': {
      'type': 'data',
      'symmetric': False,
      'array': [None if m is None else h - m for _, m, _, h in found],
      'arrayminus': [None if m is None else m - l for _, m, l, _ in found],
      'thickness': 1.2,
      'width': 3,
      'color': entry.colour,
    },
  }
  ring = {
    'type': 'scatter',
    'mode': 'markers',
    'x': [
      s['learning_rate'] for s, *_ in shown if s['learning_rate'] == chosen
    ],
    'y': [mean for s, mean, *_ in shown if s['learning_rate'] == chosen],
    'marker': {
      'symbol': 'circle-open',
      'size': 15,
      'color': entry.colour,
      'line': {'width': 2.5},
    },
    'hoverinfo': 'skip',
    'showlegend': False,
    'legendgroup': entry.name,
    **charts.on(place),
  }
  return [line, ring]


def _failures(score: Mapping[str, Any]) -> str:
  return (
    f'{score["diverged"]} diverged and {score["saturated"]} saturated of '
    f'{score["seeds"]} (up to {100 * score["failed_up_to"]:.0f} %)'
  )


def _failed(entry: Entry) -> dict[str, Any]:
  scores = entry.record['sensitivity']
  return charts.line_of(entry, place=3, legend=False) | {
    'x': [score['learning_rate'] for score in scores],
    'y': [100 * score['failed_share'] for score in scores],
    'hovertext': [
      charts.lines(
        [entry.label, f'rate {score["learning_rate"]:g}', _failures(score)]
      )
      for score in scores
    ],
  }


def _region(entry: Entry, k: int) -> list[dict[str, Any]]:
  region = entry.record['region']
  if region is None:
    return []
  ends = [('open_below', 'or less'), ('open_above', 'or more')]
  more = ', '.join(words for key, words in ends if region[key])
  bar = charts.line_of(entry, place=4, legend=False) | {
    'x': [region['low'], region['high']],
    'y': [k, k],
    'hovertext': [
      charts.lines(
        [
          entry.label,
          f'{region["low"]:g} to {region["high"]:g}: {region["decades"]:.1f} '
          f'decades, {region["rates"]} rates tried',
          f'the grid ends there: {more}' if more else 'inside the grid',
        ]
      )
    ]
    * 2,
    'line': {'color': entry.colour, 'width': 5},
    'marker': {
      'size': 11,
      'color': entry.colour,
      'symbol': [
        'triangle-left' if region['open_below'] else 'circle',
        'triangle-right' if region['open_above'] else 'circle',
      ],
    },
  }
  return [bar]


def best_of_k(study: Mapping[str, Any]) -> charts.Figure:
  """What the best of k rates, drawn from an entry's grid, is expected to be."""
  entries = readings.entries(study)
  quantity = study['chosen_by']
  found = {
    entry.name: [readings.drawn(quantity, v) for v in entry.record['best_of_k']]
    for entry in entries
  }
  data = [
    charts.line_of(entry, legend=True)
    | {
      'x': list(range(1, len(found[entry.name]) + 1)),
      'y': found[entry.name],
      'hovertext': [
        charts.lines(
          [
            entry.label,
            f'best of {k} rates: {wording.number(value)} expected',
            f'chance that all {k} fail: {100 * chance:.2g} %',
          ]
        )
        for k, (value, chance) in enumerate(
          zip(
            found[entry.name], entry.record['chance_of_failing'], strict=True
          ),
          start=1,
        )
      ],
    }
    for entry in entries
  ]
  axes = charts.panel(
    1,
    x=charts.axis('rates tried', tick0=1, dtick=1),
    y=charts.fitting_axis(
      f'expected best {readings.title(quantity)}',
      [value for one in found.values() for value in one],
    ),
  )
  return charts.figure(data, axes, 400)
