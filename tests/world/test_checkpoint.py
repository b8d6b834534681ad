import io
import os
import re
import shutil
import zipfile

import jax
import numpy as np
import optax
import pytest

from gd_jax.types import UserError
from gd_jax.world import arrays
from gd_jax.world import checkpoint
from gd_jax.world import rowfile
from tests.world import saves


def test_restored_bits_are_those_that_were_saved(run):
  assert saves.nothing_in(run.path)
  saves.save(run, 0)
  saves.save(
    run, 7, extra={'epoch': 7, 'rate': 0.1 + 0.2, 'names': ['é', None]}
  )
  rowfile.append(run, [{'epoch': 8}])
  shapes = jax.eval_shape(
    lambda: jax.tree.map(jax.numpy.asarray, saves.state_of(0))
  )
  for template in (saves.state_of(0), shapes):
    found = saves.resume(run.path, template)
    saves.same_bits(found.state, saves.state_of(7))
    assert found.step == 7
    assert found.extra == {'epoch': 7, 'rate': 0.1 + 0.2, 'names': ['é', None]}
    assert found.skipped == ()
    rowfile.cut(run, found.rows_size)
    assert [row['epoch'] for row in rowfile.read(run.path)] == [0, 7]


def test_jax_arrays_are_saved_as_numpy_arrays_are(run):
  on_device = jax.tree.map(jax.numpy.asarray, saves.state_of(3))
  saves.save(run, 3, state=on_device)
  found = saves.resume(run.path, on_device)
  saves.same_bits(found.state, saves.state_of(3))


@pytest.mark.parametrize('state', [(), {'a': optax.EmptyState()}, np.ones(())])
def test_trees_of_one_leaf_or_none(state, run):
  saves.save(run, 1, state=state)
  found = saves.resume(run.path, state)
  saves.same_bits(found.state, state)


def test_restored_arrays_can_be_written_to(saved):
  found = saves.resume(saved)
  assert all(leaf.flags.writeable for leaf in jax.tree.leaves(found.state))


def test_npz_is_plain_and_without_the_clock(saved):
  with np.load(saved / 'checkpoint' / '10.npz', allow_pickle=False) as data:
    w = data['state.params[0].w']
    assert w.tobytes() == saves.state_of(10).params[0].w.tobytes()
    assert data["state.rest['count']"].shape == ()
    half = data["state.rest['half']"]
    assert half.dtype == np.uint16
    assert half.tobytes() == saves.state_of(10).rest['half'].tobytes()
  with zipfile.ZipFile(saved / 'checkpoint' / '10.npz') as archive:
    assert {info.date_time[0] for info in archive.infolist()} == {1980}


@pytest.mark.parametrize(
  'leaf',
  [jax.random.key(0), np.array([{}]), np.array(['a']), np.ones(2, '>f4')],
)
def test_leaf_that_is_no_array_of_numbers_is_an_error(leaf, run):
  with pytest.raises(TypeError):
    saves.save(run, 1, state={'a': leaf})
  assert saves.nothing_in(run.path)


class Twin:
  def __init__(self, rank):
    self.rank = rank

  def __lt__(self, other):
    return self.rank < other.rank

  def __repr__(self):
    return 'twin'


def test_two_leaves_of_one_name_are_an_error(run):
  with pytest.raises(ValueError, match='the same path'):
    saves.save(run, 1, state={Twin(0): np.ones(1), Twin(1): np.zeros(1)})
  assert saves.nothing_in(run.path)


def test_number_that_json_cannot_hold_is_an_error_in_extra(run):
  with pytest.raises(ValueError, match='JSON'):
    saves.save(run, 1, extra={'best': float('inf')})
  assert saves.nothing_in(run.path)


def test_last_two_are_kept_and_a_left_future_is_removed(run, contents):
  folder = run.path / 'checkpoint'
  for step in (5, 10, 100, 15):
    saves.save(run, step)
  assert set(contents(folder)) == {'10.json', '10.npz', '15.json', '15.npz'}
  (folder / 'notes.txt').write_text('mine')
  for name in ('007.npz', '007.json', '.json', '9.json.old'):
    (folder / name).write_text('mine')
  (folder / '12.npz').write_text('of a kill')
  saves.save(run, 20)
  expected = {'15.json', '15.npz', '20.json', '20.npz', 'notes.txt'}
  expected |= {'007.npz', '007.json', '.json', '9.json.old'}
  assert set(contents(folder)) == expected
  assert saves.resume(run.path).skipped == ()


def test_arrays_without_manifest_are_no_checkpoint(saved):
  (saved / 'checkpoint' / '10.json').unlink()
  found = saves.resume(saved)
  assert (found.step, found.skipped) == (5, ())
  (saved / 'checkpoint' / '5.json').unlink()
  assert saves.nothing_in(saved)


def test_unsound_ones_are_skipped_with_the_reason(saved):
  folder = saved / 'checkpoint'
  (folder / '10.npz').unlink()
  found = saves.resume(saved)
  assert found.step == 5
  saves.same_bits(found.state, saves.state_of(5))
  assert len(found.skipped) == 1
  assert found.skipped[0].startswith(f'{folder}/10 is damaged')
  assert '10.npz' in found.skipped[0]
  shutil.copy(folder / '5.npz', folder / '20.npz')
  shutil.copy(folder / '5.json', folder / '20.json')
  found = saves.resume(saved)
  assert found.step == 5
  assert 'is that of step 5' in found.skipped[0]
  (folder / '5.npz').write_bytes(b'')
  saves.refused(
    lambda: saves.resume(saved), '20', '10', '5', 'no sound checkpoint'
  )


def test_rows_have_to_be_those_that_were_saved(saved):
  file = saved / 'rows.jsonl'
  rows = file.read_bytes()
  file.write_bytes(rows[:-3] + b'8}\n')
  found = saves.resume(saved)
  assert found.step == 5
  assert 'rows.jsonl' in found.skipped[0]
  file.unlink()
  saves.refused(lambda: saves.resume(saved), 'rows.jsonl')


def test_another_config_is_refused_with_what_differs(saved):
  other = {'seed': 4, 'sizes': (4, 3), 'machine': {'cores': 8}}
  text = saves.refused(
    lambda: saves.resume(saved, config=other), saved / 'checkpoint/10'
  )
  assert text.split('\n')[1:] == [
    '  machine.cores: 2 there, 8 now;',
    '  seed: 3 there, 4 now',
  ]
  found = saves.resume(saved, config=other, may_differ=['seed', 'machine'])
  assert found.step == 10


def changed(**leaves):
  state = saves.state_of(0)
  return state._replace(rest=state.rest | leaves)


@pytest.mark.parametrize(
  ('template', 'lines'),
  [
    (
      saves.state_of(0, n_out=5),
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
  text = saves.refused(
    lambda: saves.resume(saved, template), saved / 'checkpoint/10'
  )
  assert text.split('\n')[1:] == lines


def test_another_address_is_no_other_tree(run):
  def with_function():
    return jax.tree_util.Partial(lambda x: x, np.ones(2))

  here, there = with_function(), with_function()
  saves.save(run, 1, state=here)
  assert saves.resume(run.path, there).step == 1


def test_another_tree_of_equal_leaves_is_refused(saved):
  state = saves.state_of(0)
  other = state._replace(optimizer=((), state.optimizer[1]))
  text = saves.refused(lambda: saves.resume(saved, other))
  assert text.split('\n')[1].startswith('  tree: ')
  assert 'EmptyState' in text


def test_another_format_says_so(saved):
  saves.reseal(saved / 'checkpoint', 10)
  assert saves.resume(saved).skipped == ()
  saves.reseal(saved / 'checkpoint', 10, format=0)
  saves.refused(lambda: saves.resume(saved), 'has format 0', 'reads format 1')


@pytest.mark.parametrize(
  'changes',
  [{'config': []}, {'rows_size': None}, {'leaves': 'x'}, {'more': 1}]
  + [{'arrays_size': 10**15}, {'rows_size': 10**15}, {'rows_size': -1}],
)
def test_forged_manifest_is_skipped(changes, saved):
  saves.reseal(saved / 'checkpoint', 10, **changes)
  found = saves.resume(saved)
  assert found.step == 5
  assert len(found.skipped) == 1


@pytest.mark.parametrize(
  'text',
  ['', '[]', '{}', '7', '[' * 10**5, '{"format": 1}', '\x1b[31m'],
)
def test_manifest_that_is_none_is_skipped(text, saved):
  (saved / 'checkpoint' / '10.json').write_text(text)
  found = saves.resume(saved)
  assert (found.step, len(found.skipped)) == (5, 1)


def test_manifest_that_is_nested_too_deep_is_skipped(saved):
  # On Python 3.12 parsing goes deeper than writing, elsewhere not.
  for depth in (900, 1050, 1300):
    text = '[' * depth + ']' * depth
    (saved / 'checkpoint' / '10.json').write_text(f'{{"format": {text}}}')
    assert saves.resume(saved).step == 5


def test_a_pipe_in_place_of_what_was_saved_is_not_waited_for(run, impatient):
  for step in (1, 2):
    saves.save(run, step)
  manifest = run.path / 'checkpoint' / '2.json'
  manifest.unlink()
  os.mkfifo(manifest)
  found = saves.resume(run.path)
  assert found.step == 1
  assert 'It is a pipe' in found.skipped[0]
  (run.path / 'rows.jsonl').unlink()
  os.mkfifo(run.path / 'rows.jsonl')
  with pytest.raises(UserError, match='It is a pipe'):
    saves.resume(run.path)


def test_one_that_only_a_stop_has_made_leaves_what_an_unbroken_run_leaves(run):
  for step in (2, 4):
    saves.save(run, step)
  saves.save(run, 5, passing=True)
  assert saves.resume(run.path).step == 5
  assert steps_in(run) == {4, 5}
  saves.save(run, 6)
  assert steps_in(run) == {4, 6}
  saves.save(run, 7, passing=True)
  checkpoint.sweep(run.path, 7)
  assert steps_in(run) == {6, 7}
  # Where nothing else is sound, it is better than nothing.
  (run.path / 'checkpoint' / '6.json').write_bytes(b'damaged')
  saves.save(run, 8)
  assert steps_in(run) == {7, 8}


def steps_in(run):
  return {int(file.stem) for file in (run.path / 'checkpoint').glob('*.json')}


def test_a_run_that_nobody_knows_is_read_by_paths(saved):
  found = checkpoint.newest_leaves(str(saved))
  assert found is not None
  assert found[2:] == saves.resume(saved)[2:]
  assert found.step == 10
  w, half = saves.state_of(10).params[0].w, saves.state_of(10).rest['half']
  assert list(found.state) == list(arrays.outline(saves.state_of(10)))
  saves.same_bits(found.state['state.params[0].w'], w)
  saves.same_bits(found.state["state.rest['half']"], half)
  for forged in (7, None, '7', 'float32', 'float32 7', 'float32 [-1]'):
    saves.reseal(saved / 'checkpoint', 10, leaves={'state': forged})
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
      saves.save(run, 10 * len(looks))
      raise UserError('gone')
    return look(folder, read)

  saves.save(run, 5)
  monkeypatch.setattr(checkpoint, '_newest', saving)
  found = checkpoint.newest_leaves(run.path)
  assert found is not None
  assert found.step == 20
  assert len(looks) == 3
  monkeypatch.undo()
  for file in (run.path / 'checkpoint').glob('*.npz'):
    file.write_bytes(b'')
  saves.refused(
    lambda: checkpoint.newest_leaves(run.path), 'no sound checkpoint'
  )


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
    return (
      saves.refused(lambda: saves.resume(saved)).removesuffix(end).split('; ')
    )

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
  saves.reseal(folder, 10, rows_size=rows + 1)
  assert said() == [
    f'{here}the first {rows + 1} bytes of rows.jsonl are not as they were '
    'written'
  ]
  saves.reseal(folder, 10, rows_size=rows, more=1)
  assert said() == [f'{here}its manifest has other entries than its format has']
  saves.reseal(folder, 10, format=2)
  assert saves.refused(lambda: saves.resume(saved)) == (
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
    saves.save(run, step)
  monkeypatch.setattr(checkpoint.Path, 'unlink', refuse)
  text = saves.refused(lambda: saves.save(run, 3))
  assert text == (
    f'Cannot write {run.path}/checkpoint/1.json: Permission denied; make it '
    'writable or choose another --workdir.'
  )


def test_the_newest_sound_manifest_has_the_configuration(saved):
  assert checkpoint.newest_config(str(saved)) == saves.CONFIG
  saves.reseal(saved / 'checkpoint', 10, config={'of': 10})
  assert checkpoint.newest_config(saved) == {'of': 10}
  saves.reseal(saved / 'checkpoint', 10, format=2)
  assert checkpoint.newest_config(saved) == saves.CONFIG
  (saved / 'checkpoint' / '5.json').write_bytes(b'')
  assert checkpoint.newest_config(saved) is None


def test_a_sweep_removes_what_a_kill_left(saved, contents):
  folder = saved / 'checkpoint'
  for name in ('3.json', '3.npz', '7.npz', '12.npz', '4.npz'):
    (folder / name).write_bytes(b'left')
  checkpoint.sweep(str(saved), 10)
  names = {'5.json', '5.npz', '10.json', '10.npz', '12.npz'}
  assert set(contents(folder)) == names
