"""The lock: who waits, who is refused, and what is left open."""

import errno
import fcntl
import os
import platform
import re
from datetime import UTC
from datetime import datetime

import pytest

from gd_jax.types import UserError
from gd_jax.world import files
from gd_jax.world import lock


@pytest.fixture
def pauses(monkeypatch):
  """Seconds that were waited."""
  found = []
  monkeypatch.setattr(lock.time, 'sleep', found.append)
  return found


def test_who_comes_second_waits_a_little_and_is_told_who_is_there(
  tmp_path, pauses, open_files
):
  held = lock.take(tmp_path)
  lock.say_who(held)
  assert pauses == []
  before = open_files()
  with pytest.raises(UserError) as error:
    lock.take(tmp_path)
  assert open_files() <= before
  assert pauses == [0.05, 0.05, 0.05, 0.05, 0.0]
  record = files.parsed((tmp_path / 'lock').read_bytes())
  assert record['pid'] == os.getpid()
  assert record['host'] == platform.node()
  assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00', record['since'])
  since = datetime.fromisoformat(record['since'])
  assert 0 <= (datetime.now(UTC) - since).total_seconds() < 60
  assert str(error.value) == (
    f'{tmp_path} is in use by process {os.getpid()} on {platform.node()} since '
    f'{record["since"]}: wait for it, stop it, or choose another --name.'
  )
  os.close(held)
  os.close(lock.take(tmp_path))


def test_who_holds_it_is_no_matter_of_who_held_it_before(tmp_path):
  (tmp_path / 'lock').write_text('x' * 5000)
  held = lock.take(tmp_path)
  lock.say_who(held)
  os.close(held)
  record = files.parsed((tmp_path / 'lock').read_bytes())
  assert list(record) == ['pid', 'host', 'since']


@pytest.mark.parametrize('gone', ['pid', 'host', 'since'])
def test_a_holder_that_tells_half_is_another_process(tmp_path, pauses, gone):
  held = lock.take(tmp_path)
  record = {'pid': 1, 'host': 'a', 'since': 'b'}
  del record[gone]
  os.pwrite(held, files.json_bytes(record, 'it'), 0)
  with pytest.raises(UserError) as error:
    lock.take(tmp_path)
  os.close(held)
  assert str(error.value) == (
    f'{tmp_path} is in use by another process: wait for it, stop it, or choose '
    'another --name.'
  )


def test_a_file_system_without_locks_says_so_at_once(
  tmp_path, monkeypatch, pauses, open_files
):
  tries = []

  def refuse(*arguments):
    tries.append(arguments)
    raise OSError(errno.ENOLCK, 'No locks available')

  monkeypatch.setattr(lock.fcntl, 'flock', refuse)
  before = open_files()
  with pytest.raises(OSError, match='No locks available') as error:
    lock.take(tmp_path)
  assert error.value.errno == errno.ENOLCK
  assert len(tries) == 1
  assert pauses == []
  with pytest.raises(UserError) as sentence:
    lock.is_held(tmp_path)
  assert str(sentence.value) == (
    f'Cannot tell whether a process holds {tmp_path}: No locks available; make '
    'its file lock readable.'
  )
  assert open_files() <= before


def test_to_look_is_not_to_hold(tmp_path, open_files):
  assert lock.is_held(tmp_path) is False
  held = lock.take(tmp_path)
  before = open_files()
  assert lock.is_held(tmp_path) is True
  os.close(held)
  assert lock.is_held(tmp_path) is False
  with open(tmp_path / 'lock', 'rb') as looker:
    fcntl.flock(looker, fcntl.LOCK_SH)
    assert lock.is_held(tmp_path) is False
  assert open_files() <= before - 1


def test_a_directory_made_anew_is_another(tmp_path):
  held = lock.take(tmp_path)
  lock.check(tmp_path, held)
  (tmp_path / 'lock').rename(tmp_path / 'old')  # so that it keeps its number
  with pytest.raises(UserError) as error:
    lock.check(tmp_path, held)
  assert str(error.value) == (
    f'Cannot write {tmp_path}: No such file or directory; its directory is '
    'gone, so start again under another --name.'
  )
  (tmp_path / 'lock').touch()
  with pytest.raises(UserError) as error:
    lock.check(tmp_path, held)
  os.close(held)
  assert str(error.value) == (
    f'{tmp_path} was removed and made anew while this run used it: start again '
    'under another --name.'
  )


def test_who_may_share_a_lock_is_for_the_umask_to_say(tmp_path):
  before = os.umask(0o000)
  try:
    os.close(lock.take(tmp_path))
  finally:
    os.umask(before)
  assert (tmp_path / 'lock').stat().st_mode & 0o777 == 0o666
