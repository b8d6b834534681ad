"""Snapshots come back bit for bit, or say in one sentence why they do not."""

import hashlib
import re

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from gd_jax.types import Layer
from gd_jax.types import UserError
from gd_jax.world import seals
from gd_jax.world import snapshots
from tests import damage

ABOUT = {'entry': 'sgd', 'learning_rate': 0.5, 'seed': 3}


def params(value, n_in=3):
  w = np.full((2, n_in), value, np.float32)
  return (Layer(w, np.array([value, -value], np.float32)),)


def kept(tmp_path):
  for track, steps in ((1, (0, 40, 120)), (0, (0, 7))):
    for step in steps:
      snapshots.save(tmp_path, track, step, params(step / 3), ABOUT)
  return tmp_path


def test_tracks_come_back_in_order_bit_for_bit(tmp_path):
  first, second = snapshots.load(kept(tmp_path), params(0))
  assert first.steps == [0, 7]
  assert second.steps == [0, 40, 120]
  assert second.about == ABOUT
  for step, found in zip(second.steps, second.params, strict=True):
    np.testing.assert_array_equal(found[0].w, params(step / 3)[0].w)
    np.testing.assert_array_equal(found[0].b, params(step / 3)[0].b)


def test_a_run_without_snapshots_has_no_tracks(tmp_path):
  assert snapshots.load(tmp_path, params(0)) == []


def test_arrays_without_a_manifest_are_no_snapshot(tmp_path):
  (kept(tmp_path) / 'snapshots' / '00' / '7.json').unlink()
  assert snapshots.load(tmp_path, params(0))[0].steps == [0]


@pytest.fixture(scope='module')
def sound(tmp_path_factory):
  """Snapshots to damage, and their files as they were."""
  path = kept(tmp_path_factory.mktemp('flips'))
  files = sorted((path / 'snapshots').rglob('*.*'))
  return path, {file: file.read_bytes() for file in files}


def damage_is_seen(sound, place, harm):
  path, whole = sound
  file = list(whole)[place % len(whole)]
  file.write_bytes(damage.done(whole[file], harm))
  said = f'{file.with_suffix("")} is damaged'
  try:
    with pytest.raises(UserError, match=re.escape(said)):
      snapshots.load(path, params(0))
  finally:
    file.write_bytes(whole[file])


@hypothesis.given(st.integers(0, 9), damage.DAMAGES)
@hypothesis.settings(
  derandomize=True, deadline=None, max_examples=40, database=None
)
def test_damage_is_seen(sound, place, harm):
  damage_is_seen(sound, place, harm)


@pytest.mark.claims
@hypothesis.given(st.integers(0, 9), damage.DAMAGES)
@hypothesis.settings(
  derandomize=True, deadline=None, max_examples=1000, database=None
)
def test_damage_is_seen_a_thousand_times(sound, place, harm):
  damage_is_seen(sound, place, harm)


def test_a_snapshot_under_another_number_is_seen(tmp_path):
  folder = kept(tmp_path) / 'snapshots' / '00'
  for suffix in ('npz', 'json'):
    (folder / f'7.{suffix}').rename(folder / f'8.{suffix}')
  with pytest.raises(UserError, match=r'00/8 is damaged .* that of step 7'):
    snapshots.load(tmp_path, params(0))


def test_a_manifest_that_was_edited_is_seen(tmp_path):
  file = kept(tmp_path) / 'snapshots' / '00' / '7.json'
  file.write_text(file.read_text().replace('"seed": 3', '"seed": 4'))
  with pytest.raises(UserError, match='not as it was written'):
    snapshots.load(tmp_path, params(0))


def test_another_shape_is_refused(tmp_path):
  with pytest.raises(UserError, match=r'\[2, 3\].*where its run has.*\[2, 4\]'):
    snapshots.load(kept(tmp_path), params(0, n_in=4))


@pytest.mark.parametrize(
  ('total', 'count', 'marks'),
  [
    (60, 4, [0, 20, 40, 60]),
    (5, 3, [0, 2, 5]),
    (3, 9, [0, 1, 2, 3]),
    (7, 1, [7]),
    (7, 2, [0, 7]),
  ],
)
def test_marks_are_spread_with_both_ends(total, count, marks):
  assert snapshots.spread(total, count) == marks


def test_a_manifest_says_what_its_snapshot_is(tmp_path):
  folder = kept(tmp_path) / 'snapshots' / '01'
  data = (folder / '40.npz').read_bytes()
  assert seals.opened(folder / '40.json') == {
    'format': 1,
    'step': 40,
    'arrays_size': len(data),
    'arrays_sha256': hashlib.sha256(data).hexdigest(),
    'leaves': {'state[0].w': 'float32 [2, 3]', 'state[0].b': 'float32 [2]'},
    'about': ABOUT,
  }
  found = snapshots.load(tmp_path, params(0))[1]
  assert found.outline == seals.opened(folder / '40.json')['leaves']


def test_what_is_no_snapshot_is_left_alone(tmp_path):
  folder = kept(tmp_path) / 'snapshots'
  (folder / '02').mkdir()
  (folder / 'notes.txt').touch()
  for name in ('007.json', '7.json.old', 'x.json', '-1.json'):
    (folder / '00' / name).touch()
  tracks = snapshots.load(str(tmp_path), params(0))
  assert [track.steps for track in tracks] == [[0, 7], [0, 40, 120]]


def test_sentences_say_where_and_why(tmp_path):
  folder = kept(tmp_path) / 'snapshots' / '00'

  def said(template):
    with pytest.raises(UserError) as error:
      snapshots.load(tmp_path, template)
    return str(error.value)

  assert said(params(0, n_in=4)) == (
    f'{folder}/0 holds float32 [2, 3], float32 [2] where its run has float32 '
    '[2, 4], float32 [2]: it is of another run, so bring back the right one or '
    'train again.'
  )
  (folder / '7.npz').unlink()
  assert said(params(0)) == (
    f'{folder}/7 is damaged ([Errno 2] No such file or directory: '
    f"'{folder}/7.npz'): bring back a copy of it, or remove it to look at the "
    'others.'
  )


@pytest.mark.parametrize(
  'change',
  [{'leaves': []}, {'leaves': {'a': 1}}, {'arrays_size': None}, {'more': 1}]
  + [{'arrays_sha256': None}, {'step': None}, {'about': None}],
)
def test_a_forged_manifest_is_damaged(tmp_path, change):
  file = kept(tmp_path) / 'snapshots' / '00' / '7.json'
  body = seals.opened(file) | change
  body = {key: value for key, value in body.items() if value is not None}
  file.write_bytes(seals.sealed(body))
  with pytest.raises(UserError, match='00/7 is damaged'):
    snapshots.load(tmp_path, params(0))


def test_a_snapshot_exists_once_its_arrays_do(tmp_path, monkeypatch):
  written = []
  monkeypatch.setattr(
    snapshots.files, 'write_file', lambda path, data: written.append(path)
  )
  snapshots.save(tmp_path, 12, 3, params(0), {})
  folder = tmp_path / 'snapshots' / '12'
  assert written == [folder / '3.npz', folder / '3.json']
