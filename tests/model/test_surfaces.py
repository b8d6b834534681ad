"""The textbook's functions: their numbers, by hand."""

import functools
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gd_jax.model import neurons
from gd_jax.model import own
from gd_jax.model import slopes
from gd_jax.model import surfaces
from gd_jax.types import UserError

SURFACES = surfaces.SURFACES


def value(name, *w):
  return float(surfaces.mean_cost(SURFACES[name], jnp.array(w)))


def slope(name, *w):
  grad = jax.grad(surfaces.mean_cost, argnums=1)
  return np.asarray(grad(SURFACES[name], jnp.array(w)))


def bends(name, *w):
  return np.asarray(surfaces.curvatures(SURFACES[name], jnp.array(w)))


@pytest.mark.parametrize('name', list(SURFACES))
def test_every_surface_is_flat_at_its_minima_and_at_home_in_its_domain(name):
  surface = SURFACES[name]
  assert surface.minima
  for where in surface.minima.values():
    np.testing.assert_allclose(slope(name, *where), 0, atol=1e-8)
    assert bends(name, *where).min() > 0
  assert len(surface.starts) == 3
  for point in (*surface.starts.values(), *surface.minima.values()):
    for x, (low, high) in zip(point, surface.domain, strict=True):
      assert low < x < high
  assert surface.formula.isascii()


def test_T01_the_parabola_and_its_slope():
  assert value('parabola', 1.0) == -3
  np.testing.assert_allclose(slope('parabola', -0.9), [-22.8], rtol=1e-15)
  np.testing.assert_allclose(bends('parabola', -0.9), [12], rtol=1e-15)


def test_T02_the_limit_is_two_over_the_largest_curvature():
  np.testing.assert_allclose(2 / bends('parabola', 1.0)[-1], 1 / 6)
  np.testing.assert_allclose(2 / bends('bowl', 1.0, 7 / 9)[-1], 1 / 9)


def test_T03_the_bowl():
  assert value('bowl', 1.0, 7 / 9) == pytest.approx(-76 / 9, rel=1e-14)
  x, y = 0.3, -1.7
  expected = [12 * x - 12, 18 * y - 14]
  np.testing.assert_allclose(slope('bowl', x, y), expected, rtol=1e-14)


def test_T04_two_minima_and_the_saddle_between_them():
  assert value('two_minima', -0.98038, 0.98038) == pytest.approx(
    -2.01903, abs=5e-6
  )
  assert value('two_minima', 0.89397, -0.89397) == pytest.approx(
    -1.04418, abs=5e-6
  )
  assert value('two_minima', 0.36407, -0.36407) == pytest.approx(
    -0.97850, abs=5e-6
  )
  found = [
    SURFACES['two_minima'].minima[f'the {k} minimum'][0]
    for k in ('deep', 'shallow')
  ]
  np.testing.assert_allclose(found, [-0.98038, 0.89397], atol=5e-6)
  assert np.abs(slope('two_minima', 0.36407, -0.36407)).max() < 1e-5
  low, high = bends('two_minima', 0.36407, -0.36407)
  assert low < 0 < high


def test_T05_the_saddle_and_the_plateau():
  surface = SURFACES['saddle']
  x, y = jnp.array([0.7, -0.4]), 1.0
  expected = 0.7**2 - 0.4**2 + 0.5 * 0.4**4 + y * -0.4
  assert surface.cost_of(x, jnp.array(y)) == pytest.approx(expected)
  assert value('saddle', 0.0, 1.0) == value('saddle', 0.0, -1.0) == -0.5
  np.testing.assert_array_equal(bends('saddle', 0.0, 0.0), [-2, 2])
  assert 0 < slope('plateau', 10.0)[0] < 1e-4
  assert value('plateau', 10.0) > 0.4


def test_T06_the_law_of_motion_holds_better_the_smaller_the_rate():
  w = jnp.array([-1.0, 2.2])
  cost = functools.partial(surfaces.mean_cost, SURFACES['bowl'])
  g = jax.grad(cost)(w)
  errors = []
  for eta in (4e-3, 2e-3, 1e-3):
    law = slopes.predicted_change(g, -eta * g)
    np.testing.assert_allclose(law, -eta * jnp.sum(g**2), rtol=1e-14)
    errors.append(1 - float((cost(w - eta * g) - cost(w)) / law))
  np.testing.assert_allclose(np.divide(errors[1:], errors[:-1]), 0.5, 1e-9)
  assert 0 < errors[-1] < 0.01


def test_T07_no_direction_beats_the_one_against_the_gradient():
  rng = np.random.default_rng(0)
  g = jnp.asarray(rng.normal(size=7))
  eps = 0.3
  best = slopes.steepest(g, eps)
  assert np.linalg.norm(best) == pytest.approx(eps)
  found = float(slopes.predicted_change(g, best))
  assert found == pytest.approx(-eps * np.linalg.norm(g), rel=1e-14)
  others = rng.normal(size=(2000, 7))
  others *= eps / np.linalg.norm(others, axis=1, keepdims=True)
  assert float(np.min(others @ np.asarray(g))) > found


def test_T08_along_the_contour_the_cost_changes_to_second_order():
  cost = functools.partial(surfaces.mean_cost, SURFACES['two_minima'])
  w = jnp.array([0.4, 2.4])
  g = jax.grad(cost)(w)
  assert abs(float(jnp.dot(g, slopes.along_contour(g, 1.0)))) < 1e-15
  sizes = np.array([0.02, 0.01, 0.005])
  orders = []
  for step in (slopes.steepest, slopes.along_contour):
    changes = [abs(float(cost(w + step(g, h)) - cost(w))) for h in sizes]
    orders.append(np.polyfit(np.log(sizes), np.log(changes), 1)[0])
  np.testing.assert_allclose(orders, [1, 2], atol=0.02)


def test_T08_close_contours_mean_steep():
  # The gap between two contours is dC/|g|, measured along the gradient.
  cost = functools.partial(surfaces.mean_cost, SURFACES['bowl'])
  for w in (jnp.array([0.2, 0.1]), jnp.array([-1.4, 2.9])):
    g = jax.grad(cost)(w)
    gap = 1e-4 / float(jnp.linalg.norm(g))
    found = float(cost(w - slopes.steepest(g, gap)) - cost(w))
    assert found == pytest.approx(1e-4, rel=1e-3)


def test_T09_examples_are_valleys_with_a_flat_floor_and_their_sum_is_a_bowl():
  pairs = neurons.PAIRS
  rng = np.random.default_rng(1)
  for x, t in zip(*pairs, strict=True):
    on_floor = t * x / (x @ x) + rng.normal() * np.array([-x[1], x[0]])
    pair = neurons.Pair(jnp.asarray(x), jnp.asarray(t))
    assert neurons.linear_cost(jnp.asarray(on_floor), pair) < 1e-28
    hessian = jax.hessian(neurons.linear_cost)(jnp.asarray(on_floor), pair)
    np.testing.assert_allclose(
      np.linalg.eigvalsh(hessian), [0, x @ x], atol=1e-14
    )
  w = rng.normal(size=2)
  total = 0.5 * np.sum((pairs.t - pairs.x @ w) ** 2)
  assert value('neuron', *w) == pytest.approx(total / 4, rel=1e-14)
  normal = np.linalg.solve(pairs.x.T @ pairs.x, pairs.x.T @ pairs.t)
  np.testing.assert_allclose(neurons.solve(pairs), normal, rtol=1e-12)
  # The mean's limit is n times that of the sum.
  top = np.linalg.eigvalsh(pairs.x.T @ pairs.x)[-1]
  assert 2 / bends('neuron', *w)[-1] == pytest.approx(4 * 2 / top)
  assert value('neuron', *normal) > 1e-3  # cannot be fitted


def test_T24_the_noise_averages_to_the_parabola():
  draws = SURFACES['noisy_parabola'].examples
  assert abs(draws.mean()) < 1e-12
  assert draws.std() == pytest.approx(1, rel=1e-12)
  # Normal: 68.3 % within one sd, 95.4 % within two.
  inside = [np.mean(np.abs(draws) < k) for k in (1, 2)]
  np.testing.assert_allclose(inside, [0.6827, 0.9545], atol=0.005)
  assert value('noisy_parabola', 0.3) == pytest.approx(
    value('parabola', 0.3), rel=1e-12
  )


def test_T40_the_ravine_has_condition_number_100():
  low, high = bends('ravine', 0.2, 0.1)
  assert high / low == pytest.approx(100)


def test_T41_least_squares_answers_a_half_four_times():
  pairs = neurons.with_bias(neurons.XOR)
  w = neurons.solve(pairs)
  np.testing.assert_allclose(pairs.x @ w, 0.5, atol=1e-14)
  each = jax.vmap(neurons.linear_cost, (None, 0))(jnp.asarray(w), pairs)
  assert float(jnp.sum(each)) == pytest.approx(0.5, rel=1e-14)


def test_rosenbrock():
  assert value('rosenbrock', -1.2, 1.0) == pytest.approx(24.2)
  np.testing.assert_allclose(slope('rosenbrock', -1.2, 1.0), [-215.6, -88])


def test_a_surface_follows_the_dtype_of_its_point():
  for surface in SURFACES.values():
    point = next(iter(surface.starts.values()))
    for dtype in (jnp.float32, jnp.float64):
      example = jax.tree.map(
        lambda leaf: jnp.asarray(leaf)[0], surface.examples
      )
      cost = surface.cost_of(jnp.array(point, dtype), example)
      assert cost.dtype == dtype, surface.name


@pytest.fixture
def mine():
  module = types.ModuleType('my_valley')
  sys.modules['my_valley'] = module
  yield module
  del sys.modules['my_valley']


def test_a_user_s_own_function(mine):
  def valley(u, v):
    return u**2 + 3 * v**2

  valley.domain = ((-1, 1), (0, 2))
  mine.valley = valley
  surface = own.find('my_valley:valley')
  assert surface.variables == ('u', 'v')
  assert surface.domain == ((-1, 1), (0, 2))
  w = jnp.array([1.0, 2.0])
  assert float(surfaces.mean_cost(surface, w)) == 13
  for point in surface.starts.values():
    assert -1 <= point[0] <= 1
    assert 0 <= point[1] <= 2
  mine.ready = SURFACES['bowl']
  assert own.find('my_valley:ready') is SURFACES['bowl']
  assert own.find('bowl') is SURFACES['bowl']


@pytest.mark.parametrize(
  ('text', 'words'),
  [
    ('bowel', 'unknown: expected one of parabola'),
    ('no_such_module:f', 'ModuleNotFoundError'),
    ('my_valley:missing', 'AttributeError'),
    ('my_valley:three', 'one or two numbers'),
    ('my_valley:number', 'one or two numbers'),
    ('my_valley:broken', 'cannot be differentiated'),
    ('my_valley:pair', 'cannot be differentiated'),
    ('my_valley:nowhere', 'domain'),
  ],
)
def test_an_own_function_that_cannot_be_descended_is_refused(mine, text, words):
  mine.three = lambda a, b, c: a + b + c
  mine.number = 3
  mine.broken = lambda x: float(x)
  mine.pair = lambda x, y: jnp.stack([x, y])
  mine.nowhere = lambda x: x**2
  mine.nowhere.domain = ((1, 0),)
  with pytest.raises(UserError, match=words):
    own.find(text)
