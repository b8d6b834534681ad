"""A script's hold on its run directory, from the lock to the last status."""

import contextlib
import datetime
import json
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jax

from experiments import flags
from experiments import speech
from experiments import start
from gd_jax.types import UserError
from gd_jax.world import checkpoint
from gd_jax.world import files
from gd_jax.world import lock
from gd_jax.world import machine
from gd_jax.world import mesh
from gd_jax.world import rowfile
from gd_jax.world import rundir

# Flags that say where and how to look, and change no number of a run.
WHERE = (
  'workdir',
  'name',
  'resume',
  'json',
  'quiet',
  'profile',
  'checkpoint_every',
  'data_dir',
  'manual_dir',
  *(holder.name for holder in flags.SEVERAL),
)


class Outcome(NamedTuple):
  """How a script ended: its exit code and the reason for status.json."""

  code: int
  reason: str


class Session(NamedTuple):
  """The run directory that this process holds, and what it is a run of."""

  run: rundir.Run
  config: dict[str, Any]
  context: start.Context


def agree(context: start.Context) -> None:
  """Refuses several processes that were not started alike.

  Raises:
    UserError: with the flags and versions that differ.
  """
  shape = machine.machine_shape(context.devices)
  flags_here = context.values.items()
  mesh.agree(
    {
      'flags': {key: value for key, value in flags_here if key not in WHERE},
      'machine': {key: shape[key] for key in machine.SOFTWARE},
    }
  )


def hold(
  context: start.Context,
  values: Mapping[str, Any],
  fingerprint: str,
  work: Callable[[Session], Outcome],
) -> int:
  """Opens the run directory, works in it, and leaves a status; the exit code.

  A run that is COMPLETED already is left as it is. Of several processes only
  the first opens it, and the others need not see where it lies.
  """
  now = datetime.datetime.now().strftime('%Y%m%d-%H%M%S')
  name = values['name'] or f'{context.experiment}-{now}'
  if values['resume'] and not values['name']:
    raise UserError('--resume needs --name, the run to go on with.')
  config = {
    'experiment': context.experiment,
    'flags': {key: values[key] for key in sorted(values)},
    'data': fingerprint,
    'machine': machine.together(
      mesh.everyone(machine.machine_shape(context.devices))
    ),
  }
  mesh.agree({'data': fingerprint})
  run = rundir.Run(pathlib.Path(values['workdir']) / name, -1, None)
  if context.first:
    run = rundir.open_run(
      values['workdir'],
      name,
      config,
      resume=values['resume'],
      may_differ=[f'flags.{flag}' for flag in WHERE],
    )
  if mesh.from_first(lambda: run.found and run.found.status) == 'COMPLETED':
    context.say(f'{run.path} is finished already: nothing is left to do.')
    return start.DONE
  if not context.first:
    return work(Session(run, config, context)).code
  rundir.write_status(run, 'RUNNING')
  try:
    outcome = work(Session(run, config, context))
  except BrokenPipeError:
    reason = 'stdout was closed, go on with --resume'
    rundir.write_status(run, 'INTERRUPTED', reason)
    raise
  except BaseException as error:
    say_failed(run, error)
    raise
  status = {start.DONE: 'COMPLETED', start.DIVERGED: 'DIVERGED'}
  rundir.write_status(
    run, status.get(outcome.code, 'INTERRUPTED'), outcome.reason
  )
  if outcome.code != start.DONE:
    speech.warn(f'{context.experiment}: {outcome.reason}.')
  return outcome.code


def say_failed(run: rundir.Run, error: BaseException) -> None:
  """Leaves FAILED with the reason, unless the directory itself is at fault."""
  with contextlib.suppress(UserError):
    rundir.write_status(run, 'FAILED', str(error) or type(error).__name__)


class Restored(NamedTuple):
  """Where a run goes on: its newest sound checkpoint, or the very start."""

  state: Any
  step: int
  rows: list[dict[str, Any]]
  extra: dict[str, Any]


def restore(session: Session, template: Any) -> Restored:
  """The newest sound checkpoint, or the template; rows.jsonl is cut to it."""
  found = checkpoint.newest(
    session.run.path,
    without_keys(template),
    session.config,
    may_differ=[f'flags.{flag}' for flag in WHERE],
  )
  if found is None:
    rowfile.cut(session.run, 0)
    return Restored(template, 0, [], {})
  for reason in found.skipped:
    speech.warn(reason)
  rowfile.cut(session.run, found.rows_size)
  checkpoint.sweep(session.run.path, found.step)
  rows = rowfile.read(session.run.path)
  session.context.say(f'going on from checkpoint {found.step}')
  state = jax.tree.map(
    lambda leaf, value: (
      jax.random.wrap_key_data(value) if is_key(leaf) else value
    ),
    template,
    found.state,
  )
  return Restored(state, found.step, rows, found.extra)


def is_key(leaf: Any) -> bool:
  """Whether a leaf is a typed PRNG key, as some optimizers keep one."""
  return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def without_keys(state: Any) -> Any:
  """The state with the numbers of its PRNG keys in their place."""
  return jax.tree.map(
    lambda leaf: jax.random.key_data(leaf) if is_key(leaf) else leaf, state
  )


def record(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
  """Appends rows to rows.jsonl, and prints them with --json."""
  rowfile.append(session.run, rows)
  if session.context.values['json']:
    for row in rows:
      print(json.dumps(files.plain(row)), flush=True)


def save(
  session: Session,
  step: int,
  state: Any,
  extra: Mapping[str, Any],
  *,
  passing: bool = False,
) -> None:
  """Saves a checkpoint; `step` counts whatever the script counts.

  `passing` is as of `checkpoint.save`.
  """
  lock.check(session.run.path, session.run.lock)
  checkpoint.save(
    session.run.path,
    step=step,
    state=without_keys(state),
    config=session.config,
    extra=extra,
    passing=passing,
  )


def write(session: Session, name: str, data: bytes) -> None:
  """Writes a file of the run directory, if it still is this run's."""
  lock.check(session.run.path, session.run.lock)
  files.write_file(session.run.path / name, data)


def write_figure(session: Session, name: str, png: bytes) -> None:
  """Writes figures/NAME."""
  lock.check(session.run.path, session.run.lock)
  files.make_folder(session.run.path / 'figures')
  write(session, f'figures/{name}', png)


def interrupted(context: start.Context) -> Outcome:
  """The outcome of a script that a signal asked to stop, after saving."""
  number = context.signals[0]
  name = {2: 'SIGINT', 15: 'SIGTERM'}[number]
  return Outcome(
    128 + number, f'stopped by {name} after saving, go on with --resume'
  )
