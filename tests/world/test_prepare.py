"""TFDS behind a wall: what it prepares, refuses and gets wrong.

Small sets are written by TFDS itself, in one process, and prepared in another;
only the tests of the wall start one process each.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gd_jax.types import UserError
from gd_jax.world import data
from gd_jax.world import prepare

ROOT = Path(__file__).parents[2]
ORIGINALS = ROOT.parent / 'shared' / 'mnist'

needs_originals = pytest.mark.skipif(
  not ORIGINALS.is_dir(),
  reason='the original files of MNIST are not in ../shared/mnist',
)


def images(n, shape=(4, 4, 1)):
  return np.random.default_rng(n).integers(0, 256, (n, *shape)).astype(np.uint8)


def store(root):
  """Writes sets as TFDS does; runs in a process of its own."""
  import tensorflow_datasets as tfds

  image, label = tfds.features.Image, tfds.features.ClassLabel
  config = tfds.download.DownloadConfig(num_shards=3)

  def write(folder, name, version, features, sizes, file_format='array_record'):
    tfds.dataset_builders.store_as_tfds_dataset(
      name=name,
      version=version,
      data_dir=f'{root}/{folder}',
      features=tfds.features.FeaturesDict(features),
      split_datasets={
        split: [
          (str(i), {'image': x, 'label': i % 3})
          for i, x in enumerate(images(n))
        ]
        for split, n in sizes.items()
      },
      file_format=file_format,
      download_config=config,
    )

  plain = {'image': image(shape=(4, 4, 1)), 'label': label(num_classes=3)}
  both = {'train': 20, 'test': 7}
  write('sound', 'tiny', '1.0.0', plain, both)
  write('records', 'tiny', '1.0.0', plain, both, 'tfrecord')
  write('sound', 'no_test', '1.0.0', plain, {'train': 20})
  write('sound', 'mnist', '3.0.1', plain, both)
  ragged = {'image': image(shape=(None, None, 1)), 'label': plain['label']}
  write('sound', 'ragged', '1.0.0', ragged, both)
  wide = {'image': plain['image'], 'label': label(num_classes=257)}
  write('sound', 'wide', '1.0.0', wide, both)


def answer(root, originals):
  """Prepares everything, as a process apart would; prints what was said."""
  root, originals = Path(root), Path(originals)
  sound, fresh = root / 'sound', root / 'fresh'
  (root / 'file').touch()
  cut = root / 'cut'
  shutil.copytree(sound / 'tiny', cut / 'tiny')
  for shard in (cut / 'tiny/1.0.0').glob('*train*'):
    os.truncate(shard, shard.stat().st_size // 2)
  url = 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz'
  earlier = fresh / 'downloads/cifar10/archive.tar.gz'
  earlier.parent.mkdir(parents=True)
  earlier.write_bytes(b'damaged')
  Path(f'{earlier}.INFO').write_text(json.dumps({'urls': [url]}))
  cases = {
    'unknown': ('mnits', fresh, None),
    'unknown, near none': ('zzzzzzzzzzzz', fresh, None),
    'unknown to gd_jax alone': ('svhn_croped', fresh, None),
    'config': ('emnist/lettrs', fresh, None),
    'version': ('mnist:9.9.9', fresh, None),
    'no test split': ('no_test', sound, None),
    'ragged': ('ragged', sound, None),
    'wide': ('wide', sound, None),
    'another mnist': ('mnist', sound, None),
    'cut': ('tiny', cut, None),
    'unwritable': ('mnist', root / 'file', None),
    'no network': ('kmnist', fresh, None),
    'damaged download': ('cifar10', fresh, None),
    'no original': ('kmnist', fresh, root),
    'sound': ('tiny', sound, None),
    'records': ('tiny', root / 'records', None),
  }
  if originals.is_dir():
    for case in ('flipped', 'truncated', 'absent'):
      shutil.copytree(originals, root / case)
      file = root / case / 'train-images-idx3-ubyte.gz'
      file.chmod(0o644)
      content = bytearray(file.read_bytes())
      content[len(content) // 2] ^= 1
      if case == 'flipped':
        file.write_bytes(content)
      elif case == 'truncated':
        os.truncate(file, len(content) - 1)
      else:
        file.unlink()
      cases[case] = ('mnist', fresh, root / case)
  said = {}
  for case, arguments in cases.items():
    try:
      prepare.prepare(*arguments)
    except UserError as error:
      said[case] = str(error)
  kept = sound / 'gd_jax/tiny.npz'
  before = kept.stat()
  prepare.prepare('tiny', sound, None)  # as one that had waited for the other
  said['again'] = 'kept' if kept.stat() == before else 'rewritten'
  listed = sorted(str(path.relative_to(root)) for path in root.rglob('*.json'))
  made = [path for path in listed if 'gd_jax' in path]
  sys.stdout.write('\n' + json.dumps([str(root), said, made]))


def run(function, *arguments, **environment):
  code = (
    f'import sys; from tests.world.test_prepare import {function.__name__} as f'
    '; f(*sys.argv[1:])'
  )
  return subprocess.run(
    [sys.executable, '-c', code, *map(str, arguments)],
    cwd=ROOT,
    env={**os.environ, **environment},
    capture_output=True,
    text=True,
    check=True,
  ).stdout


@pytest.fixture(scope='module')
def shelf(tmp_path_factory):
  """Small sets, as TFDS wrote them."""
  root = tmp_path_factory.mktemp('shelf')
  run(store, root)
  return root


@pytest.fixture(scope='module')
def said(shelf, tmp_path_factory):
  """Where it was tried, what `prepare` said, and which manifests there are."""
  root = tmp_path_factory.mktemp('said')
  for folder in ('sound', 'records'):
    shutil.copytree(shelf / folder, root / folder)
  nowhere = 'http://127.0.0.1:9'  # no network, wherever this runs
  out = run(
    answer,
    root,
    ORIGINALS,
    http_proxy=nowhere,
    https_proxy=nowhere,
    no_proxy='',
  )
  return json.loads(out.splitlines()[-1])


@pytest.mark.parametrize(
  ('case', 'parts'),
  [
    ('unknown', ["'mnits'", 'digits, mnist, ', 'nearest name is mnist.']),
    ('unknown, near none', ['emnist/letters, cifar10', 'name one of these.']),
    ('unknown to gd_jax alone', ['the nearest name is svhn_cropped.']),
    ('config', ["'emnist/lettrs'", 'nearest name is emnist/letters.']),
    ('version', ['9.9.9, only: 3.0.1', 'another version']),
    ('no test split', ['expected train and test, found train;']),
    ('ragged', ['uint8 images of one shape', 'found image Image(shape=(None']),
    ('wide', ['at most 256 classes', 'num_classes=257']),
    (
      'another mnist',
      [
        'expected (60000, 10000, (28, 28, 1))',
        'found (20, 7, (4, 4, 1))',
        'sound/mnist/3.0.1 and run again',
      ],
    ),
    ('cut', ['cut/tiny/1.0.0 cannot be decoded', 'delete', 'and run again.']),
    ('unwritable', ['--data_dir=', 'Not a directory', 'another --data_dir']),
    (
      'no network',
      ['kmnist cannot be prepared', 'Error', '--manual_dir that holds t10k-im'],
    ),
    (
      'damaged download',
      [
        'archive.tar.gz is altered or truncated',
        'expected 170052171 bytes with SHA-256 c4a38c50a1bc5f3a',
        'found 7 bytes with SHA-256',
        'archive.tar.gz and run again.',
      ],
    ),
    ('no original', ['holds no file of kmnist', 'train-labels-idx1-ubyte.gz']),
  ],
)
def test_what_cannot_be_had_is_said_in_one_sentence(said, case, parts):
  text = said[1][case]
  assert '\n' not in text
  assert text.endswith('.')
  assert [part for part in parts if part not in text] == []


@needs_originals
@pytest.mark.parametrize(
  ('case', 'parts'),
  [
    ('flipped', ['found 9912422 bytes with SHA-256']),
    ('truncated', ['found 9912421 bytes with SHA-256']),
  ],
)
def test_an_altered_original_is_refused(said, case, parts):
  text = said[1][case]
  assert f'{case}/train-images-idx3-ubyte.gz is altered or truncated' in text
  assert 'expected 9912422 bytes with SHA-256 440fcabf73cc546f' in text
  assert [part for part in parts if part not in text] == []


@needs_originals
def test_an_absent_original_is_named_where_no_network_brings_it(said):
  assert said[1]['absent'].endswith(
    ', or a --manual_dir that holds train-images-idx3-ubyte.gz.'
  )


def test_what_failed_leaves_no_set(said):
  assert said[2] == [f'{f}/gd_jax/tiny.json' for f in ('records', 'sound')]


def test_a_set_is_never_rewritten(said):
  assert said[1]['again'] == 'kept'


def test_both_formats_of_tfds_give_one_order(said):
  found = [
    data.load('tiny', data_dir=f'{said[0]}/{folder}').fingerprint
    for folder in ('sound', 'records')
  ]
  assert found[0] == found[1]


def copied(shelf, folder, tmp_path):
  """A data_dir with the small set, for `load` writes into it."""
  shutil.copytree(shelf / folder / 'tiny', tmp_path / folder / 'tiny')
  return tmp_path / folder


def load_apart(folder):
  """Loads the small set and says how; runs in a process of its own."""
  dataset = data.load('tiny', data_dir=folder)
  tfds = {'tensorflow', 'tensorflow_datasets'} & set(sys.modules)
  sys.stdout.write(json.dumps([dataset.fingerprint, sorted(tfds)]))


def test_processes_prepare_at_once_in_silence(shelf, tmp_path, start, capfd):
  folder = copied(shelf, 'sound', tmp_path)
  running = [start(load_apart, folder) for _ in range(2)]
  outputs = [process.communicate()[0] for process in running]
  assert outputs[0] == outputs[1]
  fingerprint, imported = json.loads(outputs[0])
  assert imported == []
  assert capfd.readouterr().err == ''
  dataset = data.load('tiny', data_dir=folder)
  assert dataset.fingerprint == fingerprint
  assert (dataset.classes, dataset.shape) == (3, (4, 4, 1))
  x = np.concatenate([dataset.train.x, dataset.validation.x])
  y = np.concatenate([dataset.train.y, dataset.validation.y])
  # TFDS's order is another one; each image still has its label.
  stored = {image.tobytes(): i % 3 for i, image in enumerate(images(20))}
  assert {image.tobytes() for image in x} == set(stored)
  assert [stored[image.tobytes()] for image in x] == y.tolist()
  assert y.tolist() != [i % 3 for i in range(20)]


HIDING = """
import importlib.machinery
find = importlib.machinery.PathFinder.find_spec
def hide(name, path=None, target=None):
  hidden = name.split('.')[0] == 'tensorflow'
  return None if hidden else find(name, path, target)
importlib.machinery.PathFinder.find_spec = hide
"""


def test_tensorflow_is_needed_to_prepare_and_not_to_read(
  shelf, tmp_path, monkeypatch
):
  (tmp_path / 'sitecustomize.py').write_text(HIDING)
  monkeypatch.syspath_prepend(tmp_path)
  assert data.load('tiny', data_dir=copied(shelf, 'sound', tmp_path)).classes
  for name, folder in (
    ('kmnist', tmp_path / 'fresh'),
    ('tiny', copied(shelf, 'records', tmp_path)),
  ):
    with pytest.raises(UserError, match='needs TensorFlow') as error:
      data.load(name, data_dir=folder)
    assert "No module named 'tensorflow'" in str(error.value)
    assert str(error.value).endswith('in the checkout of gd_jax.')


@pytest.mark.parametrize(
  ('ending', 'said'),
  [
    ('raise SystemExit("two\\nlines")', r'found 1 \(lines\)'),
    ('import os; os.kill(os.getpid(), 9)', r'found -9 \(no word\)'),
  ],
)
def test_a_process_that_dies_is_told(tmp_path, monkeypatch, ending, said):
  package = tmp_path / 'tensorflow_datasets'
  package.mkdir()
  (package / '__init__.py').write_text(ending)
  monkeypatch.syspath_prepend(tmp_path)
  with pytest.raises(UserError, match=said) as error:
    data.load('tiny', data_dir=tmp_path / 'data')
  assert '\n' not in str(error.value)
