import contextlib
import fcntl
import gzip
import hashlib
import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import time

import hypothesis
import numpy as np
import pytest

from gd_jax.types import UserError
from gd_jax.world import checkpoint
from gd_jax.world import data
from gd_jax.world import files
from gd_jax.world import lock
from gd_jax.world import rowfile
from gd_jax.world import rundir
from tests import damage

CONFIG = {
  'seed': 3,
  'sizes': [64, 30, 10],
  'data': {'name': 'digits', 'of': {'print': 'ab'}},
}


def hold(workdir):
  """Another process with a run: says so, and waits to be killed."""
  run = rundir.open_run(workdir, 'a', CONFIG)
  rundir.write_status(run, 'RUNNING')
  os.write(1, b'held\n')
  time.sleep(1000)


def exceed(workdir):
  """Writes more than RLIMIT_FSIZE allows, and prints the two sentences."""
  run = rundir.open_run(workdir, 'a', CONFIG)
  rowfile.append(run, [{'epoch': 1}])
  rundir.write_status(run, 'RUNNING')
  resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
  for write in (
    lambda: rowfile.append(run, [{'epoch': i} for i in range(200)]),
    lambda: rundir.write_status(run, 'FAILED', 'x' * 2000),
  ):
    try:
      write()
    except UserError as error:
      os.write(1, f'{error}\n'.encode())


def refused(call, *parts):
  """The sentence that `call` raises; it is printable and holds the parts."""
  with pytest.raises(UserError) as caught:
    call()
  text = str(caught.value)
  assert all(line.isprintable() for line in text.split('\n'))
  for part in parts:
    assert str(part) in text
  return text


@pytest.fixture
def run(tmp_path):
  run = rundir.open_run(tmp_path, 'a', CONFIG)
  yield run
  rundir.close_run(run)


@pytest.mark.parametrize(
  'name',
  ['', '.', '..', '../a', 'a/b', '/a', 'a\n', 'a' * 65, '-a', '.a', 'a b', 'é']
  + ['<script>', '$^$', 'a\x1b[31m', 'a\x00', 'a\udc80', '\u202ea'],
)
def test_name_that_is_no_plain_directory_is_refused(name, tmp_path):
  refused(lambda: rundir.open_run(tmp_path, name, {}), 'cannot name a run')
  assert not list(tmp_path.iterdir())


def test_refusals_say_what_is_there_and_hold_nothing(run, tmp_path):
  before = len(os.listdir('/dev/fd'))
  path = tmp_path / 'a'
  fcntl.flock(run.lock, fcntl.LOCK_UN)
  (tmp_path / 'b').mkdir()
  for name in ('mine\n', 'yours'):
    (tmp_path / 'b' / name).touch()
  for name, config, resume, said in (
    (
      'a b',
      CONFIG,
      False,
      '--name=a b cannot name a run: use 1 to 64 letters, digits, dots, '
      'underscores and hyphens, the first a letter or digit.',
    ),
    (
      'a',
      CONFIG,
      False,
      f'{path} holds a run already: go on with --resume or choose another '
      '--name.',
    ),
    (
      'a',
      CONFIG | {'seed': 4},
      True,
      f'{path} holds another run: resume it with the same settings on the same '
      'machine, or choose another --name:\n  seed: 3 there, 4 now',
    ),
    (
      'b',
      CONFIG,
      True,
      f'{tmp_path}/b holds no run but mine\\n: choose another --name.',
    ),
    (
      'c',
      {'rate': np.inf},
      False,
      'A file cannot hold a number that is not finite, and the configuration '
      'of c has one: give a finite one.',
    ),
  ):
    with pytest.raises(UserError) as error:
      rundir.open_run(tmp_path, name, config, resume=resume)
    assert str(error.value) == said
    assert len(os.listdir('/dev/fd')) <= before
  assert not lock.is_held(path)


def test_a_file_system_without_locks_is_told_with_the_bytes(
  tmp_path, monkeypatch
):
  def refuse(path):
    raise OSError(37, 'No locks available')

  monkeypatch.setattr(lock, 'take', refuse)
  with pytest.raises(UserError) as error:
    rundir.open_run(tmp_path, 'a', {'b': 1})
  assert str(error.value) == (
    f'Cannot write {tmp_path}/a (12 bytes needed): No locks available; mend '
    'that or choose another --workdir.'
  )


def test_rows_that_are_missing_begin_anew_and_others_stay(run, tmp_path):
  fcntl.flock(run.lock, fcntl.LOCK_UN)
  (run.path / 'rows.jsonl').unlink()
  rundir.close_run(rundir.open_run(tmp_path, 'a', CONFIG, resume=True))
  assert (run.path / 'rows.jsonl').read_bytes() == b''


def test_a_run_that_ends_while_it_is_looked_at_was_not_killed(run, monkeypatch):
  rundir.write_status(run, 'RUNNING')

  def ends(path):
    rundir.write_status(run, 'COMPLETED')
    return False

  with monkeypatch.context() as meanwhile:
    meanwhile.setattr(lock, 'is_held', ends)
    assert rundir.read_status(str(run.path)) == ('COMPLETED', '')
  rundir.write_status(run, 'RUNNING', 'for now')
  assert rundir.read_status(run.path) == ('RUNNING', 'for now')
  fcntl.flock(run.lock, fcntl.LOCK_UN)
  assert rundir.read_status(run.path) == (
    'KILLED',
    'its process ended without a word',
  )


def test_a_status_may_have_no_reason_and_must_be_one(run):
  file = run.path / 'status.json'
  file.write_text('{"status": "FAILED"}')
  assert rundir.read_status(run.path) == ('FAILED', '')
  for text in ('{"reason": "x"}', '[]', ''):
    file.write_text(text)
    with pytest.raises(UserError) as error:
      rundir.read_status(run.path)
    assert str(error.value) == (
      f'{file} is damaged: expected one of RUNNING, COMPLETED, DIVERGED, '
      'INTERRUPTED, FAILED; remove it and the run counts as KILLED.'
    )


@pytest.mark.parametrize('name', ['a', '9', 'A-1_b.c', 'a..', 'z' * 64])
def test_plain_name_is_taken(name):
  assert rundir.check_name(name) == name


def test_new_run(tmp_path):
  run = rundir.open_run(tmp_path / 'runs', 'a', CONFIG)
  assert run.path == tmp_path / 'runs' / 'a'
  assert run.found is None
  assert rundir.read_config(run.path) == CONFIG
  assert rowfile.read(run.path) == []
  assert rundir.read_status(run.path) == ('RUNNING', '')
  record = json.loads((run.path / 'lock').read_text())
  assert record['pid'] == os.getpid()
  rundir.close_run(run)
  assert rundir.read_status(run.path).status == 'KILLED'


@pytest.mark.parametrize('status', rundir.STATUSES)
def test_status_is_kept_and_told_to_the_one_who_resumes(status, run, tmp_path):
  rundir.write_status(run, status, 'because\n"é"')
  assert rundir.read_status(run.path) == (status, 'because\n"é"')
  os.close(os.dup(run.lock))  # a copy that goes lets nothing go
  assert rundir.read_status(run.path).status == status
  fcntl.flock(run.lock, fcntl.LOCK_UN)
  seen = 'KILLED' if status == 'RUNNING' else status
  assert rundir.read_status(run.path).status == seen
  again = rundir.open_run(tmp_path, 'a', CONFIG, resume=True)
  rundir.close_run(again)
  assert again.found is not None
  assert again.found.status == seen


def test_unknown_status_is_neither_written_nor_read(run):
  with pytest.raises(ValueError, match='PAUSED'):
    rundir.write_status(run, 'PAUSED')
  (run.path / 'status.json').write_text('{"status": "PAUSED"}')
  refused(lambda: rundir.read_status(run.path), 'status.json', 'damaged')


def test_what_is_no_run_has_no_status(tmp_path):
  refused(lambda: rundir.read_status(tmp_path), tmp_path / 'config.json')


def test_empty_directory_becomes_a_run(tmp_path):
  (tmp_path / 'a').mkdir()
  run = rundir.open_run(tmp_path, 'a', CONFIG)
  rundir.close_run(run)
  assert run.found is None


@pytest.mark.parametrize('resume', [False, True])
def test_directory_of_something_else_is_refused(resume, tmp_path, contents):
  (tmp_path / 'a').mkdir()
  (tmp_path / 'a' / '.draft.tmp').write_text('mine')
  refused(
    lambda: rundir.open_run(tmp_path, 'a', CONFIG, resume=resume),
    'holds no run',
    '.draft.tmp',
  )
  assert contents(tmp_path / 'a') == {'.draft.tmp': b'mine'}


def test_existing_run_is_refused_without_resume(run, tmp_path, contents):
  rowfile.append(run, [{'epoch': 1}])
  fcntl.flock(run.lock, fcntl.LOCK_UN)
  before = contents(run.path)
  refused(lambda: rundir.open_run(tmp_path, 'a', CONFIG), '--resume', run.path)
  assert contents(run.path) == before
  # The refusal kept no lock.
  rundir.close_run(rundir.open_run(tmp_path, 'a', CONFIG, resume=True))


def test_resume_of_nothing_is_a_new_run(tmp_path):
  run = rundir.open_run(tmp_path, 'a', CONFIG, resume=True)
  rundir.close_run(run)
  assert run.found is None


def test_resume_keeps_the_rows(run, tmp_path):
  rowfile.append(run, [{'epoch': 1}])
  fcntl.flock(run.lock, fcntl.LOCK_UN)
  again = rundir.open_run(tmp_path, 'a', CONFIG, resume=True)
  rowfile.append(again, [{'epoch': 2}])
  rundir.close_run(again)
  assert rowfile.read(run.path) == [{'epoch': 1}, {'epoch': 2}]


def test_resume_with_another_config_prints_what_differs(
  run, tmp_path, contents
):
  fcntl.flock(run.lock, fcntl.LOCK_UN)
  before = contents(run.path)
  other = {
    'seed': 3.0,
    'sizes': (64, 30, 10),
    'data': {'name': 'digits', 'of': {'print': '<b>\x1b'}, 'new': None},
  }
  text = refused(lambda: rundir.open_run(tmp_path, 'a', other, resume=True))
  assert text.split('\n')[1:] == [
    '  data.new: nothing there, null now;',
    '  data.of.print: "ab" there, "<b>\\u001b" now;',
    '  seed: 3 there, 3.0 now',
  ]
  assert contents(run.path) == before
  excused = ['seed', 'data.of', 'data.new']
  for i in range(3):
    some = [*excused[:i], *excused[i + 1 :]]
    text = refused(
      lambda some=some: rundir.open_run(
        tmp_path, 'a', other, resume=True, may_differ=some
      )
    )
    assert text.count('\n') == 1
  again = rundir.open_run(tmp_path, 'a', other, resume=True, may_differ=excused)
  rundir.close_run(again)
  assert rundir.read_config(run.path) == CONFIG


def test_keys_with_dots_are_not_those_of_nested_dicts():
  assert files.differing_lines({'a.b': 1}, {'a': {'b': 1}}) == [
    '  a.b: nothing there, 1 now',
    '  a.b: 1 there, nothing now',
  ]


def test_config_that_json_cannot_hold_is_refused(tmp_path):
  refused(
    lambda: rundir.open_run(tmp_path, 'a', {'target': float('nan')}), 'finite'
  )
  assert not list(tmp_path.iterdir())


@pytest.fixture(scope='module')
def sound(tmp_path_factory):
  """A run with a checkpoint, and its files as they were."""
  workdir = tmp_path_factory.mktemp('flips')
  run = rundir.open_run(workdir, 'a', CONFIG)
  rundir.write_status(run, 'COMPLETED', 'because')
  checkpoint.save(run.path, step=1, state=(), config=CONFIG, extra={})
  rundir.close_run(run)
  names = 'config.json', 'status.json', 'checkpoint/1.json'
  return run.path, {name: (run.path / name).read_bytes() for name in names}


def damaged_config_is_never_another(sound, harm):
  path, whole = sound
  file, copy = path / 'config.json', path / 'checkpoint' / '1.json'

  def resumed():
    run = rundir.open_run(path.parent, 'a', CONFIG, resume=True)
    rundir.close_run(run)

  file.write_bytes(damage.done(whole['config.json'], harm))
  try:
    resumed()
    assert rundir.read_config(path) == CONFIG
    # The copy is damaged too, at the same place.
    copy.write_bytes(damage.done(whole['checkpoint/1.json'], harm))
    refused(resumed, f'{path}/config.json is damaged', 'no checkpoint')
  finally:
    file.write_bytes(whole['config.json'])
    copy.write_bytes(whole['checkpoint/1.json'])


@hypothesis.given(damage.DAMAGES)
@hypothesis.settings(
  derandomize=True, deadline=None, max_examples=40, database=None
)
def test_damaged_config_is_never_another(sound, harm):
  damaged_config_is_never_another(sound, harm)


@pytest.mark.claims
@hypothesis.given(damage.DAMAGES)
@hypothesis.settings(
  derandomize=True, deadline=None, max_examples=500, database=None
)
def test_damaged_config_is_never_another_five_hundred_times(sound, harm):
  damaged_config_is_never_another(sound, harm)


def test_damaged_status_is_refused_or_the_same(sound):
  path, whole = sound
  file, data = path / 'status.json', whole['status.json']
  harms = itertools.product(range(len(data)), [None, *range(8)])
  try:
    for harm in harms:
      file.write_bytes(damage.done(data, harm))
      with contextlib.suppress(UserError):
        assert rundir.read_status(path).status == 'COMPLETED'
  finally:
    file.write_bytes(data)


def test_a_damaged_config_is_read_from_a_checkpoint_or_refused(run):
  file = run.path / 'config.json'
  assert rundir.read_config(str(run.path)) == CONFIG
  file.write_bytes(b'{}')
  with pytest.raises(UserError) as error:
    rundir.read_config(run.path)
  assert str(error.value) == (
    f'{file} is damaged (it is not as it was written) and no checkpoint has a '
    'copy of it: bring one back or run again under another --name.'
  )
  checkpoint.save(run.path, step=1, state=(), config=CONFIG, extra={})
  assert rundir.read_config(run.path) == CONFIG


def test_rows_are_ascii_json_and_finite(run):
  rows = [
    {'epoch': np.int64(1), 'cost': np.float32(0.1), 'name': 'é\n', 'z': -0.0},
    {'cost': float('nan'), 'all': (np.inf, [-np.inf, 1.5], {'a': np.nan})},
  ]
  size = rowfile.append(run, rows[:1])
  size_2 = rowfile.append(run, rows[1:])
  data = (run.path / 'rows.jsonl').read_bytes()
  assert (len(data), data.count(b'\n'), size) == (
    size_2,
    2,
    data.index(b'\n') + 1,
  )
  assert data.isascii()
  first, second = rowfile.read(run.path)
  assert first == {'epoch': 1, 'cost': 0.10000000149011612} | {
    'name': 'é\n',
    'z': 0.0,
  }
  assert str(first['z']) == '-0.0'
  assert second == {'cost': None, 'all': [None, [None, 1.5], {'a': None}]}


def test_torn_last_line_is_left_out_and_cut_off(run):
  size = rowfile.append(run, [{'epoch': 1}])
  rowfile.append(run, [{'epoch': 2}])
  file = run.path / 'rows.jsonl'
  whole = file.read_bytes()
  for end in range(size, len(whole)):
    file.write_bytes(whole[:end])
    assert rowfile.read(run.path) == [{'epoch': 1}]
  rowfile.cut(run, size)
  assert file.read_bytes() == whole[:size]
  rowfile.append(run, [{'epoch': 2}])
  assert file.read_bytes() == whole
  refused(lambda: rowfile.cut(run, len(whole) + 1), file, len(whole) + 1)
  assert file.read_bytes() == whole
  rowfile.cut(run, 0)
  assert rowfile.read(run.path) == []


@pytest.mark.parametrize(
  'line',
  [
    b'',
    b'{"epoch": 2',
    b'[2]',
    b'{"a": NaN}',
    b'{"a": -Infinity}',
    b'{"a": 1e999}',
    b'{"\xe9": 2}',
  ]
  + [b'{"a": 1}{"b": 2}', b'\x1b[31m', b'[' * 10**5],
)
def test_damaged_row_is_refused_by_its_number(line, run):
  file = run.path / 'rows.jsonl'
  file.write_bytes(b'{"epoch": 1}\n' + line + b'\n{"epoch": 3}\n')
  refused(lambda: rowfile.read(run.path), 'Line 2 of', file)


def test_leftovers_of_a_kill_are_swept(run, tmp_path):
  (run.path / 'checkpoint').mkdir()
  left = [
    run.path / '.config.json.12.tmp',
    run.path / 'checkpoint' / '.10.npz.34.tmp',
  ]
  for file in left:
    file.write_text('half')
  fcntl.flock(run.lock, fcntl.LOCK_UN)
  rundir.close_run(rundir.open_run(tmp_path, 'a', CONFIG, resume=True))
  assert not any(file.exists() for file in left)


def test_run_killed_before_its_config_is_new(tmp_path):
  (tmp_path / 'a').mkdir()
  (tmp_path / 'a' / 'lock').write_text('')
  (tmp_path / 'a' / '.config.json.12.tmp').write_text('half')
  run = rundir.open_run(tmp_path, 'a', CONFIG)
  rundir.close_run(run)
  assert run.found is None
  assert sorted(os.listdir(run.path)) == ['config.json', 'lock', 'rows.jsonl']


def test_second_process_is_kept_out_until_the_first_dies(
  tmp_path, start, contents
):
  other = start(hold, tmp_path)
  assert other.stdout.readline() == 'held\n'
  path = tmp_path / 'a'
  before = contents(path)
  since = json.loads(before['lock'])['since']
  for resume in (False, True):
    refused(
      lambda resume=resume: rundir.open_run(
        tmp_path, 'a', CONFIG, resume=resume
      ),
      path,
      f'process {other.pid} on {os.uname().nodename} since {since}',
    )
  assert rundir.read_status(path) == ('RUNNING', '')
  assert contents(path) == before
  other.send_signal(signal.SIGKILL)
  other.wait()
  assert rundir.read_status(path).status == 'KILLED'
  run = rundir.open_run(tmp_path, 'a', CONFIG, resume=True)
  rundir.close_run(run)
  assert run.found is not None
  assert run.found.status == 'KILLED'
  assert json.loads((path / 'lock').read_text())['pid'] == os.getpid()


def test_holder_of_a_long_name_leaves_nothing_behind(tmp_path):
  (tmp_path / 'a').mkdir()
  (tmp_path / 'a' / 'lock').write_text('{"host": "' + 'x' * 1000 + '"}')
  run = rundir.open_run(tmp_path, 'a', CONFIG)
  refused(lambda: rundir.open_run(tmp_path, 'a', CONFIG), os.getpid())
  rundir.close_run(run)


@pytest.mark.parametrize('record', ['', '7', '{"pid": 1}', '\x1b[31m'])
def test_holder_that_has_not_said_who_it_is(record, run, tmp_path):
  (run.path / 'lock').write_text(record)
  refused(
    lambda: rundir.open_run(tmp_path, 'a', CONFIG, resume=True),
    'in use by another process',
  )


def test_one_who_only_looks_keeps_nobody_out(tmp_path, monkeypatch):
  rundir.close_run(rundir.open_run(tmp_path, 'a', CONFIG))
  looker = os.open(tmp_path / 'a' / 'lock', os.O_RDONLY)
  fcntl.flock(looker, fcntl.LOCK_SH)
  monkeypatch.setattr(lock.time, 'sleep', lambda _: os.close(looker))
  rundir.close_run(rundir.open_run(tmp_path, 'a', CONFIG, resume=True))


def test_one_who_only_looks_is_no_holder(tmp_path):
  run = rundir.open_run(tmp_path, 'a', CONFIG)
  rundir.write_status(run, 'RUNNING')
  rundir.close_run(run)
  with open(run.path / 'lock', 'rb') as looker:
    fcntl.flock(looker, fcntl.LOCK_SH)
    assert rundir.read_status(run.path).status == 'KILLED'
  # Nor is a copy of the directory held by whoever holds the original.
  (run.path / 'lock').unlink()
  assert rundir.read_status(run.path).status == 'KILLED'


def test_limit_on_file_sizes(tmp_path, start):
  output, _ = start(exceed, tmp_path).communicate()
  path = tmp_path / 'a'
  rows, status = output.splitlines()
  needed = sum(len(f'{{"epoch": {i}}}\n') for i in range(200))
  for line, file, size in [
    (rows, path / 'rows.jsonl', needed),
    (
      status,
      path / 'status.json',
      2000 + len('{\n "status": "FAILED",\n "reason": ""\n}\n'),
    ),
  ]:
    assert line.startswith(f'Cannot write {file} ({size} bytes needed)')
    assert 'ulimit -f' in line
  assert (path / 'rows.jsonl').read_bytes() == b'{"epoch": 1}\n'
  assert json.loads((path / 'status.json').read_text())['status'] == 'RUNNING'
  assert not files.leftovers(path)


def test_full_disk_and_read_only_disk(small_disk, contents):
  run = rundir.open_run(small_disk, 'a', CONFIG)
  try:
    rowfile.append(run, [{'epoch': 1}])
    rundir.write_status(run, 'RUNNING')
    before = contents(run.path)
    much = [{'text': 'x' * 100_000}]
    refused(
      lambda: rowfile.append(run, much), 'rows.jsonl (100013 bytes', 'free'
    )
    assert contents(run.path) == before
    refused(
      lambda: files.write_file(run.path / 'config.json', bytes(90_000)),
      'config.json (90000 bytes needed): No space left',
    )
    assert contents(run.path) == before
  finally:
    rundir.close_run(run)
  remount = ['mount', '-o', 'remount,ro', str(small_disk)]
  subprocess.run(remount, check=True)
  for write in (
    lambda: rundir.open_run(small_disk, 'a', CONFIG, resume=True),
    lambda: rundir.open_run(small_disk, 'b', CONFIG),
    lambda: files.write_file(run.path / 'new', b'x'),
  ):
    refused(write, 'Read-only file system', 'make it writable')
  assert rundir.read_status(run.path).status == 'KILLED'
  assert contents(run.path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason='permissions do not bind root')
def test_directory_without_permission(tmp_path):
  tmp_path.chmod(0o500)
  refused(lambda: rundir.open_run(tmp_path, 'a', CONFIG), 'make it writable')
  tmp_path.chmod(0o700)


def test_file_where_a_directory_should_be(tmp_path):
  (tmp_path / 'file').write_text('mine')
  for workdir, name in [
    (tmp_path / 'file', 'a'),
    (tmp_path / 'file' / 'below', 'a'),
    (tmp_path, 'file'),
  ]:
    refused(
      lambda w=workdir, n=name: rundir.open_run(w, n, CONFIG),
      f'Cannot write {workdir / name}',
      'stands in for a directory',
    )
  assert (tmp_path / 'file').read_text() == 'mine'


def test_directory_where_a_file_should_be(run, contents):
  (run.path / 'status.json').mkdir()
  before = contents(run.path)
  refused(lambda: rundir.write_status(run, 'RUNNING'), 'status.json', 'move')
  assert contents(run.path) == before


def test_directory_removed_while_running(run):
  shutil.rmtree(run.path)
  for write in (
    lambda: rowfile.append(run, [{'epoch': 1}]),
    lambda: rowfile.cut(run, 0),
    lambda: rundir.write_status(run, 'RUNNING'),
    lambda: files.write_file(run.path / 'study.json', b''),
    lambda: files.make_folder(run.path / 'figures'),
  ):
    refused(write, f'Cannot write {run.path}', 'is gone')
  assert not run.path.exists()


def test_directory_made_anew_by_another_run(run, tmp_path, contents):
  shutil.rmtree(run.path)
  other = rundir.open_run(tmp_path, 'a', CONFIG)
  before = contents(run.path)
  for write in (
    lambda: rowfile.append(run, [{'epoch': 1}]),
    lambda: rowfile.cut(run, 0),
    lambda: rundir.write_status(run, 'RUNNING'),
  ):
    refused(write, run.path, 'made anew')
  rundir.close_run(other)
  assert contents(run.path) == before


def test_rows_removed_while_running_are_not_begun_anew(run):
  (run.path / 'rows.jsonl').unlink()
  refused(lambda: rowfile.append(run, [{'epoch': 2}]), 'rows.jsonl')
  assert not (run.path / 'rows.jsonl').exists()


def test_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch, contents):
  file = tmp_path / 'a.json'
  files.write_file(file, b'old')

  def interrupt(descriptor):
    raise KeyboardInterrupt

  monkeypatch.setattr(os, 'fsync', interrupt)
  with pytest.raises(KeyboardInterrupt):
    files.write_file(file, b'new')
  assert contents(tmp_path) == {'a.json': b'old'}


def test_packed_rows_are_the_rows(tmp_path):
  text = b'{"epoch": 1}\n{"epoch": 2}\n'
  (tmp_path / 'rows.jsonl.gz').write_bytes(gzip.compress(text))
  assert rowfile.read(tmp_path) == [{'epoch': 1}, {'epoch': 2}]
  assert rowfile.sha256(tmp_path) == hashlib.sha256(text).hexdigest()
  (tmp_path / 'rows.jsonl').write_bytes(b'{"epoch": 9}\n')
  assert rowfile.read(tmp_path) == [{'epoch': 9}]


@pytest.mark.parametrize('fault', ['cut', 'flip', 'bomb'])
def test_packed_rows_that_are_damaged_are_refused(tmp_path, monkeypatch, fault):
  data = gzip.compress(b'{"epoch": 1}\n' * 100)
  if fault == 'cut':
    data = data[:-9]
  elif fault == 'flip':
    data = data[:-6] + bytes([data[-6] ^ 1]) + data[-5:]
  else:
    monkeypatch.setattr(rowfile, 'MOST_UNPACKED', 100)
  (tmp_path / 'rows.jsonl.gz').write_bytes(data)
  with pytest.raises(UserError, match=r'rows\.jsonl\.gz (is damaged|unpacks)'):
    rowfile.read(tmp_path)


@pytest.mark.parametrize(
  ('name', 'read'),
  [
    ('status.json', rundir.read_status),
    ('config.json', rundir.read_config),
    ('rows.jsonl', rowfile.read),
    ('lock', lambda path: lock.is_held(path)),
    ('mine.npz', lambda path: data.load(str(path / 'mine.npz'))),
  ],
)
def test_a_pipe_in_place_of_a_file_is_not_waited_for(
  run, impatient, name, read
):
  (run.path / name).unlink(missing_ok=True)
  os.mkfifo(run.path / name)
  refused(lambda: read(run.path), name, 'It is a pipe')
