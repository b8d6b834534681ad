"""Files written whole or not at all, the JSON in them, and what differs.

A file is written under a temporary name, fsynced and renamed, so that a reader
finds the old one or the new one, whenever the process is killed.
"""

import contextlib
import errno
import io
import json
import math
import os
import re
import stat
from collections.abc import Collection
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gd_jax.types import UserError

_ELSEWHERE = 'or choose another --workdir'
_MENDS = {
  errno.ENOSPC: f'free that much there {_ELSEWHERE}',
  errno.EDQUOT: f'free that much of the quota {_ELSEWHERE}',
  errno.EFBIG: f'raise the limit on file sizes (ulimit -f) {_ELSEWHERE}',
  errno.EROFS: f'make it writable {_ELSEWHERE}',
  errno.EACCES: f'make it writable {_ELSEWHERE}',
  errno.EPERM: f'make it writable {_ELSEWHERE}',
  errno.ENOTDIR: f'move the file that stands in for a directory {_ELSEWHERE}',
  errno.EEXIST: f'move the file that stands in for a directory {_ELSEWHERE}',
  errno.EISDIR: f'move the directory that stands in for a file {_ELSEWHERE}',
  errno.ENOENT: 'its directory is gone, so start again under another --name',
}


def write_file(path: str | Path, data: bytes) -> None:
  """Writes a file whole or not at all, and on the disk when this returns.

  Raises:
    UserError: with the path, the bytes needed, the reason and the mend; the
      old file is as it was, and no temporary one stays.
  """
  path = Path(path)
  temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
  try:
    # Python ignores SIGXFSZ, so that a limit on file sizes is an OSError too.
    with open(temporary, 'wb') as file:
      file.write(data)
      file.flush()
      os.fsync(file.fileno())
    os.replace(temporary, path)
    _sync_folder(path.parent)
  except OSError as error:
    raise cannot_write(path, len(data), error) from error
  finally:
    with contextlib.suppress(OSError):
      temporary.unlink()


def leftovers(path: Path) -> list[Path]:
  """Temporary files that a kill left in the directory and below it."""
  return [
    file
    for file in path.rglob('.*.tmp')
    if re.fullmatch(r'\..+\.[0-9]+\.tmp', file.name)
  ]


def make_folder(path: str | Path, *, parents: bool = False) -> None:
  """Makes a directory unless it is there; without `parents`, one level only.

  What lies in a run directory is made without, so that a run whose directory
  was removed says so instead of starting a second one.
  """
  path = Path(path)
  try:
    if not path.is_dir():
      path.mkdir(parents=parents, exist_ok=True)
      _sync_folder(path.parent)
  except OSError as error:
    raise cannot_write(path, 0, error) from error


def cannot_write(path: Path, needed: int, error: OSError) -> UserError:
  """An error of the file system as one sentence: path, need, reason, mend."""
  mend = _MENDS.get(error.errno or 0, f'mend that {_ELSEWHERE}')
  need = f' ({needed} bytes needed)' if needed else ''
  return UserError(
    f'Cannot write {shown(path)}{need}: {error.strerror}; {mend}.'
  )


def cannot_read(path: str | Path, error: OSError) -> UserError:
  """The same for reading."""
  return UserError(
    f'Cannot read {shown(path)}: {error.strerror}; bring it back, make it '
    'readable, or name another run.'
  )


def shown(text: object) -> str:
  """Text that is safe in a terminal: what does not print stands escaped."""
  return ''.join(
    c if c.isprintable() else c.encode('unicode_escape').decode('ascii')
    for c in str(text)
  )


def read_file(path: str | Path) -> bytes:
  """What the file holds, or one sentence why it cannot be read."""
  try:
    return read_bytes(path)
  except OSError as error:
    raise cannot_read(path, error) from error


def read_bytes(path: str | Path) -> bytes:
  """What the file holds; OSError where it cannot be read."""
  with open_file(path) as file:
    return file.read()


def open_file(path: str | Path) -> io.BufferedReader:
  """Opens a file to read; OSError where there is none.

  A pipe or a terminal would be waited for, maybe for ever, and is no file.
  """
  descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
  kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
  if kind == stat.S_IFREG:
    return os.fdopen(descriptor, 'rb')
  os.close(descriptor)
  if kind == stat.S_IFDIR:
    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
  raise OSError(errno.EINVAL, 'It is a pipe or a device', str(path))


def json_bytes(value: Mapping[str, Any], what: str) -> bytes:
  """A file of ASCII JSON; refuses what `parsed` would not give back equal."""
  try:
    text = json.dumps(value, indent=1, allow_nan=False)
  except ValueError as error:
    raise UserError(
      f'A file cannot hold a number that is not finite, and {what} has one: '
      'give a finite one.'
    ) from error
  return (text + '\n').encode('ascii')


def plain(value: Any) -> Any:
  """The value as JSON can hold it: a number that is not finite is null."""
  if hasattr(value, 'item'):
    value = value.item()  # an array of one number, of NumPy or JAX
  if isinstance(value, Mapping):
    return {key: plain(item) for key, item in value.items()}
  if isinstance(value, list | tuple):
    return [plain(item) for item in value]
  if isinstance(value, float) and not math.isfinite(value):
    return None
  return value


def parsed(data: bytes) -> Any:
  """The JSON in `data`, or None where it is none; NaN and Infinity are none."""
  try:
    return json.loads(
      data.decode('ascii'),
      parse_constant=_refuse_constant,
      parse_float=_finite,
    )
  except (ValueError, RecursionError):
    return None


def differing_lines(
  there: Mapping[str, Any],
  now: Mapping[str, Any],
  may_differ: Collection[str] = (),
) -> list[str]:
  """A line for each value that differs; keys of nested dicts join by dots.

  A name in `may_differ` excuses its key and everything below it.
  """
  old, new = _flat(there), _flat(now)
  excused = {tuple(name.split('.')) for name in may_differ}
  return [
    f'  {shown(".".join(key))}: {old.get(key, "nothing")} there, '
    f'{new.get(key, "nothing")} now'
    for key in sorted({*old, *new})
    if old.get(key) != new.get(key)
    and not any(key[:n] in excused for n in range(1, len(key) + 1))
  ]


def _flat(
  values: Mapping[str, Any], above: tuple[str, ...] = ()
) -> dict[tuple[str, ...], str]:
  """Key paths and the JSON text of what stands there."""
  flat = {}
  for key, value in values.items():
    path = (*above, str(key))
    if isinstance(value, Mapping) and value:
      flat |= _flat(value, path)
    else:
      flat[path] = json.dumps(value)
  return flat


def _refuse_constant(name: str) -> None:
  raise ValueError(f'{name} is no JSON')


def _finite(text: str) -> float:
  number = float(text)
  if math.isinf(number):
    raise ValueError(f'{text} is more than a float can be')
  return number


def _sync_folder(path: Path) -> None:
  """Makes the names in a directory last through a loss of power."""
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)
