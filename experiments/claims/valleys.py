"""Valleys, saddles and plateaus: where a descent ends, and where it rests."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from experiments.claims import rows
from experiments.claims import views
from experiments.claims import walked
from experiments.claims.rows import Proof
from experiments.walking import plans
from experiments.walking import scenes
from experiments.walking.scenes import Scene
from gd_jax.descent import outcomes
from gd_jax.model import slopes
from gd_jax.model import surfaces
from gd_jax.pictures import plots
from gd_jax.pictures import terrain


def two_variables() -> Proof:
  """T03."""
  walks = walked.go(walked.plan('bowl', steps=300), 'sgd', [0.03])
  ends = np.array([walk.positions[-1] for walk in walks])
  error = np.abs(ends - np.array([1, 7 / 9])).max()
  low = walks[0].costs[-1]
  below, above = (
    abs(
      walked.go(walked.plan('bowl', steps=3000), 'sgd', [rate])[0].positions[
        -1, 1
      ]
    )
    for rate in (0.111, 0.1112)
  )
  holds = error < 1e-6 and rows.near(low, -76 / 9, 1e-9) and below < 1 < above
  shown = walked.go(
    walked.plan('bowl', tolerance=1e-3, steps=100), 'sgd', [0.03]
  )
  return Proof(
    f'three starts end within {error:.1g} of (1, 7/9), value {low:.6g}; '
    f'|y| after 3,000 steps is {below:.3g} at 0.111 and {above:.3g} at 0.1112',
    holds,
    scenes.views(surfaces.SURFACES['bowl'], shown)[:2],
  )


def right_angles() -> Proof:
  """T08."""
  surface = surfaces.SURFACES['two_minima']
  cost = functools.partial(surfaces.mean_cost, surface)
  w = jnp.array([0.4, 2.4])
  g = jax.grad(cost)(w)
  dot = float(jnp.dot(g, slopes.along_contour(g, 1.0)))
  sizes = np.array([0.04, 0.02, 0.01, 0.005])

  def order(step):
    changes = [abs(float(cost(w + step(g, h)) - cost(w))) for h in sizes]
    return float(np.polyfit(np.log(sizes), np.log(changes), 1)[0])

  across, along = order(slopes.steepest), order(slopes.along_contour)
  stopped = walked.go(walked.plan('two_minima', tolerance=1e-3), 'sgd', [0.1])
  return Proof(
    f'g . tangent = {dot:.1g}; |dC| grows as h^{across:.3f} along the '
    f'gradient and as h^{along:.3f} along the contour',
    abs(dot) < 1e-12
    and rows.near(across, 1, 0.05)
    and rows.near(along, 2, 0.05),
    scenes.views(surface, stopped)[:1],
  )


def two_minima() -> Proof:
  """T04."""
  surface = surfaces.SURFACES['two_minima']
  base = walked.plan('two_minima', steps=2000)
  walks = walked.go(base, 'sgd', [0.1])
  ends = {outcomes.place(np.round(w.positions[-1], 5)) for w in walks}
  lows = sorted({round(float(w.costs[-1]), 5) for w in walks})
  saddle = jnp.array([0.36407, -0.36407])
  slope = jax.grad(surfaces.mean_cost, argnums=1)(surface, saddle)
  flat = float(jnp.linalg.norm(slope))
  height = float(surfaces.mean_cost(surface, saddle))
  where = (
    walked.plan('two_minima', steps=200, dtype='float32'),
    plans.methods('sgd', surface, None)[0],
    0.1,
  )
  basins = scenes.basins_of(*where)
  deep, shallow, neither = (
    100 * float((basins.kind == k).mean()) for k in (0, 1, -1)
  )
  near_all = all(
    rows.near(share, about, 3)
    for share, about in ((deep, 45), (shallow, 32), (neither, 23))
  )
  holds = lows == [-2.01903, -1.04418] and flat < 1e-4 and near_all
  stopped = walked.go(walked.plan('two_minima', tolerance=1e-3), 'sgd', [0.1])
  return Proof(
    f'ends {" and ".join(sorted(ends))} at {lows[0]} and {lows[1]}; at the '
    f'saddle the gradient is {flat:.1g} and f = {height:.5f}; of 512 x 512 '
    f'starts {deep:.1f} % deep, {shallow:.1f} % shallow, {neither:.1f} % '
    'neither yet',
    holds,
    [scenes.views(surface, stopped)[1], scenes.basins(*where, basins)],
  )


def saddles() -> Proof:
  """T05."""
  surface, rate = surfaces.SURFACES['saddle'], 0.05
  here = {'(1, 0)': (1.0, 0.0)}
  (batch,) = walked.go(
    walked.plan('saddle', starts=here, steps=300), 'sgd', [rate]
  )
  online = walked.go(
    walked.plan('saddle', starts=here, steps=300, batch_size=1, seeds=(0, 1)),
    'sgd',
    [rate],
  )
  still = np.abs(batch.positions[:, 1]).max()
  first = abs(online[0].positions[1, 1])
  low = float(np.mean([walk.costs[200:].mean() for walk in online]))
  (flat,) = walked.go(
    walked.plan('plateau', starts={'saturated': (10.0,)}), 'sgd', [4.0]
  )
  slope = abs(flat.gradients[0, 0])
  ways = [
    path._replace(
      label='single examples' if k else 'full batch',
      line=0 if k else 1,
    )
    for k, path in enumerate(scenes.paths([batch, *online]))
  ]
  said = (
    f'Full batch from (1, 0) ends at {outcomes.place(batch.positions[-1])}, '
    f'the saddle; single examples leave it and hover about y = '
    f'{online[0].positions[-1, 1]:.2g} and {online[1].positions[-1, 1]:.2g}.'
  )
  picture = terrain.contours(scenes.ground(surface), ways, said)
  stuck = walked.go(walked.plan('plateau', tolerance=1e-3), 'sgd', [4.0])
  return Proof(
    f'full batch: largest |y| = {still:g} in 300 steps; online: |y| = '
    f'{first:.3g} after one step of eta = {rate}, mean cost {low:.3f} after '
    f'200; plateau: gradient {slope:.1e} at w = 10, which is no minimum',
    still == 0
    and rows.near(first, rate, 1e-12)
    and rows.near(low, -0.5, 0.05)
    and slope < 1e-4,
    [
      Scene('saddle', plots.png(picture), said),
      *scenes.views(surfaces.SURFACES['plateau'], stuck)[:1],
    ],
  )


def escape() -> Proof:
  """T37."""
  deep = np.array(surfaces.SURFACES['two_minima'].minima['the deep minimum'])
  start = {'the shallow minimum': (0.89, -0.89)}
  shares = {}
  base = walked.plan(
    'two_minima',
    starts=start,
    steps=400,
    quiet_steps=100,
    seeds=tuple(range(500)),
  )
  shown = []
  for sd in (0.0, 0.5, 1.0, 2.0):
    lanes = base.seeds if sd else (0,)  # without noise all are one
    walks = walked.go(base._replace(noise=sd, seeds=lanes), 'sgd', [0.1])
    ends = np.array([walk.positions[-1] for walk in walks])
    shares[sd] = float((np.linalg.norm(ends - deep, axis=1) < 0.5).mean())
    shown = walks[:2] if sd == 1.0 else shown
  about = {0.0: 0.0, 0.5: 0.01, 1.0: 0.55, 2.0: 0.91}
  said = (
    'Two of 500 noisy descents (sd 1) from the shallow minimum. Share that '
    'ends in the deep one: '
    + ', '.join(f'{share:.3f} at sd {sd:g}' for sd, share in shares.items())
    + '.'
  )
  picture = terrain.contours(
    scenes.ground(surfaces.SURFACES['two_minima']), scenes.paths(shown), said
  )
  return Proof(
    'deep minimum reached by '
    + ', '.join(f'{share:.3f} at sd {sd:g}' for sd, share in shares.items()),
    shares[0.0] == 0
    and all(rows.near(shares[sd], about[sd], 0.06) for sd in shares),
    [Scene('escape', plots.png(picture), said)],
  )


PART = rows.Part(
  'Valleys, saddles, plateaus',
  'With two variables there is a landscape. Where a descent ends depends on '
  'where it begins, and not every place where it rests is a minimum.',
  (
    rows.Row(
      'T03',
      'Two variables, three starts, one minimum',
      'f = 6x² + 9y² − 12x − 14y + 3, gradient (12x − 12, 18y − 14)',
      '(1, 7/9), value -76/9 = -8.4444; stable for eta < 1/9',
      rows.DESCEND + '--surface=bowl',
      two_variables,
    ),
    rows.Row(
      'T08',
      'The gradient stands at right angles to the contour',
      'g · tangent = 0; along the contour dC = O(h²)',
      'dot product 0; orders 1 and 2',
      rows.DESCEND + '--surface=two_minima',
      right_angles,
    ),
    rows.Row(
      'T04',
      'Two minima of unequal depth: the start decides the end',
      'f = −2 exp(−½((x+1)² + (y−1)²)) − exp(−½((x−1)² + (y+1)²))',
      'minima (-0.98038, 0.98038) f = -2.01903 and (0.89397, -0.89397) f = '
      '-1.04418; saddle (0.36407, -0.36407) f = -0.97850; about 45 % deep, '
      '32 % shallow, 23 % neither after 200 steps',
      rows.DESCEND + '--surface=two_minima',
      two_minima,
    ),
    rows.Row(
      'T05',
      'Saddles and plateaus hold batch descent; single examples leave',
      'f_s = x² − y² + y⁴/2 + s·y, s = ±1',
      'full batch keeps y = 0 exactly; online |y| = eta after one step, mean '
      'cost near -1/2; on the plateau a gradient below 1e-4',
      rows.DESCEND + "--surface=saddle --start='1,0' --online",
      saddles,
    ),
    rows.Row(
      'T37',
      'Noise escapes a shallow minimum',
      'g + sd n, n ~ N(0, 1); 300 noisy and 100 quiet steps, eta 0.1',
      'nobody without noise; about 0.01, 0.55, 0.91 at sd 0.5, 1, 2',
      rows.DESCEND + "--start='0.89,-0.89' --noise=1 --steps=400 "
      '--quiet_steps=100 --seeds=500',
      escape,
    ),
    rows.Row(
      'T10',
      'Many dimensions are seen through slices and projections',
      '',
      'values on a slice equal the cost there; explained variance is stated',
      rows.INSPECT + '--views=trajectories,surroundings',
      views.projections,
    ),
  ),
)
