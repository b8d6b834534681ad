"""A run of train gives its parameters back, or says why it cannot."""

import os
import shutil

import jax
import numpy as np
import pytest

import gd_jax
from gd_jax.descent import train
from gd_jax.model import costs
from gd_jax.model import mlp
from gd_jax.types import Layer
from gd_jax.types import UserError
from gd_jax.world import checkpoint
from gd_jax.world import data
from gd_jax.world import rundir
from gd_jax.world import seals
from tests import scripts

FLAGS = ['--layer_sizes=64,12,10', '--optimizer=adam@0.01', '--batch_size=30']


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  folder = tmp_path_factory.mktemp('runs')
  scripts.run('train', *scripts.named(folder, 'a'), *FLAGS, '--epochs=3')
  return folder / 'a'


@pytest.fixture
def copy(trained, tmp_path):
  return shutil.copytree(trained, tmp_path / 'copy')


def test_what_comes_back_scores_as_the_run_did(trained):
  params = gd_jax.load(trained)
  digits = data.load('digits')
  scores = costs.example_scores(
    mlp.weighted_input,
    costs.quadratic_of_z,
    costs.decode_image(digits.scale, 10),
  )
  found = jax.jit(lambda p: train.evaluate(scores, p, digits.test))(params)
  last = scripts.lines_of(trained)[-1]
  assert float(found.accuracy) == last['test_accuracy']
  np.testing.assert_allclose(found.cost, last['test_cost'], rtol=1e-6)


def test_every_bit_shape_and_dtype_is_that_of_the_checkpoint(trained):
  params = gd_jax.load(str(trained))
  assert [layer.w.shape for layer in params] == [(12, 64), (10, 12)]
  assert [layer.b.shape for layer in params] == [(12,), (10,)]
  stored = scripts.arrays_of(trained)
  for place, layer in enumerate(params):
    assert isinstance(layer, Layer)
    for name, leaf in layer._asdict().items():
      assert leaf.dtype == np.float32
      assert leaf.tobytes() == stored[f'state.state.params[{place}].{name}']


def test_float64_stays_float64(tmp_path):
  scripts.run(
    'train',
    *scripts.named(tmp_path, 'a'),
    *FLAGS,
    '--precision=float64',
    '--epochs=1',
  )
  assert gd_jax.load(tmp_path / 'a')[0].w.dtype == np.float64


def test_a_damaged_newest_checkpoint_gives_the_one_before(copy):
  newest, before = reversed(scripts.manifests(copy))
  expected = np.load(before.with_suffix('.npz'))['state.state.params[0].w']
  data = bytearray(newest.with_suffix('.npz').read_bytes())
  data[len(data) // 2] ^= 1
  newest.with_suffix('.npz').write_bytes(data)
  np.testing.assert_array_equal(gd_jax.load(copy)[0].w, expected)
  shutil.rmtree(copy / 'checkpoint')
  with pytest.raises(UserError, match='has saved no checkpoint'):
    gd_jax.load(copy)


def test_no_sound_checkpoint_is_one_sentence(copy):
  for manifest in scripts.manifests(copy):
    manifest.with_suffix('.npz').write_bytes(b'')
  with pytest.raises(UserError, match='no sound checkpoint is left') as error:
    gd_jax.load(copy)
  assert '\n' not in str(error.value)


def test_what_is_no_run_of_train_is_refused_by_its_name(copy, tmp_path):
  with pytest.raises(UserError, match=r'gone is no run: .* runs/NAME'):
    gd_jax.load(tmp_path / 'gone')
  config = rundir.read_config(copy) | {'experiment': 'compare'}
  (copy / 'config.json').write_bytes(seals.sealed(config))
  with pytest.raises(UserError, match='is a run of compare, which keeps no'):
    gd_jax.load(copy)


def test_a_run_that_saves_meanwhile_is_read_again(copy, monkeypatch):
  """Between the list and the look, both checkpoints make room for new ones."""
  listed = checkpoint._steps
  expected = gd_jax.load(copy)
  calls = []

  def late(folder, suffix):
    found = listed(folder, suffix)
    calls.append(found)
    if len(calls) == 2:
      for file in sorted(folder.iterdir()):
        os.rename(file, folder / f'{int(file.stem) + 10}{file.suffix}')
      for file in folder.glob('*.json'):
        rename_inside(file)
    return found

  def rename_inside(file):
    body = seals.opened(file) | {'step': int(file.stem)}
    file.write_bytes(seals.sealed(body))

  monkeypatch.setattr(checkpoint, '_steps', late)
  found = gd_jax.load(copy)
  assert calls[0] == [3, 2]
  np.testing.assert_array_equal(found[0].w, expected[0].w)
