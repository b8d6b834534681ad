"""The rows of a run: rows.jsonl, one JSON object a line, which only grows.

A kill can tear its last line, which `read` leaves out and `cut` cuts off. Rows
that are published are packed, rows.jsonl.gz.
"""

import contextlib
import gzip
import hashlib
import io
import json
import os
import zlib
from collections.abc import Iterable
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gd_jax.types import UserError
from gd_jax.world import files
from gd_jax.world import lock
from gd_jax.world import rundir

# Packed rows that unpack to more are no study's.
MOST_UNPACKED = 2**30


def append(run: rundir.Run, rows: Iterable[Mapping[str, Any]]) -> int:
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


def read(path: str | Path) -> list[dict[str, Any]]:
  """The rows of the run at `path`; a torn last line is left out.

  Raises:
    UserError: they cannot be read or unpacked, or a line in the midst is no
      JSON object; its number is named.
  """
  file = path_of(path)
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


def sha256(path: str | Path) -> str:
  """The SHA-256 of rows.jsonl, hex; packed rows have that of their text."""
  return hashlib.sha256(_rows_bytes(path)).hexdigest()


def path_of(path: str | Path) -> Path:
  """Where the rows of a run stand: rows.jsonl, or packed to be published."""
  plain = Path(path) / 'rows.jsonl'
  packed = plain.with_suffix('.jsonl.gz')
  return packed if packed.exists() and not plain.exists() else plain


def _rows_bytes(path: str | Path) -> bytes:
  file = path_of(path)
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


def cut(run: rundir.Run, size: int) -> None:
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


def _excerpt(line: bytes) -> str:
  return files.shown(line[:60].decode('ascii', 'backslashreplace'))
