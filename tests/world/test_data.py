"""Digits, one's own file, and the split; what TFDS gives is in test_prepare."""

import csv
import gzip
import io
import json
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from gd_jax.types import UserError
from gd_jax.world import data
from gd_jax.world import machine
from gd_jax.world import splits

ROOT = Path(__file__).parents[2]
ORIGINALS = ROOT.parent / 'shared' / 'mnist'


def one_sentence(error):
  text = str(error.value)
  assert text.endswith('.')
  assert '\n' not in text
  return text


# --- digits ---


def test_digits_are_those_of_the_file_in_one_fixed_order():
  dataset = data.load('digits')
  parts = (dataset.train, dataset.validation, dataset.test)
  assert [len(part.y) for part in parts] == [1197, 300, 300]
  with gzip.open(data.__file__.replace('data.py', 'digits/digits.csv.gz')) as f:
    rows = list(csv.reader(io.TextIOWrapper(f)))
  ours: list[tuple[int, ...]] = [
    (*image, label)
    for part in parts
    for image, label in zip(part.x.tolist(), part.y.tolist(), strict=True)
  ]
  assert Counter(ours) == Counter(tuple(map(int, row)) for row in rows)
  # By other writers are the last rows of the file; the test set has both.
  first = Counter(tuple(map(int, row)) for row in rows[:900])
  from_first = sum((Counter(ours[-300:]) & first).values())
  assert 100 < from_first < 200
  assert dataset.train.x.dtype == dataset.train.y.dtype == np.uint8
  assert (dataset.scale, dataset.classes, dataset.shape) == (16, 10, (8, 8))
  assert dataset.fingerprint == (
    '06018933888c4e4f35322751b2ebb1815a071f59ba7f7462c273b0e7ef2c3d48'
  )


@pytest.mark.parametrize('size', [0, 1, 500, 1496])
def test_validation_size_moves_one_border(size):
  usual, other = data.load('digits'), data.load('digits', validation_size=size)
  assert other.validation.x.shape == (size, 64)
  for mine, theirs in (
    ((other.train, other.validation), (usual.train, usual.validation)),
    ((other.test,), (usual.test,)),
  ):
    for leaf in ('x', 'y'):
      np.testing.assert_array_equal(
        np.concatenate([getattr(part, leaf) for part in mine]),
        np.concatenate([getattr(part, leaf) for part in theirs]),
      )
  assert other.fingerprint != usual.fingerprint


@pytest.mark.parametrize('size', [-1, 1497, 10**9])
def test_validation_leaves_something_to_train_on(size):
  with pytest.raises(UserError, match=f'validation_size={size} ') as error:
    data.load('digits', validation_size=size)
  assert '0 to 1496' in one_sentence(error)


def test_altered_digits_are_refused(tmp_path, monkeypatch):
  damaged = bytearray(data._DIGITS.read_bytes())
  damaged[1000] ^= 1
  path = tmp_path / 'digits.csv.gz'
  path.write_bytes(damaged)
  monkeypatch.setattr(data, '_DIGITS', path)
  with pytest.raises(UserError, match='09f66e6debdee2cd') as error:
    data.load('digits')
  assert 'install gd_jax again' in one_sentence(error)
  path.unlink()
  with pytest.raises(UserError, match='No such file'):
    data.load('digits')


# --- names ---


@pytest.mark.parametrize(
  'name', ['', '../digits', 'a/../b', '/etc/passwd', 'mnist.csv\n', 'a b', '-x']
)
def test_a_name_that_cannot_be_one_is_refused(name, tmp_path, monkeypatch):
  monkeypatch.setattr(subprocess, 'run', None)  # no process is started for it
  with pytest.raises(UserError, match='is unknown') as error:
    data.load(name, data_dir=tmp_path)
  assert all(known in one_sentence(error) for known in data.names())


def test_an_address_is_no_data_dir(monkeypatch):
  monkeypatch.setenv('TFDS_DATA_DIR', 'gs://bucket/tfds')
  with pytest.raises(UserError, match='gs://bucket/tfds is an address'):
    data.load('mnist')


def test_data_lie_where_tfds_has_them(monkeypatch, tmp_path):
  monkeypatch.setenv('HOME', str(tmp_path))
  monkeypatch.delenv('TFDS_DATA_DIR', raising=False)
  usual = tmp_path / 'tensorflow_datasets'
  assert data._folder(None) == data._folder('') == usual
  monkeypatch.setenv('TFDS_DATA_DIR', '~/of tfds')
  assert data._folder(None) == tmp_path / 'of tfds'
  assert data._folder('~/mine') == data._folder(tmp_path / 'mine')
  with pytest.raises(UserError) as error:
    data._folder('s3://a')
  assert str(error.value) == (
    '--data_dir=s3://a is an address: expected a directory of this machine; '
    'name one with --data_dir.'
  )


@pytest.mark.parametrize(
  ('code', 'out', 'err', 'said'),
  [
    (2, 'chatter\n\nThe sentence.\n', 'more', 'The sentence.'),
    (
      2,
      '',
      'some\nlast \n\n',
      'tiny cannot be prepared: expected its process to end with 0, found 2 '
      '(last); mend that, or choose another dataset.',
    ),
    (
      1,
      'The sentence.\n',
      '',
      'tiny cannot be prepared: expected its process to end with 0, found 1 '
      '(no word); mend that, or choose another dataset.',
    ),
  ],
)
def test_what_the_process_apart_says_is_passed_on(
  monkeypatch, tmp_path, code, out, err, said
):
  given = []

  def run(command, **named):
    given.append((command, named))
    return subprocess.CompletedProcess(command, code, out, err)

  monkeypatch.setattr(subprocess, 'run', run)
  monkeypatch.setattr(sys, 'path', ['/a', '', '/b'])
  monkeypatch.setenv('OURS', 'kept')
  monkeypatch.chdir(tmp_path)
  with pytest.raises(UserError) as error:
    data.load('tiny', data_dir=tmp_path, manual_dir='~/of mine')
  assert str(error.value) == said
  ((command, named),) = given
  manual = str(Path('~/of mine').expanduser())
  assert command == (
    [sys.executable, '-P', '-m', 'gd_jax.world.prepare', 'tiny']
    + [str(tmp_path), manual]
  )
  environment = named.pop('env')
  expected = {
    'OURS': 'kept',
    'PYTHONPATH': f'/a:{tmp_path}:/b',
    'PYTHONIOENCODING': 'utf-8',
    'CUDA_VISIBLE_DEVICES': '-1',
  }
  assert {key: environment[key] for key in expected} == expected
  assert named == {
    'stdin': subprocess.DEVNULL,
    'capture_output': True,
    'encoding': 'utf-8',
    'errors': 'replace',
    'check': False,
  }
  with pytest.raises(UserError):
    data.load('tiny:1.0.0', data_dir=tmp_path)
  assert given[1][0][-3:] == ['tiny:1.0.0', str(tmp_path), '']


# --- one's own file ---


def own(n=13, n_test=5, shape=(2, 3), classes=4):
  """Arrays of a small set of one's own; every label occurs."""
  rng = np.random.default_rng(0)
  return {
    'x_train': rng.integers(0, 256, (n, *shape)).astype(np.uint8),
    'y_train': np.arange(n) % classes,
    'x_test': rng.integers(0, 256, (n_test, *shape)).astype(np.uint8),
    'y_test': np.arange(n_test, dtype=np.int32) % classes,
  }


@pytest.mark.parametrize('shape', [(6,), (2, 3), (1, 2, 3)])
def test_own_file(tmp_path, shape):
  arrays = own(shape=shape)
  path = tmp_path / 'mine.npz'
  np.savez_compressed(path, **arrays, extra=np.zeros(3))
  dataset = data.load(str(path))
  np.testing.assert_array_equal(
    dataset.train.x, arrays['x_train'][:11].reshape(11, 6)
  )
  np.testing.assert_array_equal(dataset.validation.y, [3, 0])
  np.testing.assert_array_equal(
    dataset.test.x.reshape(5, *shape), own(shape=shape)['x_test']
  )
  np.testing.assert_array_equal(dataset.test.y, [0, 1, 2, 3, 0])
  assert dataset.train.y.dtype == np.uint8
  assert dataset.shape == shape
  assert (dataset.name, dataset.scale, dataset.classes) == ('mine.npz', 255, 4)


@pytest.mark.parametrize(('n', 'kept'), [(2, 0), (5, 0), (6, 1), (20, 3)])
def test_a_sixth_is_kept_for_validation(tmp_path, n, kept):
  path = tmp_path / 'mine.npz'
  np.savez(path, allow_pickle=False, **own(n=n))
  assert len(data.load(str(path)).validation.y) == kept


def test_what_a_file_lacks_is_said_in_full(tmp_path):
  path = tmp_path / 'mine.npz'
  with pytest.raises(UserError) as error:
    data.load(str(path))
  assert str(error.value) == (
    f'{path} cannot be used: there is no such file, expected an .npz file with '
    'x_train, y_train, x_test, y_test; mend the path.'
  )
  arrays = own()
  del arrays['x_train'], arrays['y_test']
  np.savez(path, allow_pickle=False, **arrays)
  with pytest.raises(UserError) as error:
    data.load(str(path))
  assert str(error.value) == (
    f'{path} cannot be used: expected an .npz file with plain arrays x_train, '
    'y_train, x_test, y_test, found no x_train, no y_test; write it with '
    'numpy.savez.'
  )
  path.write_bytes(b'text')
  with pytest.raises(UserError, match='y_test, found no arrays; write it'):
    data.load(str(path))
  path.unlink()
  path.mkdir()
  found = 'found .*Is a directory: .*IsADirectoryError'
  with pytest.raises(UserError, match=found):
    data.load(str(path))


def test_arrays_may_fill_the_memory_and_no_more(tmp_path, monkeypatch):
  path = tmp_path / 'mine.npz'
  np.savez(path, allow_pickle=False, **own())
  with zipfile.ZipFile(path) as archive:
    size = sum(info.file_size for info in archive.infolist())
  monkeypatch.setattr(machine, 'memory', lambda: size)
  assert len(data.load(str(path)).test.y) == 5
  monkeypatch.setattr(machine, 'memory', lambda: size - 1)
  said = rf'{size} bytes of arrays, more than there is memory \(ValueError\)'
  with pytest.raises(UserError, match=said):
    data.load(str(path))


class Trap:
  """Unpickling it makes a file."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return (open, (str(self.path), 'w'))


@pytest.mark.parametrize(
  ('change', 'said'),
  [
    ({'x_train': None}, 'no x_train'),
    ({'y_test': None}, 'no y_test'),
    ({'x_train': np.zeros((13, 2, 3))}, r'found float64 \[13, 2, 3\].*round'),
    ({'x_test': np.zeros((5, 2, 3), np.int8)}, 'x_test to be uint8'),
    ({'x_train': np.zeros((13,), np.uint8)}, r'found uint8 \[13\]'),
    ({'x_test': np.zeros((0, 2, 3), np.uint8)}, r'found uint8 \[0, 2, 3\]'),
    (
      {'x_test': np.zeros((5, 3, 2), np.uint8)},
      r'\[2, 3\] as those of x_train',
    ),
    ({'y_train': np.arange(12) % 4}, r'integer labels \[13\]'),
    ({'y_train': np.eye(13, 4)}, r'found float64 \[13, 4\]'),
    ({'y_train': np.arange(13) % 4 * 1.0}, r'found float64 \[13\]'),
    ({'y_test': np.arange(5) - 1}, 'labels from -1 to 3'),
    ({'y_test': np.arange(5) + 252}, 'labels from 0 to 256'),
    (
      {'y_train': np.zeros(13, int), 'y_test': np.zeros(5, int)},
      'two classes or more',
    ),
    ({'y_test': np.array([0, 1, 2, 3, 'a'], object)}, 'Object arrays'),
  ],
)
def test_a_file_of_other_arrays_is_refused(tmp_path, change, said):
  changed = own() | change
  arrays = {k: v for k, v in changed.items() if v is not None}
  path = tmp_path / 'mine.npz'
  np.savez(path, **arrays)
  with pytest.raises(UserError, match=said) as error:
    data.load(str(path))
  assert one_sentence(error).startswith(str(path))
  assert 'save' in one_sentence(error)


def test_a_file_is_never_unpickled(tmp_path):
  path, made = tmp_path / 'mine.npz', tmp_path / 'made'
  arrays = own()
  arrays['y_test'] = np.array([Trap(made)] * 5)
  np.savez(path, allow_pickle=True, **arrays)
  with pytest.raises(UserError):
    data.load(str(path))
  assert not made.exists()


@pytest.mark.parametrize('shape', [(10**15,), (2**62, 4, 1), (-5, 2, 3)])
def test_a_file_that_claims_too_much_is_refused(tmp_path, shape):
  path = tmp_path / 'mine.npz'
  np.savez(path, **own())
  header = io.BytesIO()
  fields = {'descr': '|u1', 'fortran_order': False, 'shape': shape}
  np.lib.format.write_array_header_1_0(header, fields)
  with zipfile.ZipFile(path) as archive:
    members = {name: archive.read(name) for name in archive.namelist()}
  with zipfile.ZipFile(path, 'w') as archive:
    for name, content in members.items():
      claimed = header.getvalue() if name == 'x_train.npy' else content
      archive.writestr(name, claimed)
  with pytest.raises(UserError, match=r'cannot be used|uint8 images') as error:
    data.load(str(path))
  one_sentence(error)


def test_a_file_that_unpacks_to_more_than_memory_is_refused(
  tmp_path, monkeypatch
):
  path = tmp_path / 'bomb.npz'
  arrays = own()
  arrays['x_train'] = np.zeros((10, 1000, 1000), np.uint8)
  arrays['y_train'] = np.arange(10, dtype=np.uint8) % 3
  np.savez_compressed(path, **arrays)
  assert path.stat().st_size < 100_000
  monkeypatch.setattr(machine, 'memory', lambda: 9_000_000)
  with pytest.raises(UserError, match=r'10\d+ bytes of') as error:
    data.load(str(path))
  one_sentence(error)
  monkeypatch.undo()
  arrays['x_test'] = np.zeros((5, 1000, 1000), np.uint8)
  np.savez_compressed(path, **arrays)
  data.load(str(path))


@pytest.mark.parametrize('what', ['missing', 'folder', 'text', 'npy', 'empty'])
def test_what_is_no_npz_is_refused(tmp_path, what):
  path = tmp_path / 'mine.npz'
  if what == 'folder':
    path.mkdir()
  elif what == 'npy':
    with open(path, 'wb') as file:
      np.save(file, np.zeros(3))
  elif what != 'missing':
    path.write_bytes(b'x_train' if what == 'text' else b'')
  with pytest.raises(UserError, match=r'mine\.npz cannot be used') as error:
    data.load(str(path))
  one_sentence(error)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.data())
def test_a_damaged_file_gives_its_arrays_or_one_sentence(
  tmp_path_factory, choice
):
  stream = io.BytesIO()
  np.savez(stream, **own())
  damaged = bytearray(stream.getvalue())
  if choice.draw(st.booleans(), 'truncate'):
    del damaged[choice.draw(st.integers(0, len(damaged) - 1), 'length') :]
  else:
    for _ in range(choice.draw(st.integers(1, 4), 'flips')):
      bit = choice.draw(st.integers(0, 8 * len(damaged) - 1), 'bit')
      damaged[bit // 8] ^= 1 << bit % 8
  path = tmp_path_factory.getbasetemp() / 'damaged.npz'
  path.write_bytes(damaged)
  try:
    found = data.load(str(path)).train.x
  except UserError as error:
    found = str(error)
  if isinstance(found, str):
    assert '\n' not in found
    assert str(path) in found
  else:
    np.testing.assert_array_equal(found, own()['x_train'][:11].reshape(11, 6))


def test_all_labels_of_a_byte_are_taken_and_all_that_are_known():
  arrays = own() | {'y_test': np.arange(5) + 251}
  assert splits.verified('set', arrays, mend='').classes == 256
  found = splits.verified('set', arrays, classes=256, mend='')
  assert found.y_test.tolist() == [251, 252, 253, 254, 255]
  found = splits.verified('set', own(), classes=4, mend='')
  assert found.classes == 4
  assert all(one.flags.c_contiguous for one in splits.arrays_of(found).values())


@pytest.mark.parametrize(
  ('change', 'said'),
  [
    (
      {'x_test': np.zeros((5, 2, 3), bool)},
      'x_test to be uint8 images [n, ...], found bool [5, 2, 3]',
    ),
    (
      {'y_test': np.zeros((5, 1), int)},
      'y_test to be integer labels [5], one an image, found int64 [5, 1]',
    ),
    (
      {'x_test': np.zeros((5, 6), np.uint8)},
      'images of x_test to be [2, 3] as those of x_train, found [6]',
    ),
    (
      {'y_train': np.arange(13) % 4 + 1},
      'labels from 0 to 3, found labels from 0 to 4',
    ),
    (
      {'y_train': np.arange(13) % 4 - 1},
      'labels from 0 to 3, found labels from -1 to 3',
    ),
    (
      {'y_train': np.zeros(13, int), 'y_test': np.zeros(5, int)},
      'two classes or more, found label 0 alone',
    ),
  ],
)
def test_the_first_fault_is_said_in_full(change, said):
  with pytest.raises(UserError) as error:
    splits.verified('it', own() | change, classes=4, mend='mend it')
  assert str(error.value) == f'it: expected {said}; mend it.'


# --- the fingerprint ---


def test_fingerprint_tells_everything_apart():
  base = splits.verified('set', own(), mend='')
  seen = {splits.fingerprint(base, None, 255.0, 2)}

  def differs(content, scale=255.0, validation_size=2):
    found = splits.fingerprint(content, None, scale, validation_size)
    assert found not in seen
    seen.add(found)

  differs(base, scale=16.0)
  differs(base, validation_size=3)
  differs(base._replace(classes=5))
  differs(
    base._replace(
      x_train=base.x_train.reshape(13, 3, 2),
      x_test=base.x_test.reshape(5, 3, 2),
    )
  )
  for key, array in splits.arrays_of(base).items():
    changed = array.copy()
    changed.flat[-1] ^= 1
    differs(base._replace(**{key: changed}))
    differs(base._replace(**{key: array[:-1]}))


# --- MNIST, through TFDS ---


def idx(name, header):
  """An original file, read by its own header."""
  raw = gzip.decompress((ORIGINALS / name).read_bytes())
  return np.frombuffer(raw, np.uint8, offset=header)


def test_mnist_is_mnist(mnist_dir):
  dataset = data.load('mnist', data_dir=mnist_dir, manual_dir=ORIGINALS)
  parts = (dataset.train, dataset.validation, dataset.test)
  assert [len(part.y) for part in parts] == [50_000, 10_000, 10_000]
  assert (dataset.scale, dataset.classes) == (255, 10)
  assert dataset.shape == (28, 28, 1)
  # TFDS has an order of its own.
  assert dataset.train.y[:5].tolist() == [4, 1, 0, 7, 8]
  for ours, original, n in (
    (parts[:2], 'train', 60_000),
    (parts[2:], 't10k', 10_000),
  ):
    x = np.concatenate([part.x for part in ours])
    y = np.concatenate([part.y for part in ours])
    images = idx(f'{original}-images-idx3-ubyte.gz', 16).reshape(n, 784)
    labels = idx(f'{original}-labels-idx1-ubyte.gz', 8)
    theirs = Counter(
      (image.tobytes(), label)
      for image, label in zip(images, labels.tolist(), strict=True)
    )
    assert theirs == Counter(
      (image.tobytes(), label)
      for image, label in zip(x, y.tolist(), strict=True)
    )
  # Another order under the same name would be other results: say so here.
  assert dataset.fingerprint == (
    '54f301ecb35d6c0a65a1931977cba7ed6c706969be780587cf62d5cfeefa810f'
  )


def test_a_prepared_set_needs_neither_tfds_nor_tensorflow(mnist_dir):
  code = (
    'import sys, json; from gd_jax.world import data\n'
    'dataset = data.load("mnist", data_dir=sys.argv[1])\n'
    'print(json.dumps([dataset.fingerprint, sorted(sys.modules)]))'
  )
  done = subprocess.run(
    [sys.executable, '-c', code, str(mnist_dir)],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  assert done.stderr == ''
  fingerprint, modules = json.loads(done.stdout)
  assert fingerprint == data.load('mnist', data_dir=mnist_dir).fingerprint
  assert not {'tensorflow', 'tensorflow_datasets'} & set(modules)


def test_is_ready(mnist_dir, tmp_path):
  assert data.is_ready('mnist', data_dir=mnist_dir)
  assert not data.is_ready('kmnist', data_dir=mnist_dir)
  assert data.is_ready('digits', data_dir=tmp_path)


def test_an_altered_original_is_refused_though_the_set_is_prepared(
  mnist_dir, tmp_path
):
  originals = tmp_path / 'originals'
  shutil.copytree(ORIGINALS, originals)
  altered = originals / 'train-labels-idx1-ubyte.gz'
  altered.chmod(0o644)
  content = altered.read_bytes()
  altered.write_bytes(content[:-1])
  with pytest.raises(UserError, match='altered or truncated') as error:
    data.load('mnist', data_dir=mnist_dir, manual_dir=originals)
  text = one_sentence(error)
  assert str(altered) in text
  assert 'expected 28881 bytes with SHA-256 3552534a0a558bbe' in text
  assert 'found 28880 bytes' in text
  altered.write_bytes(content)
  data.load('mnist', data_dir=mnist_dir, manual_dir=originals)
