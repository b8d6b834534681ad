"""The network: counts, shapes, starts, and gradients against NumPy by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gd_jax.model import costs
from gd_jax.model import mlp
from gd_jax.types import Images
from tests import oracles


@pytest.mark.parametrize(
  ('sizes', 'count'), [((784, 16, 16, 10), 13002), ((784, 30, 10), 23860)]
)
def test_T12_parameter_counts(sizes, count):
  params = mlp.init(jax.random.key(0), sizes)
  assert mlp.count(params) == count
  assert [layer.w.shape for layer in params] == list(
    zip(sizes[1:], sizes[:-1], strict=True)
  )


@pytest.mark.parametrize(
  ('scale', 'spread'), [('normal', 1.0), ('scaled', 1 / 28)]
)
def test_init_spread_and_dtype(scale, spread):
  params = mlp.init(jax.random.key(3), (784, 300, 10), scale)
  assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {
    jnp.dtype('float32')
  }
  w = np.asarray(params[0].w)
  assert abs(w.std() / spread - 1) < 0.01
  assert abs(w.mean() / spread) < 0.01
  b = np.asarray(params[0].b)
  assert abs(b.std() - 1) < 0.15
  double = mlp.init(jax.random.key(3), (784, 300, 10), scale, dtype='float64')
  assert double[0].w.dtype == jnp.float64
  assert abs(np.asarray(double[0].w).std() / spread - 1) < 0.01


def test_layers_and_seeds_start_apart():
  same = mlp.init(jax.random.key(0), (20, 20, 20))
  other = mlp.init(jax.random.key(1), (20, 20, 20))
  assert not np.allclose(same[0].w, same[1].w)
  assert not np.allclose(same[0].w, other[0].w)
  assert abs(np.corrcoef(same[0].w.ravel(), other[0].w.ravel())[0, 1]) < 0.2


def test_a_start_has_the_same_bits_inside_a_program_and_outside():
  sizes = (64, 30, 10)
  outside = mlp.init(jax.random.key(2), sizes)
  inside = jax.jit(lambda key: mlp.init(key, sizes))(jax.random.key(2))
  jax.tree.map(np.testing.assert_array_equal, inside, outside)


@pytest.mark.parametrize('cost', ['quadratic', 'cross_entropy'])
def test_gradient_equals_backpropagation_by_hand(cost):
  rng = np.random.default_rng(0)
  params = mlp.init(jax.random.key(0), (12, 7, 5, 3), dtype='float64')
  pixels, label = rng.integers(0, 17, 12).astype(np.uint8), np.uint8(2)
  cost_of = costs.example_cost(
    mlp.weighted_input, costs.COSTS[cost], costs.decode_image(16, 3)
  )
  value, grad = jax.value_and_grad(cost_of)(params, Images(pixels, label))
  expected, by_hand = oracles.backprop(
    [(np.asarray(w), np.asarray(b)) for w, b in params],
    pixels / 16,
    np.eye(3)[label],
    cost,
  )
  np.testing.assert_allclose(value, expected, rtol=1e-13)
  for layer, (gw, gb) in zip(grad, by_hand, strict=True):
    np.testing.assert_allclose(layer.w, gw, rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(layer.b, gb, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize('name', ['tanh', 'relu'])
def test_hidden_activation_is_the_one_named(name):
  params = mlp.init(jax.random.key(0), (4, 6, 3), dtype='float64')
  x = np.linspace(-2, 2, 4)
  function = {'tanh': np.tanh, 'relu': lambda z: np.maximum(z, 0)}[name]
  (w1, b1), (w2, b2) = params
  z = w2 @ function(np.asarray(w1 @ x + b1)) + b2
  np.testing.assert_allclose(mlp.weighted_input(params, x, name), z, rtol=1e-13)
  np.testing.assert_allclose(
    mlp.predict(params, x, name), oracles.sigmoid(np.asarray(z)), rtol=1e-13
  )
