"""Slices through a cost surface of many dimensions: lines and planes.

    C(w + a d_1 + b d_2)

on a grid of (a, b), each point the mean cost over every example. What lies off
the slice is not seen.
"""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gd_jax.descent import train
from gd_jax.insight import totals
from gd_jax.types import Batch

# Points of a slice that are looked at side by side: the first layer of all of
# them is one wide matrix product on each chunk.
SIDE_BY_SIDE = 32


def random_direction(key: jax.Array, params: Any) -> Any:
  """A direction of N(0, 1) components, the tree of the parameters."""
  leaves, tree = jax.tree.flatten(params)
  keys = jax.random.split(key, len(leaves))
  return jax.tree.unflatten(
    tree,
    [
      jax.random.normal(k, leaf.shape, leaf.dtype)
      for k, leaf in zip(keys, leaves, strict=True)
    ],
  )


def filter_normalised(direction: Any, params: Any) -> Any:
  """The direction with each neuron's weights as long as the neuron's own.

      d_i <- d_i |w_i| / |d_i|

  for every row w_i of a weight matrix, so that slices of networks of unlike
  scale compare (Li et al. 2018, Visualizing the loss landscape). Biases are
  not moved: a leaf of one axis becomes 0.
  """

  def normalised(d, w):
    if d.ndim < 2:
      return jnp.zeros_like(d)
    rows = tuple(range(1, d.ndim))
    length = jnp.sqrt(jnp.sum(jnp.square(d), rows, keepdims=True))
    wanted = jnp.sqrt(jnp.sum(jnp.square(w), rows, keepdims=True))
    return jnp.where(
      length > 0, d * wanted / jnp.where(length > 0, length, 1), 0
    )

  return jax.tree.map(normalised, direction, params)


def along(origin: Any, directions: Any, coordinates: Any) -> Any:
  """The point origin + sum_k coordinates[k] directions[k], leaves [d, ...]."""

  def moved(w, ds):
    c = jnp.asarray(coordinates, w.dtype)
    return w + jnp.tensordot(c, ds, 1)

  return jax.tree.map(moved, origin, directions)


def stacked(*directions: Any) -> Any:
  """Directions as one tree, leaves [d, ...]."""
  return jax.tree.map(lambda *leaves: jnp.stack(leaves), *directions)


class Split(NamedTuple):
  """The cost of one example in two: what is linear in the parameters, and on.

      cost_of(params, example) = rest(params, first(params, example), example)

  `first` is affine in the parameters, as the weighted input of a first layer;
  `rest` reads those above it. So on a slice the first layer, nearly all of
  the work, is computed once for each direction and not at each point. `rest`
  may give any tree of numbers, such as cost and accuracy.
  """

  first: Callable[[Any, Any], jax.Array]
  rest: Callable[[Any, jax.Array, Any], Any]


def whole(cost_of: train.ScoresOf) -> Split:
  """Any cost or scores as a Split of which nothing is linear."""
  return Split(
    lambda params, _: jnp.zeros(
      (0,), jnp.result_type(*jax.tree.leaves(params))
    ),
    lambda params, _, example: cost_of(params, example),
  )


def slice_of(
  split: Split, mesh: jax.sharding.Mesh
) -> Callable[[Any, Any, Any, Batch], Any]:
  """The function (origin, directions, coordinates [p, d], examples) -> [p].

  The mean of what `rest` gives over the dealt examples at each point,
  SIDE_BY_SIDE points at a time on one chunk of examples.
  """

  def of_chunk(arguments, chunk):
    origin, directions, blocks = arguments
    over = jax.vmap(split.first, (None, 0))
    at_origin = over(origin, chunk.examples)
    changes = jax.vmap(
      lambda d: (
        over(jax.tree.map(jnp.add, origin, d), chunk.examples) - at_origin
      )
    )(directions)

    def at(c):
      z = at_origin + jnp.tensordot(c, changes, 1)
      point = along(origin, directions, c)
      return jax.vmap(split.rest, (None, 0, 0))(point, z, chunk.examples)

    weights = chunk.weights.astype(at_origin.dtype)

    def summed(c):
      return jax.tree.map(lambda s: jnp.tensordot(weights, s, 1), at(c))

    sums = jax.lax.map(jax.vmap(summed), blocks)
    return (sums, jnp.sum(weights)), ()

  total = totals.over(mesh, of_chunk)

  def means(origin, directions, coordinates, examples):
    p, d = coordinates.shape
    side = min(SIDE_BY_SIDE, p)
    last = jnp.repeat(coordinates[-1:], -p % side, axis=0)
    blocks = jnp.concatenate([coordinates, last]).reshape(-1, side, d)
    (sums, n), _ = total((origin, directions, blocks), examples)
    return jax.tree.map(lambda s: (s / n).reshape(-1, *s.shape[2:])[:p], sums)

  return means


def costs_at(
  cost_of: train.CostOf, mesh: jax.sharding.Mesh
) -> Callable[[Any, Batch], jax.Array]:
  """The function (points, dealt examples) -> their mean costs, [p].

  Points are parameters with leaves [p, ...] that lie on no plane.
  """

  def of_chunk(points, chunk):
    weights = chunk.weights

    def cost(params):
      costs = jax.vmap(cost_of, (None, 0))(params, chunk.examples)
      return jnp.dot(costs, weights.astype(costs.dtype))

    costs = jax.lax.map(cost, points, batch_size=SIDE_BY_SIDE)
    return (costs, jnp.sum(weights.astype(costs.dtype))), ()

  total = totals.over(mesh, of_chunk)

  def costs(points, examples):
    (sums, n), _ = total(points, examples)
    return sums / n

  return costs


def grid(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Coordinates of a grid, [len(second) * len(first), 2], rows of `second`."""
  a, b = np.meshgrid(first, second)
  return np.stack([a.ravel(), b.ravel()], axis=1)
