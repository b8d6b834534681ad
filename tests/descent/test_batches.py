"""The order of an epoch: every example once, reshuffled, replayable."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from gd_jax.descent import batches
from gd_jax.types import Images


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
  st.integers(0, 2**32 - 1),
  st.integers(0, 10**6),
  st.integers(1, 2500),
  st.data(),
)
def test_T19_an_epoch_sees_every_example_once(seed, epoch, n, data):
  m = data.draw(st.integers(1, n))
  order = batches.epoch_order(seed, epoch, n, m)
  assert len(order.index) == -(-n // m)
  seen = order.index[order.weights == 1]
  np.testing.assert_array_equal(np.sort(seen), np.arange(n))
  assert set(np.unique(order.weights)) <= {0.0, 1.0}
  np.testing.assert_array_equal(order.weights[:-1].sum(1), m)
  assert order.weights[-1].sum() == (n - 1) % m + 1


def test_T19_steps_an_epoch():
  assert batches.steps_of(60000, 10) == 6000
  assert batches.steps_of(50000, 10) == 5000
  assert len(batches.epoch_order(0, 0, 60000, 10).index) == 6000


def test_T19_the_next_epoch_is_reshuffled_and_the_same_one_replayed():
  first, again, second, other = (
    batches.epoch_order(seed, epoch, 1000, 10).index
    for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0))
  )
  np.testing.assert_array_equal(first, again)
  assert not np.array_equal(first, second)
  assert not np.array_equal(first, other)
  assert not np.array_equal(second, other)


def test_batch_descent_is_one_step_in_equal_chunks():
  order = batches.epoch_order(0, 0, 2500, 2500, chunk=1000)
  assert order.index.shape == (1, 3 * 834)
  np.testing.assert_array_equal(order.index[0, :2500], np.arange(2500))
  assert order.weights.sum() == 2500


@pytest.mark.parametrize(
  ('steps', 'bytes_a_step', 'expected'),
  [
    (5000, 7840, 50),
    (120, 640, 120),
    (7, 2**18, 1),
    (8, 2**18, 2),
    (3, 2**30, 1),
  ],
)
def test_rows_gathered_together_divide_the_epoch(steps, bytes_a_step, expected):
  assert batches.together(steps, bytes_a_step) == expected


def test_every_device_has_as_many_slots_in_equal_chunks():
  assert batches.slots_of(60_000, shards=2) == 60_000
  assert batches.slots_of(1197, shards=2, chunk=1000) == 2 * 599
  assert batches.slots_of(2500, shards=2, chunk=1000) == 2 * 2 * 625
  assert batches.slots_of(60_000, shards=3, chunk=16_384) == 3 * 2 * 10_000
  assert batches.slots_of(10) == 10


def test_gather_takes_rows_in_their_dtype_on_host_and_device():
  rng = np.random.default_rng(0)
  images = Images(
    rng.integers(0, 256, (50, 4), dtype=np.uint8),
    rng.integers(0, 10, 50, dtype=np.uint8),
  )
  order = batches.epoch_order(3, 1, 50, 8)
  host = batches.gather(images, order)
  device = batches.gather(Images(*map(jnp.asarray, images)), order)
  assert isinstance(host.examples.x, np.ndarray)
  assert host.examples.x.shape == (7, 8, 4)
  assert host.examples.x.dtype == device.examples.x.dtype == np.uint8
  np.testing.assert_array_equal(
    host.examples.x[2, 5], images.x[order.index[2, 5]]
  )
  np.testing.assert_array_equal(host.examples.x, device.examples.x)
  np.testing.assert_array_equal(host.examples.y, device.examples.y)


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 10**6), st.integers(1, 10**9))
def test_pieces_cover_an_epoch_and_fit(steps, size):
  cut = batches.pieces(steps, size)
  assert cut[0].start == 0
  assert cut[-1].stop == steps
  assert all(a.stop == b.start for a, b in itertools.pairwise(cut))
  longest = max(piece.stop - piece.start for piece in cut)
  assert longest == 1 or longest * size <= 2 * batches.PIECE_BYTES
  assert len({piece.stop - piece.start for piece in cut}) <= 2


def test_made_ahead_yields_in_order_and_passes_errors_on():
  made = []

  def make(epoch):
    made.append(epoch)
    if epoch == 3:
      raise ValueError('no third')
    return epoch * 10

  epochs = batches.made_ahead(make, range(1, 5))
  assert next(epochs) == (1, 10)
  assert next(epochs) == (2, 20)
  with pytest.raises(ValueError, match='no third'):
    next(epochs)
  assert made == [1, 2, 3, 4]
  assert list(batches.made_ahead(make, [])) == []
