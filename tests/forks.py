"""Scripts without the seconds of their imports: a process that has them forks.

`python -m tests.forks` imports what scripts import, but no script and nothing
that starts a device. For every request on stdin, a line of JSON, it forks; the
child is that script from its first line on, in a process of its own. An answer
is a line with the status of its end.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
# What scripts import where they use it.
LATE = ('matplotlib.figure', 'matplotlib.backends.backend_agg', 'matfree')
LATE += ('plotly.graph_objects', 'tensorflow_datasets')


def surroundings() -> dict[str, str]:
  """The environment, but for the name of the test."""
  found = dict(os.environ)
  found.pop('PYTEST_CURRENT_TEST', None)
  return found


@functools.cache
def _server() -> tuple[subprocess.Popen, dict[str, str]]:
  process = subprocess.Popen(
    [sys.executable, '-m', 'tests.forks'],
    cwd=ROOT,
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )
  atexit.register(_end, process)
  return process, surroundings()


def _end(process: subprocess.Popen) -> None:
  process.communicate()  # closes its stdin, which ends it


def possible() -> bool:
  """Whether a fork would see the environment that a new process sees."""
  return surroundings() == _server()[1]


def run(request: dict[str, Any], timeout: float) -> int:
  """The exit code of a script, as subprocess has it.

  `request` has its `arguments`, Python to run before (`setup`) and the files
  that take its words, `out` and `err`.
  """
  process, _ = _server()
  assert process.stdin is not None
  assert process.stdout is not None
  process.stdin.write(json.dumps(request) + '\n')
  process.stdin.flush()
  if not select.select([process.stdout], [], [], timeout)[0]:
    process.kill()
    raise subprocess.TimeoutExpired(request['arguments'], timeout)
  return int(process.stdout.readline())


def _preload(scripts: list[str]) -> None:
  for package in ('gd_jax', 'experiments'):
    found = importlib.import_module(package)
    for module in pkgutil.walk_packages(found.__path__, f'{package}.'):
      if module.name.removeprefix('experiments.') not in scripts:
        importlib.import_module(module.name)
  for name in LATE:
    importlib.import_module(name)
  # No collection in a child looks through, and so copies, all of that.
  gc.collect()
  gc.freeze()


def _serve() -> dict[str, Any]:
  """Forks for every request; returns one, in the child that has to do it."""
  for line in sys.stdin:
    request = json.loads(line)
    child = os.fork()
    if child == 0:
      return request
    _, status = os.waitpid(child, 0)
    sys.stdout.write(f'{os.waitstatus_to_exitcode(status)}\n')
    sys.stdout.flush()
  os._exit(0)


def _become(request: dict[str, Any]) -> None:
  """Takes the streams, the arguments and the signals of a new process."""
  for number, (path, mode) in enumerate(
    ((os.devnull, 'r'), (request['out'], 'w'), (request['err'], 'w'))
  ):
    opened = os.open(path, os.O_RDWR | (os.O_CREAT if number else 0), 0o600)
    os.dup2(opened, number)
    os.close(opened)
    errors = 'backslashreplace' if number == 2 else 'strict'
    stream = open(  # noqa: SIM115
      number, mode, encoding='utf-8', errors=errors, closefd=False
    )
    setattr(sys, ('stdin', 'stdout', 'stderr')[number], stream)
  signal.signal(signal.SIGINT, signal.SIG_DFL)
  script, *arguments = request['arguments']
  sys.argv = [str(ROOT / 'experiments' / f'{script}.py'), *arguments]


if __name__ == '__main__':
  from tests import scripts

  _preload(scripts.names())
  REQUEST = _serve()
  _become(REQUEST)
  if REQUEST['setup']:
    exec(REQUEST['setup'], {'__name__': '__main__'})
  runpy.run_module(
    f'experiments.{REQUEST["arguments"][0]}',
    run_name='__main__',
    alter_sys=True,
  )
