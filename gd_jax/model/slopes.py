"""What a gradient g says of a small step d: C(w + d) - C(w) = g . d + O(|d|^2).

Points, gradients and steps are vectors [d]; `ravel` a pytree first.
"""

import jax
import jax.numpy as jnp


def predicted_change(g: jax.Array, step: jax.Array) -> jax.Array:
  """The linear model's change of the cost, g . d.

  With d = -eta g it is the law of motion: dC = -eta |g|^2, never positive, so
  that C falls for eta small enough.
  """
  return jnp.dot(g, step)


def steepest(g: jax.Array, length: float | jax.Array) -> jax.Array:
  """The step -length g/|g|, the best of its length for the linear model.

  1. Cauchy-Schwarz: |g . d| <= |g| |d|, hence g . d >= -|g| |d|.
  2. With |d| = length no step changes the model by less than -|g| length.
  3. d = -length g/|g| does so exactly: g . d = -length |g|^2/|g|.
  """
  return -length * g / jnp.linalg.norm(g)


def along_contour(g: jax.Array, length: float | jax.Array) -> jax.Array:
  """A step at right angles to g in the plane, [2]: g . d = 0.

  It follows the contour, so that the cost changes to second order only.
  """
  return length * jnp.stack([-g[1], g[0]]) / jnp.linalg.norm(g)
