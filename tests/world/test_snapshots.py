"""Snapshots come back bit for bit, or say in one sentence why they do not."""

import numpy as np
import pytest

from gd_jax.types import Layer
from gd_jax.types import UserError
from gd_jax.world import snapshots

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


@pytest.mark.parametrize('name', ['40.npz', '40.json'])
def test_one_flipped_bit_is_seen(tmp_path, name):
  file = kept(tmp_path) / 'snapshots' / '01' / name
  data = bytearray(file.read_bytes())
  data[len(data) // 2] ^= 1
  file.write_bytes(data)
  with pytest.raises(UserError, match=r'01/40 is damaged'):
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
