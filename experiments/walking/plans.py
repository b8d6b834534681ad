"""What is to be walked: flags -> surface, starts, optimizers, noise."""

import functools
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gd_jax.descent import backtracking
from gd_jax.descent import entries
from gd_jax.descent import outcomes
from gd_jax.descent import specs
from gd_jax.model import surfaces
from gd_jax.model.surfaces import Surface
from gd_jax.types import Optimizer
from gd_jax.types import UserError

GRID = 9  # starts a side of --start=grid
MOST_LANES = 20_000


class Method(NamedTuple):
  """An optimizer as --optimizers names it."""

  text: str
  build: Callable[[Any], Optimizer]  # learning rate ->
  rate: float | None  # its own, where the text says so


class Plan(NamedTuple):
  """What is walked, on what, and how long."""

  surface: Surface
  starts: dict[str, tuple[float, ...]]
  steps: int
  tolerance: float
  noise: float  # standard deviation
  quiet_steps: int  # the last ones, without noise
  batch_size: int  # examples an update
  seeds: tuple[int, ...]
  dtype: str


def methods(text: str, surface: Surface, schedule: Any) -> list[Method]:
  """The optimizers of a comma-separated list.

  Raises:
    UserError: for one that is unknown, unfit, or named twice.
  """
  found = []
  value_of = functools.partial(surfaces.mean_cost, surface)
  shape = jax.ShapeDtypeStruct((len(surface.variables),), jnp.float32)
  for name in specs.split(text):
    if name in (method.text for method in found):
      raise UserError(f'--optimizers names {name} twice: name every one once.')
    if name in backtracking.SEARCHES:
      search = backtracking.SEARCHES[name]
      build = functools.partial(search, value_of=value_of)
      found.append(Method(name, build, None))
      continue
    entry = entries.parse(name)
    entries.check(entry, shape, schedule)
    build = functools.partial(entries.build, entry, schedule=schedule)
    own = entry.centre if entry.centre_source == 'entry' else None
    found.append(Method(name, build, own))
  return found


def starts(
  text: str | None, surface: Surface, seed: int
) -> dict[str, tuple[float, ...]]:
  """{name: point} of --start: points, names, random:N, grid; None means all.

  Raises:
    UserError: for a point with the wrong number of numbers, and so on.
  """
  d = len(surface.variables)
  lows, highs = np.array(surface.domain).T
  if text is None:
    return surface.starts
  if text == 'grid':
    axes = [
      np.linspace(low, high, GRID)
      for low, high in zip(lows, highs, strict=True)
    ]
    points = np.stack(np.meshgrid(*axes), -1).reshape(-1, d)
    return {f'grid {i}': tuple(map(float, p)) for i, p in enumerate(points)}
  if text.startswith('random:'):
    count = text.removeprefix('random:')
    spelled = count.isascii() and count.isdigit() and len(count) < 9
    if not (spelled and 1 <= int(count) <= MOST_LANES):
      raise UserError(
        f'--start={text} is misspelled: expected random:N, N from 1 to '
        f'{MOST_LANES}, such as random:100.'
      )
    draws = np.random.default_rng(seed).uniform(lows, highs, (int(count), d))
    return {f'random {i}': tuple(map(float, p)) for i, p in enumerate(draws)}
  chosen = {}
  for part in text.split(';'):
    name = part.strip()
    if name in surface.starts:
      chosen[name] = surface.starts[name]
      continue
    try:
      point = tuple(float(number) for number in name.split(','))
    except ValueError:
      point = ()
    # A point of float64 may lie beyond float32, where all is infinite.
    if len(point) != d or not all(abs(x) < 1e30 for x in point):
      raise UserError(
        f'--start={text} has {name!r}: expected {d} finite number'
        f'{"s separated by a comma" if d > 1 else ""} below 1e30 for '
        f'{", ".join(surface.variables)} (points are separated by ;), one of '
        f'{", ".join(surface.starts)}, random:N or grid.'
      )
    chosen[outcomes.place(point)] = point
  return chosen


def outside(plan: Plan) -> list[str]:
  """Names of the starts that no picture of the domain shows."""
  return [
    name
    for name, point in plan.starts.items()
    if any(
      not low <= x <= high
      for x, (low, high) in zip(point, plan.surface.domain, strict=True)
    )
  ]
