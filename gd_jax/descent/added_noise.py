"""Noise in the gradient, whatever optimizer reads it."""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gd_jax.types import Optimizer


class State(NamedTuple):
  """Between two updates."""

  key: jax.Array  # () typed key, of the noise to come
  count: jax.Array  # () int32, updates already made
  inner: Any  # the optimizer's own


def noisy(
  optimizer: Optimizer,
  *,
  sd: float | jax.Array | Callable[[jax.Array], Any],
  key: jax.Array,
) -> Optimizer:
  """The optimizer on g + sd n, n ~ N(0, 1) in every coordinate.

  Args:
    optimizer: Optax's (init, update); extra arguments are handed on as given.
    sd: standard deviation, or a function of the updates already made, so that
      noise can cease.
    key: a typed key; one key gives one course of noise.
  """
  update_inner = optax.with_extra_args_support(optimizer).update

  def init(params):
    return State(key, jnp.zeros((), jnp.int32), optimizer.init(params))

  def update(updates, state, params=None, **extra):
    coming, now = jax.random.split(state.key)
    spread = sd(state.count) if callable(sd) else sd
    leaves, tree = jax.tree.flatten(updates)
    keys = jax.random.split(now, len(leaves))
    shaken = [
      g + jnp.asarray(spread, g.dtype) * jax.random.normal(k, g.shape, g.dtype)
      for g, k in zip(leaves, keys, strict=True)
    ]
    change, inner = update_inner(
      jax.tree.unflatten(tree, shaken), state.inner, params, **extra
    )
    return change, State(coming, state.count + 1, inner)

  return optax.GradientTransformationExtraArgs(init, update)
