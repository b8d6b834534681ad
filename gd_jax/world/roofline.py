"""Which roof a program stands under: arithmetic, memory, or launching.

A step of FLOP F that moves B bytes cannot be shorter than

    max(F / peak, sum of B / bandwidth)                      the attainable roof

(Williams, Waterman and Patterson 2009), and on a machine that takes L seconds
to launch a step that computes nothing it is not shorter than L either. The
longest of the three names what binds.
"""

import math
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from jax import extend as jex

from gd_jax.types import UserError

BOUNDS = ('launch', 'memory', 'compute')


class Machine(NamedTuple):
  """Measured; a roof is what was reached at most, a speed what was usual."""

  peak: float  # FLOP/s, the median of samples
  fastest: float  # FLOP/s that nothing can exceed: the best sample
  cache: float  # bytes/s
  memory: float  # bytes/s
  cache_bytes: int  # of a device


class Work(NamedTuple):
  """What one step of a program does, over all devices and lanes in it."""

  flop: float
  state_bytes: float  # parameters, gradients and the optimizer's memory, moved
  example_bytes: float  # stored examples, read
  footprint: float  # bytes of state that are live at once, a device


class Reading(NamedTuple):
  """A measured step, read against the roofs."""

  flops: float  # FLOP/s
  of_peak: float
  of_roof: float
  bound: str  # one of BOUNDS
  intensity: float  # FLOP a byte
  compute_seconds: float  # the least that each takes, a step
  memory_seconds: float
  launch_seconds: float


def read(
  name: str, work: Work, machine: Machine, *, seconds: float, launch: float
) -> Reading:
  """What `seconds` a step mean.

  Raises:
    UserError: it is faster than anything the machine has been seen to do, so
      that the clock or the count of FLOP is wrong.
  """
  flops = work.flop / seconds
  if not 0 < flops <= machine.fastest:
    raise UserError(
      f'{name} seems to make {flops / 1e9:.4g} GFLOP/s where matrix products '
      f'reach {machine.fastest / 1e9:.4g} at most: the clock or the count of '
      'FLOP is wrong, so nothing of it is reported.'
    )
  in_cache = work.footprint <= machine.cache_bytes
  state_speed = machine.cache if in_cache else machine.memory
  least = {
    'launch': launch,
    'memory': work.state_bytes / state_speed
    + work.example_bytes / machine.memory,
    'compute': work.flop / machine.peak,
  }
  return Reading(
    flops=flops,
    of_peak=flops / machine.peak,
    of_roof=max(least['memory'], least['compute']) / seconds,
    bound=max(BOUNDS, key=lambda bound: least[bound]),
    intensity=work.flop / (work.state_bytes + work.example_bytes),
    compute_seconds=least['compute'],
    memory_seconds=least['memory'],
    launch_seconds=launch,
  )


def check_flop(name: str, claimed: float, jaxpr: Any) -> float:
  """Refuses a count of FLOP that the program's own matrix products deny.

  `claimed` is of one call. Products are counted where they stand, a scan's as
  often as it repeats them; padding and gradients of single examples make them
  up to twice what an update needs.

  Returns:
    The FLOP counted in the program.

  Raises:
    UserError: with both counts.
  """
  counted = products_in(jaxpr)
  if not 0.99 <= counted / claimed <= 2.01:
    raise UserError(
      f'{name} is said to make {claimed:.6g} FLOP a call and its program has '
      f'{counted:.6g} in matrix products: one of them is counted wrongly, so '
      'nothing is timed.'
    )
  return counted


def products_in(jaxpr: Any) -> float:
  """FLOP of all matrix products of a jaxpr, over all devices and repeats.

  2 times the product of the sizes of all free, batch and contracted axes. What
  `compiled.cost_analysis()` says counts the body of a scan once.
  """
  total = 0.0
  for equation in jaxpr.eqns:
    if equation.primitive.name == 'dot_general':
      (contracted, _), _ = equation.params['dimension_numbers']
      left = equation.invars[0].aval.shape
      total += (
        2.0
        * math.prod(equation.outvars[0].aval.shape)
        * math.prod(left[axis] for axis in contracted)
      )
      continue
    inside = sum(products_in(inner) for inner in _inner(equation.params))
    times = equation.params.get('length', 1)
    if equation.primitive.name == 'shard_map':
      times = equation.params['mesh'].size
    total += times * inside
  return total


def _inner(parameters: Mapping[str, Any]) -> list[Any]:
  """The jaxprs among an equation's parameters."""
  values = []
  for value in parameters.values():
    values += value if isinstance(value, list | tuple) else [value]
  closed, plain = jex.core.ClosedJaxpr, jex.core.Jaxpr
  # From JAX 0.11.2 on a closed jaxpr is a plain one as well: it counts once.
  return [
    value.jaxpr if isinstance(value, closed) else value
    for value in values
    if isinstance(value, closed | plain)
  ]
