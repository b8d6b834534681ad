"""Scripts as users start them, what they leave, and how they are stopped."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests import forks

TIMEOUT = 900
ROOT = Path(__file__).parents[1]
# All that may differ between two runs of one study, wherever it stands.
TIMES = {
  'seconds',
  'train_seconds',
  'eval_seconds',
  'compile_seconds',
  'us_per_step',
}
# As python -m starts a script, once `setup` has run.
LAUNCH = """
import runpy, sys
sys.path.insert(0, '')
{setup}
sys.argv[0] = {script!r}
runpy.run_module('experiments.' + {script!r}, run_name='__main__')
"""
# Figures are made and written, but hold no picture.
UNDRAWN = """
from gd_jax.pictures import plots
plots.png = lambda figure: b''
"""


def names() -> list[str]:
  """Every experiment that there is."""
  return [
    path.stem
    for path in sorted((ROOT / 'experiments').glob('*.py'))
    if '\n  start.run(' in path.read_text()
  ]


def takes_positionals(script: str) -> bool:
  """Whether the script takes more than flags."""
  text = (ROOT / 'experiments' / f'{script}.py').read_text()
  return 'positionals=True' in text


def command(script: str, *arguments: object, setup: str = '') -> list[str]:
  """The command line; `setup` is Python that runs in the process before."""
  how = ['-m', f'experiments.{script}']
  if setup:
    how = ['-c', LAUNCH.format(setup=setup, script=script)]
  return [sys.executable, *how, *map(str, arguments)]


def run(
  script: str,
  *arguments: object,
  code: int | None = 0,
  env: dict[str, str] | None = None,
  setup: str = '',
  before: tuple[str, ...] = (),
  cwd: Path = ROOT,
  fresh: bool = False,
  drawn: bool | None = None,
) -> subprocess.CompletedProcess:
  """Runs a script to its end, which has to be `code` unless that is None.

  Its process is forked from one that has imported everything, unless it is to
  be `fresh`, or has to start in its own way. Pictures take longer than a small
  run: a forked one holds them where a test looks, which has them `drawn`.
  """
  fork = not (fresh or env or before or cwd != ROOT) and forks.possible()
  if not (drawn or (drawn is None and not fork)):
    setup = UNDRAWN + setup
  if fork:
    found = forked(script, *arguments, setup=setup)
  else:
    found = started(
      script, *arguments, env=env, setup=setup, before=before, cwd=cwd
    )
  if code is not None:
    assert found.returncode == code, found.stderr[-2000:]
  return found


def forked(
  script: str, *arguments: object, setup: str
) -> subprocess.CompletedProcess:
  """Runs a script in a fork of a process that has all modules."""
  line = [script, *map(str, arguments)]
  with tempfile.TemporaryDirectory() as folder:
    files = {name: f'{folder}/{name}' for name in ('out', 'err')}
    code = forks.run({'arguments': line, 'setup': setup, **files}, TIMEOUT)
    said = [
      Path(file).read_text(encoding='utf-8', errors='backslashreplace')
      for file in files.values()
    ]
  return subprocess.CompletedProcess(line, code, *said)


def started(
  script: str,
  *arguments: object,
  env: dict[str, str] | None,
  setup: str,
  before: tuple[str, ...],
  cwd: Path,
) -> subprocess.CompletedProcess:
  """Runs a script in a new Python."""
  return subprocess.run(
    [*before, *command(script, *arguments, setup=setup)],
    cwd=cwd,
    env=os.environ | (env or {}),
    capture_output=True,
    encoding='utf-8',
    errors='backslashreplace',
    timeout=TIMEOUT,
    check=False,
  )


def named(workdir: Path, name: str) -> list[str]:
  """The flags that name a run."""
  return [f'--workdir={workdir}', f'--name={name}']


def begin(
  script: str, *arguments: object, env: dict[str, str] | None = None, **more
) -> subprocess.Popen:
  """Starts a script; its words are read line by line."""
  return subprocess.Popen(
    command(script, *arguments, **more),
    cwd=ROOT,
    env=os.environ | (env or {}),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def hear(process: subprocess.Popen, words: str) -> None:
  """Reads what a living script says until the words stand in a line."""
  assert process.stdout is not None
  for line in process.stdout:
    if words in line:
      return
  raise AssertionError(f'{words} was never said: {process.communicate()}')


def sentence(found: subprocess.CompletedProcess, code: int, *words: str) -> str:
  """The one sentence of a refusal; it is printable and holds the words."""
  assert found.returncode == code, found.stderr[-2000:]
  lines = found.stderr.strip().split('\n')
  assert len(lines) == 1, found.stderr[-2000:]
  assert lines[0].isprintable()
  for word in words:
    assert word in lines[0], lines[0]
  return lines[0]


def untimed(value: Any) -> Any:
  """The value without its time fields, at any depth."""
  if isinstance(value, dict):
    return {k: untimed(v) for k, v in value.items() if k not in TIMES}
  if isinstance(value, list):
    return [untimed(item) for item in value]
  return value


def lines_of(run: Path) -> list[dict[str, Any]]:
  """The rows of a run, times and all."""
  text = (run / 'rows.jsonl').read_text()
  assert not text or text.endswith('\n')
  return [json.loads(line) for line in text.splitlines()]


def json_of(run: Path, name: str) -> dict[str, Any]:
  """What a JSON file of a run holds."""
  return json.loads((run / name).read_text())


def status_of(run: Path) -> str:
  """How a run says that it stands."""
  return json_of(run, 'status.json')['status']


def manifests(run: Path) -> list[Path]:
  """Manifests of the checkpoints of a run, the oldest first."""
  found = (run / 'checkpoint').glob('*.json')
  return sorted(found, key=lambda path: int(path.stem))


def arrays_of(run: Path) -> dict[str, bytes]:
  """Parameters and optimizer state in the newest checkpoint."""
  with np.load(manifests(run)[-1].with_suffix('.npz')) as arrays:
    return {key: arrays[key].tobytes() for key in arrays}


def left_over(run: Path) -> list[Path]:
  """Temporary files anywhere in a run."""
  return sorted(run.rglob('.*.tmp'))


def end_of(run: Path) -> dict[str, Any]:
  """All of a finished run that must not depend on how often it was killed."""
  end: dict[str, Any] = {
    'status': json_of(run, 'status.json'),
    'rows': untimed(lines_of(run)),
    'arrays': arrays_of(run),
    'checkpoints': [path.name for path in manifests(run)],
    'snapshots': {
      str(path.relative_to(run)): path.read_bytes()
      for path in (run / 'snapshots').rglob('*.npz')
    },
    'files': sorted(
      str(path.relative_to(run))
      for path in run.rglob('*')
      if path.is_file() and path.suffix != '.npz'
    ),
  }
  if (run / 'study.json').exists():
    # Its rows have no times: they are those of the unbroken run byte for byte.
    end['raw'] = hashlib.sha256((run / 'rows.jsonl').read_bytes()).hexdigest()
    end['study'] = untimed(json_of(run, 'study.json'))
    del end['study']['sha256']  # its seal is of the times too
  return end
