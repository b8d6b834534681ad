"""Lanes equal single runs, share nothing, and fail alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gd_jax.descent import batches
from gd_jax.descent import lanes
from gd_jax.descent import train
from gd_jax.model import costs
from gd_jax.model import mlp
from gd_jax.types import Images
from tests import meshes

N, M, K = 203, 10, 3  # examples, a mini-batch, classes
SEEDS = 3


@functools.cache
def images():
  rng = np.random.default_rng(0)
  return Images(
    rng.integers(0, 17, (N, 12), dtype=np.uint8),
    rng.integers(0, K, N, dtype=np.uint8),
  )


def network_parts():
  decode = costs.decode_image(16.0, K)
  return mlp.weighted_input, costs.quadratic_of_z, decode


def pieces(optimizer_of, devices):
  return {
    'cost_of': costs.example_cost(*network_parts()),
    'optimizer_of': optimizer_of,
    'mesh': meshes.of(devices),
  }


def start_of(seed, dtype='float64'):
  return mlp.init(jax.random.key(seed), (12, 5, K), dtype=dtype)


def stacked(parts):
  return jax.tree.map(lambda *leaves: np.stack(leaves), *parts)


def starts(dealt, dtype='float64'):
  return stacked([start_of(seed, dtype) for seed in dealt.seed])


def orders(dealt, epoch):
  return stacked(
    [batches.epoch_order(seed, epoch, N, M) for seed in dealt.seed]
  )


@functools.cache
def programs_of(optimizer_of, devices):
  """Those that train, and the one that evaluates: compiled once a shape."""
  given = pieces(optimizer_of, devices)
  scores_of = costs.example_scores(*network_parts())
  return lanes.programs(**given), lanes.evaluator(scores_of, given['mesh'])


def train_fleet(optimizer_of, rates, width, devices, epochs=2, dtype='float64'):
  made, evaluate = programs_of(optimizer_of, devices)
  dealt = lanes.deal(rates, SEEDS, width=width, multiple=devices, dtype=dtype)
  fleet = made.launch(dealt.rate, starts(dealt, dtype))
  rows = []
  for epoch in range(epochs):
    fleet, metrics = lanes.run_epoch(
      made, fleet, dealt.rate, orders(dealt, epoch), images()
    )
    scores = evaluate(fleet.state.params, images())
    rows.append((metrics.cost, scores.cost, scores.accuracy))
  real = dealt.real

  def by_lane(leaf):
    return np.asarray(leaf)[real].reshape(SEEDS, len(rates), *leaf.shape[2:])

  return jax.tree.map(by_lane, (fleet, rows))


def test_a_lane_is_the_single_run_of_its_rate_and_seed():
  rates = [0.5, 2.0]
  fleet, rows = train_fleet(optax.adam, rates, 2, 2)
  given = pieces(optax.adam, 1)
  for seed in range(SEEDS):
    for place, rate in enumerate(rates):
      step = train.make_step(given['cost_of'], optax.adam(rate))
      state = train.start(start_of(seed), optax.adam(rate))
      for epoch in range(2):
        order = batches.epoch_order(seed, epoch, N, M)
        state, metrics = train.run_epoch(step, state, images(), order)
        np.testing.assert_allclose(
          rows[epoch][0][seed, place], metrics.cost, rtol=1e-9
        )
      for leaf, lane in zip(
        jax.tree.leaves(state), jax.tree.leaves(fleet.state), strict=True
      ):
        np.testing.assert_allclose(
          lane[seed, place], leaf, rtol=1e-7, atol=1e-9
        )
  np.testing.assert_array_equal(fleet.updates, 2 * 21)


def test_one_device_and_two_give_the_same_bits():
  rates = list(np.geomspace(1, 4, 8))
  for dtype, width in (('float32', 8), ('float64', 2)):
    one, two = (
      train_fleet(optax.sgd, rates, width, devices, dtype=dtype)
      for devices in (1, 2)
    )
    jax.tree.map(np.testing.assert_array_equal, one, two)


def test_blocks_of_one_two_and_eight_agree():
  rates = list(np.geomspace(0.1, 3, 8))
  found = {
    width: train_fleet(optax.sgd, rates, width, 2, epochs=1)
    for width in (1, 2, 8)
  }
  for width in (2, 8):
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-12),
      found[width],
      found[1],
    )


def test_blocks_of_one_and_eight_agree_in_float32_over_an_epoch_of_sgd():
  rates = list(np.geomspace(0.1, 3, 8))
  one, eight = (
    train_fleet(optax.sgd, rates, width, 2, epochs=1, dtype='float32')
    for width in (1, 8)
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6),
    one,
    eight,
  )


def fails_from_update_7(rate):
  """Plain descent whose 7th update is infinite where its rate is above 1."""

  def update(grads, count, _=None):
    bad = (count >= 6) & (rate > 1)
    return jax.tree.map(
      lambda g: jnp.where(bad, jnp.inf, -rate * g), grads
    ), count + 1

  return optax.GradientTransformation(
    lambda _: jnp.zeros((), jnp.int32), update
  )


def test_a_failed_lane_freezes_alone():
  healthy, planted = (
    train_fleet(fails_from_update_7, rates, 2, 2, epochs=3)
    for rates in ([0.5, 0.25], [0.5, 2.0])
  )
  fleet, _ = planted
  np.testing.assert_array_equal(fleet.alive[:, 0], True)
  np.testing.assert_array_equal(fleet.alive[:, 1], False)
  np.testing.assert_array_equal(fleet.updates[:, 1], 6)
  assert all(
    np.isfinite(leaf).all() for leaf in jax.tree.leaves(fleet.state.params)
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_array_equal(a[:, 0], b[:, 0]),
    healthy,
    planted,
  )


def test_each_program_is_traced_once_whatever_the_rate():
  traces = []

  def optimizer_of(rate):
    traces.append(rate)
    return optax.sgd(rate)

  made = lanes.programs(**pieces(optimizer_of, 2))
  for rates in ([0.1, 0.2], [0.3, 0.4], [5.0, 6.0]):
    dealt = lanes.deal(rates, SEEDS, width=2, multiple=2, dtype='float64')
    fleet = made.launch(dealt.rate, starts(dealt))
    for epoch in range(2):
      fleet, _ = lanes.run_epoch(
        made, fleet, dealt.rate, orders(dealt, epoch), images()
      )
  assert len(traces) == 2  # launch, and the epoch


@pytest.mark.parametrize(
  ('rates', 'seeds', 'devices', 'width'),
  [
    (8, 3, 2, 4),
    (8, 3, 1, 8),
    (8, 4, 2, 8),
    (8, 3, 8, 1),
    (6, 3, 4, 1),
    (1, 20, 2, 1),
    (7, 2, 2, 7),
  ],
)
def test_the_widest_block_that_keeps_devices_busy(rates, seeds, devices, width):
  assert lanes.widest(rates, seeds, devices) == width


def test_waves_part_the_blocks():
  dealt = lanes.deal([1, 2, 3], 3, width=2, multiple=4)
  parts = lanes.waves(dealt, 4)
  assert [list(part.seed) for part in parts] == [[0, 0, 1, 1], [2, 2, 2, 2]]
  np.testing.assert_array_equal(parts[1].real[:2], [[1, 1], [1, 0]])
  assert not parts[1].real[2:].any()


def test_dealing_pads_and_marks():
  dealt = lanes.deal([1, 2, 3], 3, width=2, multiple=4)
  np.testing.assert_array_equal(dealt.seed, [0, 0, 1, 1, 2, 2, 2, 2])
  np.testing.assert_array_equal(dealt.rate, [[1, 2], [3, 3]] * 3 + [[3, 3]] * 2)
  np.testing.assert_array_equal(dealt.real, [[1, 1], [1, 0]] * 3 + [[0, 0]] * 2)


def test_a_cpu_works_on_one_block_at_a_time():
  """A cache holds one block: no array may have all that a device has."""
  mesh = meshes.of(1)
  if mesh.devices.flat[0].platform != 'cpu':
    pytest.skip('an accelerator wants all blocks at once')

  def scores_of(params, example):
    return params * example

  program = lanes.evaluator(scores_of, mesh)
  jaxpr = jax.make_jaxpr(program)(np.ones((7, 2)), np.ones(5))
  assert 'length=7' in str(jaxpr)
