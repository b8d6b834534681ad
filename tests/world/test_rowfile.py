"""Rows: what is appended, read, packed and cut, byte by byte."""

import errno
import gzip
import hashlib
import os

import pytest

from gd_jax.types import UserError
from gd_jax.world import rowfile
from gd_jax.world import rundir


@pytest.fixture
def run(tmp_path):
  run = rundir.open_run(tmp_path, 'a', {})
  yield run
  rundir.close_run(run)


def test_rows_are_on_the_disk_once_they_are_appended(run, monkeypatch):
  sizes, sync = [], os.fsync

  def noted(descriptor):
    sizes.append(os.fstat(descriptor).st_size)
    sync(descriptor)

  monkeypatch.setattr(os, 'fsync', noted)
  assert rowfile.append(run, [{'a': 1}, {'b': 2}]) == 18
  assert rowfile.append(run, []) == 18
  assert rowfile.append(run, [{'a': 3}]) == 27
  assert sizes == [18, 18, 27]
  rowfile.cut(run, 9)
  assert sizes == [18, 18, 27, 9]
  assert (run.path / 'rows.jsonl').read_bytes() == b'{"a": 1}\n'


def test_a_disk_that_takes_a_part_at_a_time_gets_all(run, monkeypatch):
  plain = open
  parts = []

  class Slow:
    def __init__(self, file):
      self.file = file
      self.seek, self.fileno = file.seek, file.fileno

    def __enter__(self):
      return self

    def __exit__(self, *error):
      self.file.close()

    def write(self, data):
      parts.append(len(data))
      return self.file.write(data[:4])

  monkeypatch.setattr(
    rowfile, 'open', lambda *a, **k: Slow(plain(*a, **k)), raising=False
  )
  assert rowfile.append(run, [{'a': 1}]) == 9
  assert parts == [9, 5, 1]
  assert (run.path / 'rows.jsonl').read_bytes() == b'{"a": 1}\n'


def test_rows_that_do_not_last_are_taken_back(run, monkeypatch):
  rowfile.append(run, [{'a': 1}])

  def refuse(descriptor):
    raise OSError(errno.EIO, 'Input/output error')

  monkeypatch.setattr(os, 'fsync', refuse)
  with pytest.raises(UserError) as error:
    rowfile.append(run, [{'a': 22}])
  assert str(error.value) == (
    f'Cannot write {run.path}/rows.jsonl (10 bytes needed): Input/output '
    'error; mend that or choose another --workdir.'
  )
  with pytest.raises(UserError, match=r'rows\.jsonl \(3 bytes needed\): Input'):
    rowfile.cut(run, 3)


def test_rows_are_taken_back_whole(run, monkeypatch):
  rowfile.append(run, [{'a': 1}])

  def interrupt(descriptor):
    raise KeyboardInterrupt

  monkeypatch.setattr(os, 'fsync', interrupt)
  with pytest.raises(KeyboardInterrupt):
    rowfile.append(run, [{'a': 22}])
  assert (run.path / 'rows.jsonl').read_bytes() == b'{"a": 1}\n'


@pytest.mark.parametrize(
  ('line', 'shown'),
  [
    (b'{' * 60, '{' * 60),
    (b'{' * 61, '{' * 60),
    (b'\x1b[31m\xff', '\\x1b[31m\\xff'),
    (b'', ''),
  ],
  ids=['short', 'long', 'unprintable', 'empty'],
)
def test_a_damaged_line_is_shown_by_its_number_and_its_beginning(
  tmp_path, line, shown
):
  file = tmp_path / 'rows.jsonl'
  file.write_bytes(b'{"a": 1}\n' + line + b'\n{"a": 2}\n')
  with pytest.raises(UserError) as error:
    rowfile.read(tmp_path)
  assert str(error.value) == (
    f'Line 2 of {file} is damaged: expected one JSON object, found {shown}; '
    'bring back a copy of the file or run again under another --name.'
  )


def test_packed_rows_may_be_so_many_and_no_more(tmp_path, monkeypatch):
  text = b'{"a": 1}\n' * 4
  (tmp_path / 'rows.jsonl.gz').write_bytes(gzip.compress(text))
  monkeypatch.setattr(rowfile, 'MOST_UNPACKED', len(text))
  assert rowfile.read(tmp_path) == [{'a': 1}] * 4
  assert rowfile.sha256(tmp_path) == hashlib.sha256(text).hexdigest()
  monkeypatch.setattr(rowfile, 'MOST_UNPACKED', len(text) - 1)
  with pytest.raises(UserError, match='unpacks to over') as error:
    rowfile.read(tmp_path)
  assert str(error.value) == (
    f'{tmp_path}/rows.jsonl.gz unpacks to over {(len(text) - 1) / 2**30:g} GiB'
    ': expected the rows of a study, unpack it yourself if it is one.'
  )


def test_rows_that_are_not_packed_stand_first(tmp_path):
  plain, packed = tmp_path / 'rows.jsonl', tmp_path / 'rows.jsonl.gz'
  assert rowfile.path_of(str(tmp_path)) == plain
  packed.touch()
  assert rowfile.path_of(tmp_path) == packed
  plain.touch()
  assert rowfile.path_of(tmp_path) == plain


def test_rows_are_cut_to_what_is_there_and_no_further(run):
  file = run.path / 'rows.jsonl'
  size = rowfile.append(run, [{'a': 1}])
  rowfile.cut(run, size)
  assert file.stat().st_size == size
  with pytest.raises(UserError) as error:
    rowfile.cut(run, size + 1)
  assert str(error.value) == (
    f'{file} has 9 bytes where the checkpoint counted 10: bring back a copy of '
    'it or run again under another --name.'
  )
  assert file.stat().st_size == size
