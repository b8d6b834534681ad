"""Resume as users do it: after faults, with differences, twice at once."""

import functools
import hashlib
import json
import os
import shutil
import signal
import time

import numpy as np
import pytest

from tests import scripts

# Dies right after it saved its second checkpoint.
DIES = """
import os
from gd_jax.world import checkpoint
save = checkpoint.save
def save_and_die(*where, **what):
  save(*where, **what)
  if what['step'] == 2:
    os.kill(os.getpid(), 9)
checkpoint.save = save_and_die
"""
RUNS = {
  'train': ['--optimizer=momentum', '--epochs=4'],
  'compare': [
    '--optimizers=sgd',
    '--rates=2',
    '--tuning_seeds=1',
    '--report_seeds=2',
    '--epochs=1',
  ],
}


go = functools.partial(scripts.run, drawn=False)


def written(file, seed=0):
  """A set of one's own; another seed gives other pixels."""
  draw = np.random.default_rng(seed)
  y = np.arange(120) % 3
  x = draw.integers(0, 256, (120, 2, 2)) // 2 + 40 * y[:, None, None]
  x, y = x.astype(np.uint8), y.astype(np.uint8)
  np.savez(file, x_train=x[:90], y_train=y[:90], x_test=x[90:], y_test=y[90:])
  return file


# Both scripts take the same way: every day one of them goes it.
TRAIN = pytest.mark.parametrize(
  'script', ['train', pytest.param('compare', marks=pytest.mark.claims)]
)
COMPARE = pytest.mark.parametrize(
  'script', ['compare', pytest.param('train', marks=pytest.mark.claims)]
)


@pytest.fixture(scope='module')
def parts(tmp_path_factory):
  """Makes a run that died after two saves, beside one that did not."""
  made = {}

  def make(script):
    if script not in made:
      folder = tmp_path_factory.mktemp(script)
      own = [*RUNS[script], f'--dataset={written(folder / "own.npz")}']
      go(script, *scripts.named(folder, 'whole'), *own)
      arguments = [*scripts.named(folder, 'part'), *own]
      go(script, *arguments, setup=DIES, code=-signal.SIGKILL)
      made[script] = folder
    return made[script]

  return make


@pytest.fixture
def part(parts, tmp_path):
  """Copies it: the copy, the arguments that resume it, the unbroken end."""

  def copy(script):
    folder = parts(script)
    for name in ('part', 'own.npz'):
      where = shutil.copytree if name == 'part' else shutil.copy
      where(folder / name, tmp_path / name)
    # The path of the data is part of what a run is.
    config = tmp_path / 'part' / 'config.json'
    arguments = [*scripts.named(tmp_path, 'part'), *RUNS[script], '--resume']
    arguments.append(
      f'--dataset={json.loads(config.read_text())["flags"]["dataset"]}'
    )
    return tmp_path / 'part', arguments, scripts.end_of(folder / 'whole')

  return copy


@TRAIN
def test_what_faults_leave_behind_changes_nothing(script, part):
  run, arguments, whole = part(script)
  newest = scripts.manifests(run)[-1]
  damaged = bytearray(newest.with_suffix('.npz').read_bytes())
  damaged[len(damaged) // 2] ^= 1
  newest.with_suffix('.npz').write_bytes(damaged)
  with open(run / 'rows.jsonl', 'ab') as file:
    file.write(b'not ours\n{"epoch": 99, "torn')
  for stray in ('.status.json.1.tmp', 'checkpoint/.9.npz.77.tmp'):
    (run / stray).write_bytes(b'half')
  (run / 'checkpoint' / '9.npz').write_bytes(b'arrays without a manifest')
  (run / 'figures').mkdir()
  (run / 'figures' / '.a.png.1.tmp').write_bytes(b'half')
  # The pid of the dead may be somebody else's now, and the clock may jump.
  (run / 'lock').write_text(
    json.dumps({'pid': os.getpid(), 'host': 'x', 'since': '2099'})
  )
  for file in run.rglob('*'):
    os.utime(file, (4e9, 4e9) if file.suffix == '.json' else (0, 0))
  found = go(script, *arguments)
  assert f'{newest.with_suffix("")} is damaged' in found.stderr
  assert 'going on from checkpoint 1' in found.stdout
  assert scripts.end_of(run) == whole
  assert not scripts.left_over(run)
  again = go(script, *arguments)
  assert 'finished already' in again.stdout
  assert scripts.end_of(run) == whole


OTHERS = ['--layer_sizes=4,7,3', '--precision=float64', '--seed=1']


@COMPARE
def test_another_run_is_refused_with_the_lines_that_differ(
  script, part, tmp_path
):
  run, arguments, _ = part(script)
  before = {
    file: file.read_bytes() for file in run.rglob('*') if file.is_file()
  }
  core = min(os.sched_getaffinity(0))
  other = written(tmp_path / 'other.npz', seed=1)
  arguments[-1] = f'--dataset={other}'
  newer = (
    'from importlib import metadata; v = metadata.version\n'
    'metadata.version = lambda name: "9.9" if name == "optax" else v(name)\n'
    f'import os; os.sched_setaffinity(0, [{core}])'
  )
  found = go(
    script,
    *arguments,
    *OTHERS,
    code=2,
    setup=newer,
    env={
      'XLA_FLAGS': '--xla_cpu_enable_fast_math=false',
      'JAX_THREEFRY_PARTITIONABLE': 'false',
    },
  )
  said = scripts.sentence(found, 2, 'holds another run', '--name')
  lines = said.partition('--name: ')[2].split('; ')
  keys = [line.split(': ')[0].strip() for line in lines]
  assert keys == [
    'data',
    'flags.dataset',
    'flags.layer_sizes',
    'flags.precision',
    'flags.seed',
    'machine.cores',
    'machine.devices',
    'machine.jax_threefry_partitionable',
    'machine.optax',
    'machine.xla_flags',
  ]
  assert all(
    ' there, ' in line and line.rstrip('.').endswith(' now') for line in lines
  )
  assert before == {
    file: file.read_bytes() for file in run.rglob('*') if file.is_file()
  }


def reseal(manifest, **changes):
  """Writes a manifest whose own hash is right."""
  body = json.loads(manifest.read_text()) | changes
  del body['sha256']
  body['sha256'] = hashlib.sha256(
    json.dumps(body, indent=1).encode()
  ).hexdigest()
  manifest.write_text(json.dumps(body, indent=1) + '\n')


@pytest.mark.claims
@pytest.mark.parametrize('script', RUNS)
def test_an_old_format_and_other_arrays_are_refused(script, part):
  run, arguments, whole = part(script)
  newest = scripts.manifests(run)[-1]
  sound = newest.read_bytes()
  reseal(newest, format=0)
  found = go(script, *arguments, code=2)
  scripts.sentence(found, 2, 'has format 0', 'reads format 1')
  newest.write_bytes(sound)
  leaves = json.loads(sound)['leaves']
  reseal(newest, leaves={**leaves, 'state.more': 'float64 [2]'})
  found = go(script, *arguments, code=2)
  said = scripts.sentence(found, 2, 'is of another run')
  assert said.endswith('state.more: "float64 [2]" there, nothing now')
  newest.write_bytes(sound)
  go(script, *arguments)
  assert scripts.end_of(run) == whole


def wait_until(process, run, seen):
  """Waits until `seen(run)` of a living run."""
  while not seen(run):
    assert process.poll() is None, process.communicate()
    time.sleep(0.002)


def held_by(pid):
  return lambda run: f'"pid": {pid}' in (run / 'lock').read_text()


@TRAIN
def test_of_two_resumes_at_once_one_wins(script, part):
  run, arguments, whole = part(script)
  first = scripts.begin(script, *arguments)
  with first:
    wait_until(first, run, held_by(first.pid))
    first.send_signal(signal.SIGSTOP)
    try:
      found = go(script, *arguments, code=2)
      lock = json.loads((run / 'lock').read_text())
    finally:
      first.send_signal(signal.SIGCONT)
    first.communicate()
  scripts.sentence(
    found,
    2,
    f'in use by process {first.pid} on {lock["host"]} since {lock["since"]}',
  )
  assert first.returncode == 0
  assert scripts.end_of(run) == whole


SLOW_DATA = """
import time
from gd_jax.world import data
load = data.load
def slow(*what, **where):
  print('preparing', flush=True)
  time.sleep(1)
  return load(*what, **where)
data.load = slow
"""


@pytest.mark.claims
@pytest.mark.parametrize('script', RUNS)
def test_stopped_while_the_data_are_prepared(script, part, tmp_path):
  run, arguments, whole = part(script)
  shutil.rmtree(run)
  process = scripts.begin(script, *arguments, setup=SLOW_DATA)
  with process:
    scripts.hear(process, 'preparing')
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
  assert process.returncode == 130
  assert 'Traceback' not in said
  assert scripts.status_of(run) == 'INTERRUPTED'
  go(script, *arguments)
  assert scripts.end_of(run) == whole


HANGS = """
import time
from experiments import session
def save(*_, **__):
  print('saving', flush=True)
  time.sleep(1000)
session.save = save
"""


def test_a_second_signal_exits_at_once(part):
  run, arguments, whole = part('train')
  process = scripts.begin('train', *arguments, setup=HANGS)
  with process:
    scripts.hear(process, 'saving')
    try:
      process.send_signal(signal.SIGINT)
      time.sleep(0.3)
      assert process.poll() is None
      process.send_signal(signal.SIGTERM)
      process.communicate(timeout=30)
    finally:
      process.kill()
  assert process.returncode == 143
  assert scripts.status_of(run) == 'RUNNING'
  go('train', *arguments)
  assert scripts.end_of(run) == whole


@pytest.mark.claims
def test_certificates_can_be_stopped():
  process = scripts.begin('compare', '--pairs=sgd=optax:sgd,adam=optax:adam')
  with process:
    scripts.hear(process, 'JAX')
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
  assert process.returncode == 130
  assert said.count('\n') == 1
  assert 'stopped before' in said


# As if an epoch of this small set were long.
PIECES = 'from gd_jax.descent import batches; batches.PIECE_BYTES = 20_000\n'


def test_a_long_epoch_goes_on_from_its_last_piece(tmp_path):
  arguments = ['--optimizer=adam', '--epochs=3', '--checkpoint_every=2']
  whole, part = (scripts.named(tmp_path, name) for name in ('whole', 'part'))
  go('train', *whole, *arguments, setup=PIECES)
  pieces = -(-1197 * 65 // 20_000)  # 64 pixels and a label an image
  at = pieces + 2  # the second piece of the second epoch
  dies = PIECES + DIES.replace('== 2', f'== {at}')
  go('train', *part, *arguments, setup=dies, code=-signal.SIGKILL)
  run = tmp_path / 'part'
  assert [path.stem for path in scripts.manifests(run)] == [
    f'{at - 1}',
    f'{at}',
  ]
  assert [row['epoch'] for row in scripts.lines_of(run)] == [1]
  # The seconds before the kill count too.
  newest = scripts.manifests(run)[-1]
  assert json.loads(newest.read_text())['extra']['train_seconds'] > 0
  reseal(newest, extra={'train_seconds': 1e6})
  found = go('train', *part, *arguments, '--resume', setup=PIECES)
  assert f'going on from checkpoint {at}\n' in found.stdout
  assert scripts.end_of(run) == scripts.end_of(tmp_path / 'whole')
  seconds = [row['train_seconds'] > 1e6 for row in scripts.lines_of(run)]
  assert seconds == [False, True, False]
