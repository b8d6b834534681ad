"""Whole runs that are killed and stopped at random moments, then resumed."""

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from tests import scripts

# Long enough that a kill meets them alive; every kind of state is saved.
RUNS = {
  'train': [
    '--optimizer=adam',
    '--batch_size=4',
    '--layer_sizes=64,100,10',
    '--epochs=150',
    '--checkpoint_every=2',
    '--snapshots=31',
  ],
  # One entry is certified, which is most of what a start of it takes.
  'compare': [
    '--optimizers=sgd,optax:adam',
    '--rates=3',
    '--tuning_seeds=2',
    '--report_seeds=7',
    '--batch_size=2',
    '--epochs=8',
    '--snapshots=3',
  ],
}
# Without a certificate, for which every start of a study waits.
RUNS['brief compare'] = ['--optimizers=optax:adam', *RUNS['compare'][1:]]
# What is waited for before the pause that ends in the signal.
MOMENTS = ('start', 'status', 'row', 'save', 'saved', 'end')


def names_in(folder):
  try:
    return os.listdir(folder)
  except FileNotFoundError:
    return []


def size_of(path):
  return path.stat().st_size if path.exists() else 0


def seen(run, moment):
  """What the run shows that the moment waits to see change."""
  saves = names_in(run / 'checkpoint')
  if moment == 'status':
    status = run / 'status.json'
    return status.stat().st_mtime_ns if status.exists() else 0
  if moment == 'row':
    return size_of(run / 'rows.jsonl')
  if moment == 'save':
    # A temporary file, or arrays without their manifest: inside a save.
    return len(saves) - 2 * sum(name.endswith('.json') for name in saves)
  if moment == 'saved':
    return max((name for name in saves if name[0] != '.'), default='')
  if moment == 'end':
    return [*names_in(run / 'figures'), *names_in(run)].count(
      'figures'
    ) + size_of(run / 'study.json')
  return None


def script_of(kind):
  return kind.split()[-1]


def strike(script, arguments, run, moment, pause, number, env):
  """Starts or resumes a run and sends a signal; (exit code, what it met)."""
  before = seen(run, moment)
  process = scripts.begin(script, *arguments, '--resume', env=env)
  with process:
    while moment != 'start' and process.poll() is None:
      if seen(run, moment) != before:
        break
      time.sleep(0.0005)
    try:
      process.wait(pause)
      return process.returncode, 'ended', *process.communicate()
    except subprocess.TimeoutExpired:
      process.send_signal(number)
      said = process.communicate(timeout=600)
  return process.returncode, met(run), *said


def met(run):
  """What the run was at, as it stands after the signal."""
  saves = names_in(run / 'checkpoint')
  manifests = [name for name in saves if name.endswith('.json')]
  inside = any(
    name.endswith(('.tmp', '.npz')) and name.replace('npz', 'json') not in saves
    for name in saves
  )
  if not (run / 'config.json').exists():
    return 'no run yet'
  if inside:
    return 'inside a save'
  if not manifests:
    return 'before the first save'
  if (run / 'figures').exists() or (run / 'study.json').exists():
    return 'writing the end'
  return 'between saves'


def campaign(
  kind, unbroken, workdir, number, times, seed, moments=MOMENTS, chain=12
):
  """Strikes living runs `times` times, each resumed to the unbroken one's end.

  A run is struck up to `chain` times.
  """
  whole, seconds, env = unbroken
  script = script_of(kind)
  draw = random.Random(seed)
  found, struck = Counter(), 0
  pauses = {'start': seconds / 3, 'status': seconds / 6, 'end': seconds / 10}
  turns = itertools.cycle(moments)
  for n in range(10 + times):
    if struck == times:
      break
    run = workdir / f'{script}{n}'
    arguments = [*scripts.named(workdir, run.name), *RUNS[kind]]
    for _ in range(chain if chain >= times else draw.randint(4, chain)):
      moment = next(turns)
      pause = draw.uniform(0, pauses.get(moment, 0.02))
      code, what, out, said = strike(
        script, arguments, run, moment, pause, number, env
      )
      what = check_struck(run, number, code, what, out, said)
      sys.stdout.write(
        f'{script} seed {seed}: {moment} + {pause:.3f} s: {what}\n'
      )
      if what == 'ended':
        break
      found[what] += 1
      struck += 1
      if struck == times:
        break
    scripts.run(script, *arguments, '--resume')
    assert scripts.end_of(run) == whole
    assert not scripts.left_over(run)
    shutil.rmtree(run)
  assert struck == times, f'only {struck} met a living run'
  return found


def check_struck(run, number, code, what, out, said):
  """What the signal met, once code, status and words are as they should."""
  if what == 'ended' or code == 0:
    assert code == 0, said[-2000:]
    return 'ended'
  assert 'Traceback' not in said
  if number == signal.SIGKILL:
    assert code == -number
    return what
  if code == -number:
    # It had not yet begun to listen: nothing was said and nothing touched.
    assert out == said == ''
    return 'before it listened'
  assert code == 128 + number, said[-2000:]
  status = scripts.json_of(run, 'status.json')
  assert status['status'] == 'INTERRUPTED'
  assert signal.Signals(number).name in status['reason']
  assert not scripts.left_over(run)
  return 'stopped after saving'


@pytest.fixture(scope='module')
def unbroken(tmp_path_factory):
  """Makes a run of a script that nobody disturbs: its end, and its seconds.

  It fills the cache of compiled programs, to which those that are killed do not
  write: JAX would leave a torn entry there for ever.
  """
  made = {}

  def make(kind):
    if kind not in made:
      script = script_of(kind)
      folder = tmp_path_factory.mktemp(script)
      env = {'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '1e9'}
      arguments = [*scripts.named(folder, 'whole'), *RUNS[kind]]
      began = time.perf_counter()
      scripts.run(script, *arguments, drawn=True)
      seconds = time.perf_counter() - began
      end = scripts.end_of(folder / 'whole')
      made[kind] = end, seconds, env
    return made[kind]

  return make


DAILY = {'train': ('save', 'row'), 'brief compare': ('saved',)}


@pytest.mark.parametrize('kind', DAILY)
def test_killed_and_resumed_it_ends_as_if_nothing_was(tmp_path, unbroken, kind):
  moments = DAILY[kind]
  times = len(moments)
  campaign(
    kind, unbroken(kind), tmp_path, signal.SIGKILL, times, 0, moments, times
  )


@pytest.mark.parametrize(
  'script', ['train', pytest.param('compare', marks=pytest.mark.claims)]
)
def test_stopped_and_resumed_it_ends_as_if_nothing_was(
  tmp_path, unbroken, script
):
  number = {'train': signal.SIGTERM, 'compare': signal.SIGINT}[script]
  found = campaign(script, unbroken(script), tmp_path, number, 1, 0, ('row',))
  assert not found['before it listened']


@pytest.mark.claims
@pytest.mark.parametrize('name', ['SIGKILL', 'SIGTERM', 'SIGINT'])
@pytest.mark.parametrize('script', ['train', 'compare'])
def test_fifty_times(tmp_path, unbroken, script, name, record_property):
  number = signal.Signals[name]
  # A signal that is heard at the end finds a run that is done.
  moments = MOMENTS if number == signal.SIGKILL else MOMENTS[:-1]
  found = campaign(script, unbroken(script), tmp_path, number, 50, 1, moments)
  record_property('struck', dict(found))
  sys.stdout.write(
    f'{script}: {found.total()} of 50 by {name} ended identical: {found}\n'
  )
  assert found.total() == 50
  if number == signal.SIGKILL:
    assert found['no run yet'] + found['before the first save'] > 0
    assert found['inside a save'] > 0
