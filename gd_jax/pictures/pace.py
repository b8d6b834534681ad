"""How fast, as plotly figures: learning curves, targets, batch sizes."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from gd_jax.pictures import charts
from gd_jax.pictures import races
from gd_jax.pictures import readings
from gd_jax.pictures import wording
from gd_jax.pictures.readings import Entry
from gd_jax.pictures.readings import Row

# Batch sizes from small to large; entries' colours are another matter.
RAMP = ('#5e60ce', '#4ea8de', '#2a9d8f', '#8ab17d', '#e9a23b', '#e76f51')


def curves(study: Mapping[str, Any], rows: Sequence[Row]) -> charts.Figure:
  """Validation cost and accuracy against epochs and against updates.

  Entries of one batch size make as many updates an epoch: one axis says both.
  """
  entries = readings.entries(study)
  data, axes = [], {}
  apart = bool(races.batch_groups(study))
  for column, quantity in enumerate(readings.VALIDATION):
    found = {e.name: readings.curve(rows, e.name, quantity) for e in entries}
    points = [point for of_entry in found.values() for point in of_entry]
    title = readings.axis_title(study, readings.VALIDATION[column])
    y = charts.axis(title)
    if column == 0:
      y = charts.fitting_axis(
        title, [v for p in points for v in (p.middle, p.low, p.high)]
      )
    for row in range(1 + apart):
      place = 1 + column + 2 * row
      for entry in entries:
        data += curve(
          entry,
          found[entry.name],
          place,
          against='step' if row else 'epoch',
          title=title,
          band=len(entries) <= readings.MOST_BANDS,
        )
      x = epochs_axis(points, apart)
      if row:
        x = charts.log_axis('updates', [point.step for point in points])
      axes |= charts.panel(
        place,
        x=x,
        y=y,
        across=(0, 0.46) if column == 0 else (0.54, 1),
        up=(0, 1) if not apart else (0, 0.42) if row else (0.58, 1),
      )
  return charts.figure(data, axes, 760 if apart else 430)


def epochs_axis(
  points: Sequence[readings.Point], apart: bool
) -> dict[str, Any]:
  """Epochs, with the updates made below them unless sizes set them apart."""
  updates = {point.epoch: point.step for point in points}
  shown = readings.thinned(sorted(updates))
  if apart:
    return charts.axis('epochs', tickvals=shown)
  return charts.axis(
    'epochs, and the updates made',
    tickvals=shown,
    ticktext=[charts.two_lines(e, f'{updates[e]:,}') for e in shown],
  )


def curve(
  entry: Entry,
  points: Sequence[readings.Point],
  place: int,
  *,
  against: str,
  title: str,
  band: bool,
) -> list[dict[str, Any]]:
  """The median of all seeds, and the middle 80 % of them as a band."""
  median = charts.line_of(entry, place=place, legend=place == 1) | {
    'x': [getattr(point, against) for point in points],
    'y': [point.middle for point in points],
    'hovertext': [
      charts.lines([entry.label, *wording.point_words(point, title)])
      for point in points
    ],
  }
  whole = [p for p in points if p.low is not None and p.high is not None]
  if not band or not whole:
    return [median]
  ends = [getattr(point, against) for point in whole]
  return [
    {
      'type': 'scatter',
      'mode': 'lines',
      'x': ends + ends[::-1],
      'y': [p.high for p in whole] + [p.low for p in reversed(whole)],
      'fill': 'toself',
      'fillcolor': entry.colour,
      'opacity': 0.16,
      'line': {'width': 0},
      'hoverinfo': 'skip',
      'showlegend': False,
      'legendgroup': entry.name,
      **charts.on(place),
    },
    median,
  ]


def arrivals(
  study: Mapping[str, Any], rows: Sequence[Row]
) -> charts.Figure | None:
  """Updates until the target of each seed, hit-rates beside; None without."""
  found = races.arrivals(study, rows)
  if not found:
    return None
  entries = readings.entries(study)
  data = []
  for k, entry in enumerate(entries):
    one = found[entry.name]
    hit = [
      (seed, value)
      for seed, value in zip(one.seeds, one.values, strict=True)
      if value is not None
    ]
    data.append(
      {
        'type': 'scatter',
        'mode': 'markers',
        'x': [value for _, value in hit],
        # Many seeds arrive at one evaluation: they stand above each other.
        'y': [k + 0.3 - 0.6 * (seed % 8) / 7 for seed, _ in hit],
        'hovertext': [
          charts.lines([entry.label, f'seed {seed}: {value:,} updates'])
          for seed, value in hit
        ],
        'hoverinfo': 'text',
        'showlegend': False,
        'marker': {'color': entry.colour, 'size': 7, 'opacity': 0.6},
      }
    )
    if one.median is not None:
      data.append(
        {
          'type': 'scatter',
          'mode': 'lines',
          'x': [one.median, one.median],
          'y': [k - 0.4, k + 0.4],
          'line': {'color': entry.colour, 'width': 4},
          'hovertext': [f'median {one.median:,.0f} updates'] * 2,
          'hoverinfo': 'text',
          'showlegend': False,
        }
      )
  axes = charts.panel(
    1,
    x=charts.axis('updates to target', rangemode='tozero'),
    y={
      'tickvals': list(range(len(entries))),
      'ticktext': [
        charts.two_lines(
          e.label,
          f'{found[e.name].hits} of {len(found[e.name].values)} hit it, median '
          + wording.number(found[e.name].median, ',.0f'),
        )
        for e in entries
      ],
      'range': [len(entries) - 0.5, -0.5],
    },
  )
  return charts.figure(data, axes, 80 + 52 * len(entries))


def batches(
  study: Mapping[str, Any], rows: Sequence[Row]
) -> charts.Figure | None:
  """A row for each optimizer: against epochs, updates and program seconds.

  None when the study has one batch size.
  """
  groups = races.batch_lines(study, rows)
  if not groups:
    return None
  every = [line for group in groups.values() for line in group]
  sizes = sorted({line.batch_size for line in every})
  costs = [point.middle for line in every for point in line.points]
  data, axes, height = [], {}, 210 * len(groups)
  for row, (name, group) in enumerate(groups.items()):
    up = (1 - (row + 1 - 45 / 210) / len(groups), 1 - row / len(groups))
    for column, against in enumerate(races.PACES):
      place = 3 * row + column + 1
      for line in group:
        share = sizes.index(line.batch_size) / (len(sizes) - 1)
        colour = RAMP[round(share * (len(RAMP) - 1))]
        data.append(_batch_line(line, column, place, colour))
      title = against if row + 1 == len(groups) else ''
      values = [x for line in every for x in line.paces[column]]
      axes |= charts.panel(
        place,
        x=charts.log_axis(title, values) if column else charts.axis(title),
        y=charts.log_axis('' if column else readings.label(name, 18), costs),
        across=((0, 0.30), (0.35, 0.65), (0.70, 1))[column],
        up=up,
      )
  named = set()
  for trace in data:
    trace['showlegend'] = trace['legendgroup'] not in named
    named.add(trace['legendgroup'])
  return charts.figure(data, axes, 100 + height)


def _batch_line(
  line: races.BatchLine, column: int, place: int, colour: str
) -> dict[str, Any]:
  return charts.line_of(line.entry, place=place, legend=True) | {
    'name': f'm = {line.batch_size:,}',
    'legendgroup': str(line.batch_size),
    'x': line.paces[column],
    'y': [point.middle for point in line.points],
    'line': {'color': colour, 'width': 2},
    'marker': {'color': colour, 'size': 5},
    'hovertext': [
      charts.lines(
        [
          line.entry.label,
          *wording.point_words(point, 'validation cost'),
          f'{seconds:.3g} s of the program of {point.seeds} seeds',
        ]
      )
      for point, seconds in zip(line.points, line.paces[2], strict=True)
    ],
  }
