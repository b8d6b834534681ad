"""The network: parameters as a pytree, and its output for ONE example.

    a_0 = x,   z_l = w_l a_(l-1) + b_l,   a_l = f(z_l)

f is the hidden activation; the output neurons are sigmoids. Everything follows
the dtype of the parameters. Batches come from `vmap` at the caller. Notation:
M. Nielsen, Neural Networks and Deep Learning (2015), chapter 2.
"""

import functools
import itertools
import math
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gd_jax.types import Layer
from gd_jax.types import Params

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
  'sigmoid': jax.nn.sigmoid,
  'tanh': jnp.tanh,
  'relu': jax.nn.relu,
}

# Standard deviation of a weight that leaves n_in neurons. Biases are N(0, 1).
SCALES: dict[str, Callable[[int], float]] = {
  'normal': lambda n_in: 1.0,  # noqa: ARG005  (the book's chapter 1)
  'scaled': lambda n_in: 1.0 / math.sqrt(n_in),  # the book's chapter 3
}


def init(
  key: jax.Array,
  sizes: Sequence[int],
  scale: str = 'scaled',
  *,
  dtype: Any = jnp.float32,
) -> Params:
  """Random parameters for layers of `sizes` neurons, inputs first.

  Biases are N(0, 1); weights are N(0, 1) for scale 'normal' and N(0, 1/n_in)
  for 'scaled'.

  Args:
    key: a typed key of `jax.random.key`.
    sizes: at least two positive integers, such as (784, 30, 10).
    scale: 'normal' or 'scaled'.
    dtype: of every parameter, and so of all that is computed with them.

  Returns:
    One Layer(w [n_out, n_in], b [n_out]) for each pair of neighbours.
  """
  # One program: alone and inside another it has the same bits.
  return _init(key, tuple(sizes), scale, dtype)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _init(key, sizes, scale, dtype):
  layers = []
  keys = jax.random.split(key, len(sizes) - 1)
  for layer_key, n_in, n_out in zip(keys, sizes[:-1], sizes[1:], strict=True):
    w_key, b_key = jax.random.split(layer_key)
    w = jax.random.normal(w_key, (n_out, n_in), dtype)
    b = jax.random.normal(b_key, (n_out,), dtype)
    layers.append(Layer(w * jnp.asarray(SCALES[scale](n_in), dtype), b))
  return tuple(layers)


def weighted_input(
  params: Params, x: jax.Array, activation: str = 'sigmoid'
) -> jax.Array:
  """Z of the last layer, [n_out], for one example x [n_in]."""
  first, *rest = params
  return above(rest, first.w @ x + first.b, activation)


def above(
  layers: Sequence[Layer], z: jax.Array, activation: str = 'sigmoid'
) -> jax.Array:
  """Z of the last layer from the weighted input z of the layer below."""
  for layer in layers:
    z = layer.w @ ACTIVATIONS[activation](z) + layer.b
  return z


def predict(
  params: Params, x: jax.Array, activation: str = 'sigmoid'
) -> jax.Array:
  """The outputs a = sigmoid(z) in (0, 1), [n_out], for one example x [n_in]."""
  return jax.nn.sigmoid(weighted_input(params, x, activation))


def flop(sizes: Sequence[int], m: int) -> int:
  """FLOP of the cost and the gradient of m examples, matrix products alone.

      m (4 sum_l n_l n_(l+1) + 2 sum_(l >= 1) n_l n_(l+1))

  Forward and the gradient of the weights for every layer, backward for all but
  the first: 958,800 for 784-30-10 and m = 10.
  """
  products = [a * b for a, b in itertools.pairwise(sizes)]
  return m * (4 * sum(products) + 2 * sum(products[1:]))


def count(params: Params) -> int:
  """How many numbers the parameters hold: 13,002 for 784-16-16-10."""
  return sum(leaf.size for leaf in jax.tree.leaves(params))
