"""A lock on a directory that dies with its process, however that ends.

It is the kernel's (flock) on the file `lock`; what the file holds only says
who took it last. The file stays when the lock is gone: removing it would let
two processes hold locks on two files of one name.
"""

import fcntl
import os
import platform
import time
from datetime import UTC
from datetime import datetime
from pathlib import Path

from gd_jax.types import UserError
from gd_jax.world import files


def take(path: Path) -> int:
  """The file descriptor that holds the lock until it is closed.

  Raises:
    UserError: another process holds it; its pid, host and since when.
    OSError: the file system refused.
  """
  lock = os.open(path / 'lock', os.O_RDWR | os.O_CREAT, 0o666)
  # Somebody who only looks holds it for microseconds, and a winner needs
  # milliseconds to say who it is.
  for pause in (0.05, 0.05, 0.05, 0.05, 0.0):
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      time.sleep(pause)
    except OSError:
      os.close(lock)
      raise
    else:
      return lock
  record = files.parsed(os.pread(lock, 4096, 0))
  os.close(lock)
  who = 'another process'
  if isinstance(record, dict) and {'pid', 'host', 'since'} <= record.keys():
    who = f'process {record["pid"]} on {record["host"]} since {record["since"]}'
  raise UserError(
    f'{files.shown(path)} is in use by {files.shown(who)}: wait for it, stop '
    'it, or choose another --name.'
  )


def say_who(lock: int) -> None:
  """Writes into the lock file which process holds it, where and since when."""
  since = datetime.now(UTC).isoformat(timespec='seconds')
  record = {'pid': os.getpid(), 'host': platform.node(), 'since': since}
  os.ftruncate(lock, 0)
  os.pwrite(lock, files.json_bytes(record, 'the lock'), 0)


def is_held(path: Path) -> bool:
  """Whether a living process holds the lock of the directory."""
  try:
    with files.open_file(path / 'lock') as file:
      fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
  except BlockingIOError:
    return True
  except FileNotFoundError:
    return False
  except OSError as error:
    raise UserError(
      f'Cannot tell whether a process holds {files.shown(path)}: '
      f'{error.strerror}; make its file lock readable.'
    ) from error
  return False


def check(path: Path, lock: int) -> None:
  """Refuses a directory that is gone, or was made anew by somebody else."""
  try:
    there, ours = os.stat(path / 'lock'), os.fstat(lock)
  except OSError as error:
    raise files.cannot_write(path, 0, error) from error
  if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
    raise UserError(
      f'{files.shown(path)} was removed and made anew while this run used it: '
      'start again under another --name.'
    )
