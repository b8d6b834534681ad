"""A small network in float64 and its dense derivatives, for every oracle."""

import functools

import jax
import numpy as np
from jax import flatten_util

from gd_jax.insight import landscape
from gd_jax.insight import totals
from gd_jax.model import costs
from gd_jax.model import mlp
from gd_jax.types import Images
from gd_jax.world import mesh

SIZES = (6, 5, 3)
N = 47  # odd, so that the devices' shares are padded
DECODE = costs.decode_image(16.0, SIZES[-1])
PARTS = (mlp.weighted_input, costs.quadratic_of_z, DECODE)
COST_OF = costs.example_cost(*PARTS)
SCORES_OF = costs.example_scores(*PARTS)
SPLIT = landscape.Split(
  *costs.split_scores(mlp.above, costs.quadratic_of_z, DECODE)
)
MESH = mesh.row(jax.devices())


def images(n=N, seed=0):
  rng = np.random.default_rng(seed)
  return Images(
    rng.integers(0, 17, (n, SIZES[0]), dtype=np.uint8),
    rng.integers(0, SIZES[-1], n, dtype=np.uint8),
  )


def params(seed=1):
  return mlp.init(jax.random.key(seed), SIZES, 'normal', dtype='float64')


def direction(seed=2):
  return landscape.random_direction(jax.random.key(seed), params())


def dealt(most=10):
  return totals.deal(images(), MESH, most=most)


def flat(tree):
  return np.asarray(flatten_util.ravel_pytree(tree)[0])


def mean_cost(tree):
  """The cost over all examples, without chunks, devices or weights."""
  return jax.vmap(COST_OF, (None, 0))(tree, images()).mean()


@functools.cache
def hessian():
  """The dense matrix, [D, D]."""
  vector, unravel = flatten_util.ravel_pytree(params())
  found = jax.jit(jax.hessian(lambda v: mean_cost(unravel(v))))(vector)
  return np.asarray(found)
