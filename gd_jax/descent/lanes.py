"""Many runs as lanes of one compiled program, sharded over devices.

A lane is one run: one learning rate on one seed. Lanes of a block share a seed,
and so a start and every mini-batch (common random numbers), and differ in the
rate alone: the first layer of a block is one wide matrix product. Blocks are
dealt to the devices of a mesh; inside a device they train one after another on
a CPU, and side by side on an accelerator. Lanes never communicate.
"""

import functools
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gd_jax.descent import batches
from gd_jax.descent import train
from gd_jax.types import Examples
from gd_jax.types import Optimizer


class Lanes(NamedTuple):
  """Which lane is which: block g trains its rates on seed number seed[g]."""

  seed: np.ndarray  # [blocks] int, a place in the list of seeds
  rate: np.ndarray  # [blocks, width], in the dtype of the parameters
  real: np.ndarray  # [blocks, width] bool, False for padding


class Fleet(NamedTuple):
  """All lanes between two epochs; leaves [blocks, width, ...]."""

  state: train.State
  alive: jax.Array  # bool, False once a lane has left the finite numbers
  updates: jax.Array  # int32, finite updates made


class Programs(NamedTuple):
  """The life of a fleet under one optimizer; each compiles once per shape.

  `rate` is [blocks, width]; starts are parameters with leaves [blocks, ...], an
  order has leaves [blocks, steps, m]; metrics have leaves [blocks, width].
  """

  launch: Callable[[jax.Array, Any], Fleet]  # (rate, starts)
  # (fleet, rate, order, examples) -> (fleet, metrics)
  epoch: Callable[..., tuple[Fleet, train.Metrics]]
  watched_epoch: Callable[..., Fleet]


def widest(rates: int, seeds: int, devices: int) -> int:
  """The widest block that keeps every device equally busy.

  Among the divisors of `rates`: those that leave the devices idle least, and
  of them the widest. 8 rates of 3 seeds on 2 devices give blocks of 4.
  """

  def idle(width: int) -> int:
    blocks = seeds * rates // width
    return -blocks % devices * width

  divisors = [width for width in range(1, rates + 1) if rates % width == 0]
  return min(divisors, key=lambda width: (idle(width), -width))


def deal(
  rates: Sequence[float],
  seeds: int,
  *,
  width: int,
  multiple: int,
  dtype: Any = np.float32,
) -> Lanes:
  """All rates of seed 0, then of seed 1, ..., in blocks of `width` lanes.

  Padding repeats the last rate of a seed, and the last block until there is a
  `multiple` of blocks; `real` marks what counts.
  """
  each = -(-len(rates) // width)
  filled = np.full(each * width, rates[-1], dtype)
  filled[: len(rates)] = rates
  real = np.arange(each * width) < len(rates)
  extra = -(each * seeds) % multiple
  seed = np.repeat(np.arange(seeds), each)
  rate = np.tile(filled.reshape(each, width), (seeds, 1))
  marks = np.tile(real.reshape(each, width), (seeds, 1))
  return Lanes(
    np.concatenate([seed, np.repeat(seed[-1:], extra)]),
    np.concatenate([rate, np.repeat(rate[-1:], extra, axis=0)]),
    np.concatenate([marks, np.zeros((extra, width), bool)]),
  )


def waves(dealt: Lanes, blocks: int) -> list[Lanes]:
  """The lanes in parts of `blocks` blocks, which one program trains in turn."""
  return [
    Lanes(*(leaf[first : first + blocks] for leaf in dealt))
    for first in range(0, len(dealt.seed), blocks)
  ]


def programs(
  *,
  cost_of: train.CostOf,
  optimizer_of: Callable[[jax.Array], Optimizer],
  mesh: jax.sharding.Mesh,
  gradients: str = 'mean',
  reduction: str = 'mean',
) -> Programs:
  """The programs of one optimizer.

  Args:
    cost_of: (params, one example) -> its cost.
    optimizer_of: a traced learning rate -> the optimizer.
    mesh: of one axis; the number of blocks is a multiple of its size.
    gradients: as of `train.make_step`.
    reduction: as of `train.make_step`.
  """

  def launch(rate, starts):
    def one(block):
      rates, params = block
      return jax.vmap(lambda r: train.start(params, optimizer_of(r)))(rates)

    return Fleet(
      _over_blocks(mesh, one, (rate, starts)),
      jnp.ones(rate.shape, bool),
      jnp.zeros(rate.shape, jnp.int32),
    )

  def over_lanes(run):
    def epoch(fleet, rate, order, examples):
      def one(block):
        fleet, rates, mine = block

        def lane(state, rate):
          step = train.make_step(
            cost_of,
            optimizer_of(rate),
            gradients=gradients,
            reduction=reduction,
          )
          return run(step, state, examples, mine)

        return jax.vmap(lane)(fleet, rates)

      return _over_blocks(mesh, one, (fleet, rate, order))

    return _sharded(mesh, epoch, 'each', 'each', 'each', 'every')

  return Programs(
    launch=_sharded(mesh, launch, 'each', 'each'),
    epoch=over_lanes(functools.partial(_run_lane, platform=_platform(mesh))),
    watched_epoch=over_lanes(_run_watched),
  )


def evaluator(
  scores_of: train.ScoresOf, mesh: jax.sharding.Mesh
) -> Callable[[Any, Examples], Any]:
  """(params of a fleet, examples) -> mean scores, leaves [blocks, width, ...].

  `scores_of` takes (params, one example) to any pytree of numbers.
  """

  def evaluate(params, examples):
    return _over_blocks(mesh, _lane_by_lane(scores_of, examples), params)

  return _sharded(mesh, evaluate, 'each', 'every')


def part_evaluator(
  scores_of: train.ScoresOf, mesh: jax.sharding.Mesh
) -> Callable[[Any, np.ndarray, Examples], Any]:
  """(params of a fleet, index [blocks, k], examples) -> mean scores.

  As `evaluator`, each block on the k examples that its row of `index` names.
  """

  def evaluate(params, index, examples):
    def one(block):
      params, mine = block
      part = jax.tree.map(lambda leaf: leaf[mine], examples)
      return _lane_by_lane(scores_of, part)(params)

    return _over_blocks(mesh, one, (params, index))

  return _sharded(mesh, evaluate, 'each', 'each', 'every')


def _lane_by_lane(scores_of, examples):
  return jax.vmap(lambda p: train.evaluate(scores_of, p, examples))


def _over_blocks(mesh, one, blocks):
  # A CPU's cache holds one block; an accelerator wants all of them at once.
  if _platform(mesh) == 'cpu':
    return jax.lax.map(one, blocks)
  return jax.vmap(one)(blocks)


def _platform(mesh):
  return mesh.devices.flat[0].platform


def _sharded(mesh, function, *kinds):
  """Jits over the mesh; 'each' device has its blocks, 'every' one has all."""
  specs = {'each': jax.P(mesh.axis_names[0]), 'every': jax.P()}
  mapped = jax.shard_map(
    function,
    mesh=mesh,
    in_specs=tuple(specs[kind] for kind in kinds),
    out_specs=specs['each'],
    check_vma=False,
  )
  return jax.jit(
    mapped,
    in_shardings=tuple(
      jax.sharding.NamedSharding(mesh, specs[kind]) for kind in kinds
    ),
  )


def _run_lane(step, lane, examples, order, *, platform):
  """An epoch of one lane, which stays where it was once it has failed."""
  steps, m = order.index.shape
  row = sum(leaf.nbytes // len(leaf) for leaf in jax.tree.leaves(examples))
  state, metrics = train.run_epoch(
    step,
    lane.state,
    examples,
    order,
    together=batches.together(steps, m * row) if platform == 'cpu' else None,
    unroll=batches.unroll_on(platform),
  )
  alive = lane.alive & train.finite(state, metrics.cost)
  state = jax.tree.map(
    lambda new, old: jnp.where(lane.alive, new, old), state, lane.state
  )
  return Fleet(state, alive, lane.updates + lane.alive * steps), metrics


def _run_watched(step, lane, examples, order):
  """The same epoch, frozen before the first update that is not finite."""
  gathered = batches.gather(examples, order)
  state, updates = train.run_watched(step, lane.state, gathered)
  return Fleet(state, lane.alive, lane.updates + updates)


def run_epoch(
  made: Programs,
  fleet: Fleet,
  rate: np.ndarray,
  order: batches.Order,
  examples: Examples,
) -> tuple[Fleet, train.Metrics]:
  """One epoch of every living lane; who leaves the finite numbers is frozen.

  Looking at all parameters after every update is dear, so an epoch in which a
  lane was lost is trained once more, watched, and only that lane takes the
  watched result: its last finite state and its number of finite updates.
  """
  after, metrics = made.epoch(fleet, rate, order, examples)
  lost = np.asarray(fleet.alive) & ~np.asarray(after.alive)
  if not lost.any():
    return after, metrics
  watched = made.watched_epoch(fleet, rate, order, examples)

  def choose(frozen, trained):
    mask = lost.reshape(lost.shape + (1,) * (trained.ndim - 2))
    return jnp.where(mask, frozen, trained)

  chosen = jax.tree.map(choose, watched, after)
  return chosen._replace(alive=after.alive), metrics
