"""How far to step: searched for, with momentum, against noise."""

import numpy as np

from experiments.claims import rows
from experiments.claims import walked
from experiments.claims.rows import Proof
from experiments.walking import scenes
from experiments.walking.scenes import Scene
from gd_jax.model import surfaces
from gd_jax.pictures import plots
from gd_jax.pictures import traces


def backtracks() -> Proof:
  """T38."""
  firsts = [10.0**k for k in range(-3, 4)]
  rises, apart, shown = 0, 0.0, []
  both = 'backtracking,optax:scale_by_backtracking_linesearch'
  for name in ('parabola', 'bowl', 'rosenbrock'):
    steps = 60
    walks = walked.go(walked.plan(name, steps=steps), both, firsts)
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
  walks = walked.go(
    walked.plan('bowl', starts={'west': (-1.0, 2.2)}, steps=80),
    'sgd,momentum',
    [0.03],
  )
  up = [int((np.diff(walk.costs) > 1e-12).sum()) for walk in walks]
  return Proof(
    f'of 80 steps at eta 0.03, descent rises in {up[0]} and heavy ball in '
    f'{up[1]}',
    up[0] == 0 and up[1] > 0,
    scenes.views(surfaces.SURFACES['bowl'], walks)[2:],
  )


def ravine() -> Proof:
  """T40."""
  mu = (9 / 11) ** 2
  start = {'west': (-1.0, 0.4)}
  (plain,) = walked.go(
    walked.plan('ravine', starts=start, steps=400), 'sgd', [2 / 101]
  )
  (ball,) = walked.go(
    walked.plan('ravine', starts=start, steps=400),
    f'momentum+mu={mu!r}',
    [4 / 121],
  )

  def factor(walk):
    size = np.linalg.norm(walk.positions, axis=1)
    return (size[400] / size[200]) ** (1 / 200)

  found = factor(plain), factor(ball)
  short = [
    *walked.go(walked.plan('ravine', starts=start, steps=60), 'sgd', [2 / 101]),
    *walked.go(
      walked.plan('ravine', starts=start, steps=60),
      f'momentum+mu={mu!r}',
      [4 / 121],
    ),
  ]
  short[1] = short[1]._replace(method='momentum')
  return Proof(
    f'error factor a step {found[0]:.4f} for descent, {found[1]:.4f} for heavy '
    'ball (which carries a factor linear in the step)',
    rows.near(found[0], 99 / 101, 1e-6) and rows.near(found[1], 9 / 11, 5e-3),
    [scenes.views(surfaces.SURFACES['ravine'], short)[k] for k in (0, 2)],
  )


def shrinking_rate() -> Proof:
  """T24."""
  base = walked.plan(
    'noisy_parabola',
    batch_size=1,
    starts={'1': (1.0,)},
    steps=600,
    seeds=tuple(range(2000)),
  )
  expected = 0.03 / (12 * (2 - 0.03 * 12))
  spread = {}
  for name, shape in (
    ('constant', 'constant'),
    ('1/t', 'inverse_time+steps=10'),
  ):
    walks = walked.go(base, 'sgd', [0.03], shape)
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
    rows.near(constant / expected, 1, 0.02) and late < 0.1 * constant,
    [Scene('shrinking', plots.png(picture), said)],
  )


PART = rows.Part(
  'How far to step',
  'A rate can be searched for, momentum can be carried along, and against '
  'noise the rate has to shrink.',
  (
    rows.Row(
      'T38',
      'Backtracking finds a rate: the linear model stays good, yet not slow',
      'halve eta until C′ ≤ C − ½ eta |g|², double it after success',
      'from first etas 1e-3 to 1e3 on three functions the cost never rises',
      rows.DESCEND + '--surface=rosenbrock '
      '--optimizers=backtracking,optax:scale_by_backtracking_linesearch '
      '--learning_rates=0.001,1,1000',
      backtracks,
    ),
    rows.Row(
      'T39',
      'A hiker has no momentum; a ball may roll uphill for a moment',
      'v ← mu v + g, w ← w − eta v: one more vector, no second derivative',
      'below 1/9 descent never rises, heavy ball does',
      rows.DESCEND + '--surface=bowl --start=west --optimizers=sgd,momentum',
      hiker,
    ),
    rows.Row(
      'T40',
      'Momentum moves more efficiently through a ravine',
      'condition number 100 at best settings: 99/101 and 9/11 a step',
      'error factor 0.980 for descent, 0.818 for heavy ball',
      rows.DESCEND + '--surface=ravine --start=west --learning_rates=0.033 '
      '--optimizers=momentum+mu=0.6694',
      ravine,
    ),
    rows.Row(
      'T24',
      'A learning rate that shrinks gets closer than a constant one',
      'constant: variance eta s²/(lambda (2 − eta lambda))',
      '0.001524 for curvature 12, noise sd 1, eta 0.03; to 0 with eta ~ 1/t',
      rows.DESCEND
      + '--surface=noisy_parabola --schedule=inverse_time+steps=10 '
      '--seeds=100',
      shrinking_rate,
    ),
  ),
)
