"""Descent that finds its own learning rate: small enough, yet not too slow.

    halve eta until C(w - eta g) <= C(w) - 1/2 eta |g|^2;  w <- w - eta g;
    double eta for the next update

The condition is Armijo's (1966) with the constant 1/2: the cost falls by at
least half of what the linear model promises. It needs the cost as a function,
which no step hands to an optimizer, so the factories close over it; they suit
functions and full batches, where the cost of two points can be compared.
"""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gd_jax.types import Optimizer

ValueOf = Callable[[Any], jax.Array]

# From 1e3 down to where no step moves a number in float64 any more.
HALVINGS = 80


class State(NamedTuple):
  """Between two updates."""

  eta: jax.Array  # (), to be tried first


def backtracking(
  learning_rate: float | jax.Array, *, value_of: ValueOf
) -> Optimizer:
  """The method above; `learning_rate` is the first that is tried.

  Where no eta is small enough after HALVINGS (at the limits of rounding, or
  beside a point where the cost is not finite), it stays where it is. The cost
  never rises.
  """

  def init(params):
    dtype = jnp.result_type(*jax.tree.leaves(params))
    return State(jnp.asarray(learning_rate, dtype))

  def update(updates, state, params=None, *, value=jnp.inf, **_extra):
    slope = sum(jnp.sum(g * g) for g in jax.tree.leaves(updates))

    def moved(eta):
      return jax.tree.map(lambda w, g: w - eta * g, params, updates)

    def good(eta):
      # A cost that is NaN is not good either.
      return value_of(moved(eta)) <= value - 0.5 * eta * slope

    def go_on(search):
      eta, halvings = search
      return ~good(eta) & (halvings < HALVINGS)

    def halve(search):
      eta, halvings = search
      return 0.5 * eta, halvings + 1

    eta, _ = jax.lax.while_loop(go_on, halve, (state.eta, jnp.int32(0)))
    taken = jnp.where(good(eta), eta, jnp.zeros_like(eta))
    change = jax.tree.map(lambda g: -taken * g, updates)
    return change, State(2 * eta)

  return optax.GradientTransformationExtraArgs(init, update)


def optax_backtracking(
  learning_rate: float | jax.Array, *, value_of: ValueOf
) -> Optimizer:
  """Optax's `scale_by_backtracking_linesearch` with the same constants.

  It doubles before a search and not after one, so that half the first rate is
  handed to it. Where it finds no rate it takes the last, or stays for ever
  once the cost was not finite.
  """
  chain = optax.chain(
    optax.scale(-0.5 * learning_rate),
    optax.scale_by_backtracking_linesearch(
      max_backtracking_steps=HALVINGS,
      slope_rtol=0.5,
      decrease_factor=0.5,
      increase_factor=2.0,
      max_learning_rate=jnp.inf,
    ),
  )

  def update(updates, state, params=None, **extra):
    return chain.update(updates, state, params, value_fn=value_of, **extra)

  return optax.GradientTransformationExtraArgs(chain.init, update)


# As `--optimizers` of descend spells them.
SEARCHES = {
  'backtracking': backtracking,
  'optax:scale_by_backtracking_linesearch': optax_backtracking,
}
