"""Finished studies that nobody trained, as study.json and rows.jsonl hold."""

import json
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from gd_jax.judge import results
from gd_jax.judge import study

HOSTILE = (
  '<script>alert(1)</script>',
  '$^$',
  'two\nlines',
  '%{x} <a href="https://example.org/">&amp;</a>',
)
EPOCHS = 3


class Study(NamedTuple):
  """What the two files of a run hold."""

  study: dict[str, Any]
  rows: list[dict[str, Any]]


def finished(
  strips: Mapping[str, Sequence[float | None]],
  *,
  batch_sizes: Sequence[int] = (10,),
  costs: Sequence[str] = ('quadratic',),
  metric: str = 'test_cost',
  target: tuple[str, float] | None = None,
) -> Study:
  """A study whose report seeds end at the test costs of `strips`.

  None is a seed that diverged in its second epoch. An accuracy is 1 - cost.
  """
  seeds = len(next(iter(strips.values())))
  tuning, report, null = study.split_seeds(0, 2, seeds)
  protocol = study.Protocol(
    contestants=study.contestants(
      [(name, 'ours', 0.1, 'table') for name in strips],
      batch_sizes,
      ['scaled'],
      costs,
    ),
    rates=3,
    tuning_seeds=tuning,
    report_seeds=report,
    null_seeds=null,
    epochs=EPOCHS,
    metric=metric,
    target=target,
  )
  rows = []
  for unit in study.tuning_units(protocol):
    for k, rate in enumerate(unit.rates):
      for seed in unit.seeds:
        # The largest rate diverges; the middle one is the best.
        value = (0.5, 0.2 + 0.01 * seed, None)[k]
        rows += lane(unit, rate, seed, value)
  for unit in study.report_units(protocol, rows):
    strip = strips[unit.contestant.optimizer]
    first = null[0] if unit.phase == 'null' else report[0]
    for seed in unit.seeds:
      rows += lane(unit, unit.rates[0], seed, strip[seed - first])
  answers = results.assemble(protocol, rows, images=300)
  inputs = {
    'problem': 'made up, 2-2 & <no> network',
    'images': 300,
    'protocol': study.record_of(protocol),
    'programs': [
      {
        'phase': 'report',
        'entry': one.name,
        'batch_size': one.batch_size,
        'lanes': seeds,
        'updates': EPOCHS * 1200 // one.batch_size,
        'lane_block': 1,
        'devices': 2,
        'orders': 'ab' * 32,
        'seconds': 0.5,
        'compile_seconds': 1.5,
      }
      for one in protocol.contestants
    ],
    'side_by_side': [
      {
        'entry': one.name,
        'twin': f'optax:{one.optimizer}',
        'learning_rate': 0.1,
        'updates': 120,
        'seeds': seeds,
        'largest_difference': 1e-7,
        'accuracy': [0.9, 0.9],
        'us_per_step': [7.5, 8.5],
        'compile_seconds': [0.1, 0.2],
      }
      for one in protocol.contestants
    ],
    'certificates': [
      {
        'a': name,
        'b': f'optax:{name}',
        'verdict': 'identical',
        'largest': 0.0,
        'updates': 200,
      }
      for name in strips
    ],
    'seconds': 12.5,
  }
  checks = results.checklist(
    protocol,
    rows,
    answers,
    certificates=inputs['certificates'],
    orders={},
  )
  stored = {**inputs, **answers, 'checklist': [list(one) for one in checks]}
  return Study(json.loads(json.dumps(stored)), json.loads(json.dumps(rows)))


def lane(
  unit: study.Unit, rate: float, seed: int, value: float | None
) -> list[dict[str, Any]]:
  """A lane that goes to `value` in equal steps from twice that."""
  one = unit.contestant
  steps = 1200 // one.batch_size
  rows = []
  for epoch in range(1, EPOCHS + 1):
    gone = value is None and epoch > 1
    cost = (
      None
      if gone
      else 0.5
      if value is None
      else value * (1 + (EPOCHS - epoch) / 4)
    )
    accuracy = None if cost is None else 1 - cost
    row = {
      'phase': unit.phase,
      'entry': one.name,
      'optimizer': one.optimizer,
      'implementation': one.implementation,
      'batch_size': one.batch_size,
      'init': one.init,
      'cost': one.cost,
      'learning_rate': rate,
      'seed': seed,
      'epoch': epoch,
      'step': steps if gone else steps * epoch,
      'train_cost': cost,
      'validation_cost': cost,
      'validation_accuracy': accuracy,
      'failed': 'diverged' if gone else None,
      'diverged_at': steps + 1 if gone else None,
    }
    if epoch == EPOCHS and unit.phase != 'tuning':
      row |= {
        'test_cost': cost,
        'test_accuracy': accuracy,
        'dead_outputs': None if gone else int(cost is not None and cost > 0.6),
      }
    rows.append(row)
  return rows


def spread(middle: float, seeds: int = 12) -> list[float]:
  """A strip around a value."""
  return [middle * (1 + 0.01 * ((5 * k) % seeds)) for k in range(seeds)]


def every() -> dict[str, Study]:
  """Studies of every shape, the plainest first."""
  return {
    'plain': finished(
      {
        'sgd': spread(0.3),
        'adam': spread(0.1),
        'lion': [*spread(0.2)[:-1], None],
      }
    ),
    'crossed': finished(
      {'sgd': spread(0.3), 'adam': [*spread(0.1)[:-2], None, 0.7]},
      batch_sizes=(10, 100, 1200),
      target=('validation_accuracy', 0.87),
    ),
    'hostile': finished(
      {name: spread(0.1 + k / 10) for k, name in enumerate(HOSTILE)}
    ),
    'alone': finished({'sgd': spread(0.3)}),
    'ten': finished({f'sgd+mu=0.{k}': spread(0.1 + k / 50) for k in range(10)}),
    'all diverged': finished({'sgd': [None] * 6, 'adam': [None] * 6}),
    'one seed': finished({'sgd': [0.3], 'adam': [0.1]}),
    # Intervals reach below nought, which decides an axis.
    'two seeds': finished({'sgd': [0.3, 0.34], 'adam': [0.01, 0.012]}),
    'accuracy': finished(
      {'sgd': spread(0.3), 'adam': spread(0.1)}, metric='test_accuracy'
    ),
    'target': finished(
      {'sgd': spread(0.3), 'adam': spread(0.1)},
      metric='updates_to_target',
      target=('validation_cost', 0.12),
    ),
  }


EVERY = every()
