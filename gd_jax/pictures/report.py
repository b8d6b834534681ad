"""A tournament as one HTML file, from study.json and rows.jsonl alone.

The file holds plotly.js and its figures' numbers and asks for nothing: it can
be mailed, printed and opened in ten years.
"""

import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from gd_jax.pictures import appendix
from gd_jax.pictures import charts
from gd_jax.pictures import pace
from gd_jax.pictures import races
from gd_jax.pictures import readings
from gd_jax.pictures import sheet
from gd_jax.pictures import standings
from gd_jax.pictures import trials
from gd_jax.pictures import wording
from gd_jax.pictures.readings import Entry
from gd_jax.pictures.readings import Row


def html(study: Mapping[str, Any], rows: Sequence[Row]) -> str:
  """The report of a finished study: what study.json and rows.jsonl hold."""
  from plotly import offline

  entries = readings.entries(study)
  found = [
    _verdicts(study, entries),
    _results(study, entries),
    _strips(study, rows),
    _curves(study, rows),
    _tuning(study, entries),
    _best_of_k(study),
    _arrivals(study, rows),
    _batches(study, rows),
    appendix.certificates(study),
    appendix.controls(study, entries),
    appendix.checklist(study),
    appendix.cost(study),
    appendix.reading(),
  ]
  first, rest = _opening(study['sentence'])
  head = (
    f'<h1><strong>{sheet.text(first)}</strong>{sheet.text(rest)}</h1>'
    + sheet.paragraph(
      f'{study["problem"]}. {study["seeds"]} report seeds, '
      f'{study["protocol"]["epochs"]} epochs, judged by '
      f'{readings.title(study["metric"])}.'
    )
  )
  return sheet.document(
    f'gd_jax: {readings.label(first, 80)}',
    head,
    [section for section in found if section is not None],
    plotly_js=offline.get_plotlyjs(),
  )


def _opening(sentence: str) -> tuple[str, str]:
  """Who won, and the rest of the one sentence."""
  first, mark, rest = sentence.partition('; ')
  return first, mark + rest


def _verdicts(
  study: Mapping[str, Any], entries: Sequence[Entry]
) -> sheet.Section | None:
  if len(entries) < 2:
    return None
  figure = standings.verdicts(study)
  about = (
    f'Each row against each column on {readings.title(study["metric"])}. '
    'Point at a cell for the paired interval, the margin and the p-values.'
  )
  pairs = sheet.table(
    ['pair', 'word', 'figures'],
    [
      [
        f'{pair["a"]} / {pair["b"]}' + (' (null)' if pair['null'] else ''),
        pair['word'],
        '; '.join(wording.figures_of_pair(pair, study['metric'])),
      ]
      for pair in study['pairs']
    ],
    words=(1, 2),
  )
  return sheet.Section(
    'verdicts',
    'Verdicts',
    sheet.paragraph(about)
    + sheet.picture('figure-verdicts', figure, 'The matrix of verdicts')
    + sheet.details('every pair in figures', pairs),
    {'figure-verdicts': figure},
  )


def _results(
  study: Mapping[str, Any], entries: Sequence[Entry]
) -> sheet.Section:
  quantities = readings.quantities(study)
  head = ['entry', 'rate']
  for quantity in quantities:
    head += [readings.title(quantity), '95 % interval']
  head.insert(4, 'median')
  body = []
  for entry in entries:
    edge = ' (edge)' if entry.record['edge'] else ''
    cells: list[object] = [
      appendix.named(entry),
      f'{entry.record["learning_rate"]:.3g}{edge}',
    ]
    for quantity in quantities:
      figures = entry.record['figures'][quantity]
      mean, low, high, median = (
        wording.figure(quantity, figures[name])
        for name in ('mean', 'low', 'high', 'median')
      )
      cells += [mean, '-' if low == '-' else f'{low} to {high}']
      cells += [median] * (quantity == study['metric'])
    body.append([*cells, wording.failures_in_words(entry.record['failures'])])
  about = f'From best to worst. The intervals cover {study["intervals_cover"]}.'
  accuracy = entries[0].record['figures']['test_accuracy']['mean']
  if accuracy is not None and study['images']:
    error = 100 * math.sqrt(accuracy * (1 - accuracy) / study['images'])
    about += (
      f' The test set of {study["images"]:,} images has a sampling error of '
      f'its own, {error:.2g} points at the accuracy of the first.'
    )
  return sheet.Section(
    'results',
    'Results',
    sheet.paragraph(about)
    + sheet.table([*head, 'failures'], body, words=(len(head),)),
    {},
  )


def _pictured(
  anchor: str, heading: str, figure: charts.Figure, about: str, more: str = ''
) -> sheet.Section:
  """A section of one figure."""
  name = f'figure-{anchor}'
  return sheet.Section(
    anchor,
    heading,
    sheet.paragraph(about) + sheet.picture(name, figure, heading) + more,
    {name: figure},
  )


def _strips(study: Mapping[str, Any], rows: Sequence[Row]) -> sheet.Section:
  return _pictured(
    'seeds',
    'All seeds',
    standings.strips(study, rows, readings.quantities(study)),
    'Every report seed is a dot, a cross where it failed with a number; '
    'diverged seeds have none and are counted in words. The diamond is the '
    'mean with its unadjusted 95 % interval.',
  )


def _curves(study: Mapping[str, Any], rows: Sequence[Row]) -> sheet.Section:
  return _pictured(
    'curves',
    'Learning curves',
    pace.curves(study, rows),
    'Median of the report seeds on the validation split; the band holds the '
    'middle 80 % of them. A diverged seed counts as the worst. Click a name to '
    'hide it, twice to see it alone.',
  )


def _tuning(
  study: Mapping[str, Any], entries: Sequence[Entry]
) -> sheet.Section:
  widths = sheet.table(
    ['entry', 'chosen rate', 'within 0.5 points of its best', 'decades'],
    [
      [
        appendix.named(entry),
        f'{entry.record["learning_rate"]:.3g}',
        f'{region["low"]:.3g} to {region["high"]:.3g}' if region else '-',
        f'{region["decades"]:.1f}' if region else '-',
      ]
      for entry in entries
      for region in [entry.record['region']]
    ],
  )
  seeds = len(study['protocol']['tuning_seeds'])
  return _pictured(
    'rates',
    'Learning-rate sensitivity',
    trials.sensitivity(study),
    f'Mean of {seeds} tuning seeds, from the lowest to the highest of them; '
    'the chosen rate is ringed. Below: the share of lanes that diverged or '
    'saturated, and the rates that do nearly as well as the best; a triangle '
    'says that the grid ends there.',
    sheet.details('widths in figures', widths),
  )


def _best_of_k(study: Mapping[str, Any]) -> sheet.Section:
  return _pictured(
    'trials',
    'Expected best of k rates',
    trials.best_of_k(study),
    'What somebody gets who tries k rates of the grid, drawn without '
    'replacement, and keeps the best. A line begins where k rates cannot all '
    'fail; the chance of that is in the hover text.',
  )


def _arrivals(
  study: Mapping[str, Any], rows: Sequence[Row]
) -> sheet.Section | None:
  figure = pace.arrivals(study, rows)
  if figure is None:
    return None
  quantity, wanted = study['protocol']['target']
  about = (
    f'Updates until {readings.title(quantity)} first is at '
    f'{wording.number(readings.drawn(quantity, wanted))}, looked at after '
    'epochs. A miss is never filled in: it stands behind every number in the '
    'median, which is the bar.'
  )
  if races.batch_groups(study):
    about += ' Smaller batches make more updates between two looks.'
  return _pictured('target', 'Updates to target', figure, about)


def _batches(
  study: Mapping[str, Any], rows: Sequence[Row]
) -> sheet.Section | None:
  figure = pace.batches(study, rows)
  if figure is None:
    return None
  return _pictured(
    'batches',
    'Batch sizes',
    figure,
    'Median validation cost at equal epochs, by epochs, by updates and by the '
    'seconds of the whole program that trains all report seeds; each at its '
    'own chosen rate. A lane has no seconds of its own.',
  )
