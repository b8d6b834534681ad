"""One run is one directory: config.json, rows.jsonl, status.json and a lock.

The lock is the kernel's (flock), so it dies with its process, however that
ends; the file `lock` only says who took it last. Every file but rows.jsonl is
written whole under a temporary name, fsynced and renamed, so that a reader
finds the old one or the new one. rows.jsonl grows: see `rowfile`.
"""

import contextlib
import json
import os
import re
from collections.abc import Collection
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import NamedTuple

from gd_jax.types import UserError
from gd_jax.world import checkpoint
from gd_jax.world import files
from gd_jax.world import lock
from gd_jax.world import seals

STATUSES = ('RUNNING', 'COMPLETED', 'DIVERGED', 'INTERRUPTED', 'FAILED')


class Status(NamedTuple):
  """How a run stands: one of STATUSES, or KILLED when its process vanished."""

  status: str
  reason: str


class Run(NamedTuple):
  """A run directory that this process holds until `close_run` or its end."""

  path: Path
  lock: int  # file descriptor that holds the flock
  found: Status | None  # how the run stood when it was opened; None: it is new


def check_name(name: str) -> str:
  """The name of a run, refused unless it is one plain directory name."""
  if not re.fullmatch(r'[A-Za-z0-9][A-Za-z0-9._-]{0,63}', name):
    raise UserError(
      f'--name={files.shown(name)} cannot name a run: use 1 to 64 letters, '
      'digits, dots, underscores and hyphens, the first a letter or digit.'
    )
  return name


def open_run(
  workdir: str | Path,
  name: str,
  config: Mapping[str, Any],
  *,
  resume: bool = False,
  may_differ: Collection[str] = (),
) -> Run:
  """Creates or reopens workdir/name and locks it; a refusal changes nothing.

  An existing run is refused without `resume`. With it, config.json has to
  equal `config` but for the keys in `may_differ` ('steps', 'machine.cores'),
  and stays as it was. `resume` of nothing makes a new run. No status is
  written: a caller looks at `found` first, for the run may be COMPLETED.
  """
  path = Path(workdir) / check_name(name)
  text = files.json_bytes(config, f'the configuration of {name}')
  files.make_folder(path, parents=True)
  with contextlib.ExitStack() as undo:
    try:
      _refuse_foreign(path)
      held = lock.take(path)
      undo.callback(os.close, held)
      found = _refuse_other(path, json.loads(text), resume, may_differ)
      for leftover in files.leftovers(path):
        leftover.unlink()
      lock.say_who(held)
      if found is None:
        files.write_file(path / 'config.json', seals.seal(text))
      if not (path / 'rows.jsonl').exists():
        files.write_file(path / 'rows.jsonl', b'')
    except OSError as error:
      raise files.cannot_write(path, len(text), error) from error
    undo.pop_all()
  return Run(path, held, found)


def close_run(run: Run) -> None:
  """Lets go of the lock; the end of the process does the same."""
  os.close(run.lock)


def write_status(run: Run, status: str, reason: str = '') -> None:
  """Writes status.json; `status` is one of STATUSES."""
  if status not in STATUSES:
    raise ValueError(f'{status} is none of {STATUSES}')
  lock.check(run.path, run.lock)
  record = {'status': status, 'reason': reason}
  files.write_file(
    run.path / 'status.json', files.json_bytes(record, 'the status')
  )


def read_status(path: str | Path) -> Status:
  """How the run at `path` stands; RUNNING with a free lock reads as KILLED."""
  path = Path(path)
  status = _stored_status(path)
  if status.status == 'RUNNING' and not lock.is_held(path):
    # It may have finished between the two looks.
    status = _killed(_stored_status(path))
  return status


def read_config(path: str | Path) -> dict[str, Any]:
  """The configuration of the run at `path`, as config.json holds it.

  Where that is damaged, the newest sound manifest of a checkpoint has a copy.

  Raises:
    UserError: there is none, or it is damaged and no copy is there.
  """
  file = Path(path) / 'config.json'
  try:
    return seals.unsealed(files.read_file(file))
  except ValueError as error:
    copy = checkpoint.newest_config(path)
    if copy is not None:
      return copy
    raise UserError(
      f'{files.shown(file)} is damaged ({error}) and no checkpoint has a copy '
      'of it: bring one back or run again under another --name.'
    ) from error


def _refuse_foreign(path: Path) -> None:
  """Refuses a directory of something else before anything is put there."""
  ours = {path / 'lock', *files.leftovers(path)}
  others = {entry.name for entry in path.iterdir() if entry not in ours}
  if others and 'config.json' not in others:
    raise UserError(
      f'{files.shown(path)} holds no run but {files.shown(min(others))}: '
      'choose another --name.'
    )


def _refuse_other(
  path: Path, config: dict[str, Any], resume: bool, may_differ: Collection[str]
) -> Status | None:
  """How the run there stands, None for a new one; refuses another run."""
  if not (path / 'config.json').exists():
    return None
  if not resume:
    raise UserError(
      f'{files.shown(path)} holds a run already: go on with --resume or choose '
      'another --name.'
    )
  lines = files.differing_lines(read_config(path), config, may_differ)
  if lines:
    raise UserError(
      f'{files.shown(path)} holds another run: resume it with the same '
      'settings on the same machine, or choose another --name:\n'
      + ';\n'.join(lines)
    )
  return _killed(_stored_status(path))


def _stored_status(path: Path) -> Status:
  """What status.json says; a run that got no further is RUNNING."""
  file = path / 'status.json'
  if not file.exists():
    read_config(path)
    return Status('RUNNING', '')
  record = files.parsed(files.read_file(file))
  if not isinstance(record, dict) or record.get('status') not in STATUSES:
    raise UserError(
      f'{files.shown(file)} is damaged: expected one of {", ".join(STATUSES)}; '
      'remove it and the run counts as KILLED.'
    )
  return Status(record['status'], str(record.get('reason', '')))


def _killed(status: Status) -> Status:
  """The status of a run that no process holds."""
  if status.status != 'RUNNING':
    return status
  return Status('KILLED', 'its process ended without a word')
