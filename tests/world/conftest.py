"""Real faults for the floor that keeps things."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gd_jax.world import rundir
from tests import disks
from tests.world import saves

ROOT = Path(__file__).parents[2]


@pytest.fixture
def small_disk(tmp_path):
  """A file system of 64 KiB, which root alone can make."""
  with disks.mounted(tmp_path / 'disk', '64k') as path:
    yield path


@pytest.fixture
def start():
  """Starts a function of a test module in a process of its own.

  It is killed when the test ends. Its standard output is a pipe.
  """
  running = []

  def start_one(function, *arguments):
    code = (
      'import sys\n'
      f'from {function.__module__} import {function.__name__} as run\n'
      'run(*sys.argv[1:])'
    )
    command = [sys.executable, '-W', 'ignore', '-c', code]
    process = subprocess.Popen(
      [*command, *map(str, arguments)],
      cwd=ROOT,
      stdout=subprocess.PIPE,
      text=True,
    )
    running.append(process)
    return process

  yield start_one
  for process in running:
    process.kill()
    with process:  # waits for it and closes the pipe
      pass


@pytest.fixture
def contents():
  """A function that tells what stands in a directory: paths to bytes."""

  def read(path):
    return {
      str(file.relative_to(path)): file.read_bytes() if file.is_file() else None
      for file in sorted(path.rglob('*'))
    }

  return read


@pytest.fixture
def impatient():
  """Ends a test that waits."""
  before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail('it waits'))
  signal.alarm(10)
  yield
  signal.alarm(0)
  signal.signal(signal.SIGALRM, before)


@pytest.fixture
def open_files():
  """Counts the file descriptors that this process has."""
  return lambda: len(os.listdir('/dev/fd'))


@pytest.fixture
def run(tmp_path):
  run = rundir.open_run(tmp_path, 'a', saves.CONFIG)
  yield run
  rundir.close_run(run)


@pytest.fixture
def saved(run):
  """A run with two checkpoints, of steps 5 and 10."""
  saves.save(run, 5)
  saves.save(run, 10)
  return run.path
