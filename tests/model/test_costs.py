"""The cost of one example: identities, bounds, and what a decoder makes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from gd_jax.model import costs
from gd_jax.model import mlp
from gd_jax.types import Images

OUTPUTS = st.lists(st.floats(0, 1), min_size=10, max_size=10)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(OUTPUTS, st.integers(0, 9))
def test_T13_quadratic_cost_bounds_and_value(outputs, label):
  a, y = np.array(outputs), np.eye(10)[label]
  cost = float(costs.quadratic(jnp.asarray(a), jnp.asarray(y)))
  assert cost == pytest.approx(0.5 * ((y - a) ** 2).sum(), rel=1e-14)
  assert 0 <= cost <= 5
  assert (cost == 0) == bool(((y - a) ** 2).sum() == 0)


def test_T13_bounds_are_attained():
  y = jnp.eye(10)[6]
  assert costs.quadratic(y, y) == 0
  assert costs.quadratic(1 - y, y) == 5


@pytest.mark.parametrize(
  ('outputs', 'cost'),
  [
    (np.ones(10), 4.5),
    (np.full(10, 0.5), 1.25),
    (np.eye(10)[9], 1.0),
    (np.zeros(10), 0.5),
    (np.full(10, 0.1), 0.45),
    (0.6 * np.eye(10)[4] + 0.3 * np.eye(10)[9], 0.125),
    (np.eye(10)[4], 0.0),
  ],
)
def test_T14_ten_outputs_for_a_four(outputs, cost):
  found = costs.quadratic(jnp.asarray(outputs), jnp.eye(10)[4])
  np.testing.assert_allclose(found, cost, rtol=1e-14, atol=1e-16)


def test_cross_entropy_is_the_textbook_formula_and_stays_finite():
  z = jnp.array([-3.0, 0.5, 2.0])
  y = jnp.array([0.0, 1.0, 0.0])
  a = 1 / (1 + np.exp(-z))
  expected = -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a))
  np.testing.assert_allclose(costs.cross_entropy(z, y), expected, rtol=1e-14)
  far = jnp.array([-1e4, 1e4, 800.0], jnp.float32)
  value, grad = jax.value_and_grad(costs.cross_entropy)(
    far, y.astype(jnp.float32)
  )
  assert value == 800  # 0 + (1e4 - 1e4) + 800
  np.testing.assert_array_equal(grad, [0, 0, 1])


def test_decode_follows_the_dtype_of_the_parameters():
  decode = costs.decode_image(16.0, 4)
  image = Images(np.array([0, 8, 16], np.uint8), np.uint8(3))
  for dtype in (jnp.float32, jnp.float64):
    x, y = decode(image, dtype)
    assert x.dtype == y.dtype == dtype
    np.testing.assert_array_equal(x, [0, 0.5, 1])
    np.testing.assert_array_equal(y, [0, 0, 0, 1])


def test_T11_a_six_is_a_one_at_index_six():
  _, y = costs.decode_image(255.0, 10)(
    Images(np.zeros(784, np.uint8), np.uint8(6)), jnp.float32
  )
  assert y.shape == (10,)
  assert y[6] == 1
  assert y.sum() == 1


def test_scores_count_the_largest_output():
  params = mlp.init(jax.random.key(1), (3, 4), dtype='float64')
  scores_of = costs.example_scores(
    mlp.weighted_input, costs.quadratic_of_z, costs.decode_image(16, 4)
  )
  pixels = np.array([1, 2, 3], np.uint8)
  z = np.asarray(params[0].w) @ (pixels / 16) + np.asarray(params[0].b)
  for label in range(4):
    scores = scores_of(params, Images(pixels, np.uint8(label)))
    assert scores.accuracy == (np.argmax(z) == label)
    np.testing.assert_array_equal(scores.predicted, np.eye(4)[np.argmax(z)])
    a = 1 / (1 + np.exp(-z))
    expected = 0.5 * ((np.eye(4)[label] - a) ** 2).sum()
    np.testing.assert_allclose(scores.cost, expected, rtol=1e-14)
