"""Trains the lanes of a study and writes down what each of them did."""

import functools
import hashlib
import itertools
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
from gd_jax.descent import batches
from gd_jax.descent import entries
from gd_jax.descent import lanes
from gd_jax.descent import train
from gd_jax.judge import study
from gd_jax.model import costs
from gd_jax.types import Schedule
from gd_jax.world import clock
from gd_jax.world import machine
from gd_jax.world import mesh as meshes

# What an accelerator may hold of gathered examples at once.
WAVE_BYTES = 8 * 2**30

# Tuning that takes no more FLOP than this, a few seconds of two cores, saves
# less by wide blocks than it costs to compile a program of its own for them.
SHORT_FLOP = 2e11


class InterruptedStudyError(Exception):
  """A signal asked to stop between two epochs of a unit."""


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
    tuning_lanes=values['rates'] * values['tuning_seeds'],
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
  problem = problem_of(arena, unit.contestant)
  epoch = sum(leaf.nbytes for leaf in jax.tree.leaves(problem.train))
  return wave_shape(
    arena.mesh.devices.flat[0].platform,
    devices=arena.share.devices,
    rates=len(unit.rates),
    seeds=len(unit.seeds),
    lane_block=arena.lane_block or (1 if short(arena, unit) else None),
    epoch_bytes=epoch,
  )


def short(arena: Arena, unit: study.Unit) -> bool:
  """Whether a unit's contestant is tuned in less time than it compiles.

  Then it trains lane by lane, and in the program that its report lanes need.
  """
  problem = problem_of(arena, unit.contestant)
  # Of a network of ours alone is the work known by the number of weights.
  on_cpu = arena.mesh.devices.flat[0].platform == 'cpu'
  if not on_cpu or problem.split is None:
    return False
  params = jax.eval_shape(problem.init, jax.random.key(0))
  weights = sum(leaf.size for leaf in jax.tree.leaves(params))
  examples = problems.size_of(problem.train) * arena.epochs
  return 6 * weights * examples * arena.tuning_lanes <= SHORT_FLOP


def wave_shape(
  platform: str,
  *,
  devices: int,
  rates: int,
  seeds: int,
  lane_block: int | None,
  epoch_bytes: int,
) -> tuple[int, int]:
  """(blocks, lanes a block) of the waves that train rates x seeds."""
  width = min(lane_block or lanes.widest(rates, seeds, devices), rates)
  if platform == 'cpu':
    return devices, width
  blocks = -(-rates // width) * seeds
  each = min(-(-blocks // devices), max(1, WAVE_BYTES // epoch_bytes))
  return each * devices, width


def check_memory(
  params: Any,
  protocol: study.Protocol,
  devices: Sequence[Any],
  values: Mapping[str, Any],
) -> None:
  """Refuses lanes that this machine cannot hold side by side.

  Raises:
    UserError: with how many there would be, and what they take.
  """
  blocks, width = wave_shape(
    'cpu',  # one block a device, which is the least anywhere
    devices=len(devices),
    rates=protocol.rates,
    seeds=len(protocol.tuning_seeds),
    lane_block=values['lane_block'],
    epoch_bytes=0,
  )
  weights = sum(
    leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(params)
  )
  problems.check_memory(weights, 'this study', blocks * width)


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


def run_unit(
  arena: Arena, unit: study.Unit
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
  """Trains all lanes of a unit: its rows, and its program's record.

  Raises:
    InterruptedStudyError: when a signal came; nothing of the unit is kept.
  """
  one = unit.contestant
  division, m = arena.division, one.batch_size
  n = problems.size_of(problem_of(arena, one).train)
  blocks, width = shape_of(arena, unit)
  made, compile_seconds = arena.compiled(one, (blocks, width)).result()
  dealt = lanes.deal(
    unit.rates, len(unit.seeds), width=width, multiple=blocks, dtype=arena.dtype
  )
  parts = lanes.waves(dealt, blocks)
  digest = hashlib.sha256()

  def order_of(key: tuple[int, int]) -> batches.Order:
    wave, epoch = key
    orders = [
      division.order(unit.seeds[place], epoch, m) for place in parts[wave].seed
    ]
    stacked = stack(orders)
    digest.update(stacked.index)
    return stacked

  keys = itertools.product(range(len(parts)), range(arena.epochs))
  seconds, rows, fleet = 0.0, [], None
  for (wave, epoch), order in batches.made_ahead(order_of, keys):
    if arena.share.stopping():
      raise InterruptedStudyError
    part = parts[wave]
    mine = lanes.Lanes(*arena.share.mine(tuple(part)))
    seeds = [unit.seeds[place] for place in mine.seed]
    rate = meshes.put_blocks(arena.mesh, mine.rate)
    if epoch == 0:
      start = stack([arena.starts[one.init](seed) for seed in seeds])
      start = meshes.put_blocks(arena.mesh, moved(start, unit.start_factor))
      fleet = made.launch(rate, start)
    order = meshes.put_blocks(arena.mesh, arena.share.mine(order))
    (fleet, metrics), span = clock.timed(
      lanes.run_epoch, made, fleet, rate, order, division.examples
    )
    seconds += clock.seconds(span)
    last = epoch + 1 == arena.epochs
    params = fleet.state.params
    validation = division.evaluate(params, seeds, 'validation', one.cost)
    test = None
    if last and unit.phase != 'tuning':
      test = division.evaluate(params, seeds, 'test', one.cost)
    ended = fleet._replace(state=()), metrics, validation, test
    rows += rows_of(unit, part, epoch, *arena.share.gather(ended))
    if last:
      mark_saturated(rows[-part.real.sum() :], division.commonest)
  rows.sort(key=lambda row: (row['seed'], row['learning_rate'], row['epoch']))
  return rows, {
    'phase': unit.phase,
    'entry': one.name,
    'batch_size': m,
    'rates': list(unit.rates),
    'seeds': list(unit.seeds),
    'rows': len(rows),
    'lanes': len(unit.rates) * len(unit.seeds),
    'updates': arena.epochs * batches.steps_of(n, m),
    'lane_block': width,
    'devices': arena.share.devices,
    'orders': digest.hexdigest(),
    'seconds': seconds,
    'compile_seconds': compile_seconds,
  }


def moved(start: Any, factor: float) -> Any:
  """The start times a factor, in its own dtype."""
  return jax.tree.map(lambda leaf: leaf * leaf.dtype.type(factor), start)


def rows_of(
  unit: study.Unit,
  dealt: lanes.Lanes,
  epoch: int,
  fleet: lanes.Fleet,
  metrics: train.Metrics,
  validation: costs.Scores,
  test: costs.Scores | None,
) -> list[dict[str, Any]]:
  """One row a lane for an epoch; a lane that diverged has no figures."""
  one = unit.contestant
  updates, alive = np.asarray(fleet.updates), np.asarray(fleet.alive)
  cost = np.asarray(metrics.cost / metrics.examples, np.float64)
  figures = {
    'train_cost': cost,
    'validation_cost': np.asarray(validation.cost, np.float64),
    'validation_accuracy': np.asarray(validation.accuracy, np.float64),
  }
  if test is not None:
    dead = np.asarray(test.predicted) == 0
    figures['test_cost'] = np.asarray(test.cost, np.float64)
    figures['test_accuracy'] = np.asarray(test.accuracy, np.float64)
    figures['dead_outputs'] = dead.sum(-1)
  rows = []
  rates = {np.dtype(dealt.rate.dtype).type(rate): rate for rate in unit.rates}
  for block, lane in np.argwhere(dealt.real):
    lives = bool(alive[block, lane])
    rows.append(
      {
        'phase': unit.phase,
        'entry': one.name,
        'optimizer': one.optimizer,
        'implementation': one.implementation,
        'batch_size': one.batch_size,
        'init': one.init,
        'cost': one.cost,
        'learning_rate': rates[dealt.rate[block, lane]],
        'seed': unit.seeds[dealt.seed[block]],
        'epoch': epoch + 1,
        'step': int(updates[block, lane]),
        **{
          name: figure[block, lane].item() if lives else None
          for name, figure in figures.items()
        },
        'failed': None if lives else 'diverged',
        'diverged_at': None if lives else int(updates[block, lane]) + 1,
      }
    )
  return rows


def mark_saturated(
  last_rows: list[dict[str, Any]], commonest: Callable[[int], float]
) -> None:
  """Marks lanes no better than always naming the commonest class."""
  for row in last_rows:
    accuracy = row['validation_accuracy']
    if accuracy is not None and accuracy <= commonest(row['seed']) + 1e-6:
      row['failed'] = 'saturated'
