"""Proofs of the textbook's rows about functions: numbers, and their pictures.

A proof measures what its row claims, in float64, and says whether it holds.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.walking import lessons
from experiments.walking import plans
from experiments.walking import scenes
from experiments.walking import walks as walking
from experiments.walking.scenes import Scene
from experiments.walking.walks import Walk
from gd_jax.descent import schedules
from gd_jax.model import slopes
from gd_jax.model import surfaces
from gd_jax.pictures import plots
from gd_jax.pictures import traces

DTYPE = 'float64'


class Proof(NamedTuple):
  """What was found, whether it is what was expected, and its pictures."""

  found: str
  holds: bool
  scenes: Sequence[Scene] = ()


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
    dtype=DTYPE,
  )
  return whole._replace(**changes)


def go(
  what: plans.Plan, optimizers: str, rates: Sequence[float], shape: str = ''
) -> list[Walk]:
  """All lanes of several optimizers."""
  schedule = schedules.parse(shape or 'constant')
  return [
    walk
    for method in plans.methods(optimizers, what.surface, schedule)
    for walk in walking.walk(what, method, rates)
  ]


def near(found: float, expected: float, within: float) -> bool:
  """Whether two numbers differ by less."""
  return abs(found - expected) < within


def one_variable() -> Proof:
  """T01."""
  (walk,) = go(plan('parabola', starts={'-0.9': (-0.9,)}), 'sgd', [0.03])
  x, k = walk.positions[:, 0], np.arange(len(walk.positions))
  error = np.abs(x - (1 - 1.9 * 0.64**k)).max()
  numbers = ', '.join(f'{value:.5g}' for value in x[1:4])
  holds = error < 1e-12 and near(walk.gradients[0, 0], -22.8, 1e-12)
  stopped = go(
    plan('parabola', starts={'-0.9': (-0.9,)}, tolerance=1e-3), 'sgd', [0.03]
  )
  return Proof(
    f'gradient {walk.gradients[0, 0]:.4g}; then {numbers}; largest '
    f'|x_k - (1 - 1.9 0.64^k)| = {error:.1g}; minimum f(1) = '
    f'{walk.costs[-1]:.6g}',
    holds,
    scenes.views(what('parabola'), stopped)[:1],
  )


def what(name: str) -> surfaces.Surface:
  """The surface of a name."""
  return surfaces.SURFACES[name]


def goldilocks() -> Proof:
  """T02."""
  rates = [0.01, 0.08, 1 / 12, 0.12, 0.166, 0.168]
  base = plan('parabola', starts={'-0.9': (-0.9,)}, steps=40)
  walks = go(base, 'sgd', rates)
  words = []
  for walk in walks:
    gaps = walk.positions[:5, 0] - 1
    turns = bool((gaps[1:] * gaps[:-1] < -1e-12).any())
    grows = abs(walk.positions[-1, 0] - 1) > 1.9
    one = abs(gaps[1]) < 1e-12
    words.append(
      'diverges'
      if grows
      else 'one step'
      if one
      else 'zig-zag'
      if turns
      else 'monotone'
    )
  expected = ['monotone'] * 2 + ['one step'] + ['zig-zag'] * 2 + ['diverges']
  scene = scenes.goldilocks(base, walks)
  pairs = [f'{r:.4g} {w}' for r, w in zip(rates, words, strict=True)]
  return Proof(', '.join(pairs), words == expected, [scene] if scene else [])


def motion() -> Proof:
  """T06."""
  w = jnp.array([-1.0, 2.2])
  cost = functools.partial(surfaces.mean_cost, what('bowl'))
  g = jax.grad(cost)(w)
  etas = [0.004, 0.002, 0.001, 0.0005]
  ratios = [
    float((cost(w - eta * g) - cost(w)) / slopes.predicted_change(g, -eta * g))
    for eta in etas
  ]
  errors = [1 - ratio for ratio in ratios]
  halves = [a / b for a, b in zip(errors[1:], errors[:-1], strict=True)]
  return Proof(
    'dC / (-eta |g|^2) = '
    + ', '.join(f'{r:.5f}' for r in ratios)
    + f' at eta = {", ".join(map(str, etas))}; the error times '
    + ', '.join(f'{h:.3f}' for h in halves),
    all(near(h, 0.5, 0.01) for h in halves) and errors[-1] < 0.01,
  )


def best_direction() -> Proof:
  """T07."""
  key = jax.random.key(0)
  g_key, d_key = jax.random.split(key)
  g = jax.random.normal(g_key, (10,))
  others = jax.random.normal(d_key, (10_000, 10))
  others = 0.1 * others / jnp.linalg.norm(others, axis=1, keepdims=True)
  best = float(slopes.predicted_change(g, slopes.steepest(g, 0.1)))
  rivals = float(jnp.min(others @ g))
  bound = -0.1 * float(jnp.linalg.norm(g))
  return Proof(
    f'-eps g/|g| changes the model by {best:.6f} = -eps |g| = {bound:.6f}; the '
    f'best of 10,000 random directions in ten variables by {rivals:.6f}',
    near(best, bound, 1e-12) and rivals > best,
  )


def backtracks() -> Proof:
  """T38."""
  firsts = [10.0**k for k in range(-3, 4)]
  rises, apart, shown = 0, 0.0, []
  both = 'backtracking,optax:scale_by_backtracking_linesearch'
  for name in ('parabola', 'bowl', 'rosenbrock'):
    steps = 60
    walks = go(plan(name, steps=steps), both, firsts)
    half = len(walks) // 2
    rises += sum(int((np.diff(w.costs) > 0).any()) for w in walks[:half])
    for ours, theirs in zip(walks[:half], walks[half:], strict=True):
      gap = np.abs(ours.positions[:12] - theirs.positions[:12]).max()
      apart = max(apart, float(gap))
    shown = walks
  west = [
    w
    for w in shown
    if w.start == 'west'
    and w.rate in (1e-3, 1.0, 1e3)
    and w.method == 'backtracking'
  ]
  said = (
    'Backtracking on Rosenbrock from first rates 0.001, 1 and 1000: the cost '
    'never rises, whatever is tried first.'
  )
  picture = traces.costs('Rosenbrock', scenes.paths(west), 0.0, said)
  return Proof(
    f'{rises} of {3 * 3 * len(firsts)} lanes ever rise, from first rates 1e-3 '
    f"to 1e3 on three functions; Optax's search is within {apart:.1g} of ours "
    'over 12 steps',
    rises == 0 and apart < 1e-6,
    [Scene('backtracking', plots.png(picture), said)],
  )


def hiker() -> Proof:
  """T39."""
  walks = go(
    plan('bowl', starts={'west': (-1.0, 2.2)}, steps=80),
    'sgd,momentum',
    [0.03],
  )
  up = [int((np.diff(walk.costs) > 1e-12).sum()) for walk in walks]
  return Proof(
    f'of 80 steps at eta 0.03, descent rises in {up[0]} and heavy ball in '
    f'{up[1]}',
    up[0] == 0 and up[1] > 0,
    scenes.views(what('bowl'), walks)[2:],
  )


def ravine() -> Proof:
  """T40."""
  mu = (9 / 11) ** 2
  start = {'west': (-1.0, 0.4)}
  (plain,) = go(plan('ravine', starts=start, steps=400), 'sgd', [2 / 101])
  (ball,) = go(
    plan('ravine', starts=start, steps=400), f'momentum+mu={mu!r}', [4 / 121]
  )

  def factor(walk):
    size = np.linalg.norm(walk.positions, axis=1)
    return (size[400] / size[200]) ** (1 / 200)

  found = factor(plain), factor(ball)
  short = [
    *go(plan('ravine', starts=start, steps=60), 'sgd', [2 / 101]),
    *go(
      plan('ravine', starts=start, steps=60), f'momentum+mu={mu!r}', [4 / 121]
    ),
  ]
  short[1] = short[1]._replace(method='momentum')
  return Proof(
    f'error factor a step {found[0]:.4f} for descent, {found[1]:.4f} for heavy '
    'ball (which carries a factor linear in the step)',
    near(found[0], 99 / 101, 1e-6) and near(found[1], 9 / 11, 5e-3),
    [scenes.views(what('ravine'), short)[k] for k in (0, 2)],
  )


def shrinking_rate() -> Proof:
  """T24."""
  base = plan(
    'noisy_parabola',
    batch_size=1,
    starts={'1': (1.0,)},
    steps=600,
    seeds=tuple(range(2000)),
  )
  expected = 0.03 / (12 * (2 - 0.03 * 12))
  spread = {}
  for name, shape in (('constant', ''), ('1/t', 'inverse_time+steps=10')):
    walks = go(base, 'sgd', [0.03], shape)
    x = np.array([walk.positions[:, 0] for walk in walks])
    spread[name] = np.mean((x - 1) ** 2, axis=0)
  constant = float(spread['constant'][200:].mean())
  late = float(spread['1/t'][-1])
  said = (
    f'Mean squared distance to the minimum over 2,000 runs: at a constant rate '
    f'it stays at {constant:.6f} (theory {expected:.6f}), with 1/(1 + t/10) '
    f'times the rate it falls to {late:.6f}.'
  )
  picture = traces.lines(
    np.arange(1, 601),
    {k: v[1:] for k, v in spread.items()}
    | {'eta s^2 / (lambda (2 - eta lambda))': np.full(600, expected)},
    'noisy parabola, curvature 12, noise sd 1, eta 0.03',
    'variance',
    said,
  )
  return Proof(
    f'variance {constant:.6f} at a constant rate, {late:.6f} and falling with '
    'eta ~ 1/t',
    near(constant / expected, 1, 0.02) and late < 0.1 * constant,
    [Scene('shrinking', plots.png(picture), said)],
  )


def ranked() -> Proof:
  """T14."""
  costs = [cost for _, _, cost in lessons.ranked()]
  expected = [4.5, 1.25, 1.0, 0.5, 0.45, 0.125, 0.0]
  return Proof(
    ', '.join(f'{cost:g}' for cost in costs),
    bool(np.allclose(costs, expected, atol=1e-6)),
    [lessons.rank_scene()],
  )
