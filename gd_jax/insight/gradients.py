"""Gradients of single examples: how long they are, and how far they agree.

    g = 1/n sum_x g_x,   var_j = 1/n sum_x (g_xj - g_j)^2

Per-example gradients are `vmap(grad)` on a chunk; what is kept of them is two
numbers an example and two a weight.
"""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import flatten_util

from gd_jax.descent import train
from gd_jax.insight import totals
from gd_jax.types import Batch

# Examples whose gradients are held at once; a gradient is as long as all
# weights, and so few fit a core's cache (measured best between 30 and 100).
CHUNK = 50


class Mean(NamedTuple):
  """The cost and its gradient over all examples."""

  cost: jax.Array  # ()
  grad: Any  # the tree of the parameters


class Each(NamedTuple):
  """What the gradients of single examples say; leaves [chunks, size] each."""

  square: jax.Array  # |g_x|^2
  along: jax.Array  # g_x . g


class Spread(NamedTuple):
  """Of every weight, over the examples; the trees of the parameters."""

  mean: Any
  variance: Any  # of one example's component, 1/n


def mean_of(
  cost_of: train.CostOf, mesh: jax.sharding.Mesh
) -> Callable[[Any, Batch], Mean]:
  """The function (params, dealt examples) -> Mean."""

  def of_chunk(params, chunk):
    cost, grad = train.cost_and_grad(cost_of, params, chunk)
    return (cost, grad, jnp.sum(chunk.weights.astype(cost.dtype))), ()

  total = totals.over(mesh, of_chunk)

  def mean(params, examples):
    (cost, grad, n), _ = total(params, examples)
    return Mean(cost / n, jax.tree.map(lambda g: g / n, grad))

  return mean


def each_of(
  cost_of: train.CostOf, mesh: jax.sharding.Mesh
) -> Callable[[Any, Any, Batch], tuple[Each, Spread]]:
  """The function (params, g, examples dealt in CHUNKs) -> (Each, Spread).

  g is the mean gradient; spread about it, the variance loses no digits.
  """

  def of_chunk(arguments, chunk):
    params, mean = arguments
    grads = train.per_example_grads(cost_of, params, chunk.examples)
    # g_x . g is how C_x changes along g: forward mode needs no gradient.
    _, along = jax.jvp(
      lambda p: jax.vmap(cost_of, (None, 0))(p, chunk.examples),
      (params,),
      (mean,),
    )

    def apart(g, m):
      w = chunk.weights.astype(g.dtype)
      return jnp.tensordot(w, jnp.square(g - m[None]), 1)

    lengths = jax.tree.map(
      lambda g: jnp.sum(jnp.square(g), tuple(range(1, g.ndim))), grads
    )
    square = jnp.stack(jax.tree.leaves(lengths)).sum(axis=0)
    n = jnp.sum(chunk.weights.astype(along.dtype))
    sums = jax.tree.map(apart, grads, mean), n
    return sums, Each(square, along)

  total = totals.over(mesh, of_chunk)

  def each(params, mean, examples):
    (apart, n), found = total((params, mean), examples)
    return found, Spread(mean, jax.tree.map(lambda s: s / n, apart))

  return each


def signal_to_noise(spread: Spread) -> Any:
  """|g_j| / sd_j of every weight; 0 where no example moves it.

  A mini-batch of m sees the sign of g_j once it exceeds about 1/sqrt(m).
  """

  def ratio(mean, variance):
    there = variance > 0
    sd = jnp.sqrt(jnp.where(there, variance, 1))
    return jnp.where(there, jnp.abs(mean) / sd, 0)

  return jax.tree.map(ratio, spread.mean, spread.variance)


def importance(grad: Any, count: int) -> tuple[jax.Array, jax.Array]:
  """The `count` weights whose nudge moves the cost most.

  dC = g_j d to first order, so that |g_j| ranks them. Returns their places in
  the raveled vector and g_j there, the largest |g_j| first.
  """
  vector = flatten_util.ravel_pytree(grad)[0]
  _, places = jax.lax.top_k(jnp.abs(vector), min(count, vector.size))
  return places, vector[places]
