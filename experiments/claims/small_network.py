"""The network 64-30-10 on the shipped digits, in float64."""

import functools

import jax
import jax.numpy as jnp
from jax import flatten_util

from gd_jax.model import costs
from gd_jax.model import mlp
from gd_jax.types import Batch
from gd_jax.types import Images
from gd_jax.world import data

SIZES = (64, 30, 10)


@functools.cache
def images() -> Images:
  """The shipped training images."""
  return data.load('digits').train


def cost_of():
  """(params, example) -> the quadratic cost of one image of digits."""
  return costs.example_cost(mlp.weighted_input, costs.quadratic_of_z, _decode())


def scores_of():
  """(params, example) -> its cost and whether it is read aright."""
  return costs.example_scores(
    mlp.weighted_input, costs.quadratic_of_z, _decode()
  )


def _decode():
  return costs.decode_image(16.0, 10)


def start(seed: int = 0, sizes: tuple[int, ...] = SIZES):
  """Random parameters in float64."""
  return mlp.init(jax.random.key(seed), sizes, dtype='float64')


def some(m: int) -> Batch:
  """The first m training images as one batch."""
  every = images()
  return Batch(Images(every.x[:m], every.y[:m]), jnp.ones(m))


def apart(one, other) -> float:
  """The largest difference between two trees of parameters."""
  flat = [flatten_util.ravel_pytree(tree)[0] for tree in (one, other)]
  return float(jnp.abs(flat[0] - flat[1]).max())
