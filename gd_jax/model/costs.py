"""The cost of ONE example, and what makes an example of an image and a label.

The mean over a mini-batch is a visible line of `descent.train`, not here.
"""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gd_jax.types import Images
from gd_jax.types import Params


def quadratic(a: jax.Array, y: jax.Array) -> jax.Array:
  """C_x = 1/2 ||y - a||^2 of outputs a [k] and target y [k].

  The convention of Nielsen, chapter 1. Between 0 and k/2 for sigmoid outputs.
  PyTorch's MSELoss has no 1/2 and averages the outputs too.
  """
  return 0.5 * jnp.sum(jnp.square(y - a))


def cross_entropy(z: jax.Array, y: jax.Array) -> jax.Array:
  """C_x = -sum y ln a + (1 - y) ln(1 - a), a = sigmoid(z), from z [k] itself.

  Written as sum softplus(z) - y z, which is finite for every finite z; the
  logarithm of an activation is not. Nielsen, chapter 3.
  """
  return jnp.sum(jax.nn.softplus(z) - y * z)


def quadratic_of_z(z: jax.Array, y: jax.Array) -> jax.Array:
  """The quadratic cost of the sigmoid outputs a = sigmoid(z)."""
  return quadratic(jax.nn.sigmoid(z), y)


# A cost takes the last layer's weighted input z [k] and the target y [k].
Cost = Callable[[jax.Array, jax.Array], jax.Array]
COSTS: dict[str, Cost] = {
  'quadratic': quadratic_of_z,
  'cross_entropy': cross_entropy,
}

# A network takes parameters and one input x [n_in] to z [k].
Network = Callable[[Params, jax.Array], jax.Array]

# Decode takes one stored example and a dtype to an input x and a target y.
Decode = Callable[[Images, Any], tuple[jax.Array, jax.Array]]


class Scores(NamedTuple):
  """What one example says of the parameters; the mean says it of a split."""

  cost: jax.Array  # ()
  accuracy: jax.Array  # (), 1 where the largest output is the label's
  predicted: jax.Array  # [k], 1 at the class predicted


def decode_image(scale: float, classes: int) -> Decode:
  """The decoder x = pixels / scale [n_in], y = one-hot label [k].

  `scale` is a pixel's largest value, 255, or 16 for digits; digit d has index
  d, counted from 0.
  """

  def decode(image: Images, dtype: Any) -> tuple[jax.Array, jax.Array]:
    x = jnp.asarray(image.x).astype(dtype) / jnp.asarray(scale, dtype)
    return x, jax.nn.one_hot(image.y, classes, dtype=dtype)

  return decode


def example_cost(
  network: Network, cost: Cost, decode: Decode
) -> Callable[[Params, Images], jax.Array]:
  """The function (params, one stored example) -> its cost C_x, a scalar."""

  def cost_of(params: Params, image: Images) -> jax.Array:
    x, y = decode(image, dtype_of(params))
    return cost(network(params, x), y)

  return cost_of


def example_scores(
  network: Network, cost: Cost, decode: Decode
) -> Callable[[Params, Images], Scores]:
  """The function (params, one stored example) -> its Scores."""

  def scores_of(params: Params, image: Images) -> Scores:
    x, y = decode(image, dtype_of(params))
    return _scored(network(params, x), y, cost)

  return scores_of


def _scored(z: jax.Array, y: jax.Array, cost: Cost) -> Scores:
  predicted = jax.nn.one_hot(jnp.argmax(z), len(z), dtype=z.dtype)
  return Scores(cost(z, y), jnp.sum(predicted * y), predicted)


def dtype_of(params: Any) -> Any:
  """The one dtype of a pytree of parameters."""
  return jnp.result_type(*jax.tree.leaves(params))


def split_scores(
  above: Callable[[Any, jax.Array], jax.Array], cost: Cost, decode: Decode
) -> tuple[Callable[[Params, Images], jax.Array], Callable[..., Scores]]:
  """`example_scores` in two: the first layer's weighted input, and the rest.

  above: (layers above the first, z of the first) -> z of the last.
  """

  def first(params: Params, image: Images) -> jax.Array:
    x, _ = decode(image, dtype_of(params))
    return params[0].w @ x + params[0].b

  def rest(params: Params, z: jax.Array, image: Images) -> Scores:
    _, y = decode(image, dtype_of(params))
    return _scored(above(params[1:], z), y, cost)

  return first, rest
