"""What damages, fills or kills leave of a checkpoint is the last good one."""

import hashlib
import io
import itertools
import os
import random
import re
import resource
import shutil
import signal
import sys
import time
import zipfile

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from gd_jax.types import UserError
from gd_jax.world import arrays
from gd_jax.world import checkpoint
from gd_jax.world import files
from gd_jax.world import rowfile
from gd_jax.world import rundir
from tests.world import saves


def npy(header, data=b''):
  """An .npy with any header at all."""
  text = header.encode() + b'\n'
  return b'\x93NUMPY\x01\x00' + len(text).to_bytes(2, 'little') + text + data


def fields(descr, shape, order=False):
  return str({'descr': descr, 'fortran_order': order, 'shape': shape})


def hostile(name, target):
  """What an attacker puts in place of the weights; the last one is honest."""
  # Opcodes that call os.mkdir(target) in whoever unpickles them.
  opcodes = f"cos\nmkdir\n(S'{target}'\ntR.".encode()
  w = saves.state_of(10).params[0].w
  whole = io.BytesIO()
  np.save(whole, w)
  return {
    'pickle': npy(fields('|O', (3, 4)), opcodes),
    'pickle of the right size': npy(fields('|O', (3, 4)), opcodes).ljust(
      len(whole.getvalue()), b' '
    ),
    'terabytes': npy(fields('<f4', (10**6, 10**7)), w.tobytes()),
    'negative': npy(fields('<f4', (-3, -4)), w.tobytes()),
    'transposed': npy(fields('<f4', (3, 4), order=True), w.tobytes()),
    'code': npy('__import__("os").mkdir("x")', w.tobytes()),
    'nonsense': b'\x00' * len(whole.getvalue()),
    'long': whole.getvalue() + b'x',
    'short': whole.getvalue()[:-1],
    'none': b'',
    'honest': whole.getvalue(),
  }[name]


def forge(folder, content, compression=zipfile.ZIP_STORED):
  """Puts `content` into 10.npz as its first array, with all hashes right."""
  stream = io.BytesIO()
  with (
    zipfile.ZipFile(folder / '10.npz') as old,
    zipfile.ZipFile(stream, 'w', compression) as new,
  ):
    for i, name in enumerate(old.namelist()):
      new.writestr(name, old.read(name) if i else content)
  put(folder, stream.getvalue())


def put(folder, data):
  (folder / '10.npz').write_bytes(data)
  sha256 = hashlib.sha256(data).hexdigest()
  saves.reseal(folder, 10, arrays_size=len(data), arrays_sha256=sha256)


@pytest.mark.parametrize(
  'name',
  ['pickle', 'pickle of the right size', 'terabytes', 'negative', 'transposed']
  + ['code', 'nonsense', 'long', 'short', 'none'],
)
def test_hostile_arrays_with_right_hashes_are_skipped(name, saved, tmp_path):
  target = tmp_path / 'made'
  forge(saved / 'checkpoint', hostile(name, target))
  found = saves.resume(saved)
  assert found.step == 5
  assert 'of its leaf' in found.skipped[0]
  assert not target.exists()


def test_forging_alone_breaks_nothing(saved, tmp_path):
  forge(saved / 'checkpoint', hostile('honest', tmp_path))
  found = saves.resume(saved)
  assert found.skipped == ()
  saves.same_bits(found.state, saves.state_of(10))


def test_compressed_or_other_archive_with_right_hashes_is_skipped(saved):
  folder = saved / 'checkpoint'
  whole = (folder / '10.npz').read_bytes()
  empty = io.BytesIO()
  zipfile.ZipFile(empty, 'w').close()
  encrypted = bytearray(whole)
  for start in (whole.index(b'PK\x03\x04') + 6, whole.index(b'PK\x01\x02') + 8):
    encrypted[start] |= 1
  bent = bytearray(whole)
  place = whole.index(b'PK\x01\x02') + 42  # where the entry is said to lie
  bent[place : place + 4] = b'\xff\xff\xff\x7f'
  long = bytearray(whole)
  place = whole.rindex(b'PK\x01\x02') + 20  # sizes of the last entry
  long[place : place + 8] = 2 * (10**6).to_bytes(4, 'little')
  for data in (
    b'',
    b'PK',
    whole[:-30],
    empty.getvalue(),
    encrypted,
    bent,
    long,
  ):
    put(folder, bytes(data))
    found = saves.resume(saved)
    assert (found.step, len(found.skipped)) == (5, 1)
  put(folder, whole)
  forge(folder, hostile('honest', ''), zipfile.ZIP_DEFLATED)
  found = saves.resume(saved)
  assert (found.step, len(found.skipped)) == (5, 1)
  put(folder, whole.replace(b'mu', b'nu'))
  found = saves.resume(saved)
  assert found.step == 5
  assert 'not those of its manifest' in found.skipped[0]


@hypothesis.given(
  st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 255)), max_size=4),
  st.none() | st.integers(0, 10**9),
)
@hypothesis.settings(
  derandomize=True, deadline=None, max_examples=300, database=None
)
def test_broken_archive_is_an_error_or_the_same(changes, cut):
  data = bytearray(arrays.packed(saves.state_of(1)))
  for place, byte in changes:
    # The directory at the end and the headers matter most.
    data[-1 - place % (len(data) if byte % 2 else 1300)] = byte
  if cut is not None:
    del data[cut % len(data) :]
  try:
    state = arrays.unpacked(bytes(data), saves.state_of(0))
  except ValueError as error:
    hypothesis.note(str(error))
  else:
    saves.same_bits(state, saves.state_of(1))


@pytest.fixture(scope='module')
def sound(tmp_path_factory):
  """A run directory to damage, and its files as they were."""
  run = rundir.open_run(tmp_path_factory.mktemp('flips'), 'a', saves.CONFIG)
  sizes = {}
  for step in (5, 10):
    saves.save(run, step)
    sizes[step] = (run.path / 'rows.jsonl').stat().st_size
  rowfile.append(run, [{'epoch': 11}])
  names = ['rows.jsonl'] + [
    f'checkpoint/{step}.{suffix}'
    for step in sizes
    for suffix in ('npz', 'json')
  ]
  yield (
    run.path,
    {name: (run.path / name).read_bytes() for name in names},
    sizes,
  )
  rundir.close_run(run)


DAMAGES = st.tuples(
  st.sampled_from(['npz', 'json', 'rows', 'rows', 'old npz', 'old json']),
  st.integers(0, 10**9),  # where in the file
  st.sampled_from([None, *range(8)]),  # which bit; None truncates there
)


def damage_is_never_silent(sound, damage):
  """Refused, or the one before with the reason, or the identical state."""
  path, whole, sizes = sound
  name = {
    'rows': 'rows.jsonl',
    'npz': 'checkpoint/10.npz',
    'json': 'checkpoint/10.json',
    'old npz': 'checkpoint/5.npz',
    'old json': 'checkpoint/5.json',
  }[damage[0]]
  data = bytearray(whole[name])
  place = damage[1] % len(data)
  if damage[2] is None:
    del data[place:]
  else:
    data[place] ^= 1 << damage[2]
  if name == 'rows.jsonl':
    step = 10 if place >= sizes[10] else 5 if place >= sizes[5] else None
  else:
    step = 10 if name.startswith('checkpoint/5') else 5
  (path / name).write_bytes(data)
  try:
    if step is None:
      saves.refused(
        lambda: saves.resume(path), 'rows.jsonl', 'no sound checkpoint'
      )
    else:
      found = saves.resume(path)
      assert found.step == step
      saves.same_bits(found.state, saves.state_of(step))
      assert found.extra == {'epoch': step}
      end = found.rows_size
      assert end == sizes[step]
      now = (path / 'rows.jsonl').read_bytes()[:end]
      assert now == whole['rows.jsonl'][:end]
      assert len(found.skipped) == (step == 5)
      assert all(f'{path}/checkpoint/10' in why for why in found.skipped)
  finally:
    (path / name).write_bytes(whole[name])


@hypothesis.given(DAMAGES)
@hypothesis.settings(
  derandomize=True, deadline=None, max_examples=40, database=None
)
def test_damage_is_never_silent(sound, damage):
  damage_is_never_silent(sound, damage)


@pytest.mark.claims
@hypothesis.given(DAMAGES)
@hypothesis.settings(
  derandomize=True, deadline=None, max_examples=1000, database=None
)
def test_damage_is_never_silent_in_a_thousand(sound, damage):
  damage_is_never_silent(sound, damage)


def test_directory_removed_while_running(run):
  saves.save(run, 1)
  shutil.rmtree(run.path)
  saves.refused(
    lambda: checkpoint.save(
      run.path, step=2, state=saves.state_of(2), config=saves.CONFIG, extra={}
    ),
    f'Cannot write {run.path}/checkpoint',
    'is gone',
  )
  assert not run.path.exists()


def test_file_where_the_directory_should_be(run):
  (run.path / 'checkpoint').write_text('mine')
  saves.refused(
    lambda: saves.save(run, 1), run.path / 'checkpoint', 'stands in for'
  )
  saves.refused(
    lambda: saves.resume(run.path), f'Cannot read {run.path}/checkpoint'
  )
  assert (run.path / 'checkpoint').read_text() == 'mine'


def large(step):
  return {'w': np.full((200, 100), step, np.float32)}


def test_full_disk_leaves_the_last_good_one(small_disk, contents):
  run = rundir.open_run(small_disk, 'a', saves.CONFIG)
  try:
    saves.save(run, 1)
    before = contents(run.path / 'checkpoint')
    for size, name in ((80_000, '2.npz'), (0, '2.json')):
      # The second time the arrays fit, and the manifest alone does not.
      extra = {'text': '' if size else 'x' * 80_000}
      state = {'w': np.zeros(size // 4, np.float32)}
      text = saves.refused(
        lambda s=state, e=extra: saves.save(run, 2, state=s, extra=e),
        f'Cannot write {run.path}/checkpoint/{name} (8',
        'bytes needed): No space left on device; free that much',
      )
      assert '\n' not in text
      now = contents(run.path / 'checkpoint')
      assert {name: now[name] for name in before} == before
      assert set(now) <= {*before, '2.npz'}
      found = saves.resume(run.path)
      assert (found.step, found.skipped) == (1, ())
    saves.save(run, 2)
  finally:
    rundir.close_run(run)


def exceed(workdir):
  """Saves more than RLIMIT_FSIZE allows, and prints the sentence."""
  run = rundir.open_run(workdir, 'a', saves.CONFIG)
  saves.save(run, 1)
  resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
  try:
    saves.save(run, 2, state=large(2))
  except UserError as error:
    sys.stdout.write(str(error))


def test_limit_on_file_sizes_leaves_the_last_good_one(
  tmp_path, start, contents
):
  output, _ = start(exceed, tmp_path).communicate()
  folder = tmp_path / 'a' / 'checkpoint'
  assert output.startswith(f'Cannot write {folder}/2.npz (80')
  assert 'ulimit -f' in output
  assert set(contents(folder)) == {'1.json', '1.npz'}
  found = saves.resume(tmp_path / 'a')
  saves.same_bits(found.state, saves.state_of(1))


def die_at_each_call(workdir):
  """Kills a process at its n-th call that changes the disk, for n = 1, 2, ...

  The process saves a third checkpoint then. Ends when one lives to the end.
  """
  for n in range(1, 100):
    child = os.fork()
    if child == 0:
      run = rundir.open_run(workdir, f'n{n}', saves.CONFIG)
      saves.save(run, 1)
      saves.save(run, 2)
      left = [n]
      for name in ('fsync', 'replace', 'unlink'):
        setattr(os, name, dying(getattr(os, name), left))
      saves.save(run, 3)
      os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
      break


def dying(call, left):
  def call_or_die(*arguments, **named):
    left[0] -= 1
    if left[0] == 0:
      os.kill(os.getpid(), signal.SIGKILL)
    return call(*arguments, **named)

  return call_or_die


def test_kill_at_each_step_of_a_save(tmp_path, start, contents):
  process = start(die_at_each_call, tmp_path)
  assert process.wait() == 0
  runs = sorted(tmp_path.iterdir(), key=lambda path: int(path.name[1:]))
  steps = []
  for path in runs:
    found = saves.resume(path)
    assert found.skipped == ()
    saves.same_bits(found.state, saves.state_of(found.step))
    steps.append(found.step)
    names = set(contents(path / 'checkpoint'))
    manifests = {name for name in names if re.fullmatch(r'\d\.json', name)}
    assert {name.replace('json', 'npz') for name in manifests} <= names
    run = rundir.open_run(tmp_path, path.name, saves.CONFIG, resume=True)
    assert not files.leftovers(path)
    rowfile.cut(run, found.rows_size)
    for step in range(found.step + 1, 5):
      saves.save(run, step)
    rundir.close_run(run)
    assert [row['epoch'] for row in rowfile.read(path)] == [1, 2, 3, 4]
    assert set(contents(path / 'checkpoint')) == {
      f'{step}.{suffix}' for step in (3, 4) for suffix in ('npz', 'json')
    }
  # One fsync of the rows; two of the arrays, their rename and what sweeps up,
  # and the manifest's fsync come before its rename makes the step exist.
  assert steps == [2] * 7 + [3] * (len(steps) - 7)
  assert len(steps) == 12


def whole_run(workdir, name):
  """Makes or resumes a run of three steps and ends it."""
  run = rundir.open_run(workdir, name, saves.CONFIG, resume=True)
  rundir.write_status(run, 'RUNNING')
  found = checkpoint.newest(run.path, saves.state_of(0), saves.CONFIG)
  rowfile.cut(run, found.rows_size if found else 0)
  if found:
    checkpoint.sweep(run.path, found.step)
  for step in range(found.step + 1 if found else 1, 4):
    saves.save(run, step)
  rundir.write_status(run, 'COMPLETED')
  rundir.close_run(run)


def die_anywhere(workdir):
  """Kills a run at its n-th call that touches the disk, for n = 1, 2, ...

  Ends when one lives to the end; that is the one of the greatest n.
  """
  whole_run(workdir, 'n0')  # whatever is imported late is imported now
  for n in itertools.count(1):
    child = os.fork()
    if child == 0:
      left = [n]
      for name in (
        'fsync',
        'replace',
        'unlink',
        'mkdir',
        'ftruncate',
        'pwrite',
      ):
        setattr(os, name, dying(getattr(os, name), left))
      try:
        whole_run(workdir, f'n{n}')
      finally:
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
      break


def test_kill_anywhere_from_the_first_file_to_the_last(
  tmp_path, start, contents
):
  def end_of(n):
    files_there = contents(tmp_path / f'n{n}')
    del files_there['lock']
    return files_there

  assert start(die_anywhere, tmp_path).wait() == 0
  last = max(int(path.name[1:]) for path in tmp_path.iterdir())
  assert last > 30
  for n in range(last):
    whole_run(tmp_path, f'n{n}')
    assert end_of(n) == end_of(last), n


def save_for_ever(workdir):
  """Resumes, says so, and saves until it is killed; names what it saved."""
  run = rundir.open_run(workdir, 'a', saves.CONFIG, resume=True)
  found = checkpoint.newest(run.path, large(0), saves.CONFIG)
  rowfile.cut(run, found.rows_size if found else 0)
  step = found.step if found else 0
  os.write(1, b'on\n')
  while True:
    step += 1
    saves.save(run, step, state=large(step))
    os.write(1, f'{step}\n'.encode())


def kill_at_random(workdir, start, times):
  path = workdir / 'a'
  draw = random.Random(0)
  last = 0
  for n in range(times):
    process = start(save_for_ever, workdir)
    assert process.stdout.readline() == 'on\n'
    # The last one has saved before, however slow the machine is.
    first = process.stdout.readline() if n == times - 1 else ''
    time.sleep(draw.uniform(0.001, 0.1))
    assert process.poll() is None
    process.kill()
    said = (first + process.stdout.read()).split()
    assert process.wait() == -signal.SIGKILL
    last = int(said[-1]) if said else last
    found = checkpoint.newest(path, large(0), saves.CONFIG)
    if found is None:
      assert last == 0
      continue
    assert last <= found.step <= last + 1
    assert found.skipped == ()
    saves.same_bits(found.state, large(found.step))
    rows = rowfile.read(path)[: found.step]
    assert [row['epoch'] for row in rows] == list(range(1, found.step + 1))
    last = found.step
  assert last > 0


def test_kill_at_random(tmp_path, start):
  kill_at_random(tmp_path, start, 3)


@pytest.mark.claims
def test_kill_at_random_fifty_times(tmp_path, start):
  kill_at_random(tmp_path, start, 50)
