"""Files written whole and to the disk; errors that name the mend."""

import errno
import json
import os

import numpy as np
import pytest

from gd_jax.types import UserError
from gd_jax.world import files


@pytest.fixture
def synced(monkeypatch):
  """Inodes of what was made to last, in order."""
  seen, sync = [], os.fsync

  def noted(descriptor):
    seen.append(os.fstat(descriptor).st_ino)
    sync(descriptor)

  monkeypatch.setattr(os, 'fsync', noted)
  return seen


def test_a_file_and_its_name_last_through_a_loss_of_power(
  tmp_path, synced, open_files
):
  before = open_files()
  files.write_file(str(tmp_path / 'a'), b'one')
  assert synced == [(tmp_path / 'a').stat().st_ino, tmp_path.stat().st_ino]
  assert (tmp_path / 'a').read_bytes() == b'one'
  assert os.listdir(tmp_path) == ['a']
  assert open_files() <= before


def test_bytes_are_on_the_disk_before_their_name_is(tmp_path, monkeypatch):
  sizes = []
  monkeypatch.setattr(
    os, 'fsync', lambda file: sizes.append(os.fstat(file).st_size)
  )
  monkeypatch.setattr(
    os, 'replace', lambda *paths: sizes.append([path.name for path in paths])
  )
  files.write_file(tmp_path / 'a', b'one')
  assert sizes[:2] == [3, [f'.a.{os.getpid()}.tmp', 'a']]


def test_a_disk_that_refuses_leaves_the_old_file_alone(tmp_path, monkeypatch):
  def refuse(descriptor):
    raise OSError(errno.ENOSPC, 'No space left on device')

  files.write_file(tmp_path / 'a', b'old')
  monkeypatch.setattr(os, 'fsync', refuse)
  with pytest.raises(UserError) as error:
    files.write_file(tmp_path / 'a', b'newer')
  assert str(error.value) == (
    f'Cannot write {tmp_path}/a (5 bytes needed): No space left on device; '
    'free that much there or choose another --workdir.'
  )
  assert os.listdir(tmp_path) == ['a']
  assert (tmp_path / 'a').read_bytes() == b'old'


def test_a_folder_lasts_too_and_is_made_once(tmp_path, synced, open_files):
  before = open_files()
  files.make_folder(str(tmp_path / 'a'))
  assert synced == [tmp_path.stat().st_ino]
  files.make_folder(tmp_path / 'a')
  assert len(synced) == 1
  files.make_folder(tmp_path / 'b' / 'c', parents=True)
  assert synced[1:] == [(tmp_path / 'b').stat().st_ino]
  assert open_files() <= before


def test_a_folder_that_another_makes_at_once_is_there(tmp_path, monkeypatch):
  make = os.mkdir

  def second(*arguments):
    make(*arguments)  # the other one
    make(*arguments)

  monkeypatch.setattr(os, 'mkdir', second)
  files.make_folder(tmp_path / 'a')
  assert (tmp_path / 'a').is_dir()


def test_a_folder_whose_parent_is_gone_is_not_made(tmp_path):
  with pytest.raises(UserError) as error:
    files.make_folder(tmp_path / 'b' / 'c')
  assert str(error.value) == (
    f'Cannot write {tmp_path}/b/c: No such file or directory; its directory '
    'is gone, so start again under another --name.'
  )


@pytest.mark.parametrize(
  ('number', 'mend'),
  [
    (errno.ENOSPC, 'free that much there or choose another --workdir'),
    (errno.EDQUOT, 'free that much of the quota or choose another --workdir'),
    (errno.EROFS, 'make it writable or choose another --workdir'),
    (errno.EACCES, 'make it writable or choose another --workdir'),
    (errno.EPERM, 'make it writable or choose another --workdir'),
    (errno.EIO, 'mend that or choose another --workdir'),
    (None, 'mend that or choose another --workdir'),
  ],
)
def test_what_cannot_be_written_is_said_with_need_and_mend(
  tmp_path, number, mend
):
  error = OSError(number, 'Some reason')
  for needed, need in ((0, ''), (1, ' (1 bytes needed)')):
    assert str(files.cannot_write(tmp_path / 'a\n', needed, error)) == (
      f'Cannot write {tmp_path}/a\\n{need}: Some reason; {mend}.'
    )


def test_what_is_no_file_is_not_kept_open(tmp_path, open_files):
  (tmp_path / 'folder').mkdir()
  os.mkfifo(tmp_path / 'pipe')
  before = open_files()
  for name, number, reason in (
    ('folder', errno.EISDIR, 'Is a directory'),
    ('pipe', errno.EINVAL, 'It is a pipe or a device'),
    ('none', errno.ENOENT, 'No such file or directory'),
  ):
    path = tmp_path / name
    with pytest.raises(OSError, match=reason) as error:
      files.open_file(path)
    assert error.value.errno == number
    assert str(error.value.filename) == str(path)
    with pytest.raises(UserError) as sentence:
      files.read_file(path)
    assert str(sentence.value) == (
      f'Cannot read {path}: {reason}; bring it back, make it readable, or name '
      'another run.'
    )
  assert open_files() <= before


def test_an_opened_file_is_read_and_left_to_no_child(tmp_path):
  (tmp_path / 'a').write_bytes(b'one')
  with files.open_file(str(tmp_path / 'a')) as file:
    assert not os.get_inheritable(file.fileno())
    assert file.read() == b'one'
  assert files.read_file(tmp_path / 'a') == b'one'


def test_what_a_kill_left_is_told_from_what_is_somebodys(tmp_path):
  (tmp_path / 'below').mkdir()
  left = [tmp_path / '.a.json.1.tmp', tmp_path / 'below' / '.b.23.tmp']
  others = ['.a.tmp', 'a.1.tmp', '.a.x1.tmp', '..1.tmp', '.a.1.tmp2', '.a.1.']
  for file in (*left, *(tmp_path / name for name in others)):
    file.touch()
  assert sorted(files.leftovers(tmp_path)) == left


def test_json_is_what_reads_back_equal():
  value = {'a': 'é', 'b': [1, 2.5], 'c': {}}
  data = files.json_bytes(value, 'it')
  assert (
    data == b'{\n "a": "\\u00e9",\n "b": [\n  1,\n  2.5\n ],\n "c": {}\n}\n'
  )
  assert files.parsed(data) == value
  with pytest.raises(UserError) as error:
    files.json_bytes({'a': -np.inf}, 'the plan')
  assert str(error.value) == (
    'A file cannot hold a number that is not finite, and the plan has one: '
    'give a finite one.'
  )


@pytest.mark.parametrize(
  'text',
  ['NaN', '[Infinity]', '{"a": -Infinity}', '1e309', '-1e309', '[', '"é"', ''],
)
def test_text_that_json_does_not_know_is_none(text):
  assert files.parsed(text.encode()) is None


def test_the_greatest_float_is_one():
  assert files.parsed(b'[1.7976931348623157e308, -0.5]') == [
    1.7976931348623157e308,
    -0.5,
  ]


def test_what_json_cannot_hold_becomes_null():
  given = {
    'a': np.float64('nan'),
    'b': (1, np.inf, [np.int32(7), 'x', True, None]),
    'c': {'d': -np.inf, 'e': np.array(0.5)},
  }
  found = files.plain(given)
  assert json.dumps(found, allow_nan=False) == (
    '{"a": null, "b": [1, null, [7, "x", true, null]], '
    '"c": {"d": null, "e": 0.5}}'
  )


def test_values_that_differ_are_told_by_their_paths():
  there = {'a': 1, 'b': {'c': 2, 'd': {}}, 'e': [1], 'f': {'g': {'h': 0}}}
  now = {'a': 1, 'b': {'c': 3, 'd': {'x': 1}}, 'e': [2], 'f': {'g': 0}}
  assert files.differing_lines(there, now) == [
    '  b.c: 2 there, 3 now',
    '  b.d: {} there, nothing now',
    '  b.d.x: nothing there, 1 now',
    '  e: [1] there, [2] now',
    '  f.g: nothing there, 0 now',
    '  f.g.h: 0 there, nothing now',
  ]
  assert files.differing_lines(there, there) == []
  # A name excuses its key and what lies below, and no other.
  assert files.differing_lines(there, now, ('b', 'f.g', 'e.x', 'c')) == [
    '  e: [1] there, [2] now'
  ]
