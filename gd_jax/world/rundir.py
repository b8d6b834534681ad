"""One run is one directory: config.json, rows.jsonl, status.json and a lock.

The lock is the kernel's (flock), so it dies with its process, however that
ends; the file `lock` only says who took it last. Every file but rows.jsonl is
written whole under a temporary name, fsynced and renamed, so that a reader
finds the old one or the new one. rows.jsonl grows: a kill can tear its last
line, which `read_rows` leaves out and `cut_rows` cuts off.
"""

import contextlib
import gzip
import hashlib
import io
import json
import os
import re
import zlib
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import NamedTuple

from gd_jax.types import UserError
from gd_jax.world import checkpoint
from gd_jax.world import files
from gd_jax.world import lock
from gd_jax.world import seals

# Packed rows that unpack to more are no study's.
MOST_UNPACKED = 2**30

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


def append_rows(run: Run, rows: Iterable[Mapping[str, Any]]) -> int:
  """Appends one line of ASCII JSON a row, on the disk when this returns.

  A number that is not finite becomes null: NaN is no JSON. Returns the size
  of rows.jsonl in bytes. A write that fails leaves the file as it was.
  """
  lines = [json.dumps(files.plain(row), allow_nan=False) + '\n' for row in rows]
  left = memoryview(''.join(lines).encode('ascii'))
  needed = len(left)
  lock.check(run.path, run.lock)
  path = run.path / 'rows.jsonl'
  try:
    # Opened anew each time and never created: rows that somebody removed are
    # an error, not a file that begins in the middle.
    with open(path, 'r+b', buffering=0) as file:
      size = file.seek(0, os.SEEK_END)
      try:
        while left:
          left = left[file.write(left) :]
        os.fsync(file.fileno())
      except BaseException:
        with contextlib.suppress(OSError):
          file.truncate(size)
        raise
  except OSError as error:
    raise files.cannot_write(path, needed, error) from error
  return size + needed


def read_rows(path: str | Path) -> list[dict[str, Any]]:
  """The rows of the run at `path`; a torn last line is left out.

  Raises:
    UserError: they cannot be read or unpacked, or a line in the midst is no
      JSON object; its number is named.
  """
  file = rows_file(path)
  *lines, _ = _rows_bytes(path).split(b'\n')
  rows = []
  for number, line in enumerate(lines, 1):
    row = files.parsed(line)
    if not isinstance(row, dict):
      raise UserError(
        f'Line {number} of {files.shown(file)} is damaged: expected one JSON '
        f'object, found {_excerpt(line)}; bring back a copy of the file or run '
        'again under another --name.'
      )
    rows.append(row)
  return rows


def rows_sha256(path: str | Path) -> str:
  """The SHA-256 of rows.jsonl, hex; packed rows have that of their text."""
  return hashlib.sha256(_rows_bytes(path)).hexdigest()


def rows_file(path: str | Path) -> Path:
  """Where the rows of a run stand: rows.jsonl, or packed to be published."""
  plain = Path(path) / 'rows.jsonl'
  packed = plain.with_suffix('.jsonl.gz')
  return packed if packed.exists() and not plain.exists() else plain


def _rows_bytes(path: str | Path) -> bytes:
  file = rows_file(path)
  data = files.read_file(file)
  if file.suffix != '.gz':
    return data
  try:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
      rows = packed.read(MOST_UNPACKED + 1)
  except (OSError, EOFError, zlib.error) as error:
    raise UserError(
      f'{files.shown(file)} is damaged ({error}): bring back a copy of it.'
    ) from error
  if len(rows) > MOST_UNPACKED:
    raise UserError(
      f'{files.shown(file)} unpacks to over {MOST_UNPACKED / 2**30:g} GiB: '
      'expected the rows of a study, unpack it yourself if it is one.'
    )
  return rows


def cut_rows(run: Run, size: int) -> None:
  """Cuts rows.jsonl back to `size` bytes: a checkpoint's, or 0 for anew."""
  lock.check(run.path, run.lock)
  path = run.path / 'rows.jsonl'
  try:
    with open(path, 'r+b', buffering=0) as file:
      found = file.seek(0, os.SEEK_END)
      if found >= size:
        file.truncate(size)
        os.fsync(file.fileno())
  except OSError as error:
    raise files.cannot_write(path, size, error) from error
  if found < size:
    raise UserError(
      f'{files.shown(path)} has {found} bytes where the checkpoint counted '
      f'{size}: bring back a copy of it or run again under another --name.'
    )


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


def _excerpt(line: bytes) -> str:
  return files.shown(line[:60].decode('ascii', 'backslashreplace'))


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
