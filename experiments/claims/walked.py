"""Walks on the surfaces of the textbook, as its proofs take them."""

from collections.abc import Sequence

import jax

from experiments.walking import plans
from experiments.walking import walks as walking
from experiments.walking.walks import Walk
from gd_jax.descent import schedules
from gd_jax.model import surfaces


def plan(name: str, **changes) -> plans.Plan:
  """Batch descent on a surface as it suggests, with changes."""
  surface = surfaces.SURFACES[name]
  whole = plans.Plan(
    surface=surface,
    starts=surface.starts,
    steps=surface.steps,
    tolerance=0.0,
    noise=0.0,
    quiet_steps=0,
    batch_size=len(jax.tree.leaves(surface.examples)[0]),
    seeds=(0,),
    dtype='float64',
  )
  return whole._replace(**changes)


def go(
  planned: plans.Plan,
  optimizers: str,
  rates: Sequence[float],
  schedule: str = 'constant',
) -> list[Walk]:
  """Every lane of every optimizer of a comma-separated list."""
  shape = schedules.parse(schedule)
  return [
    walk
    for method in plans.methods(optimizers, planned.surface, shape)
    for walk in walking.walk(planned, method, rates)
  ]
