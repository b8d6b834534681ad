"""What the units of a study share: problems, examples, compiled programs."""

import functools
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
from typing import Any
from typing import NamedTuple

import jax
import numpy as np

from experiments import problem as problems
from experiments.contest import divisions
from experiments.contest import waves
from gd_jax.descent import batches
from gd_jax.descent import entries
from gd_jax.descent import lanes
from gd_jax.judge import study
from gd_jax.types import Schedule
from gd_jax.world import clock
from gd_jax.world import machine
from gd_jax.world import mesh as meshes


class Arena(NamedTuple):
  """What all units of a study share."""

  problems: Mapping[problems.Kind, problems.Problem]
  starts: Mapping[str, Callable[[int], Any]]  # --init, seed -> params
  mesh: jax.sharding.Mesh
  dtype: str
  epochs: int
  gradients: str
  reduction: str
  schedule: Schedule | None
  lane_block: int | None  # None chooses
  tuning_lanes: int  # of each contestant, before widening
  most_lanes: int  # of any unit
  share: meshes.Share
  programs_of: Callable[[study.Contestant], lanes.Programs]
  # (contestant, shape of a wave) -> compiled
  compiled: Callable[[study.Contestant, tuple[int, int]], futures.Future]
  division: divisions.Division
  pool: futures.Executor  # compiles, one thread a core


class Compiled(NamedTuple):
  """An entry's programs at one shape, and what compiling them took."""

  programs: lanes.Programs
  compile_seconds: float


def arena(
  made: Mapping[problems.Kind, problems.Problem],
  mesh: jax.sharding.Mesh,
  values: Mapping[str, Any],
  *,
  dtype: str,
  schedule: Schedule | None,
  share: meshes.Share,
) -> Arena:
  """Puts the examples on every device and makes ready to compile."""
  problem = next(iter(made.values()))
  divide = divisions.resplit if values['resplit'] else divisions.fixed
  division = divide(
    problem,
    {kind.cost: one.scores_of for kind, one in made.items()},
    mesh,
  )
  # Compiling lets go of the interpreter: several programs compile at once.
  pool = futures.ThreadPoolExecutor(machine.cores())

  inits = {kind.init: one.init for kind, one in made.items()}
  costs_of = {kind.cost: one.cost_of for kind, one in made.items()}

  @functools.cache
  def start_of(init: str) -> Callable[[int], Any]:
    jitted = jax.jit(inits[init])
    return lambda seed: jax.device_get(jitted(jax.random.key(seed)))

  @functools.cache
  def programs_of(text: str, cost: str) -> lanes.Programs:
    entry = entries.parse(text)
    return lanes.programs(
      cost_of=costs_of[cost],
      optimizer_of=lambda rate: entries.build(entry, rate, schedule),
      mesh=mesh,
      gradients=values['gradients'],
      reduction=values['reduction'],
    )

  @functools.cache
  def ready(text: str, cost: str, m: int, init: str, shape: tuple[int, int]):
    order = division.order(0, 0, m)
    rates = share.mine(np.zeros(shape, dtype))
    put = functools.partial(meshes.put_blocks, mesh)
    return pool.submit(
      compile_programs,
      programs_of(text, cost),
      put(rates),
      put(stack([start_of(init)(0)] * len(rates))),
      put(stack([order] * len(rates))),
      division.examples,
    )

  tuning_lanes = values['rates'] * values['tuning_seeds']
  widened = study.WIDEN_BY * values['tuning_seeds']
  return Arena(
    problems=made,
    starts={init: start_of(init) for init in inits},
    mesh=mesh,
    dtype=dtype,
    epochs=values['epochs'],
    gradients=values['gradients'],
    reduction=values['reduction'],
    schedule=schedule,
    lane_block=values['lane_block'],
    tuning_lanes=tuning_lanes,
    most_lanes=max(tuning_lanes, widened, values['report_seeds']),
    share=share,
    programs_of=lambda one: programs_of(one.optimizer, one.cost),
    compiled=lambda one, shape: ready(
      one.optimizer, one.cost, one.batch_size, one.init, shape
    ),
    division=division,
    pool=pool,
  )


def compile_programs(
  made: lanes.Programs,
  rate: np.ndarray,
  starts: Any,
  order: batches.Order,
  examples: Any,
) -> Compiled:
  """Compiles what every epoch needs; the watched epoch waits for its need."""
  launch, span = clock.timed(made.launch.lower(rate, starts).compile)
  fleet = jax.eval_shape(made.launch, rate, starts)
  lowered = made.epoch.lower(fleet, rate, order, examples)
  epoch, more = clock.timed(lowered.compile)
  return Compiled(
    made._replace(launch=launch, epoch=epoch),
    clock.seconds(span) + clock.seconds(more),
  )


def stack(parts: Sequence[Any]) -> Any:
  """Equal trees of arrays as one, each leaf with a new first axis."""
  return jax.tree.map(lambda *leaves: np.stack(leaves), *parts)


def problem_of(arena: Arena, one: study.Contestant) -> problems.Problem:
  """What a contestant minimises."""
  return arena.problems[problems.Kind(one.init, one.cost)]


def shape_of(arena: Arena, unit: study.Unit) -> tuple[int, int]:
  """(blocks, lanes a block) of the waves that the unit trains in."""
  one = unit.contestant
  single = arena.lane_block is None and lane_by_lane(arena, one)
  return waves.wave_shape(
    arena.mesh.devices.flat[0].platform,
    devices=arena.share.devices,
    rates=len(unit.rates),
    seeds=len(unit.seeds),
    lane_block=1 if single else arena.lane_block,
    epoch_bytes=epoch_bytes(problem_of(arena, one)),
    least=arena.most_lanes if single else 0,
  )


def epoch_bytes(problem: problems.Problem) -> int:
  """What a lane's gathered examples of an epoch take."""
  return sum(leaf.nbytes for leaf in jax.tree.leaves(problem.train))


def lane_by_lane(arena: Arena, one: study.Contestant) -> bool:
  """Whether the contestant's units all train in one program, a lane a block."""
  problem = problem_of(arena, one)
  # Of a network of ours alone is the work known by the number of weights.
  if problem.split is None:
    return False
  params = jax.eval_shape(problem.init, jax.random.key(0))
  return waves.lane_by_lane(
    arena.mesh.devices.flat[0].platform,
    weights=sum(leaf.size for leaf in jax.tree.leaves(params)),
    batch_size=one.batch_size,
    examples=problems.size_of(problem.train) * arena.epochs,
    tuning_lanes=arena.tuning_lanes,
    most_lanes=arena.most_lanes,
    fit=arena.share.devices * waves.fitting(epoch_bytes(problem)),
  )


def compile_ahead(arena: Arena, units: Sequence[study.Unit]) -> None:
  """Starts compiling what the units will need, in the background."""
  for unit in units:
    one = unit.contestant
    arena.compiled(one, shape_of(arena, unit))


def compile_now(arena: Arena, units: Sequence[study.Unit]) -> None:
  """Waits until all that the units need is compiled."""
  compile_ahead(arena, units)
  for unit in units:
    one = unit.contestant
    arena.compiled(one, shape_of(arena, unit)).result()
