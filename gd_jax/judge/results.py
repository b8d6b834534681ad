"""A study's answers as plain data: what study.json, tables and report show.

`assemble` is a pure function of the protocol and the recorded rows, so that
anyone can recompute every verdict without training.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from gd_jax.judge import records
from gd_jax.judge import scores
from gd_jax.judge import sentence
from gd_jax.judge import study
from gd_jax.judge import verdicts
from gd_jax.judge.records import Row

FIGURES = ('test_cost', 'test_accuracy')


def assemble(
  protocol: study.Protocol, rows: Sequence[Row], *, images: int
) -> dict[str, Any]:
  """Every table of REFEREE's list that rows decide, ready for JSON.

  Args:
    protocol: as declared before training.
    rows: of rows.jsonl.
    images: of the test split.
  """
  target = records.Target(*protocol.target) if protocol.target else None
  judged = verdicts.judge_rows(
    rows, metric=protocol.metric, images=images, target=target
  )
  figures = {name: records.values(rows, name) for name in FIGURES}
  primary = records.values(rows, protocol.metric, target=target)
  figures[protocol.metric] = primary
  twins = records.values(rows, protocol.metric, phase='twin', target=target)
  return {
    'sentence': sentence.sentence(judged),
    'metric': protocol.metric,
    'chosen_by': study.CHOSEN_BY[protocol.metric],
    'ranking': judged.ranking,
    'matrix': verdicts.matrix(judged.pairs),
    'pairs': [pair._asdict() for pair in judged.pairs],
    'seeds': judged.seeds,
    'intervals_cover': 'start, order and split'
    if protocol.resplit
    else 'start and order on one fixed split',
    'seeds_needed': judged.seeds_needed,
    'entries': {
      one.name: {
        **one._asdict(),
        **study.choose(protocol, rows, one.name)._asdict(),
        'figures': {
          quantity: scores.summarize(
            values[one.name], higher=records.higher_is_better(quantity)
          )._asdict()
          for quantity, values in figures.items()
        },
        'twin': scores.paired_differences(twins[one.name], primary[one.name]),
        **_tuned(protocol, rows, one.name),
        'failures': scores.count_failures(
          records.lanes(rows, 'report')[one.name]
        )._asdict(),
      }
      for one in protocol.contestants
    },
  }


def _tuned(
  protocol: study.Protocol, rows: Sequence[Row], name: str
) -> dict[str, Any]:
  """What the tuning lanes of an entry say of its learning rate."""
  lanes = records.lanes(rows, 'tuning')[name]
  chosen_by = study.CHOSEN_BY[protocol.metric]
  tried = scores.sensitivity(lanes, chosen_by)
  accuracy = scores.sensitivity(lanes, 'validation_accuracy')
  means = [None if score.failed_share else score.mean for score in tried]
  region = scores.region(accuracy)
  return {
    'sensitivity': [score._asdict() for score in tried],
    'sensitivity_accuracy': [score._asdict() for score in accuracy],
    'region': region._asdict() if region else None,
    'best_of_k': scores.best_of_k(
      means, higher=records.higher_is_better(chosen_by)
    ),
    'chance_of_failing': scores.chance_of_failing(means),
  }


def checklist(
  protocol: study.Protocol,
  rows: Sequence[Row],
  answers: Mapping[str, Any],
  *,
  certificates: Sequence[Mapping[str, Any]],
  orders: Mapping[str, str],
) -> list[tuple[str, bool, str]]:
  """(what a referee asks, whether it holds, the figures behind it).

  Args:
    protocol: as declared.
    rows: as recorded.
    answers: of `assemble`.
    certificates: records with `a`, `b` and `verdict`.
    orders: entry -> hash of the order of examples on the report seeds.
  """
  names = [one.name for one in protocol.contestants]
  trials = {
    name: len(answers['entries'][name]['sensitivity']) for name in names
  }
  edges = [name for name in names if answers['entries'][name]['edge']]
  tuned = {row['seed'] for row in rows if row['phase'] == 'tuning'}
  reported = {row['seed'] for row in rows if row['phase'] != 'tuning'}
  last = {}
  for row in rows:
    if row['phase'] == 'report':
      last[row['entry'], row['seed']] = row
  early = [
    row
    for row in rows
    if 'test_cost' in row and row['epoch'] != protocol.epochs
  ]
  differing = [c for c in certificates if c['verdict'] != 'identical']
  failed = sum(answers['entries'][name]['failures']['failed'] for name in names)
  null = [pair for pair in answers['pairs'] if pair['null']]
  false = [pair for pair in null if pair['word'] in ('better', 'worse')]
  sizes = {one.name: one.batch_size for one in protocol.contestants}
  hashes = {(sizes[name], order) for name, order in orders.items()}
  return [
    (
      'equal budget',
      len(set(trials.values())) == 1,
      f'{max(trials.values())} rates x {len(protocol.tuning_seeds)} seeds each',
    ),
    (
      'optimum inside the grid',
      not edges,
      f'at the edge: {", ".join(edges)}' if edges else 'of every entry',
    ),
    (
      'seeds disjoint',
      not tuned & reported,
      f'{len(tuned)} to tune, {len(reported)} to report',
    ),
    (
      'batches identical',
      len(hashes) == len(set(sizes.values())),
      ', '.join(f'm = {size}: {order[:8]}' for size, order in sorted(hashes)),
    ),
    (
      'certificates pass',
      not differing,
      f'{len(certificates) - len(differing)} of {len(certificates)} pairs '
      'identical',
    ),
    (
      'test set read once',
      not early,
      f'at epoch {protocol.epochs} of {protocol.epochs}, never chosen by',
    ),
    (
      'failed lanes kept',
      len(last) == len(names) * len(protocol.report_seeds),
      f'{len(last)} lanes reported, {failed} failed',
    ),
    (
      'enough seeds',
      answers['seeds'] >= answers['seeds_needed'],
      f'{answers["seeds"]}, and {answers["seeds_needed"]} needed',
    ),
    (
      'null pair without a false word',
      not false,
      ', '.join(pair['word'] for pair in null),
    ),
  ]
