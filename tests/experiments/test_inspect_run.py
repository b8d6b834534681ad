"""`inspect_run` as it is called, and what it refuses."""

import json
import resource
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.inside import sharpness
from experiments.inside import tracks
from gd_jax.pictures import polls
from gd_jax.types import UserError
from gd_jax.world import rundir
from gd_jax.world import seals
from tests import scripts

PICTURES = [
  'between',
  'confusion',
  'data',
  'first-layer',
  'nudge',
  'polls',
  'sharpness',
  'surroundings',
  'trajectories',
  'weights',
]


def call(script, workdir, name, *arguments, **more):
  where = scripts.named(workdir, name)
  return scripts.run(script, *where, *arguments, code=None, **more)


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  """Two runs of train, seeds 0 and 1."""
  folder = tmp_path_factory.mktemp('inspected')
  for seed in (0, 1):
    found = call(
      'train',
      folder,
      f'seed{seed}',
      f'--seed={seed}',
      '--snapshots=5',
      '--epochs=2',
      '--layer_sizes=64,8,10',
    )
    assert found.returncode == 0, found.stderr
  return folder


@pytest.mark.parametrize(
  'drawn', [False, pytest.param(True, marks=pytest.mark.claims)]
)
def test_two_runs_to_pictures_and_a_page(workdir, drawn):
  found = call(
    'inspect_run',
    workdir,
    f'look-{drawn}',
    'seed0',
    str(workdir / 'seed1'),
    '--points=7',
    '--lanczos_steps=5',
    drawn=drawn,
  )
  assert (found.returncode, found.stderr) == (0, '')
  look = workdir / f'look-{drawn}'
  drawn = sorted(file.stem for file in (look / 'figures').glob('*.png'))
  assert drawn == PICTURES
  rows = [json.loads(r) for r in (look / 'rows.jsonl').read_text().splitlines()]
  assert sorted(row['view'] for row in rows) == PICTURES
  assert all('gradients of all 1,197' in row['cost'] for row in rows)
  page = (look / 'report.html').read_text()
  assert page.count('src="data:image/png;base64,') == len(PICTURES)
  assert '://' not in page
  assert 'gradients here' in found.stdout
  assert found.stdout.isascii()


def context(workdir, *arguments, dtype='float64'):
  values = {
    'workdir': str(workdir),
    'data_dir': None,
    'manual_dir': None,
    'precision': dtype,
  }
  return SimpleNamespace(values=values, arguments=list(arguments), dtype=dtype)


def refused(where, *words):
  with pytest.raises(UserError) as error:
    tracks.read(where)
  text = str(error.value)
  assert '\n' not in text
  for word in words:
    assert word in text


@pytest.fixture
def copies(workdir, tmp_path):
  """A place to spoil the runs in."""
  for name in ('seed0', 'seed1'):
    shutil.copytree(workdir / name, tmp_path / name)
  return tmp_path


def edit(path, **flags):
  config = rundir.read_config(path)
  config['flags'] |= flags
  configure(path, config)


def configure(path, config):
  (path / 'config.json').write_bytes(seals.sealed(config))


def reader(folder, *arguments):
  return context(folder, *arguments, dtype='float32')


def test_without_a_run_the_newest_with_snapshots_is_taken(copies):
  (copies / 'seed1' / 'config.json').touch()
  subject = tracks.read(reader(copies))
  (track,) = subject.tracks
  assert track.seed == 1
  assert track.steps == [0, 60, 120, 180, 240]


def test_nothing_to_look_into_names_the_command(tmp_path):
  refused(reader(tmp_path), 'no RUN is named', '--snapshots=21')


def test_a_run_that_is_not_there(copies):
  refused(reader(copies, 'sed0'), 'no run sed0', 'seed0')


def test_a_run_without_snapshots(copies):
  shutil.rmtree(copies / 'seed0' / 'snapshots')
  edit(copies / 'seed0', snapshots=0)
  refused(reader(copies, 'seed0'), 'keeps no snapshots', '--snapshots=21')


def test_a_half_written_run(copies):
  folder = copies / 'seed0' / 'snapshots' / '00'
  for step in (60, 120, 180, 240):
    (folder / f'{step}.json').unlink()
  status = copies / 'seed0' / 'status.json'
  status.write_text('{"status": "RUNNING", "reason": ""}')
  refused(reader(copies, 'seed0'), 'half written (KILLED)', '--resume')
  (copies / 'seed0' / 'config.json').unlink()
  refused(reader(copies, 'seed0'), 'no config.json')


def test_a_killed_run_is_seen_as_far_as_it_came(copies):
  (copies / 'seed0' / 'snapshots' / '00' / '240.json').unlink()
  (copies / 'seed0' / 'status.json').write_text(
    '{"status": "RUNNING", "reason": ""}'
  )
  subject = tracks.read(reader(copies, 'seed0'))
  assert subject.tracks[0].steps == [0, 60, 120, 180]
  assert 'is KILLED' in subject.notes[0]
  assert '180 updates' in subject.notes[0]


def test_a_run_of_another_shape(copies):
  edit(copies / 'seed1', layer_sizes=[64, 9, 10])
  refused(reader(copies, 'seed0', 'seed1'), '64-9-10', '64-8-10', 'one at a')


def test_a_run_of_another_cost_data_dtype_or_script(copies):
  edit(copies / 'seed1', cost=['cross_entropy'])
  refused(
    reader(copies, 'seed0', 'seed1'), '--cost=cross_entropy', '--cost=quadratic'
  )
  refused(context(copies, 'seed0'), 'float32', '--precision=float32')
  config = rundir.read_config(copies / 'seed0')
  configure(copies / 'seed0', config | {'data': 'f' * 64})
  refused(reader(copies, 'seed0'), 'was trained on data ffff')
  configure(copies / 'seed0', config | {'experiment': 'descend'})
  refused(reader(copies, 'seed0'), 'run of descend')


def test_a_damaged_configuration_is_that_of_the_checkpoint(copies):
  whole = tracks.read(reader(copies, 'seed0'))
  file = copies / 'seed0' / 'config.json'
  text = file.read_text().replace('"quadratic"', '"puadratic"')
  file.write_text(text.replace('"epochs": 2', '"epochs": 3'))
  found = tracks.read(reader(copies, 'seed0'))
  assert found.values == whole.values
  shutil.rmtree(copies / 'seed0' / 'checkpoint')
  refused(reader(copies, 'seed0'), 'config.json is damaged', '--name')


def test_a_damaged_snapshot(copies):
  file = copies / 'seed0' / 'snapshots' / '00' / '60.npz'
  file.write_bytes(file.read_bytes()[:-9])
  refused(reader(copies, 'seed0'), '60 is damaged')


@pytest.mark.parametrize(
  ('values', 'costs', 'words'),
  [
    ([1, 2, 3], [3, 2, 1], ['1 to 3', 'stays below 2/eta = 4', 'nearer']),
    ([5, 3, 1], [3, 4, 1], ['at 1 of 3', 'further', 'between 1 of 2']),
    ([9, 8, 7], [3, 2, 1], ['above 2/eta = 4 at every', 'nearer']),
  ],
)
def test_the_words_say_what_happened(values, costs, words):
  one = polls.Sharp(
    entry='sgd',
    label='sgd',
    steps=np.arange(3),
    values=np.array(values, float),
    errors=np.zeros(3),
    costs=np.array(costs, float),
    limit=4.0,
  )
  said = sharpness.what_happened(one)
  for word in words:
    assert word in said


@pytest.mark.parametrize(
  ('entry', 'name'),
  [
    ('sgd', 'sgd'),
    ('sgd m=10', 'sgd'),
    ('adam+b1=0.8@0.01 m=10 normal', 'adam'),
    ('rmsprop scaled', 'rmsprop'),
    ("tests.plugin:labelled+label='a, b m=3'", 'tests.plugin:labelled'),
    ("tests.plugin:labelled+label='a b' m=3", 'tests.plugin:labelled'),
  ],
)
def test_the_method_of_a_contestant_whatever_its_text_holds(entry, name):
  assert sharpness.method_of(entry) == name


@pytest.mark.claims
def test_all_of_mnist_fits_in_two_gigabytes(
  tmp_path, mnist_dir, record_property
):
  arguments = ('--dataset=mnist', f'--data_dir={mnist_dir}', '--epochs=1')
  call(
    'train', tmp_path, 'm', '--snapshots=2', '--validation_size=0', *arguments
  )
  found = call(
    'inspect_run', tmp_path, 'look', 'm', f'--data_dir={mnist_dir}', fresh=True
  )
  assert found.returncode == 0, found.stderr
  record_property('said', found.stdout)
  used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
  record_property('kilobytes', used)
  assert used < 2 * 2**20
