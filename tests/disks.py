"""File systems of a few bytes, which root alone can make."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def mounted(path: Path, size: str) -> Iterator[Path]:
  """A tmpfs at `path`, of a size such as 64k; skips where there can be none."""
  if os.geteuid() != 0:
    pytest.skip('mounting a small tmpfs needs root')
  path.mkdir()
  mount = ['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', str(path)]
  done = subprocess.run(mount, capture_output=True, text=True, check=False)
  if done.returncode != 0:
    pytest.skip(f'no tmpfs can be mounted here: {done.stderr.strip()}')
  try:
    yield path
  finally:
    subprocess.run(['umount', '-l', str(path)], check=True)
