"""What became of a descent, as one word and one sentence with its numbers.

Read off the recorded positions, costs and gradients; nothing here descends.
"""

import math
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

CONVERGED, SADDLE, PLATEAU = 'converged', 'saddle', 'plateau'
DIVERGED, NAN, OSCILLATES = 'diverged', 'not a number', 'oscillates'
HOVERS, ON_ITS_WAY = 'hovers', 'on its way'

# What many lanes of one word do; those that converge say where.
_MANY = {
  SADDLE: 'stick at a saddle',
  PLATEAU: 'stick on a plateau',
  DIVERGED: 'diverge',
  NAN: 'meet no finite number',
  OSCILLATES: 'oscillate',
  HOVERS: 'hover under the noise',
  ON_ITS_WAY: 'are still on their way',
}

# A minimum is told from a plateau by the Newton step |g| / |lambda| to the next
# stationary point, in parts of the domain's width.
_NEAR = 0.02
_LAST = 10  # steps looked at to see whether descent swings to and fro


class Terrain(NamedTuple):
  """What is known of the surface."""

  domain: Sequence[tuple[float, float]]  # d pairs
  minima: Mapping[str, Sequence[float]]  # name -> where
  curvatures: Callable[[np.ndarray], np.ndarray]  # w [d] -> eigenvalues, rising


class Outcome(NamedTuple):
  """What happened to one lane."""

  word: str
  steps: int  # updates until then; a picture shows no more
  sentence: str


def tell(
  positions: np.ndarray,
  costs: np.ndarray,
  gradients: np.ndarray,
  terrain: Terrain,
  *,
  tolerance: float,
  noisy: bool,
) -> Outcome:
  """The outcome of one lane.

  Args:
    positions: [steps + 1, d].
    costs: [steps + 1], of the whole surface.
    gradients: [steps + 1, d], of the whole surface.
    terrain: the surface.
    tolerance: length of the gradient at which descent stops; 0 never stops.
    noisy: the updates saw less than the whole surface, so that a small
      gradient is an accident and stops nothing.
  """
  last = len(costs) - 1
  with np.errstate(over='ignore', invalid='ignore'):
    slopes = np.linalg.norm(gradients, axis=1)
  sound = np.isfinite(costs) & np.isfinite(slopes)
  sound &= np.isfinite(positions).all(axis=1)
  if not sound.all():
    return _unsound(int(np.argmin(sound)), positions, costs, terrain)
  if _grows(costs, slopes):
    limit = _limit(positions[0], terrain)
    return Outcome(
      DIVERGED,
      last,
      f'diverges: the cost grows from {costs[0]:.4g} to {costs[-1]:.4g} in '
      f'{_steps(last)}{limit}',
    )
  still = np.flatnonzero(slopes <= tolerance)
  if len(still) and tolerance and not noisy:
    k = int(still[0])
    return _resting(k, positions[k], costs[k], slopes[k], terrain)
  if noisy:
    half = positions[last // 2 :]
    name, gap = nearest(half.mean(axis=0), terrain.minima)
    spread = math.sqrt(float(np.var(half, axis=0).sum()))
    about = name if gap <= 3 * spread + 0.1 * _width(terrain) else ''
    return Outcome(
      HOVERS,
      last,
      f'hovers about {about or place(half.mean(axis=0))}, standard deviation '
      f'{spread:.3g} over the last half of {_steps(last)}',
    )
  swings = _swings(gradients)
  falls = costs[-1] < costs[max(0, last - _LAST)]
  if swings and not falls:
    return Outcome(
      OSCILLATES,
      last,
      f'oscillates: no lower after {_steps(last)} (cost {costs[-1]:.4g}), '
      f'each step overshoots{_limit(positions[-1], terrain)}',
    )
  return Outcome(
    ON_ITS_WAY,
    last,
    f'still on its way{", zig-zagging," if swings else ""} after '
    f'{_steps(last)}: at {place(positions[-1])}, cost {costs[-1]:.4g}, '
    f'gradient {slopes[-1]:.2g}',
  )


def summary(outcomes: Sequence[Outcome]) -> str:
  """How many of many lanes met which fate, the commonest first."""
  kinds: dict[str, list[int]] = {}
  for outcome in outcomes:
    kind = _MANY.get(outcome.word) or (
      'come' + outcome.sentence.partition(' in ')[0].removeprefix('converges')
    )
    kinds.setdefault(kind, []).append(outcome.steps)
  parts = [
    f'{len(steps)} of {len(outcomes)} {kind}'
    + (f' (median {int(np.median(steps))} steps)' if 'come to' in kind else '')
    for kind, steps in sorted(kinds.items(), key=lambda item: -len(item[1]))
  ]
  return '; '.join(parts)


def nearest(
  point: np.ndarray, minima: Mapping[str, Sequence[float]]
) -> tuple[str, float]:
  """The name of the nearest minimum and its distance; ('', inf) for none."""
  gaps = {
    name: float(np.linalg.norm(point - np.asarray(where)))
    for name, where in minima.items()
  }
  name = min(gaps, key=gaps.__getitem__, default='')
  return name, gaps.get(name, math.inf)


def place(point: Sequence[float] | np.ndarray) -> str:
  """A point as people write it: (1, 0.7778), or 1 where it is one number."""
  numbers = [f'{float(x) + 0:.4g}' for x in point]
  return numbers[0] if len(numbers) == 1 else f'({", ".join(numbers)})'


def _resting(
  k: int, point: np.ndarray, cost: float, slope: float, terrain: Terrain
) -> Outcome:
  """Descent that stopped after k steps: at a minimum, saddle or plateau."""
  curvatures = np.asarray(terrain.curvatures(point), float)
  least = np.abs(curvatures).min()
  flat = slope > least * _NEAR * _width(terrain) or least < 1e-7
  where = f'{place(point)}, cost {cost:.5g}'
  if flat:
    return Outcome(
      PLATEAU,
      k,
      f'stuck on a plateau after {_steps(k)}: at {where}, gradient '
      f'{slope:.2g}, and no minimum',
    )
  if curvatures[0] < 0:
    return Outcome(
      SADDLE,
      k,
      f'stuck at a saddle after {_steps(k)}: at {where}, curvatures '
      f'{", ".join(f"{c:.3g}" for c in curvatures)}',
    )
  name, gap = nearest(point, terrain.minima)
  close = gap <= _NEAR * _width(terrain)
  return Outcome(
    CONVERGED,
    k,
    f'converges to {name if close else "a minimum"} in {_steps(k)}: {where}',
  )


def _unsound(
  k: int, positions: np.ndarray, costs: np.ndarray, terrain: Terrain
) -> Outcome:
  """Descent whose step k is the first that is not made of finite numbers."""
  before = max(0, k - 1)
  if k and costs[before] > costs[0]:
    return Outcome(
      DIVERGED,
      before,
      f'diverges: the cost grows from {costs[0]:.4g} beyond the finite numbers '
      f'in {_steps(k)}{_limit(positions[0], terrain)}',
    )
  at = positions[k] if np.isfinite(positions[k]).all() else positions[before]
  return Outcome(
    NAN,
    before,
    f'the surface gives no finite number after {_steps(k)}, at {place(at)}',
  )


def _grows(costs: np.ndarray, slopes: np.ndarray) -> bool:
  """Whether it ends at its highest and steepest, above where it began."""
  higher = costs[-1] > costs[0] and costs[-1] >= costs.max()
  return bool(higher and slopes[-1] > slopes[0])


def _swings(gradients: np.ndarray) -> bool:
  """Whether most of the last gradients point against the one before."""
  recent = gradients[-_LAST:]
  turns = np.sum(recent[1:] * recent[:-1], axis=1) < 0
  return bool(len(turns) and turns.mean() > 0.5)


def _limit(point: np.ndarray, terrain: Terrain) -> str:
  """The stability limit at the minimum nearest to a point, to be appended."""
  name, _ = nearest(point, terrain.minima)
  if not name:
    return ''
  top = float(terrain.curvatures(np.asarray(terrain.minima[name]))[-1])
  return f' (the limit for plain descent is 2/lambda_max = {2 / top:.4g})'


def _width(terrain: Terrain) -> float:
  return max(high - low for low, high in terrain.domain)


def _steps(k: int) -> str:
  return f'{k} step' if k == 1 else f'{k} steps'
