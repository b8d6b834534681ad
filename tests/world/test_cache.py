"""A set on the disk: the same for ever, or refused in one sentence."""

import hashlib
import json
import os
import threading

import numpy as np
import pytest

from gd_jax.types import UserError
from gd_jax.world import cache
from gd_jax.world import data
from gd_jax.world import splits

SOURCES = {
  name: (len(content), hashlib.sha256(content).hexdigest())
  for name, content in (('a.gz', b'one'), ('b.gz', b'three'))
}


def small(n=7):
  rng = np.random.default_rng(1)
  return splits.Splits(
    x_train=rng.integers(0, 256, (n, 2, 2, 1)).astype(np.uint8),
    y_train=(np.arange(n) % 3).astype(np.uint8),
    x_test=rng.integers(0, 256, (2, 2, 2, 1)).astype(np.uint8),
    y_test=np.array([2, 1], np.uint8),
    classes=5,
  )


@pytest.fixture
def folder(tmp_path):
  """A data_dir that holds a set, as TFDS left it."""
  with cache.lock('set/small', tmp_path):
    cache.write(
      'set/small', tmp_path, small(), origin='a test', sources=SOURCES
    )
  return tmp_path


def refused(folder, said):
  with pytest.raises(UserError, match=said) as error:
    cache.read('set/small', folder)
  text = str(error.value)
  assert '\n' not in text
  manifest = folder / 'gd_jax/set/small.json'
  assert text.endswith(f'; delete {manifest} and run again.')
  return text


def test_a_set_comes_back_as_it_was(folder):
  content, digests, sources = cache.read('set/small', folder)
  for key, array in splits.arrays_of(content).items():
    expected = splits.arrays_of(small())[key]
    assert array.dtype == np.uint8
    np.testing.assert_array_equal(array, expected)
    assert digests[key] == hashlib.sha256(expected.tobytes()).hexdigest()
  assert content.classes == 5
  assert {key: tuple(value) for key, value in sources.items()} == SOURCES
  dataset = data.load('set/small', data_dir=folder)
  assert dataset.fingerprint == splits.fingerprint(small(), None, 255.0, 1)
  assert dataset.shape == (2, 2, 1)


@pytest.mark.parametrize('kind', ['json', 'npz'])
def test_every_flipped_bit_is_refused(folder, kind):
  path = folder / f'gd_jax/set/small.{kind}'
  sound = path.read_bytes()
  file = os.open(path, os.O_RDWR)
  for place, byte in enumerate(sound):
    for bit in range(8):
      os.pwrite(file, bytes([byte ^ 1 << bit]), place)
      with pytest.raises(UserError, match='is damaged: expected'):
        cache.read('set/small', folder)
    os.pwrite(file, bytes([byte]), place)
  os.close(file)
  cache.read('set/small', folder)


@pytest.mark.parametrize('kind', ['json', 'npz'])
def test_every_truncation_is_refused(folder, kind):
  path = folder / f'gd_jax/set/small.{kind}'
  sound = path.read_bytes()
  for length in reversed(range(len(sound))):
    os.truncate(path, length)
    refused(folder, f'{kind} is damaged')
  path.write_bytes(sound + b'\n')
  refused(folder, f'{kind} is damaged')


def test_the_sentence_says_what_was_expected_and_found(folder):
  path = folder / 'gd_jax/set/small.npz'
  sound = path.read_bytes()
  path.write_bytes(sound[:-3])
  text = refused(folder, f'{path} is damaged')
  expected, found = (hashlib.sha256(b).hexdigest() for b in (sound, sound[:-3]))
  assert f'expected {len(sound)} bytes with SHA-256 {expected}' in text
  assert f'found {len(sound) - 3} bytes with SHA-256 {found}' in text
  path.unlink()
  refused(folder, 'expected a readable file, found No such file or directory;')


@pytest.mark.parametrize(
  ('key', 'value', 'said'),
  [
    ('format', 2, 'expected format 1, found format 2'),
    ('classes', 2, 'expected labels from 0 to 1, found labels from 0 to 2'),
    ('name', 'other', 'expected the set set/small, found other'),
    ('shape', [7, 4], r'expected x_train \{.*\[7, 4\].*, found \{.*2, 2, 1'),
  ],
)
def test_a_manifest_that_was_edited_and_sealed_is_checked_too(
  folder, key, value, said
):
  path = folder / 'gd_jax/set/small.json'
  manifest = json.loads(path.read_bytes())
  del manifest['sha256']
  where = manifest['arrays']['x_train'] if key == 'shape' else manifest
  where[key] = value
  path.write_bytes(cache.files.json_bytes(cache._sealed(manifest), 'it'))
  refused(folder, said)


def test_the_manifest_says_all_that_a_reader_checks(folder):
  manifest = json.loads((folder / 'gd_jax/set/small.json').read_bytes())
  stored = (folder / 'gd_jax/set/small.npz').read_bytes()
  digest = manifest.pop('sha256')
  text = json.dumps(manifest, indent=1) + '\n'
  assert digest == hashlib.sha256(text.encode()).hexdigest()
  assert manifest == {
    'format': 1,
    'name': 'set/small',
    'origin': 'a test',
    'classes': 5,
    'arrays_size': len(stored),
    'arrays_sha256': hashlib.sha256(stored).hexdigest(),
    'arrays': {
      key: {
        'dtype': 'uint8',
        'shape': list(array.shape),
        'sha256': hashlib.sha256(array.tobytes()).hexdigest(),
      }
      for key, array in splits.arrays_of(small()).items()
    },
    'sources': {key: list(value) for key, value in SOURCES.items()},
  }


def test_a_set_exists_once_its_arrays_do(tmp_path, monkeypatch):
  written = []
  monkeypatch.setattr(
    cache.files, 'write_file', lambda path, data: written.append(path)
  )
  cache.write('set/small', tmp_path, small(), origin='a test', sources={})
  manifest = cache.manifest_path('set/small', tmp_path)
  assert written == [manifest.with_suffix('.npz'), manifest]


def test_a_set_without_manifest_is_none(folder):
  (folder / 'gd_jax/set/small.json').unlink()
  assert not data.is_ready('set/small', data_dir=folder)


def originals(folder):
  manual = folder / 'originals'
  manual.mkdir()
  (manual / 'a.gz').write_bytes(b'one')
  (manual / 'b.gz').write_bytes(b'three')
  return manual


def test_originals_may_be_named_again(folder):
  manual = originals(folder)
  data.load('set/small', data_dir=folder, manual_dir=manual)
  (manual / 'b.gz').unlink()
  data.load('set/small', data_dir=folder, manual_dir=manual)


@pytest.mark.parametrize(
  ('change', 'said'),
  [
    (lambda m: (m / 'a.gz').write_bytes(b'onE'), 'a.gz is altered or trunc'),
    (lambda m: (m / 'b.gz').write_bytes(b'thre'), 'found 4 bytes with SHA'),
    (lambda m: [f.unlink() for f in m.iterdir()], 'expected a.gz, b.gz'),
    (lambda m: m.rename(m.parent / 'gone'), 'originals is no directory'),
    (
      lambda m: ((m / 'a.gz').unlink(), (m / 'a.gz').mkdir()),
      'it cannot be read',
    ),
  ],
)
def test_originals_that_changed_are_refused(folder, change, said):
  manual = originals(folder)
  change(manual)
  with pytest.raises(UserError, match=said) as error:
    data.load('set/small', data_dir=folder, manual_dir=manual)
  assert str(error.value).endswith('or leave out --manual_dir.')
  assert '\n' not in str(error.value)


def test_a_set_of_no_originals_takes_any_folder(tmp_path):
  cache.check_sources('set', tmp_path, {})
  with pytest.raises(UserError) as error:
    cache.check_sources('set', tmp_path / 'gone', {})
  assert str(error.value) == (
    f'--manual_dir={tmp_path}/gone is no directory: expected one with the '
    'original files of set; name it, or leave out --manual_dir.'
  )


def test_a_full_disk_leaves_no_set(small_disk):
  big = small(n=30_000)
  with (
    pytest.raises(UserError, match='No space left') as error,
    cache.lock('set', small_disk),
  ):
    cache.write('set', small_disk, big, origin='a test', sources={})
  assert str(error.value).endswith('or choose another --data_dir.')
  left = sorted(path.name for path in (small_disk / 'gd_jax').iterdir())
  assert left == ['set.lock']


def test_a_data_dir_that_cannot_be_one(tmp_path):
  (tmp_path / 'file').touch()
  with (
    pytest.raises(UserError, match=r'cannot be written.*Not a directory'),
    cache.lock('set', tmp_path / 'file'),
  ):
    pass


def test_a_lock_is_let_go_of_whatever_happens(tmp_path):
  def fail():
    with cache.lock('set', tmp_path):
      raise ZeroDivisionError

  before = len(os.listdir('/dev/fd'))
  for _ in range(2):
    with pytest.raises(ZeroDivisionError):
      fail()
  assert len(os.listdir('/dev/fd')) <= before


def test_who_may_share_a_lock_is_for_the_umask_to_say(tmp_path):
  before = os.umask(0o000)
  try:
    with cache.lock('set', tmp_path):
      pass
  finally:
    os.umask(before)
  assert (tmp_path / 'gd_jax/set.lock').stat().st_mode & 0o777 == 0o666


def test_one_prepares_while_others_wait(tmp_path):
  waiting, order = threading.Event(), []

  def second():
    waiting.set()
    with cache.lock('set', tmp_path):
      order.append('second')

  thread = threading.Thread(target=second)
  with cache.lock('set', tmp_path):
    thread.start()
    waiting.wait()
    thread.join(0.2)
    order.append('first')
  thread.join()
  assert order == ['first', 'second']


def test_the_next_one_removes_what_a_kill_left(folder):
  stray = folder / 'gd_jax/set/.small.npz.12345.tmp'
  others = folder / 'gd_jax/set/.small.more.npz.12345.tmp'
  stray.touch()
  others.touch()
  with cache.lock('set/small', folder):
    pass
  assert not stray.exists()
  assert others.exists()
