"""Where descent goes: every position of many lanes, from one program.

A lane is a start, a learning rate, an order of examples and a key. The update
is that of `train.make_step`, the same that trains the network.
"""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gd_jax.descent import batches
from gd_jax.descent import train
from gd_jax.types import Batch
from gd_jax.types import Examples
from gd_jax.types import Optimizer

# (learning rate, key) -> the optimizer of one lane.
OptimizerOf = Callable[[jax.Array, jax.Array], Optimizer]


class Lanes(NamedTuple):
  """Who goes where; leaves have a leading [lanes]."""

  start: Any  # parameters
  rate: Any  # [lanes], in the dtype of the parameters
  key: jax.Array  # [lanes] typed keys, for optimizers that draw
  order: batches.Order  # [lanes, steps, m]


class Trajectories(NamedTuple):
  """Every position from the start on; leaves have a leading [lanes, steps + 1].

  Cost and gradient are those of the whole surface (the mean over all examples)
  at the position, whatever examples drove the updates.
  """

  positions: Any
  costs: jax.Array
  gradients: Any


def orders(seeds: list[int], *, steps: int, n: int, m: int) -> batches.Order:
  """The orders of lanes, [lanes, steps, m]: epoch after epoch of each seed.

  Lanes of one seed see the same examples (common random numbers).
  """
  epochs = batches.steps_of(steps, batches.steps_of(n, m))
  made = {}
  for seed in set(seeds):
    parts = [batches.epoch_order(seed, e, n, m) for e in range(epochs)]
    made[seed] = jax.tree.map(
      lambda *leaves: np.concatenate(leaves)[:steps], *parts
    )
  return jax.tree.map(
    lambda *leaves: np.stack(leaves), *(made[seed] for seed in seeds)
  )


def follow(
  cost_of: train.CostOf,
  optimizer_of: OptimizerOf,
  examples: Examples,
  lanes: Lanes,
) -> Trajectories:
  """Descends all lanes side by side; pure, to be jitted by the caller."""
  examples = jax.tree.map(jnp.asarray, examples)
  everything = whole(examples)

  def look(params):
    total, grad = train.cost_and_grad(cost_of, params, everything)
    n = jnp.sum(everything.weights).astype(total.dtype)
    return params, total / n, jax.tree.map(lambda g: g / n, grad)

  def one(start, rate, key, order):
    optimizer = optimizer_of(rate, key)
    step = train.make_step(cost_of, optimizer)

    def body(state, batch):
      return step(state, batch)[0], look(state.params)

    state, seen = jax.lax.scan(
      body, train.start(start, optimizer), batches.gather(examples, order)
    )
    return jax.tree.map(
      lambda before, last: jnp.concatenate([before, last[None]]),
      seen,
      look(state.params),
    )

  return Trajectories(*jax.vmap(one)(*lanes))


def ends(
  cost_of: train.CostOf,
  optimizer: Optimizer,
  examples: Examples,
  starts: Any,
  *,
  steps: int,
) -> Any:
  """Where batch descent from each start ends; leaves [lanes, ...] both.

  Keeps nothing of the way, so that a start may be a pixel of a map.
  """
  step = train.make_step(cost_of, optimizer)
  everything = whole(examples)

  def one(start):
    def body(state, _):
      return step(state, everything)[0], None

    state = train.start(start, optimizer)
    return jax.lax.scan(body, state, length=steps)[0].params

  return jax.vmap(one)(starts)


def whole(examples: Examples) -> Batch:
  """All examples as one batch; no more than a chunk of `train` holds."""
  n = jax.tree.leaves(examples)[0].shape[0]
  everything = batches.epoch_order(0, 0, n, n)
  return jax.tree.map(
    lambda leaf: leaf[0], batches.gather(examples, everything)
  )
