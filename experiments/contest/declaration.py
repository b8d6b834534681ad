"""What the flags of `compare` declare before anything is trained."""

import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from experiments import problem as problems
from gd_jax.descent import batches
from gd_jax.descent import entries
from gd_jax.judge import records
from gd_jax.judge import study
from gd_jax.types import UserError


def declare(
  values: Mapping[str, Any],
  named: Sequence[entries.Entry],
  problem: problems.Problem,
  dtype: str,
) -> study.Protocol:
  """The protocol of the flags.

  Raises:
    UserError: for what cannot be a study.
  """
  texts = [entry.text for entry in named]
  twice = [text for text in texts if texts.count(text) > 1]
  if twice:
    raise UserError(
      f'--optimizers names {twice[0]} twice: name every entry once (one of '
      'them is entered twice anyway, as the null pair).'
    )
  if not problems.size_of(problem.validation):
    raise UserError(
      'a study chooses learning rates on the validation split, which is '
      'empty: give --validation_size at least 1.'
    )
  if values['metric'] == records.UPDATES_TO_TARGET and not values['target']:
    raise UserError(
      f'--metric={records.UPDATES_TO_TARGET} needs a target: give --target=0.9 '
      'for 90 % of the validation split.'
    )
  if len(values['cost']) > 1 and values['metric'] == 'test_cost':
    raise UserError(
      f'--cost={",".join(values["cost"])} makes costs of several kinds, which '
      'cannot be compared: give --metric=test_accuracy or one cost.'
    )
  if len(values['cost']) > 1 and values['snapshots']:
    raise UserError(
      f'--cost={",".join(values["cost"])} makes several surfaces, and '
      '--snapshots are looked at on one: leave one of the two out.'
    )
  sizes = values['batch_sizes'] or [values['batch_size']]
  tuning, report, null = study.split_seeds(
    values['seed'], values['tuning_seeds'], values['report_seeds']
  )
  contestants = study.contestants(
    [(e.text, e.implementation, e.centre, e.centre_source) for e in named],
    [problems.batch_size(size, problem, 'batch_sizes') for size in sizes],
    values['init'],
    values['cost'],
  )
  names = [one.name for one in contestants]
  again = [name for name in names if names.count(name) > 1]
  if again:
    raise UserError(
      f'{again[0]} would be entered twice: name every size in --batch_sizes, '
      'every start in --init and every cost in --cost once.'
    )
  steps = [
    batches.steps_of(problems.size_of(problem.train), one.batch_size)
    for one in contestants
  ]
  if (
    values['metric'] == records.UPDATES_TO_TARGET
    and math.lcm(*steps) > min(steps) * values['epochs']
  ):
    raise UserError(
      f'--metric={records.UPDATES_TO_TARGET} needs entries that are evaluated '
      'after the same numbers of updates at least once, and with these '
      '--batch_sizes none are: give one batch size, or more --epochs.'
    )
  for one in contestants:
    for end in study.ends_of_grid(one.centre, values['rates']):
      problems.check_rate(end, dtype)
  return study.Protocol(
    contestants=contestants,
    rates=values['rates'],
    tuning_seeds=tuning,
    report_seeds=report,
    null_seeds=null,
    epochs=values['epochs'],
    metric=values['metric'],
    target=('validation_accuracy', values['target'])
    if values['target']
    else None,
    resplit=values['resplit'],
  )
