"""Linear and sigmoid neurons on a handful of training pairs.

A linear neuron y = w . x has an error surface that is a bowl, whose floor can
be computed at once; with sigmoids it is richer and no longer solvable at once.
After G. Hinton's lectures (2012), 3a to 3c, and Minsky and Papert (1969).
"""

from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gd_jax.model import costs
from gd_jax.model import mlp
from gd_jax.types import Params


class Pair(NamedTuple):
  """One training pair, or several with a leading axis."""

  x: Any  # [inputs]
  t: Any  # (), the target


# Not quite on one plane, so that the floor of the bowl lies above 0.
PAIRS = Pair(
  np.array([[1.0, 0.3], [0.4, 1.0], [-0.8, 0.9], [0.9, -0.7]]),
  np.array([0.9, -0.1, -1.3, 1.5]),
)

# Exclusive or, the targets 0 and 1.
XOR = Pair(
  np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]),
  np.array([0.0, 1.0, 1.0, 0.0]),
)


def linear_cost(w: jax.Array, pair: Pair) -> jax.Array:
  """1/2 (t - w . x)^2 of one pair.

  By itself a valley with a flat floor: every w with w . x = t costs nothing.
  """
  x, t = (jnp.asarray(part).astype(w.dtype) for part in pair)
  return 0.5 * (t - jnp.dot(w, x)) ** 2


def with_bias(pairs: Pair) -> Pair:
  """The pairs with a further input that is always 1."""
  ones = np.ones((len(pairs.x), 1))
  return Pair(np.concatenate([pairs.x, ones], axis=1), pairs.t)


def solve(pairs: Pair) -> np.ndarray:
  """The w [inputs] with the least E = 1/2 sum (t - w . x)^2."""
  return np.linalg.lstsq(pairs.x, pairs.t, rcond=None)[0]


def sigmoid_cost(params: Params, pair: Pair) -> jax.Array:
  """1/2 (t - a)^2 of a network of sigmoid neurons with one output."""
  x, t = (jnp.asarray(p).astype(costs.dtype_of(params)) for p in pair)
  return costs.quadratic(mlp.predict(params, x), t[None])
