"""Rows of the textbook on whole networks and on MNIST, float32 as shipped."""

import functools

import jax
import numpy as np
import pytest
from jax import flatten_util

from gd_jax.descent import batches
from gd_jax.descent import optimizers
from gd_jax.descent import train
from gd_jax.insight import gradients
from gd_jax.insight import landscape
from gd_jax.insight import noise
from gd_jax.insight import principal
from gd_jax.insight import totals
from gd_jax.model import costs
from gd_jax.model import mlp
from gd_jax.world import data
from gd_jax.world import mesh
from tests import networks

MESH = mesh.row(jax.devices())


def parts(dataset):
  decode = costs.decode_image(dataset.scale, dataset.classes)
  return mlp.weighted_input, costs.quadratic_of_z, decode


def trained(dataset, sizes, *, seed, epochs, eta):
  """Start and end of plain descent in mini-batches of 10."""
  cost_of = costs.example_cost(*parts(dataset))
  optimizer = optimizers.sgd(eta)
  step = train.make_step(cost_of, optimizer)
  run = jax.jit(functools.partial(train.run_batches, step))
  start = mlp.init(jax.random.key(seed), sizes, dtype='float32')
  state = train.start(start, optimizer)
  for epoch in range(epochs):
    order = batches.epoch_order(seed, epoch, len(dataset.train.y), 10)
    state, _ = run(state, batches.gather(dataset.train, order))
  return start, state.params


@pytest.fixture(scope='module')
def mnist(mnist_dir):
  return data.load('mnist', data_dir=mnist_dir, validation_size=0)


def test_T32_a_poll_points_in_the_generally_correct_direction(mnist):
  n = len(mnist.train.y)
  cost_of = costs.example_cost(*parts(mnist))
  mean = jax.jit(gradients.mean_of(cost_of, MESH))
  poll = jax.jit(noise.polls_of(cost_of, MESH))
  dealt = totals.deal(mnist.train, MESH)
  expected = (0.68, 0.95, 0.99, 1.0), (0.07, 0.11, 0.31, 0.71)
  ends = trained(mnist, (784, 30, 10), seed=0, epochs=1, eta=3.0)
  for params, cosines in zip(ends, expected, strict=True):
    grad = mean(params, dealt).grad
    for m, cosine in zip((1, 10, 100, 1000), cosines, strict=True):
      order = noise.draws(0, n, m, 20 if m == 1000 else 200)
      found = np.asarray(poll(params, grad, mnist.train, order).cosine)
      assert found.mean() == pytest.approx(cosine, abs=0.12)
  assert n / 10 == 6000


def test_T42_the_images_on_their_first_two_directions(mnist):
  found = principal.of_rows(mnist.train.x)
  assert 100 * found.share[0] == pytest.approx(9.70, abs=0.01)
  assert 100 * found.share[1] == pytest.approx(7.10, abs=0.01)
  where = principal.coordinates(found, mnist.train.x)
  share = where.var(axis=0) / mnist.train.x.astype('f4').var(axis=0).sum()
  np.testing.assert_allclose(share, found.share, rtol=1e-4)
  zero, one = (np.median(where[mnist.train.y == k, 0]) for k in (0, 1))
  assert zero > 700
  assert one < -700


def test_T36_seeds_end_alike_and_apart_with_a_barrier_between(mnist):
  ends = [
    trained(mnist, (784, 30, 10), seed=seed, epochs=2, eta=3.0)[1]
    for seed in (0, 1)
  ]
  split = landscape.whole(costs.example_cost(*parts(mnist)))
  t = np.linspace(0, 1, 9, dtype='f4')[:, None]
  step = jax.tree.map(lambda a, b: b - a, *ends)
  cost = jax.jit(landscape.slice_of(split, MESH))(
    ends[0], landscape.stacked(step), t, totals.deal(mnist.train, MESH)
  )
  assert float(cost[0]) == pytest.approx(float(cost[-1]), rel=0.1)
  assert max(cost[0], cost[-1]) < 0.06
  assert cost.max() > 4 * max(cost[0], cost[-1])
  length = np.linalg.norm(flatten_util.ravel_pytree(ends[0])[0])
  apart = np.linalg.norm(flatten_util.ravel_pytree(step)[0])
  assert apart > 0.5 * length


@pytest.mark.claims
@pytest.mark.parametrize(
  ('sizes', 'expected'),
  [((784, 10), (92, 84, 75, 67)), ((784, 100, 10), (96, 87, 78, 70))],
)
def test_T31_plateaus_by_the_number_of_dead_outputs(
  mnist_dir, sizes, expected, record_property
):
  dataset = data.load('mnist', data_dir=mnist_dir)
  found = networks.scores(
    dataset,
    sizes,
    init='normal',
    eta=3.0,
    seeds=list(range(20)),
    epochs=10,
    m=10,
  )
  test = found[-1][1]
  # As `mistakes.dead`: less than a tenth of a fair share.
  dead = (np.asarray(test.predicted) < 0.01).sum(axis=-1)
  accuracy = 100 * np.asarray(test.accuracy)
  record_property('dead', dead.tolist())
  record_property('accuracies', accuracy.tolist())
  assert dead.max() >= 1
  for count in set(dead.tolist()) & set(range(4)):
    median = np.median(accuracy[dead == count])
    assert median == pytest.approx(expected[count], abs=3)
