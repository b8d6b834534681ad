"""What stands behind a tournament's verdicts, as sections of its report."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from gd_jax.pictures import readings
from gd_jax.pictures import sheet
from gd_jax.pictures import wording
from gd_jax.pictures.readings import Entry

HOW_TO_READ = (
  'A contestant is an optimizer at one learning rate; the rate was chosen on '
  'tuning seeds and the validation split, and every number here is from other '
  'seeds.',
  'Every contestant had the same number of tuning trials. On each report seed '
  'all start from the same weights and see the same mini-batches, so that '
  'differences are taken seed by seed.',
  'Only one figure, declared before training, gets a word. Everything else '
  'has an interval and no word.',
  'better or worse: the exact sign-flip test of the paired differences is '
  'below 0.05 after Holm over all pairs.',
  'equivalent: the difference is shown to lie within the printed margin (TOST, '
  'Holm); it is a finding, not the absence of one.',
  'unresolved: these seeds cannot tell. How many would is printed with the '
  'pair.',
  "Intervals are Student's, of 95 %, unadjusted; with a few failed seeds they "
  'are too narrow, which is why failures are counted apart.',
  'Failed is diverged (left the finite numbers), saturated (no better than '
  'naming the commonest class) or a class never predicted. "Up to" is the '
  "upper end of Wilson's 95 % interval: 0 of 20 is up to 16 %.",
  'The null pair is one contestant against itself on other seeds: a word there '
  'is a false alarm, and one study in twenty may have one.',
  'A twin starts a millionth further out: how far it ends from the original is '
  'chaos, and smaller differences between two runs mean nothing.',
)


def named(entry: Entry) -> sheet.Cell:
  """An entry's name behind its colour."""
  return sheet.Cell(
    f'<span class="key" style="background:{entry.colour}"></span>'
    f'{sheet.text(entry.name)}'
  )


def certificates(study: Mapping[str, Any]) -> sheet.Section | None:
  """Ours beside Optax's: certified, and run side by side; None for neither."""
  beside, certificates = study['side_by_side'], study['certificates']
  if not beside and not certificates:
    return None
  body = sheet.paragraph(
    'A certificate follows two implementations on the same given gradients in '
    "float64, with hyperparameters that are nobody's default, and compares "
    'every update; differences are relative to the movement.'
  ) + sheet.table(
    ['hand-rolled', "Optax's", 'verdict', 'largest difference', 'updates'],
    [
      [
        one['a'],
        one['b'],
        one['verdict'],
        f'{one["largest"]:.1e}',
        one['updates'],
      ]
      for one in certificates
    ],
    words=(1, 2),
  )
  if beside:
    body += sheet.paragraph(
      'Single runs in the precision of the study, timed in turn A B A B, from '
      'the same start on the same batches. Each cell: hand-rolled, then '
      "Optax's."
    ) + sheet.table(
      [
        *('hand-rolled', "Optax's", 'largest difference', 'accuracy %'),
        *('us a step', 'compile s', 'updates'),
      ],
      [
        [
          one['entry'],
          one['twin'],
          f'{one["largest_difference"]:.1e}',
          ' / '.join(f'{100 * value:.2f}' for value in one['accuracy']),
          ' / '.join(f'{value:.1f}' for value in one['us_per_step']),
          ' / '.join(f'{value:.2f}' for value in one['compile_seconds']),
          one['updates'],
        ]
        for one in beside
      ],
      words=(1,),
    )
  return sheet.Section('optax', 'Hand-rolled beside Optax', body, {})


def controls(
  study: Mapping[str, Any], entries: Sequence[Entry]
) -> sheet.Section:
  """The twins' drift, and the words of the null pairs."""
  metric = study['metric']
  body = [[named(entry), *_drift(entry, metric)] for entry in entries]
  twins = sheet.table(
    ['entry', 'twins', f'largest change of {readings.title(metric)}'], body
  )
  nulls = sheet.table(
    ['null pair', 'word', 'figures'],
    [
      [
        f'{pair["a"]} against itself',
        pair['word'],
        '; '.join(wording.figures_of_pair(pair, metric)),
      ]
      for pair in study['pairs']
      if pair['null']
    ],
    words=(1, 2),
  )
  return sheet.Section(
    'controls',
    'Controls',
    sheet.paragraph(
      'Twins start from the same weights times 1 + 1e-6: what changes is '
      'chaos. The null pair is one entry on two sets of seeds: a word there '
      'would be false.'
    )
    + twins
    + nulls,
    {},
  )


def _drift(entry: Entry, metric: str) -> tuple[str, str]:
  """How many twins there are, and the farthest that one ended."""
  drifts = list(entry.record['twin'].values())
  numbers = [abs(drift) for drift in drifts if drift is not None]
  lost = len(drifts) - len(numbers)
  farthest = readings.drawn(metric, max(numbers, default=None))
  words = wording.number(farthest, '.2g')
  return str(len(drifts)), words + (f' ({lost} without one)' if lost else '')


def checklist(study: Mapping[str, Any]) -> sheet.Section:
  """What a referee asks, with the figures that answer."""
  body = [
    [what, 'yes' if holds else sheet.Cell('<span class="no">NO</span>'), detail]
    for what, holds, detail in study['checklist']
  ]
  return sheet.Section(
    'checklist',
    'Checklist',
    sheet.paragraph('What a referee asks; each line is computed.')
    + sheet.table(['line', 'holds', 'figures'], body, words=(1, 2)),
    {},
  )


def _lane_steps(program: Mapping[str, Any]) -> int:
  return program['lanes'] * program['updates']


def cost(study: Mapping[str, Any]) -> sheet.Section:
  """The seconds of every program."""
  body = [
    [
      program['entry'],
      program['phase'],
      f'{program["batch_size"]:,}',
      program['lanes'],
      f'{program["updates"]:,}',
      program['lane_block'],
      f'{program["seconds"]:.2f}',
      f'{1e6 * program["seconds"] / _lane_steps(program):.1f}',
      f'{program["compile_seconds"]:.2f}',
    ]
    for program in study['programs']
  ]
  trained = sum(program['seconds'] for program in study['programs'])
  updates = sum(map(_lane_steps, study['programs']))
  devices = max((p['devices'] for p in study['programs']), default=0)
  about = (
    f'The study took {study["seconds"]:.1f} s, {trained:.1f} s of them for '
    f'training {updates:,} updates on {devices} '
    f'device{"s" * (devices != 1)}; programs compile in the background, side '
    'by side. Seconds are those of whole programs.'
  )
  head = [
    *('entry', 'phase', 'm', 'lanes', 'updates a lane', 'block', 'seconds'),
    *('us a lane-step', 'compile s'),
  ]
  return sheet.Section(
    'cost',
    'Cost of the study',
    sheet.paragraph(about) + sheet.table(head, body, words=(1,)),
    {},
  )


def reading() -> sheet.Section:
  """How to read the report."""
  body = ''.join(f'<li>{sheet.text(line)}</li>' for line in HOW_TO_READ)
  return sheet.Section(
    'reading', 'How to read it in ten lines', f'<ol>{body}</ol>', {}
  )
