"""Per-example gradients and polls against NumPy by hand and enumeration."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import flatten_util

from gd_jax.descent import batches
from gd_jax.descent import optimizers
from gd_jax.descent import train
from gd_jax.insight import gradients
from gd_jax.insight import noise
from gd_jax.insight import totals
from tests import oracles
from tests.insight import networks as nets


def by_hand():
  """Every example's gradient as a row of NumPy, [n, D]."""
  layers = [(np.asarray(w), np.asarray(b)) for w, b in nets.params()]
  images = nets.images()
  rows = []
  for x, y in zip(images.x, images.y, strict=True):
    _, found = oracles.backprop(layers, x / 16.0, np.eye(3)[y])
    rows.append(
      np.concatenate([part.ravel() for pair in found for part in pair])
    )
  return np.array(rows)


def of_all():
  return jax.jit(gradients.mean_of(nets.COST_OF, nets.MESH))(
    nets.params(), nets.dealt()
  )


def test_per_example_gradients_are_those_by_hand():
  found = train.per_example_grads(nets.COST_OF, nets.params(), nets.images())
  rows = np.concatenate(
    [leaf.reshape(nets.N, -1) for leaf in jax.tree.leaves(found)], axis=1
  )
  np.testing.assert_allclose(rows, by_hand(), rtol=0, atol=1e-12)


@pytest.mark.parametrize('most', [3, 10, 1000])
def test_the_mean_and_the_spread_are_those_of_the_rows(most):
  rows, examples = by_hand(), nets.dealt(most)
  found = of_all()
  np.testing.assert_allclose(
    nets.flat(found.grad), rows.mean(axis=0), atol=1e-14
  )
  assert float(found.cost) == pytest.approx(
    float(nets.mean_cost(nets.params())), abs=1e-14
  )
  each, spread = jax.jit(gradients.each_of(nets.COST_OF, nets.MESH))(
    nets.params(), found.grad, examples
  )
  each = totals.flat(each, nets.N)
  np.testing.assert_allclose(each.square, (rows**2).sum(axis=1), atol=1e-12)
  np.testing.assert_allclose(each.along, rows @ rows.mean(axis=0), atol=1e-12)
  np.testing.assert_allclose(
    nets.flat(spread.variance), rows.var(axis=0), atol=1e-12
  )
  ratio = nets.flat(gradients.signal_to_noise(spread))
  np.testing.assert_allclose(
    ratio, np.abs(rows.mean(axis=0)) / rows.std(axis=0), rtol=1e-9
  )


def test_T22_a_component_says_what_a_nudge_does_and_adam_undoes_it():
  grad = of_all().grad
  places, values = gradients.importance(grad, 10)
  vector, unravel = flatten_util.ravel_pytree(nets.params())
  assert np.all(np.diff(np.abs(values)) <= 0)
  assert np.abs(values[0]) == np.abs(nets.flat(grad)).max()
  cost = jax.jit(lambda v: nets.mean_cost(unravel(v)))
  for place, value in zip(places, values, strict=True):
    change = cost(vector.at[place].add(1e-4)) - cost(
      vector.at[place].add(-1e-4)
    )
    assert float(change) / 2e-4 == pytest.approx(float(value), abs=1e-7)
  optimizer = optimizers.adam(0.01)
  change, _ = optimizer.update(grad, optimizer.init(nets.params()))
  np.testing.assert_allclose(np.abs(nets.flat(change)), 0.01, rtol=1e-3)


def test_the_expected_error_of_a_poll_is_that_of_all_polls_there_are():
  rows = by_hand()[:6]
  mean = rows.mean(axis=0)
  trace = ((rows - mean) ** 2).sum(axis=1).mean()
  for m in range(1, 7):
    errors = [
      ((rows[list(some)].mean(axis=0) - mean) ** 2).sum()
      for some in itertools.combinations(range(6), m)
    ]
    law = trace / m * noise.finite_population(6, m)
    assert np.mean(errors) == pytest.approx(law, abs=1e-15)


def test_a_thousand_err_alike_for_sixty_thousand_and_300_million():
  few, many = (noise.finite_population(n, 1000) for n in (60_000, 300_000_000))
  assert np.sqrt(few / many) == pytest.approx(1, abs=0.01)


def test_polls_are_those_of_their_examples():
  rows, mean = by_hand(), of_all().grad
  order = noise.draws(3, nets.N, 5, 4)
  assert all(len(set(row)) == 5 for row in order.index)
  found = jax.jit(noise.polls_of(nets.COST_OF, nets.MESH))(
    nets.params(), mean, nets.images(), order
  )
  for k, row in enumerate(order.index):
    g, whole = rows[row].mean(axis=0), rows.mean(axis=0)
    assert float(found.error[k]) == pytest.approx(((g - whole) ** 2).sum())
    cosine = g @ whole / np.linalg.norm(g) / np.linalg.norm(whole)
    assert float(found.cosine[k]) == pytest.approx(cosine)


def test_T18_the_variance_falls_as_one_over_m():
  mean = of_all().grad
  polls = jax.jit(noise.polls_of(nets.COST_OF, nets.MESH))
  sizes = [1, 2, 4, 8, nets.N // 2]
  errors = [
    polls(
      nets.params(), mean, nets.images(), noise.draws(0, nets.N, m, 2000)
    ).error
    for m in sizes
  ]
  found = noise.slope(sizes, errors, nets.N)
  assert found.low <= -1 <= found.high
  assert found.high - found.low < 0.1
  plain = noise.slope(sizes, errors, 10**9)  # as if drawn from a whole nation
  assert plain.high < -1.05
  rows = by_hand()
  trace = ((rows - rows.mean(axis=0)) ** 2).sum(axis=1).mean()
  half = np.mean(errors[-1]) / (trace / sizes[-1])
  assert half == pytest.approx(noise.finite_population(nets.N, sizes[-1]), 0.06)


def test_a_large_poll_is_padded_with_nobody():
  order = noise.draws(0, 5000, 2501, 2)
  assert order.index.shape == (2, batches.slots_of(2501))
  assert order.index.shape[1] > 2501
  assert (order.weights.sum(axis=1) == 2501).all()
  assert len(set(order.index[0, :2501])) == 2501


def summed_up(rows):
  mean = rows.mean(axis=0)
  return (rows**2).sum(axis=1), rows @ mean, float(mean @ mean)


def test_the_jackknife_leaves_out_one_after_the_other():
  rows = by_hand() + 0.3
  square, along, norm = summed_up(rows)
  found = noise.noise_scale(square, along, norm)
  assert found.trace == pytest.approx(rows.var(axis=0, ddof=1).sum())

  def log_ratio(some):
    trace = some.var(axis=0, ddof=1).sum()
    mean = some.mean(axis=0)
    return np.log(trace / (mean @ mean - trace / len(some)))

  left = [log_ratio(np.delete(rows, k, axis=0)) for k in range(len(rows))]
  se = np.sqrt((nets.N - 1) * np.var(left))
  centre = log_ratio(rows)
  assert np.log(found.scale.value) == pytest.approx(centre)
  assert np.log(found.scale.high) - centre == pytest.approx(2.01290 * se, 1e-5)


def test_the_interval_holds_the_true_noise_scale_95_times_of_100():
  rng = np.random.default_rng(0)
  sd, mean = np.array([1.0, 2.0, 0.5]), np.array([0.6, 0.3, -0.2])
  truth = (sd**2).sum() / (mean**2).sum()
  hits = 0
  for _ in range(400):
    rows = mean + sd * rng.standard_normal((300, 3))
    found = noise.noise_scale(*summed_up(rows)).scale
    hits += found.low <= truth <= found.high
  assert 0.92 <= hits / 400 <= 0.98


def test_noise_that_may_hide_the_gradient_has_no_upper_end():
  rng = np.random.default_rng(1)
  rows = rng.standard_normal((30, 50))
  found = noise.noise_scale(*summed_up(rows - rows.mean(axis=0)))
  assert found.scale.high == np.inf


def test_float32_as_it_is_shipped():
  small = jax.tree.map(lambda leaf: leaf.astype('f4'), nets.params())
  found = jax.jit(gradients.mean_of(nets.COST_OF, nets.MESH))(
    small, nets.dealt()
  )
  assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype('f4')}
  np.testing.assert_allclose(
    nets.flat(found.grad), by_hand().mean(axis=0), atol=1e-6
  )
