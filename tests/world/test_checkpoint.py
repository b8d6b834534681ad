import hashlib
import io
import itertools
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import time
import zipfile
from typing import Any
from typing import NamedTuple

import hypothesis
import jax
import ml_dtypes
import numpy as np
import optax
import pytest
from hypothesis import strategies as st

from gd_jax.types import Layer
from gd_jax.types import UserError
from gd_jax.world import arrays
from gd_jax.world import checkpoint
from gd_jax.world import files
from gd_jax.world import rowfile
from gd_jax.world import rundir

CONFIG = {'seed': 3, 'sizes': [4, 3], 'machine': {'cores': 2}}


class State(NamedTuple):
  params: tuple[Any, ...]
  optimizer: Any
  rest: dict[str, Any]


def state_of(step, n_out=3):
  """A state with everything that a state can have, down to NaN's payload."""
  draw = np.random.default_rng(step)
  w: Any = draw.standard_normal((n_out, 4), dtype=np.float32)
  w.view(np.uint32)[0, :3] = [0x7FC00000 + step, 0xFFC00001, 0x80000000]
  b: Any = draw.standard_normal(n_out, dtype=np.float32)
  return State(
    params=(Layer(w, b),),
    optimizer=(optax.EmptyState(), {'mu': draw.standard_normal((2, 3))}),
    rest={
      'key': draw.integers(2**32, size=2, dtype=np.uint32),
      'count': np.int32(step) * np.ones((), np.int32),
      'half': np.arange(step, step + 5).astype(ml_dtypes.bfloat16),
      'none': np.zeros((0, 3)),
      "odd ['/é\n": draw.integers(2, size=3).astype(bool),
      'complex': draw.standard_normal(2) * np.complex64(1j),
    },
  )


def same_bits(a, b):
  assert jax.tree.structure(a) == jax.tree.structure(b)
  for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
    assert (x.dtype, x.shape) == (y.dtype, y.shape)
    assert x.tobytes() == y.tobytes()


def save(run, step, **other):
  what = {'state': state_of(step), 'config': CONFIG, 'extra': {'epoch': step}}
  rowfile.append(run, [{'epoch': step, 'cost': step / 7}])
  checkpoint.save(run.path, step=step, **what | other)


def resume(path, template=None, config=None, **other):
  """The checkpoint that is found; there has to be one or a refusal."""
  template = state_of(0) if template is None else template
  found = checkpoint.newest(path, template, config or CONFIG, **other)
  assert found is not None
  return found


def nothing_in(path):
  return checkpoint.newest(path, state_of(0), CONFIG) is None


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


@pytest.fixture
def saved(run):
  """A run with two checkpoints, of steps 5 and 10."""
  save(run, 5)
  save(run, 10)
  return run.path


def test_restored_bits_are_those_that_were_saved(run):
  assert nothing_in(run.path)
  save(run, 0)
  save(run, 7, extra={'epoch': 7, 'rate': 0.1 + 0.2, 'names': ['é', None]})
  rowfile.append(run, [{'epoch': 8}])
  shapes = jax.eval_shape(lambda: jax.tree.map(jax.numpy.asarray, state_of(0)))
  for template in (state_of(0), shapes):
    found = resume(run.path, template)
    same_bits(found.state, state_of(7))
    assert found.step == 7
    assert found.extra == {'epoch': 7, 'rate': 0.1 + 0.2, 'names': ['é', None]}
    assert found.skipped == ()
    rowfile.cut(run, found.rows_size)
    assert [row['epoch'] for row in rowfile.read(run.path)] == [0, 7]


def test_jax_arrays_are_saved_as_numpy_arrays_are(run):
  on_device = jax.tree.map(jax.numpy.asarray, state_of(3))
  save(run, 3, state=on_device)
  found = resume(run.path, on_device)
  same_bits(found.state, state_of(3))


@pytest.mark.parametrize('state', [(), {'a': optax.EmptyState()}, np.ones(())])
def test_trees_of_one_leaf_or_none(state, run):
  save(run, 1, state=state)
  found = resume(run.path, state)
  same_bits(found.state, state)


def test_restored_arrays_can_be_written_to(saved):
  found = resume(saved)
  assert all(leaf.flags.writeable for leaf in jax.tree.leaves(found.state))


def test_npz_is_plain_and_without_the_clock(saved):
  with np.load(saved / 'checkpoint' / '10.npz', allow_pickle=False) as data:
    w = data['state.params[0].w']
    assert w.tobytes() == state_of(10).params[0].w.tobytes()
    assert data["state.rest['count']"].shape == ()
    half = data["state.rest['half']"]
    assert half.dtype == np.uint16
    assert half.tobytes() == state_of(10).rest['half'].tobytes()
  with zipfile.ZipFile(saved / 'checkpoint' / '10.npz') as archive:
    assert {info.date_time[0] for info in archive.infolist()} == {1980}


@pytest.mark.parametrize(
  'leaf',
  [jax.random.key(0), np.array([{}]), np.array(['a']), np.ones(2, '>f4')],
)
def test_leaf_that_is_no_array_of_numbers_is_an_error(leaf, run):
  with pytest.raises(TypeError):
    save(run, 1, state={'a': leaf})
  assert nothing_in(run.path)


class Twin:
  def __init__(self, rank):
    self.rank = rank

  def __lt__(self, other):
    return self.rank < other.rank

  def __repr__(self):
    return 'twin'


def test_two_leaves_of_one_name_are_an_error(run):
  with pytest.raises(ValueError, match='the same path'):
    save(run, 1, state={Twin(0): np.ones(1), Twin(1): np.zeros(1)})
  assert nothing_in(run.path)


def test_number_that_json_cannot_hold_is_an_error_in_extra(run):
  with pytest.raises(ValueError, match='JSON'):
    save(run, 1, extra={'best': float('inf')})
  assert nothing_in(run.path)


def test_last_two_are_kept_and_a_left_future_is_removed(run, contents):
  folder = run.path / 'checkpoint'
  for step in (5, 10, 100, 15):
    save(run, step)
  assert set(contents(folder)) == {'10.json', '10.npz', '15.json', '15.npz'}
  (folder / 'notes.txt').write_text('mine')
  for name in ('007.npz', '007.json', '.json', '9.json.old'):
    (folder / name).write_text('mine')
  (folder / '12.npz').write_text('of a kill')
  save(run, 20)
  expected = {'15.json', '15.npz', '20.json', '20.npz', 'notes.txt'}
  expected |= {'007.npz', '007.json', '.json', '9.json.old'}
  assert set(contents(folder)) == expected
  assert resume(run.path).skipped == ()


def test_arrays_without_manifest_are_no_checkpoint(saved):
  (saved / 'checkpoint' / '10.json').unlink()
  found = resume(saved)
  assert (found.step, found.skipped) == (5, ())
  (saved / 'checkpoint' / '5.json').unlink()
  assert nothing_in(saved)


def test_unsound_ones_are_skipped_with_the_reason(saved):
  folder = saved / 'checkpoint'
  (folder / '10.npz').unlink()
  found = resume(saved)
  assert found.step == 5
  same_bits(found.state, state_of(5))
  assert len(found.skipped) == 1
  assert found.skipped[0].startswith(f'{folder}/10 is damaged')
  assert '10.npz' in found.skipped[0]
  shutil.copy(folder / '5.npz', folder / '20.npz')
  shutil.copy(folder / '5.json', folder / '20.json')
  found = resume(saved)
  assert found.step == 5
  assert 'is that of step 5' in found.skipped[0]
  (folder / '5.npz').write_bytes(b'')
  refused(lambda: resume(saved), '20', '10', '5', 'no sound checkpoint')


def test_rows_have_to_be_those_that_were_saved(saved):
  file = saved / 'rows.jsonl'
  rows = file.read_bytes()
  file.write_bytes(rows[:-3] + b'8}\n')
  found = resume(saved)
  assert found.step == 5
  assert 'rows.jsonl' in found.skipped[0]
  file.unlink()
  refused(lambda: resume(saved), 'rows.jsonl')


def test_another_config_is_refused_with_what_differs(saved):
  other = {'seed': 4, 'sizes': (4, 3), 'machine': {'cores': 8}}
  text = refused(lambda: resume(saved, config=other), saved / 'checkpoint/10')
  assert text.split('\n')[1:] == [
    '  machine.cores: 2 there, 8 now;',
    '  seed: 3 there, 4 now',
  ]
  found = resume(saved, config=other, may_differ=['seed', 'machine'])
  assert found.step == 10


def changed(**leaves):
  state = state_of(0)
  return state._replace(rest=state.rest | leaves)


@pytest.mark.parametrize(
  ('template', 'lines'),
  [
    (
      state_of(0, n_out=5),
      [
        '  state.params[0].b: "float32 [3]" there, "float32 [5]" now;',
        '  state.params[0].w: "float32 [3, 4]" there, "float32 [5, 4]" now',
      ],
    ),
    (
      changed(count=np.float32(1)),
      ['  state.rest[\'count\']: "int32 []" there, "float32 []" now'],
    ),
    (
      changed(more=np.ones(2)),
      ['  state.rest[\'more\']: nothing there, "float64 [2]" now'],
    ),
  ],
)
def test_another_shape_dtype_or_leaf_is_refused(template, lines, saved):
  text = refused(lambda: resume(saved, template), saved / 'checkpoint/10')
  assert text.split('\n')[1:] == lines


def test_another_address_is_no_other_tree(run):
  def with_function():
    return jax.tree_util.Partial(lambda x: x, np.ones(2))

  here, there = with_function(), with_function()
  save(run, 1, state=here)
  assert resume(run.path, there).step == 1


def test_another_tree_of_equal_leaves_is_refused(saved):
  state = state_of(0)
  other = state._replace(optimizer=((), state.optimizer[1]))
  text = refused(lambda: resume(saved, other))
  assert text.split('\n')[1].startswith('  tree: ')
  assert 'EmptyState' in text


def reseal(folder, step, **changes):
  """Writes a manifest whose own hash is right, as a forger would."""
  file = folder / f'{step}.json'
  body = json.loads(file.read_text()) | changes
  del body['sha256']
  text = json.dumps(body, indent=1)
  body['sha256'] = hashlib.sha256(text.encode()).hexdigest()
  file.write_text(json.dumps(body, indent=1) + '\n')


def test_another_format_says_so(saved):
  reseal(saved / 'checkpoint', 10)
  assert resume(saved).skipped == ()
  reseal(saved / 'checkpoint', 10, format=0)
  refused(lambda: resume(saved), 'has format 0', 'reads format 1')


@pytest.mark.parametrize(
  'changes',
  [{'config': []}, {'rows_size': None}, {'leaves': 'x'}, {'more': 1}]
  + [{'arrays_size': 10**15}, {'rows_size': 10**15}, {'rows_size': -1}],
)
def test_forged_manifest_is_skipped(changes, saved):
  reseal(saved / 'checkpoint', 10, **changes)
  found = resume(saved)
  assert found.step == 5
  assert len(found.skipped) == 1


@pytest.mark.parametrize(
  'text',
  ['', '[]', '{}', '7', '[' * 10**5, '{"format": 1}', '\x1b[31m'],
)
def test_manifest_that_is_none_is_skipped(text, saved):
  (saved / 'checkpoint' / '10.json').write_text(text)
  found = resume(saved)
  assert (found.step, len(found.skipped)) == (5, 1)


def test_manifest_that_is_nested_too_deep_is_skipped(saved):
  # On Python 3.12 parsing goes deeper than writing, elsewhere not.
  for depth in (900, 1050, 1300):
    text = '[' * depth + ']' * depth
    (saved / 'checkpoint' / '10.json').write_text(f'{{"format": {text}}}')
    assert resume(saved).step == 5


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
  w = state_of(10).params[0].w
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
  reseal(folder, 10, arrays_size=len(data), arrays_sha256=sha256)


@pytest.mark.parametrize(
  'name',
  ['pickle', 'pickle of the right size', 'terabytes', 'negative', 'transposed']
  + ['code', 'nonsense', 'long', 'short', 'none'],
)
def test_hostile_arrays_with_right_hashes_are_skipped(name, saved, tmp_path):
  target = tmp_path / 'made'
  forge(saved / 'checkpoint', hostile(name, target))
  found = resume(saved)
  assert found.step == 5
  assert 'of its leaf' in found.skipped[0]
  assert not target.exists()


def test_forging_alone_breaks_nothing(saved, tmp_path):
  forge(saved / 'checkpoint', hostile('honest', tmp_path))
  found = resume(saved)
  assert found.skipped == ()
  same_bits(found.state, state_of(10))


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
    found = resume(saved)
    assert (found.step, len(found.skipped)) == (5, 1)
  put(folder, whole)
  forge(folder, hostile('honest', ''), zipfile.ZIP_DEFLATED)
  found = resume(saved)
  assert (found.step, len(found.skipped)) == (5, 1)
  put(folder, whole.replace(b'mu', b'nu'))
  found = resume(saved)
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
  data = bytearray(arrays.packed(state_of(1)))
  for place, byte in changes:
    # The directory at the end and the headers matter most.
    data[-1 - place % (len(data) if byte % 2 else 1300)] = byte
  if cut is not None:
    del data[cut % len(data) :]
  try:
    state = arrays.unpacked(bytes(data), state_of(0))
  except ValueError as error:
    hypothesis.note(str(error))
  else:
    same_bits(state, state_of(1))


@pytest.fixture(scope='module')
def sound(tmp_path_factory):
  """A run directory to damage, and its files as they were."""
  run = rundir.open_run(tmp_path_factory.mktemp('flips'), 'a', CONFIG)
  sizes = {}
  for step in (5, 10):
    save(run, step)
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
      refused(lambda: resume(path), 'rows.jsonl', 'no sound checkpoint')
    else:
      found = resume(path)
      assert found.step == step
      same_bits(found.state, state_of(step))
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
  save(run, 1)
  shutil.rmtree(run.path)
  refused(
    lambda: checkpoint.save(
      run.path, step=2, state=state_of(2), config=CONFIG, extra={}
    ),
    f'Cannot write {run.path}/checkpoint',
    'is gone',
  )
  assert not run.path.exists()


def test_file_where_the_directory_should_be(run):
  (run.path / 'checkpoint').write_text('mine')
  refused(lambda: save(run, 1), run.path / 'checkpoint', 'stands in for')
  refused(lambda: resume(run.path), f'Cannot read {run.path}/checkpoint')
  assert (run.path / 'checkpoint').read_text() == 'mine'


def large(step):
  return {'w': np.full((200, 100), step, np.float32)}


def test_full_disk_leaves_the_last_good_one(small_disk, contents):
  run = rundir.open_run(small_disk, 'a', CONFIG)
  try:
    save(run, 1)
    before = contents(run.path / 'checkpoint')
    for size, name in ((80_000, '2.npz'), (0, '2.json')):
      # The second time the arrays fit, and the manifest alone does not.
      extra = {'text': '' if size else 'x' * 80_000}
      state = {'w': np.zeros(size // 4, np.float32)}
      text = refused(
        lambda s=state, e=extra: save(run, 2, state=s, extra=e),
        f'Cannot write {run.path}/checkpoint/{name} (8',
        'bytes needed): No space left on device; free that much',
      )
      assert '\n' not in text
      now = contents(run.path / 'checkpoint')
      assert {name: now[name] for name in before} == before
      assert set(now) <= {*before, '2.npz'}
      found = resume(run.path)
      assert (found.step, found.skipped) == (1, ())
    save(run, 2)
  finally:
    rundir.close_run(run)


def exceed(workdir):
  """Saves more than RLIMIT_FSIZE allows, and prints the sentence."""
  run = rundir.open_run(workdir, 'a', CONFIG)
  save(run, 1)
  resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
  try:
    save(run, 2, state=large(2))
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
  found = resume(tmp_path / 'a')
  same_bits(found.state, state_of(1))


def die_at_each_call(workdir):
  """Kills a process at its n-th call that changes the disk, for n = 1, 2, ...

  The process saves a third checkpoint then. Ends when one lives to the end.
  """
  for n in range(1, 100):
    child = os.fork()
    if child == 0:
      run = rundir.open_run(workdir, f'n{n}', CONFIG)
      save(run, 1)
      save(run, 2)
      left = [n]
      for name in ('fsync', 'replace', 'unlink'):
        setattr(os, name, dying(getattr(os, name), left))
      save(run, 3)
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
    found = resume(path)
    assert found.skipped == ()
    same_bits(found.state, state_of(found.step))
    steps.append(found.step)
    names = set(contents(path / 'checkpoint'))
    manifests = {name for name in names if re.fullmatch(r'\d\.json', name)}
    assert {name.replace('json', 'npz') for name in manifests} <= names
    run = rundir.open_run(tmp_path, path.name, CONFIG, resume=True)
    assert not files.leftovers(path)
    rowfile.cut(run, found.rows_size)
    for step in range(found.step + 1, 5):
      save(run, step)
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
  run = rundir.open_run(workdir, name, CONFIG, resume=True)
  rundir.write_status(run, 'RUNNING')
  found = checkpoint.newest(run.path, state_of(0), CONFIG)
  rowfile.cut(run, found.rows_size if found else 0)
  if found:
    checkpoint.sweep(run.path, found.step)
  for step in range(found.step + 1 if found else 1, 4):
    save(run, step)
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
  run = rundir.open_run(workdir, 'a', CONFIG, resume=True)
  found = checkpoint.newest(run.path, large(0), CONFIG)
  rowfile.cut(run, found.rows_size if found else 0)
  step = found.step if found else 0
  os.write(1, b'on\n')
  while True:
    step += 1
    save(run, step, state=large(step))
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
    found = checkpoint.newest(path, large(0), CONFIG)
    if found is None:
      assert last == 0
      continue
    assert last <= found.step <= last + 1
    assert found.skipped == ()
    same_bits(found.state, large(found.step))
    rows = rowfile.read(path)[: found.step]
    assert [row['epoch'] for row in rows] == list(range(1, found.step + 1))
    last = found.step
  assert last > 0


def test_kill_at_random(tmp_path, start):
  kill_at_random(tmp_path, start, 3)


@pytest.mark.claims
def test_kill_at_random_fifty_times(tmp_path, start):
  kill_at_random(tmp_path, start, 50)


def test_a_pipe_in_place_of_what_was_saved_is_not_waited_for(run, impatient):
  for step in (1, 2):
    save(run, step)
  manifest = run.path / 'checkpoint' / '2.json'
  manifest.unlink()
  os.mkfifo(manifest)
  found = resume(run.path)
  assert found.step == 1
  assert 'It is a pipe' in found.skipped[0]
  (run.path / 'rows.jsonl').unlink()
  os.mkfifo(run.path / 'rows.jsonl')
  with pytest.raises(UserError, match='It is a pipe'):
    resume(run.path)


def test_one_that_only_a_stop_has_made_leaves_what_an_unbroken_run_leaves(run):
  for step in (2, 4):
    save(run, step)
  save(run, 5, passing=True)
  assert resume(run.path).step == 5
  assert steps_in(run) == {4, 5}
  save(run, 6)
  assert steps_in(run) == {4, 6}
  save(run, 7, passing=True)
  checkpoint.sweep(run.path, 7)
  assert steps_in(run) == {6, 7}
  # Where nothing else is sound, it is better than nothing.
  (run.path / 'checkpoint' / '6.json').write_bytes(b'damaged')
  save(run, 8)
  assert steps_in(run) == {7, 8}


def steps_in(run):
  return {int(file.stem) for file in (run.path / 'checkpoint').glob('*.json')}


def test_a_run_that_nobody_knows_is_read_by_paths(saved):
  found = checkpoint.newest_leaves(str(saved))
  assert found is not None
  assert found[2:] == resume(saved)[2:]
  assert found.step == 10
  w, half = state_of(10).params[0].w, state_of(10).rest['half']
  assert list(found.state) == list(arrays.outline(state_of(10)))
  same_bits(found.state['state.params[0].w'], w)
  same_bits(found.state["state.rest['half']"], half)
  for forged in (7, None, '7', 'float32', 'float32 7', 'float32 [-1]'):
    reseal(saved / 'checkpoint', 10, leaves={'state': forged})
    found = checkpoint.newest_leaves(saved)
    assert found is not None
    assert found.step == 5
  shutil.rmtree(saved / 'checkpoint')
  assert checkpoint.newest_leaves(saved) is None


def test_a_run_that_saves_meanwhile_is_looked_at_again(run, monkeypatch):
  look, looks = checkpoint._newest, []

  def saving(folder, read):
    looks.append(folder)
    if len(looks) < 3:
      save(run, 10 * len(looks))
      raise UserError('gone')
    return look(folder, read)

  save(run, 5)
  monkeypatch.setattr(checkpoint, '_newest', saving)
  found = checkpoint.newest_leaves(run.path)
  assert found is not None
  assert found.step == 20
  assert len(looks) == 3
  monkeypatch.undo()
  for file in (run.path / 'checkpoint').glob('*.npz'):
    file.write_bytes(b'')
  refused(lambda: checkpoint.newest_leaves(run.path), 'no sound checkpoint')


@pytest.mark.parametrize(
  ('outlined', 'said'),
  [
    ({'a': 'float32 [2]'}, None),
    ({'a': 'float64 [1]'}, 'a.npy is not of the shape and dtype of its leaf'),
    ({'a': 'float32 [3]'}, 'a.npy is not of the shape and dtype of its leaf'),
    ({'b': 'float32 [2]'}, 'its arrays are not those of its manifest'),
    ({'a': 'float99 [2]'}, 'its leaves are no arrays (data type '),
    ({'a': 'float32 {}x'}, 'Extra data'),
    ({'a': 'object [1]'}, 'its leaves are no arrays (a checkpoint keeps'),
  ],
)
def test_leaves_are_those_of_their_outline(outlined, said):
  stream = io.BytesIO()
  with zipfile.ZipFile(stream, 'w') as archive:
    whole = io.BytesIO()
    np.save(whole, np.array([1, 2], np.float32))
    archive.writestr('a.npy', whole.getvalue())
  if said is None:
    found = arrays.by_path(stream.getvalue(), outlined)
    assert found['a'].tolist() == [1.0, 2.0]
    return
  with pytest.raises(ValueError, match=re.escape(said)):
    arrays.by_path(stream.getvalue(), outlined)


def test_what_is_wrong_with_a_checkpoint_is_said_in_full(saved):
  folder = saved / 'checkpoint'
  rows = (saved / 'rows.jsonl').stat().st_size
  end = (
    '; no sound checkpoint is left, so bring back a copy or run again under '
    'another --name.'
  )

  def said():
    return refused(lambda: resume(saved)).removesuffix(end).split('; ')

  (folder / '5.json').unlink()
  size = (folder / '10.npz').stat().st_size
  sound = (folder / '10.npz').read_bytes()
  here = f'{folder}/10 is damaged: '
  (folder / '10.npz').write_bytes(sound + b'x')
  assert said() == [
    f'{here}its arrays have {size + 1} bytes in place of {size}'
  ]
  (folder / '10.npz').write_bytes(sound[:-1] + b'x')
  assert said() == [f'{here}its arrays are not as they were written']
  (folder / '10.npz').write_bytes(sound)
  reseal(folder, 10, rows_size=rows + 1)
  assert said() == [
    f'{here}the first {rows + 1} bytes of rows.jsonl are not as they were '
    'written'
  ]
  reseal(folder, 10, rows_size=rows, more=1)
  assert said() == [f'{here}its manifest has other entries than its format has']
  reseal(folder, 10, format=2)
  assert refused(lambda: resume(saved)) == (
    f'{folder}/10 has format 2 where this version of gd_jax reads format 1: '
    'resume with the version that wrote it or run again under another --name.'
  )


def test_an_archive_that_is_none_says_why():
  whole = arrays.packed({'a': np.ones(2)})
  with pytest.raises(ValueError, match='its archive is broken File is not'):
    arrays.unpacked(whole[:10], {'a': np.ones(2)})


def test_what_cannot_be_removed_is_named(run, monkeypatch):
  def refuse(path, **named):
    raise PermissionError(13, 'Permission denied')

  for step in (1, 2):
    save(run, step)
  monkeypatch.setattr(checkpoint.Path, 'unlink', refuse)
  text = refused(lambda: save(run, 3))
  assert text == (
    f'Cannot write {run.path}/checkpoint/1.json: Permission denied; make it '
    'writable or choose another --workdir.'
  )


def test_the_newest_sound_manifest_has_the_configuration(saved):
  assert checkpoint.newest_config(str(saved)) == CONFIG
  reseal(saved / 'checkpoint', 10, config={'of': 10})
  assert checkpoint.newest_config(saved) == {'of': 10}
  reseal(saved / 'checkpoint', 10, format=2)
  assert checkpoint.newest_config(saved) == CONFIG
  (saved / 'checkpoint' / '5.json').write_bytes(b'')
  assert checkpoint.newest_config(saved) is None


def test_a_sweep_removes_what_a_kill_left(saved, contents):
  folder = saved / 'checkpoint'
  for name in ('3.json', '3.npz', '7.npz', '12.npz', '4.npz'):
    (folder / name).write_bytes(b'left')
  checkpoint.sweep(str(saved), 10)
  names = {'5.json', '5.npz', '10.json', '10.npz', '12.npz'}
  assert set(contents(folder)) == names
