"""A finished study with further entries: the same protocol, nothing twice."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from experiments import session
from experiments.contest import studies
from gd_jax.descent import specs
from gd_jax.types import UserError
from gd_jax.world import rundir


def extended(
  values: Mapping[str, Any], given: Sequence[str]
) -> tuple[dict[str, Any], tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
  """The flags of a finished study with more entries, and what it trained.

  Args:
    values: of all flags, `extend` the run directory of the study.
    given: the names of those that were typed.

  Raises:
    UserError: for a flag that would make it another study.
  """
  run = values['extend']
  stored, config = studies.stored(run), rundir.read_config(run)
  kept = {*session.WHERE, 'extend', 'optimizers', 'precision', 'platform'}
  for name in given:
    if name not in kept:
      raise UserError(
        f'--{name} is what the study {run} says already: leave it out, '
        'an extension keeps the protocol.'
      )
  precision = config['flags']['precision']
  if values['precision'] != precision:
    raise UserError(
      f'the study {run} was made in {precision} and this would be in '
      f'{values["precision"]}: give --precision={precision}.'
    )
  more = specs.split(values['optimizers'] or '')
  flags_there = config['flags']
  there = specs.split(flags_there['optimizers'])
  if not more[0] or set(more) <= set(there):
    raise UserError(
      f'--extend={run} needs something new: give --optimizers=NAME that '
      f'is not among {", ".join(there)}.'
    )
  where = (*session.WHERE, 'extend', 'platform')
  own = {key: values[key] for key in where if key in values}
  names = [*there, *(text for text in more if text not in there)]
  merged = {**flags_there, **own, 'optimizers': ','.join(names)}
  return merged, (studies.stored_rows(run, stored), stored['programs'])


def refuse_other_data(run: str, fingerprint: str) -> None:
  """Refuses to extend a study whose data are no longer the same.

  Raises:
    UserError: with both fingerprints.
  """
  there = rundir.read_config(run)['data']
  if there != fingerprint:
    raise UserError(
      f'the data of {run} had the fingerprint {there[:12]} and have '
      f'{fingerprint[:12]} now: bring the old data back, or start a study anew.'
    )
