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


def test_what_no_example_moves_is_no_signal():
  spread = gradients.Spread(
    jnp.array([0.5, -6.0, 0.0, 2.0]), jnp.array([0.0, 4.0, 0.25, 16.0])
  )
  found = gradients.signal_to_noise(spread)
  assert found.tolist() == [0.0, 3.0, 0.0, 0.5]


def test_T22_a_component_says_what_a_nudge_does_and_adam_undoes_it():
  grad = of_all().grad
  places, values = gradients.importance(grad, 10)
  vector, unravel = flatten_util.ravel_pytree(nets.params())
  everything, _ = gradients.importance(grad, vector.size + 1)
  assert sorted(everything.tolist()) == list(range(vector.size))
  assert everything[:10].tolist() == places.tolist()
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
  polls = jax.jit(noise.polls_of(nets.COST_OF, nets.MESH))
  found = polls(nets.params(), mean, nets.images(), order)
  nothing = jax.tree.map(jnp.zeros_like, mean)
  to_nothing = polls(nets.params(), nothing, nets.images(), order)
  assert to_nothing.cosine.tolist() == [0.0] * 4
  for k, row in enumerate(order.index):
    g, whole = rows[row].mean(axis=0), rows.mean(axis=0)
    assert float(found.error[k]) == pytest.approx(((g - whole) ** 2).sum())
    assert float(to_nothing.error[k]) == pytest.approx((g**2).sum())
    cosine = g @ whole / np.linalg.norm(g) / np.linalg.norm(whole)
    assert float(found.cosine[k]) == pytest.approx(cosine)


def test_the_same_seed_draws_the_same_polls():
  order = noise.draws(3, 47, 5, 2)
  assert order.index[:, :5].tolist() == [
    [27, 3, 19, 15, 40],
    [7, 43, 16, 45, 18],
  ]
  assert order.weights.tolist() == [[1] * 5] * 2
  assert order.index.dtype == np.int32
  assert order.weights.dtype == np.float32
  others = noise.draws(4, 47, 5, 2), noise.draws(3, 47, 6, 2)
  for other in others:
    assert order.index.tolist() != other.index[:, :5].tolist()


def test_a_slope_by_hand():
  # Errors 2, 1, 1/2 within a population without end fall as 1/m.
  n, sizes = 10**12, [1, 2, 4]
  errors = [mean * np.array([0.5, 1.0, 1.5]) for mean in (2.0, 1.0, 0.5)]
  found = noise.slope(sizes, errors, n)
  # Each has mean/se = 2 sqrt(3); x = log m - log 2 = -+log 2.
  reach = 1.959964 / (np.sqrt(12 * 2) * np.log(2))
  wanted = (-1, -1 - reach, -1 + reach)
  np.testing.assert_allclose(found, wanted, rtol=1e-6)
  # The surer a mean is, the more it counts: here the first two alone.
  errors[2] = 0.5 * np.array([-99.0, 1.0, 101.0])
  errors[1] = 0.5 * errors[1]
  assert noise.slope(sizes, errors, n).value == pytest.approx(-2, abs=1e-3)


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


def test_a_noise_scale_of_three_by_hand():
  # Gradients 1, 2, 6: mean 3, and a variance of 7 that adds 7/3 to |g|^2 = 9.
  rows = np.array([[1.0], [2.0], [6.0]])
  found = noise.noise_scale(*summed_up(rows))
  assert (found.trace, found.signal) == pytest.approx((7, 9 - 7 / 3))
  assert found.scale.value == pytest.approx(7 / (9 - 7 / 3))
  # Left out one by one, the other two: trace and |g|^2 less half of it.
  logs = np.log([8 / (16 - 4), 12.5 / (12.25 - 6.25), 0.5 / (2.25 - 0.25)])
  reach = 4.3026527297 * np.sqrt(2 / 3 * np.sum((logs - logs.mean()) ** 2))
  ends = found.scale.value * np.exp([-reach, reach])
  assert found.scale[1:] == pytest.approx(tuple(ends))


def test_noise_that_may_hide_the_gradient_has_no_upper_end():
  rng = np.random.default_rng(1)
  rows = rng.standard_normal((30, 50))
  found = noise.noise_scale(*summed_up(rows - rows.mean(axis=0)))
  assert found.scale == (np.inf, 0.0, np.inf)


@pytest.mark.parametrize(
  ('gradients_of', 'scale', 'trace', 'signal'),
  [
    ([1, -1, 6], np.inf, 13, 4 - 13 / 3),
    ([0, 0, 0, 4], np.inf, 4, 0),
    # Without the last one nothing varies; here nothing does at all.
    ([1, 1, 3], 4 / 7, 4 / 3, 7 / 3),
    ([2, 2, 2], 0, 0, 4),
    # Without the last one there is less signal than noise.
    ([-1, 1, 1, 4], 17 / 2, 17 / 4, 1 / 2),
    # One alone has no spread.
    ([1, 2], 1 / 4, 1 / 2, 2),
  ],
)
def test_one_that_decides_alone_leaves_no_interval(
  gradients_of, scale, trace, signal
):
  rows = np.array(gradients_of, float)[:, None]
  found = noise.noise_scale(*summed_up(rows))
  assert found.scale == (pytest.approx(scale), 0.0, np.inf)
  assert (found.trace, found.signal) == pytest.approx((trace, signal))


def test_float32_as_it_is_shipped():
  small = jax.tree.map(lambda leaf: leaf.astype('f4'), nets.params())
  found = jax.jit(gradients.mean_of(nets.COST_OF, nets.MESH))(
    small, nets.dealt()
  )
  assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype('f4')}
  np.testing.assert_allclose(
    nets.flat(found.grad), by_hand().mean(axis=0), atol=1e-6
  )
