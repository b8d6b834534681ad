"""Walks on a surface: lanes -> trajectories -> what happened."""

import functools
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.walking import plans
from experiments.walking.plans import Method
from experiments.walking.plans import Plan
from gd_jax.descent import added_noise
from gd_jax.descent import outcomes
from gd_jax.descent import trajectories
from gd_jax.model import surfaces
from gd_jax.model.surfaces import Surface
from gd_jax.types import UserError
from gd_jax.world import machine


class Walk(NamedTuple):
  """One lane that was walked."""

  method: str
  rate: float
  start: str
  seed: int
  positions: np.ndarray  # [steps + 1, d], until it stopped
  costs: np.ndarray  # [steps + 1]
  gradients: np.ndarray  # [steps + 1, d]
  outcome: outcomes.Outcome


def check_size(plan: Plan, rates: int) -> None:
  """Refuses walks that this machine cannot hold.

  Raises:
    UserError: too many lanes an optimizer, or more steps than memory takes.
  """
  lanes = len(plan.starts) * rates * len(plan.seeds)
  if lanes > plans.MOST_LANES:
    raise UserError(
      f'{lanes} lanes an optimizer are asked for: expected at most '
      f'{plans.MOST_LANES}; give fewer starts, rates or seeds.'
    )
  # Position, gradient and cost of every step, on the device and in float64.
  numbers = 2 * len(plan.surface.variables) + 1 + plan.batch_size
  needed, there = 16 * lanes * plan.steps * numbers, machine.memory()
  if needed > there:
    raise UserError(
      f'{lanes} lanes of {plan.steps} steps take {needed / 2**30:,.0f} GiB and '
      f'there are {there / 2**30:,.0f}: give fewer --steps or starts.'
    )


def walk(plan: Plan, method: Method, rates: Sequence[float]) -> list[Walk]:
  """All lanes of one optimizer, start x rate x seed, in one program."""
  lanes = [
    (start, rate, seed)
    for start in plan.starts
    for rate in rates
    for seed in plan.seeds
  ]
  surface = plan.surface
  n = len(jax.tree.leaves(surface.examples)[0])
  packed = trajectories.Lanes(
    start=jnp.array([plan.starts[s] for s, _, _ in lanes], plan.dtype),
    rate=jnp.array([rate for _, rate, _ in lanes], plan.dtype),
    key=jax.vmap(jax.random.key)(np.array([seed for _, _, seed in lanes])),
    order=trajectories.orders(
      [seed for _, _, seed in lanes], steps=plan.steps, n=n, m=plan.batch_size
    ),
  )

  def optimizer_of(rate, key):
    optimizer = method.build(rate)
    if not plan.noise:
      return optimizer
    last = plan.steps - plan.quiet_steps
    return added_noise.noisy(
      optimizer, sd=lambda t: jnp.where(t < last, plan.noise, 0.0), key=key
    )

  program = jax.jit(
    functools.partial(trajectories.follow, surface.cost_of, optimizer_of)
  )
  examples = jax.tree.map(
    lambda leaf: np.asarray(leaf, plan.dtype), surface.examples
  )
  gone = jax.device_get(program(examples, packed))
  noisy = bool(plan.noise) or plan.batch_size < n
  ground = terrain_of(surface, plan.dtype)
  walks = []
  for lane, (start, rate, seed) in enumerate(lanes):
    x, cost, g = (np.asarray(leaf[lane], np.float64) for leaf in gone)
    outcome = outcomes.tell(
      x, cost, g, ground, tolerance=plan.tolerance, noisy=noisy
    )
    end = outcome.steps + 1
    walks.append(
      Walk(
        method.text, rate, start, seed, x[:end], cost[:end], g[:end], outcome
      )
    )
  return walks


def terrain_of(surface: Surface, dtype: str) -> outcomes.Terrain:
  """What `outcomes` has to know of a surface."""
  jitted = jax.jit(functools.partial(surfaces.curvatures, surface))
  return outcomes.Terrain(
    surface.domain,
    surface.minima,
    lambda w: np.asarray(jitted(jnp.asarray(w, dtype)), np.float64),
  )


def discovered(surface: Surface, walks: Sequence[Walk]) -> Surface:
  """A surface whose minima nobody named, with those that walks came to."""
  minima = {}
  for one in walks:
    end = one.positions[-1]
    arrived = one.outcome.word == outcomes.CONVERGED
    if arrived and outcomes.nearest(end, minima)[1] > apart(surface):
      minima[f'the minimum {outcomes.place(end)}'] = tuple(map(float, end))
  return surface if surface.minima else surface._replace(minima=minima)


def apart(surface: Surface) -> float:
  """Ends nearer than this are one minimum: 4 % of the domain's width."""
  return 0.04 * max(high - low for low, high in surface.domain)


def basin_map(
  surface: Surface,
  method: Method,
  rate: float,
  *,
  steps: int,
  pixels: int,
  dtype: str,
) -> np.ndarray:
  """Where batch descent from every pixel of the domain ends, [ny, nx, 2]."""
  axes = [
    np.linspace(low, high, pixels, dtype=dtype) for low, high in surface.domain
  ]
  points = np.stack(np.meshgrid(*axes), -1).reshape(-1, 2)
  examples = jax.tree.map(
    lambda leaf: np.asarray(leaf, dtype), surface.examples
  )
  program = jax.jit(
    lambda starts: trajectories.ends(
      surface.cost_of,
      method.build(jnp.asarray(rate, dtype)),
      examples,
      starts,
      steps=steps,
    )
  )
  return np.asarray(program(points)).reshape(pixels, pixels, 2)


def rows(walks: Sequence[Walk], most: int = 20_000) -> list[Mapping[str, Any]]:
  """rows.jsonl: the steps of every lane, thinned to at most about `most`."""
  total = sum(len(walk.costs) for walk in walks)
  every = -(-total // most)
  found = []
  for one in walks:
    last = len(one.costs) - 1
    for step in sorted({*range(0, last + 1, every), last}):
      found.append(
        {
          'optimizer': one.method,
          'learning_rate': one.rate,
          'start': one.start,
          'seed': one.seed,
          'step': step,
          'position': one.positions[step].tolist(),
          'cost': one.costs[step],
          'gradient': one.gradients[step].tolist(),
          'outcome': one.outcome.word if step == last else None,
        }
      )
  return found
