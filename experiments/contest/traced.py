"""--profile of a study: a few updates of each entry's widest wave."""

from collections.abc import Callable
from typing import Any

from experiments import profiling
from experiments import session
from experiments.contest import arena as arenas
from gd_jax.descent import batches
from gd_jax.descent import lanes
from gd_jax.judge import study
from gd_jax.world import mesh as meshes


def keep(
  kept: session.Session, arena: arenas.Arena, protocol: study.Protocol
) -> None:
  """Traces the first wave of each entry's tuning, on the first process."""
  if kept.context.values['profile'] and kept.context.first:
    units = study.tuning_units(protocol)
    profiling.keep(
      kept, {unit.contestant.name: wave(arena, unit) for unit in units}
    )


def wave(arena: arenas.Arena, unit: study.Unit) -> Callable[[], Any]:
  """The first updates of the unit's first wave, from its start."""
  one = unit.contestant
  blocks, width = arenas.shape_of(arena, unit)
  dealt = lanes.deal(
    unit.rates, len(unit.seeds), width=width, multiple=blocks, dtype=arena.dtype
  )
  part = lanes.waves(dealt, blocks)[0]
  mine = lanes.Lanes(*arena.share.mine(tuple(part)))
  seeds = [unit.seeds[place] for place in mine.seed]
  orders = [arena.division.order(seed, 0, one.batch_size) for seed in seeds]
  few = [
    batches.Order(*(leaf[: profiling.UPDATES] for leaf in order))
    for order in orders
  ]
  starts = [arena.starts[one.init](seed) for seed in seeds]
  rate, start, order = (
    meshes.put_blocks(arena.mesh, leaf)
    for leaf in (mine.rate, arenas.stack(starts), arenas.stack(few))
  )
  made = arena.programs_of(one)
  fleet = made.launch(rate, start)
  return lambda: made.epoch(fleet, rate, order, arena.division.examples)
