"""One update, one epoch of updates, and what the parameters are worth.

    C = 1/m sum_x C_x,   g = grad C,   params <- params + update(g)

`make_step` knows nothing of images: whatever has parameters as a pytree and the
cost of one example trains by it, textbook surfaces too.
"""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import flatten_util

from gd_jax.descent import batches
from gd_jax.types import Batch
from gd_jax.types import Examples
from gd_jax.types import Optimizer

CostOf = Callable[[Any, Any], jax.Array]
ScoresOf = Callable[[Any, Any], Any]
Step = Callable[['State', Batch], tuple['State', 'Metrics']]

GRADIENTS = ('mean', 'per_example')
REDUCTIONS = ('mean', 'sum')


class State(NamedTuple):
  """All that an update reads and writes."""

  params: Any
  optimizer: Any  # the optimizer's own state


class Metrics(NamedTuple):
  """Sums over examples, so that they add up over mini-batches."""

  cost: jax.Array  # () sum of C_x, each before the update that it drove
  examples: jax.Array  # () how many


def start(params: Any, optimizer: Optimizer) -> State:
  """The state before the first update."""
  return State(params, optimizer.init(params))


def per_example_grads(cost_of: CostOf, params: Any, examples: Examples) -> Any:
  """The gradient of each example's cost: every leaf gains a leading [m]."""
  return jax.vmap(jax.grad(cost_of), (None, 0))(params, examples)


def cost_and_grad(
  cost_of: CostOf,
  params: Any,
  batch: Batch,
  *,
  gradients: str = 'mean',
  reduction: str = 'sum',
  chunk: int = batches.CHUNK,
) -> tuple[jax.Array, Any]:
  """sum_x C_x over a batch and its gradient; slots of weight 0 count nothing.

  With reduction 'mean' the gradient is that of the mean, 1/m sum_x C_x, m the
  true number of examples; the cost is the sum all the same.

  Args:
    cost_of: (params, one example) -> its cost.
    params: any pytree.
    batch: leaves [m, ...], m what `batches.slots_of` says.
    gradients: 'mean' differentiates the sum of the vmapped costs,
      'per_example' sums the vmapped gradients. Equal but for rounding.
    reduction: 'sum' or 'mean', of the gradient.
    chunk: more slots than this are worked through in equal chunks.
  """
  # The mean is taken here, of m numbers: a division for every parameter costs
  # as much as the update itself.
  divisor = jnp.sum(batch.weights) if reduction == 'mean' else 1

  def weighed(batch, dtype):
    return batch.weights.astype(dtype) / jnp.asarray(divisor, dtype)

  def total(params, batch):
    costs = jax.vmap(cost_of, (None, 0))(params, batch.examples)
    cost = jnp.sum(batch.weights.astype(costs.dtype) * costs)
    return jnp.sum(weighed(batch, costs.dtype) * costs), cost

  def chunk_grad(batch):
    if gradients == 'mean':
      grad, cost = jax.grad(total, has_aux=True)(params, batch)
      return cost, grad
    grads = per_example_grads(cost_of, params, batch.examples)
    summed = jax.tree.map(
      lambda g: jnp.tensordot(weighed(batch, g.dtype), g, 1), grads
    )
    return total(params, batch)[1], summed

  count = batches.steps_of(batch.weights.shape[0], chunk)
  if count == 1:
    return chunk_grad(batch)

  def add(sums, chunk):
    return jax.tree.map(jnp.add, sums, chunk_grad(chunk)), None

  chunks = jax.tree.map(
    lambda leaf: leaf.reshape(count, -1, *leaf.shape[1:]), batch
  )
  zeros = jax.tree.map(
    lambda leaf: jnp.zeros(leaf.shape, leaf.dtype),
    jax.eval_shape(chunk_grad, jax.tree.map(lambda leaf: leaf[0], chunks)),
  )
  sums, _ = jax.lax.scan(add, zeros, chunks)
  return sums


def all_reduce(tree: Any, axis: str) -> Any:
  """The tree summed over the devices of an axis, raveled: one message."""
  flat, unravel = flatten_util.ravel_pytree(tree)
  return unravel(jax.lax.psum(flat, axis))


def make_step(
  cost_of: CostOf,
  optimizer: Optimizer,
  *,
  gradients: str = 'mean',
  reduction: str = 'mean',
  chunk: int = batches.CHUNK,
  axis: str | None = None,
) -> Step:
  """The update as a function (state, batch) -> (state, metrics).

  Args:
    cost_of: (params, one example) -> its cost, a scalar.
    optimizer: any object with Optax's (init, update); one that wants extra
      arguments is given the batch's cost as `value` and its gradient as `grad`.
    gradients: 'mean' or 'per_example', the two readings of the mean gradient.
    reduction: 'mean' divides by the true number of examples in the batch;
      'sum' does not, the learning rate times m for sgd and momentum.
    chunk: as of `cost_and_grad`.
    axis: of a mesh whose devices have a part of every batch each, `shards`.
  """
  update = optax.with_extra_args_support(optimizer).update

  def step(state: State, batch: Batch) -> tuple[State, Metrics]:
    cost, grad = cost_and_grad(
      cost_of,
      state.params,
      batch,
      gradients=gradients,
      reduction=reduction if axis is None else 'sum',
      chunk=chunk,
    )
    examples = jnp.sum(batch.weights.astype(cost.dtype))
    if axis is not None:
      cost, examples, grad = all_reduce((cost, examples, grad), axis)
      if reduction == 'mean':
        grad = jax.tree.map(lambda g: g / examples, grad)
    value = cost / examples if reduction == 'mean' else cost
    change, optimizer_state = update(
      grad, state.optimizer, state.params, value=value, grad=grad
    )
    params = jax.tree.map(jnp.add, state.params, change)
    return State(params, optimizer_state), Metrics(cost, examples)

  return step


def run_batches(
  step: Step, state: State, epoch: Batch, *, unroll: int = 1
) -> tuple[State, Metrics]:
  """Trains on gathered mini-batches, leaves [steps, m, ...], in their order.

  Sums stay in the carry: stacking small outputs of every step is quadratic on
  some CPU backends. `unroll` updates are made a turn of the loop, which changes
  nothing but rounding.
  """

  def body(carry, batch):
    state, sums = carry
    state, metrics = step(state, batch)
    return (state, jax.tree.map(jnp.add, sums, metrics)), None

  first = jax.tree.map(lambda leaf: leaf[0], epoch)
  _, shapes = jax.eval_shape(step, state, first)
  zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
  (state, sums), _ = jax.lax.scan(body, (state, zeros), epoch, unroll=unroll)
  return state, sums


def finite(state: State, cost: jax.Array) -> jax.Array:
  """Whether the parameters and the cost are all finite numbers, ()."""
  parts = [jnp.all(jnp.isfinite(p)) for p in jax.tree.leaves(state.params)]
  return jnp.all(jnp.stack([*parts, jnp.isfinite(cost)]))


def run_watched(
  step: Step, state: State, epoch: Batch
) -> tuple[State, jax.Array]:
  """The same updates, frozen before the first that is not finite.

  Returns:
    The last finite state and the number of finite updates, () int32. Looking
    at every parameter after every update costs about a fifth of the speed:
    this is for an epoch that is known to end outside the finite numbers.
  """

  def body(carry, batch):
    state, updates, alive = carry
    new, metrics = step(state, batch)
    alive &= finite(new, metrics.cost)
    state = jax.tree.map(lambda n, o: jnp.where(alive, n, o), new, state)
    return (state, updates + alive, alive), None

  start = (state, jnp.zeros((), jnp.int32), finite(state, jnp.zeros(())))
  (state, updates, _), _ = jax.lax.scan(body, start, epoch)
  return state, updates


def run_epoch(
  step: Step,
  state: State,
  examples: Examples,
  order: batches.Order,
  *,
  together: int | None = None,
  unroll: int = 1,
) -> tuple[State, Metrics]:
  """Trains once through `order`: gathers, and scans over the updates.

  `together` divides the number of updates and is how many have their rows
  gathered at once; None gathers the whole epoch. The numbers are the same.
  `unroll` is as of `run_batches`.
  """
  if together is None:
    gathered = batches.gather(examples, order)
    return run_batches(step, state, gathered, unroll=unroll)

  def body(state, part):
    gathered = batches.gather(examples, part)
    return run_batches(step, state, gathered, unroll=unroll)

  parts = jax.tree.map(
    lambda leaf: leaf.reshape(-1, together, *leaf.shape[1:]), order
  )
  state, metrics = jax.lax.scan(body, state, parts)
  return state, jax.tree.map(lambda sums: jnp.sum(sums, axis=0), metrics)


def evaluate(scores_of: ScoresOf, params: Any, examples: Examples) -> Any:
  """The mean over the examples of scores_of(params, example), leaf by leaf.

  Examples [n, ...], n at least 1, are worked through in chunks; every example
  counts once.
  """
  n = jax.tree.leaves(examples)[0].shape[0]
  whole = n - n % batches.CHUNK
  over = jax.vmap(scores_of, (None, 0))

  def total(part):
    return jax.tree.map(lambda s: jnp.sum(s, axis=0), over(params, part))

  sums = None
  if whole:
    chunks = jax.tree.map(
      lambda leaf: leaf[:whole].reshape(-1, batches.CHUNK, *leaf.shape[1:]),
      examples,
    )
    per_chunk = jax.lax.map(total, chunks)
    sums = jax.tree.map(lambda s: jnp.sum(s, axis=0), per_chunk)
  if whole < n:
    rest = total(jax.tree.map(lambda leaf: leaf[whole:], examples))
    sums = rest if sums is None else jax.tree.map(jnp.add, sums, rest)
  return jax.tree.map(lambda s: s / n, sums)
