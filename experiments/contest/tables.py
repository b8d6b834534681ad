"""A study in plain text, within 100 columns of ASCII."""

import textwrap
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from gd_jax.pictures import readings
from gd_jax.pictures import wording

WIDTH = 100
# What a line of the checklist leaves for its figures.
DETAIL = 60


def everything(scored: Mapping[str, Any]) -> str:
  """The sentence first, then every table."""
  parts = [
    '\n'.join(textwrap.wrap(scored['sentence'], WIDTH)),
    entries_table(scored),
    matrix_table(scored),
    certificates_table(scored),
    checklist_table(scored),
  ]
  beside = scored['side_by_side']
  if beside:
    parts += [side_table(beside), side_words(scored)]
  return '\n\n'.join(part for part in parts if part) + '\n'


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
  """Columns two spaces apart; the first is set left, the others right."""
  rows = [list(head), *map(list, body)]
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  return '\n'.join(
    '  '.join(
      cell.ljust(width) if place == 0 else cell.rjust(width)
      for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ).rstrip()
    for row in rows
  )


def short(name: str, width: int = 28) -> str:
  """A name that leaves room for its figures; what was crossed stands last."""
  return readings.label(name, width)


def entries_table(scored: Mapping[str, Any]) -> str:
  """From best to worst: rate, metric with interval, accuracy, failures."""
  metric = scored['metric']
  body = []
  for place, name in enumerate(scored['ranking'], 1):
    entry = scored['entries'][name]
    figure = entry['figures'][metric]
    accuracy = entry['figures']['test_accuracy']['mean']
    failures = entry['failures']
    body.append(
      [
        f'{place} {short(name, 22)}',
        wording.number(entry['learning_rate'], '.4g')
        + ('*' if entry['edge'] else ''),
        wording.number(figure['mean']),
        f'{wording.number(figure["low"])} to {wording.number(figure["high"])}',
        wording.number(figure['median']),
        wording.number(accuracy and 100 * accuracy, '.2f'),
        f'{failures["failed"]} of {failures["lanes"]}',
        f'{100 * failures["failed_up_to"]:.0f} %',
      ]
    )
  head = [
    'entry',
    'rate',
    metric,
    '95 % interval',
    'median',
    'accuracy %',
    'failed',
    'up to',
  ]
  note = (
    f'{scored["problem"]}; {scored["seeds"]} report seeds. Intervals are '
    f"Student's, unadjusted; they cover {scored['intervals_cover']}."
  )
  if any(entry['edge'] for entry in scored['entries'].values()):
    note += ' * the best rate lies at the edge of its grid.'
  return table(head, body) + '\n' + '\n'.join(textwrap.wrap(note, WIDTH))


def matrix_table(scored: Mapping[str, Any]) -> str:
  """The word about each row against each column, as a sign."""
  names = scored['ranking']
  if len(names) < 2:
    return ''
  body = [
    [f'{place} {short(name)}']
    + [
      wording.SIGNS.get(scored['matrix'][name].get(other, ''), '.')
      for other in names
    ]
    for place, name in enumerate(names, 1)
  ]
  head = [f'row against column, {scored["metric"]}']
  head += [str(place) for place in range(1, len(names) + 1)]
  note = '+ better   - worse   = equivalent   ? unresolved'
  nulls = [pair['word'] for pair in scored['pairs'] if pair['null']]
  note += f'   null pair: {", ".join(nulls)}'
  return table(head, body) + '\n' + note


def certificates_table(scored: Mapping[str, Any]) -> str:
  """Whether ours is theirs, step by step in float64."""
  lines = [
    f'{one["a"]} and {one["b"]}: {one["verdict"]} '
    f'({one["largest"]:.1e} of the movement, {one["updates"]} updates in '
    'float64)'
    for one in scored['certificates']
  ]
  return '\n'.join(
    part for line in lines for part in textwrap.wrap(line, WIDTH)
  )


def checklist_table(scored: Mapping[str, Any]) -> str:
  """What a referee asks, each line computed."""
  body = []
  for what, holds, detail in scored['checklist']:
    first, *more = textwrap.wrap(detail, DETAIL) or ['']
    body.append([what, 'yes' if holds else 'NO', first])
    body += [['', '', line] for line in more]
  return table(['checklist', '', ''], body)


def side_table(beside: Sequence[Mapping[str, Any]]) -> str:
  """Hand-rolled beside Optax, single runs."""
  body = [
    [
      short(one['entry'], 20),
      short(one['twin'], 24),
      f'{one["largest_difference"]:.1e}',
      ' '.join(f'{100 * a:.2f}' for a in one['accuracy']),
      ' '.join(f'{us:.1f}' for us in one['us_per_step']),
      ' '.join(f'{seconds:.2f}' for seconds in one['compile_seconds']),
    ]
    for one in beside
  ]
  head = [
    'ours',
    "Optax's",
    'difference',
    'accuracy %',
    'us a step',
    'compile s',
  ]
  return table(head, body)


def side_words(scored: Mapping[str, Any]) -> str:
  """The last line: what the hand-rolled and Optax have in common."""
  beside = scored['side_by_side']
  largest = max(one['largest_difference'] for one in beside)
  names = ', '.join(one['entry'] for one in beside)
  same = [c for c in scored['certificates'] if c['verdict'] == 'identical']
  text = (
    f'Hand-rolled and Optax ({names}) from the same start on the same batches '
    f'over {beside[0]["seeds"]} seeds: after {beside[0]["updates"]:,} updates '
    f'the parameters differ by at most {largest:.1e} of their movement; '
    f'{len(same)} of {len(scored["certificates"])} pairs are certified '
    'identical in float64.'
  )
  return '\n'.join(textwrap.wrap(text, WIDTH))
