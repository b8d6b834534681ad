"""Trains the lanes of a study and writes down what each of them did."""

import hashlib
import itertools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from experiments import problem as problems
from experiments.contest import arena as arenas
from gd_jax.descent import batches
from gd_jax.descent import lanes
from gd_jax.descent import train
from gd_jax.judge import study
from gd_jax.model import costs
from gd_jax.world import clock
from gd_jax.world import mesh as meshes


class InterruptedStudyError(Exception):
  """A signal asked to stop between two epochs of a unit."""


def run_unit(
  arena: arenas.Arena, unit: study.Unit
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
  """Trains all lanes of a unit: its rows, and its program's record.

  Raises:
    InterruptedStudyError: when a signal came; nothing of the unit is kept.
  """
  one = unit.contestant
  division, m = arena.division, one.batch_size
  n = problems.size_of(arenas.problem_of(arena, one).train)
  blocks, width = arenas.shape_of(arena, unit)
  made, compile_seconds = arena.compiled(one, (blocks, width)).result()
  dealt = lanes.deal(
    unit.rates, len(unit.seeds), width=width, multiple=blocks, dtype=arena.dtype
  )
  parts = lanes.waves(dealt, blocks)
  drawn: dict[tuple[int, int], bytes] = {}

  def order_of(key: tuple[int, int]) -> batches.Order:
    wave, epoch = key
    places = parts[wave].seed.tolist()
    orders = {
      place: division.order(unit.seeds[place], epoch, m)
      for place in dict.fromkeys(places)
    }
    for place, order in orders.items():
      drawn[place, epoch] = hashlib.sha256(order.index.tobytes()).digest()
    return arenas.stack([orders[place] for place in places])

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
      start = arenas.stack([arena.starts[one.init](seed) for seed in seeds])
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
    # Of seeds and epochs alone, however the lanes were cut into waves.
    'orders': hashlib.sha256(
      b''.join(drawn[key] for key in sorted(drawn))
    ).hexdigest(),
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
