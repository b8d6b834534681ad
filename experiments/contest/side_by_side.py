"""Hand-rolled and Optax side by side: the same start, the same batches.

Single runs in the arithmetic of the study, timed in turn A B A B over the
report seeds; at most MOST_UPDATES updates each.
"""

from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jax
import numpy as np

from experiments import problem as problems
from experiments.contest import tournament
from gd_jax.descent import batches
from gd_jax.descent import entries
from gd_jax.descent import train
from gd_jax.judge import study
from gd_jax.types import Batch
from gd_jax.world import clock

# Long enough to see a difference grow, short enough for a study of MNIST.
MOST_UPDATES = 1000


class Side(NamedTuple):
  """One implementation, compiled, and what it did on each seed."""

  program: Any
  optimizer: Any
  compile_seconds: float
  params: list[Any]
  accuracy: list[float]
  seconds: list[float]


def run(
  arena: tournament.Arena,
  protocol: study.Protocol,
  rows: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
  """One record for each contestant of ours, at the rate it is reported at."""
  return [
    beside(arena, protocol, one, study.choose(protocol, rows, one.name))
    for one in protocol.contestants
    if one.implementation == 'ours'
  ]


def beside(
  arena: tournament.Arena,
  protocol: study.Protocol,
  one: study.Contestant,
  choice: study.Choice,
) -> dict[str, Any]:
  """Both sides over the report seeds; differences are relative to movement."""
  ours = entries.parse(one.optimizer)
  twin = entries.twin(ours)
  problem = arena.problems[one.init]
  starts = [problem.init(jax.random.key(s)) for s in protocol.report_seeds]
  epochs = [first_batches(problem, one, s) for s in protocol.report_seeds]
  sides = [
    compiled(arena, entry, choice.learning_rate, starts[0], epochs[0])
    for entry in (ours, twin)
  ]
  score = jax.jit(
    lambda params: train.evaluate(problem.scores_of, params, problem.test)
  )
  for start, epoch in zip(starts, epochs, strict=True):
    sides.reverse()  # A B, B A, ...: neither is always the first
    for side in sides:
      state = train.start(start, side.optimizer)
      (state, _), span = clock.timed(side.program, state, epoch)
      side.params.append(state.params)
      side.accuracy.append(float(score(state.params).accuracy))
      side.seconds.append(clock.seconds(span))
  if len(starts) % 2:
    sides.reverse()
  updates = epochs[0].weights.shape[0]
  return {
    'entry': one.name,
    'twin': twin.text,
    'learning_rate': choice.learning_rate,
    'updates': updates,
    'seeds': len(starts),
    'largest_difference': max(
      map(apart, sides[0].params, sides[1].params, starts)
    ),
    'accuracy': [float(np.mean(side.accuracy)) for side in sides],
    'us_per_step': [1e6 * min(side.seconds) / updates for side in sides],
    'compile_seconds': [side.compile_seconds for side in sides],
  }


def first_batches(
  problem: problems.Problem, one: study.Contestant, seed: int
) -> Batch:
  """The first mini-batches of a seed's first epoch, on the device."""
  n = problems.size_of(problem.train)
  order = batches.epoch_order(seed, 0, n, one.batch_size)
  some = batches.Order(*(leaf[:MOST_UPDATES] for leaf in order))
  return jax.device_put(batches.gather(problem.train, some))


def compiled(
  arena: tournament.Arena,
  entry: entries.Entry,
  rate: float,
  params: Any,
  epoch: Batch,
) -> Side:
  """One side, ready to run; its first run warms it up."""
  optimizer = entries.build(entry, rate, arena.schedule)
  problem = next(iter(arena.problems.values()))
  step = train.make_step(
    problem.cost_of,
    optimizer,
    gradients=arena.gradients,
    reduction=arena.reduction,
  )
  state = train.start(params, optimizer)
  lowered = jax.jit(lambda s, b: train.run_batches(step, s, b)).lower(
    state, epoch
  )
  program, span = clock.timed(lowered.compile)
  jax.block_until_ready(program(state, epoch))
  return Side(program, optimizer, clock.seconds(span), [], [], [])


def apart(ours: Any, theirs: Any, start: Any) -> float:
  """Max |ours - theirs| / max |theirs - start| over all parameters."""

  def largest(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(
      float(np.max(np.abs(np.asarray(p) - np.asarray(q)))) for p, q in pairs
    )

  moved = largest(theirs, start)
  return largest(ours, theirs) / moved if moved else 0.0
