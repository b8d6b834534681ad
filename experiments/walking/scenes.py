"""From walks to pictures: what `descend` and `textbook` both draw."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.walking import plans
from experiments.walking import walks as walking
from experiments.walking.plans import Method
from experiments.walking.plans import Plan
from experiments.walking.walks import Walk
from gd_jax.descent import outcomes
from gd_jax.model import neurons
from gd_jax.model import surfaces
from gd_jax.model.surfaces import Surface
from gd_jax.pictures import curves
from gd_jax.pictures import plots
from gd_jax.pictures import relief
from gd_jax.pictures import terrain
from gd_jax.pictures import traces

PIXELS = 512
_LINES = 5  # of words under a picture
_SWEPT = 61  # learning rates of the fourth Goldilocks panel


class Scene(NamedTuple):
  """A picture and the words under it."""

  name: str  # of its file, without the ending
  png: bytes
  words: str


def ground(surface: Surface, points: int = 161) -> terrain.Ground:
  """The surface on a grid over its domain."""
  axes = tuple(np.linspace(low, high, points) for low, high in surface.domain)
  grid = np.stack(np.meshgrid(*axes), -1).reshape(-1, len(axes))
  cost = functools.partial(surfaces.mean_cost, surface)
  heights = np.asarray(jax.jit(jax.vmap(cost))(jnp.asarray(grid)), np.float64)
  return terrain.Ground(
    title=surface.formula,
    variables=surface.variables,
    axes=axes,
    height=heights.reshape([points] * len(axes)),
    minima=surface.minima,
    floors=floors(surface),
  )


def floors(surface: Surface) -> list[np.ndarray]:
  """Where each training pair of a linear neuron costs nothing: w . x = t."""
  if not isinstance(surface.examples, neurons.Pair):
    return []
  reach = 10 * np.array([-1.0, 1.0])
  return [
    t * x / np.dot(x, x) + reach[:, None] * np.array([-x[1], x[0]])
    for x, t in zip(surface.examples.x, surface.examples.t, strict=True)
  ]


def paths(walks: Sequence[Walk]) -> list[terrain.Path]:
  """The walks as a picture sees them, a line style for each learning rate."""
  rates: dict[str, list[float]] = {}
  for walk in walks:
    known = rates.setdefault(walk.method, [])
    known += [walk.rate] if walk.rate not in known else []
  return [
    terrain.Path(
      entry=walk.method,
      label=f'{walk.method}, rate {walk.rate:.4g}',
      name=walk.start,
      line=rates[walk.method].index(walk.rate),
      points=walk.positions,
      heights=walk.costs,
      slopes=walk.gradients,
    )
    for walk in walks
  ]


def words(walks: Sequence[Walk]) -> str:
  """What happened: a line a lane, or a summary of many."""
  if len(walks) > _LINES:
    groups: dict[str, list[outcomes.Outcome]] = {}
    for walk in walks:
      name = f'{walk.method} at rate {walk.rate:.4g}'
      groups.setdefault(name, []).append(walk.outcome)
    lines = [f'{k}: {outcomes.summary(v)}.' for k, v in groups.items()]
    rest = len(lines) - 8
    return '\n'.join(lines[:8] + ([f'and {rest} more.'] if rest > 0 else []))
  return '\n'.join(line(walk) for walk in walks)


def line(walk: Walk) -> str:
  """What happened to one walk."""
  name = walk.start if walk.start[0] in '(-0123456789' else f'{walk.start} '
  name = name.strip()
  return (
    f'{walk.method} at rate {walk.rate:.4g} from {name} '
    f'{walk.outcome.sentence}.'
  )


def views(surface: Surface, walks: Sequence[Walk]) -> list[Scene]:
  """The pictures that every descent has: terrain, relief, cost."""
  land, ways, said = ground(surface), paths(walks), words(walks)
  if len(surface.variables) == 1:
    first = [('curve', curves.curve(land, ways, said))]
  else:
    first = [
      ('contours', terrain.contours(land, ways, said)),
      ('surface', relief.surface(land, ways, said)),
    ]
  figures = [
    *first,
    ('cost', traces.costs(surface.formula, ways, floor(surface), said)),
  ]
  return [Scene(name, plots.png(figure), said) for name, figure in figures]


def floor(surface: Surface) -> float | None:
  """The least cost that is known, None where no minimum is."""
  values = [
    float(surfaces.mean_cost(surface, jnp.asarray(where)))
    for where in surface.minima.values()
  ]
  return min(values, default=None)


def limit(surface: Surface, at: Sequence[float]) -> float | None:
  """2/lambda_max where the surface is a bowl, None where it is none."""
  top = walking.terrain_of(surface, 'float32').curvatures(np.asarray(at))
  return 2 / float(top[-1]) if top[0] > 0 else None


def goldilocks(plan: Plan, walks: Sequence[Walk]) -> Scene | None:
  """Plain descent at three rates around 2/lambda_max at a minimum.

  None where no walk came to a minimum.
  """
  (method,) = plans.methods('sgd', plan.surface, None)
  arrived = [w for w in walks if w.outcome.word == outcomes.CONVERGED]
  known = list(plan.surface.minima.values())
  at = arrived[0].positions[-1] if arrived else known[0] if known else None
  most = None if at is None else limit(plan.surface, at)
  if at is None or most is None:
    return None
  start = arrived[0].start if arrived else next(iter(plan.starts))
  steps = 12
  short = plan._replace(
    starts={start: plan.starts[start]},
    steps=steps,
    tolerance=0.0,
    noise=0.0,
    seeds=plan.seeds[:1],
    batch_size=len(jax.tree.leaves(plan.surface.examples)[0]),
  )
  three = [float(f'{part * most:.2g}') for part in (0.06, 0.42, 1.1)]
  swept = np.geomspace(0.01 * most, 10 * most, _SWEPT)
  gone = walking.walk(short, method, [*three, *map(float, swept)])
  least = float(surfaces.mean_cost(plan.surface, jnp.asarray(at)))
  if not np.isfinite(gone[0].costs[0] - least):
    return None
  rates = curves.Rates(
    rates=swept,
    costs=np.array([w.costs[-1] - least for w in full(gone[3:], steps)]),
    start=float(gone[0].costs[0]) - least,
    steps=steps,
    limit=most,
  )
  said = (
    f'{method.text} from {start}, {steps} steps, limit 2/lambda_max = '
    f'{most:.4g}: '
    + '; '.join(
      f'rate {w.rate:.4g} ends at cost {w.costs[-1]:.4g}' for w in gone[:3]
    )
    + f'. It began at {gone[0].costs[0]:.4g}; the least is {least:.4g}.'
  )
  shown = [
    p._replace(line=0, label=f'rate {p.label.rpartition(" ")[2]}')
    for p in paths(gone[:3])
  ]
  picture = curves.goldilocks(ground(plan.surface), shown, rates, said)
  return Scene('goldilocks', plots.png(picture), said)


def full(walks: Sequence[Walk], steps: int) -> list[Walk]:
  """The walks, those that left the finite numbers early with a NaN at last."""
  return [
    w
    if len(w.costs) == steps + 1
    else w._replace(costs=np.append(w.costs, np.nan))
    for w in walks
  ]


def basins_of(plan: Plan, method: Method, rate: float) -> traces.Basins:
  """Which minimum each of 512 x 512 starts ends in."""
  surface = plan.surface
  ends = walking.basin_map(
    surface,
    method,
    rate,
    steps=plan.steps,
    pixels=PIXELS,
    dtype=plan.dtype,
  )
  reach = walking.apart(surface)
  kind = np.full(ends.shape[:2], -1)
  for place, where in enumerate(surface.minima.values()):
    kind[np.linalg.norm(ends - np.asarray(where), axis=-1) < reach] = place
  (left, right), (low, high) = surface.domain
  return traces.Basins((left, right, low, high), kind, tuple(surface.minima))


def basins(
  plan: Plan, method: Method, rate: float, found: traces.Basins
) -> Scene:
  """The picture of `basins_of`, and the share of each basin."""
  reach = walking.apart(plan.surface)
  shares = [
    f'{100 * np.mean(found.kind == k):.1f} % end within {reach:.2g} of {name}'
    for k, name in enumerate(found.names)
  ]
  none = f'{100 * np.mean(found.kind == -1):.1f} % at none yet'
  said = (
    f'{method.text} at rate {rate:.4g}, {plan.steps} steps from each of '
    f'{PIXELS} x {PIXELS} starts: {", ".join([*shares, none])}.'
  )
  picture = traces.basins(ground(plan.surface), found, said)
  return Scene('basins', plots.png(picture), said)
