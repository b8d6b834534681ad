"""Hand-rolled and Optax side by side: the same start, the same batches.

Single runs in the arithmetic of the study, timed in turn A B A B over the
report seeds; at most MOST_UPDATES updates each.
"""

import functools
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jax
import numpy as np

from experiments import problem as problems
from experiments.contest import arena as arenas
from gd_jax.descent import batches
from gd_jax.descent import entries
from gd_jax.descent import train
from gd_jax.judge import study
from gd_jax.types import Batch
from gd_jax.world import clock

# Long enough to see a difference grow, short enough for a study of MNIST.
MOST_UPDATES = 1000


class Side(NamedTuple):
  """One implementation, compiled."""

  optimizer: Any
  program: Any  # (state, batches) -> (state, metrics)
  compile_seconds: float


class Done(NamedTuple):
  """What a side did on each seed."""

  params: list[Any]
  accuracy: list[float]
  seconds: list[float]


def run(
  arena: arenas.Arena,
  protocol: study.Protocol,
  rows: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
  """One record for each contestant of ours, at the rate it is reported at."""
  ours = [one for one in protocol.contestants if one.implementation == 'ours']
  rates = [study.choose(protocol, rows, one.name).learning_rate for one in ours]
  # Both sides of a pair compile at once, and nothing is timed before all have.
  compiling = [
    [
      arena.pool.submit(compiled, arena, protocol, one, entry, rate)
      for entry in sides_of(one)
    ]
    for one, rate in zip(ours, rates, strict=True)
  ]
  ready = [[side.result() for side in pair] for pair in compiling]
  return [
    beside(arena, protocol, one, rate, sides)
    for one, rate, sides in zip(ours, rates, ready, strict=True)
  ]


def sides_of(one: study.Contestant) -> tuple[entries.Entry, entries.Entry]:
  """A contestant of ours, and its twin in Optax."""
  ours = entries.parse(one.optimizer)
  return ours, entries.twin(ours)


def beside(
  arena: arenas.Arena,
  protocol: study.Protocol,
  one: study.Contestant,
  rate: float,
  sides: Sequence[Side],
) -> dict[str, Any]:
  """Both sides over the report seeds; differences are relative to movement."""
  problem = arenas.problem_of(arena, one)
  test = jax.device_put(problem.test)
  done = [Done([], [], []) for _ in sides]
  turns = list(zip(sides, done, strict=True))
  starts = [start_of(arena, one, seed) for seed in protocol.report_seeds]
  for seed, start in zip(protocol.report_seeds, starts, strict=True):
    epoch = first_batches(problem, one, seed)
    turns.reverse()  # A B, B A, ...: neither is always the first
    for side, found in turns:
      state = train.start(start, side.optimizer)
      (state, _), span = clock.timed(side.program, state, epoch)
      score = scored(problem.scores_of, state.params, test)
      found.params.append(state.params)
      found.accuracy.append(float(score.accuracy))
      found.seconds.append(clock.seconds(span))
  updates = epoch.weights.shape[0]
  return {
    'entry': one.name,
    'twin': sides_of(one)[1].text,
    'learning_rate': rate,
    'updates': updates,
    'seeds': len(starts),
    'largest_difference': max(
      map(apart, done[0].params, done[1].params, starts)
    ),
    'accuracy': [float(np.mean(found.accuracy)) for found in done],
    'us_per_step': [1e6 * min(found.seconds) / updates for found in done],
    'compile_seconds': [side.compile_seconds for side in sides],
  }


# Compiled once for all contestants.
scored = jax.jit(train.evaluate, static_argnums=0)


def start_of(arena: arenas.Arena, one: study.Contestant, seed: int) -> Any:
  """The start of a report seed, on one device."""
  return jax.device_put(arena.starts[one.init](seed))


def first_batches(
  problem: problems.Problem, one: study.Contestant, seed: int
) -> Batch:
  """The first mini-batches of a seed's first epoch, on the device."""
  n = problems.size_of(problem.train)
  order = batches.epoch_order(seed, 0, n, one.batch_size)
  some = batches.Order(*(leaf[:MOST_UPDATES] for leaf in order))
  return jax.device_put(batches.gather(problem.train, some))


def compiled(
  arena: arenas.Arena,
  protocol: study.Protocol,
  one: study.Contestant,
  entry: entries.Entry,
  rate: float,
) -> Side:
  """One side, ready to run; its first run warms it up."""
  optimizer = entries.build(entry, rate, arena.schedule)
  problem = arenas.problem_of(arena, one)
  step = train.make_step(
    problem.cost_of,
    optimizer,
    gradients=arena.gradients,
    reduction=arena.reduction,
  )
  seed = protocol.report_seeds[0]
  state = train.start(start_of(arena, one, seed), optimizer)
  epoch = first_batches(problem, one, seed)
  unroll = batches.unroll_on(arena.mesh.devices.flat[0].platform)
  run = functools.partial(train.run_batches, step, unroll=unroll)
  lowered = jax.jit(run).lower(state, epoch)
  program, span = clock.timed(lowered.compile)
  jax.block_until_ready(program(state, epoch))
  return Side(optimizer, program, clock.seconds(span))


def apart(ours: Any, theirs: Any, start: Any) -> float:
  """Max |ours - theirs| / max |theirs - start| over all parameters."""

  def largest(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(
      float(np.max(np.abs(np.asarray(p) - np.asarray(q)))) for p, q in pairs
    )

  moved = largest(theirs, start)
  return largest(ours, theirs) / moved if moved else 0.0
