"""Proofs of the rows about landscapes: valleys, saddles, plateaus, a bowl."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from experiments.claims.proofs import Proof
from experiments.claims.proofs import go
from experiments.claims.proofs import near
from experiments.claims.proofs import plan
from experiments.claims.proofs import what
from experiments.walking import plans
from experiments.walking import scenes
from experiments.walking.scenes import Scene
from gd_jax.descent import outcomes
from gd_jax.model import slopes
from gd_jax.model import surfaces
from gd_jax.pictures import plots
from gd_jax.pictures import relief
from gd_jax.pictures import terrain


def two_variables() -> Proof:
  """T03."""
  walks = go(plan('bowl', steps=300), 'sgd', [0.03])
  ends = np.array([walk.positions[-1] for walk in walks])
  error = np.abs(ends - np.array([1, 7 / 9])).max()
  low = walks[0].costs[-1]
  below, above = (
    abs(go(plan('bowl', steps=3000), 'sgd', [rate])[0].positions[-1, 1])
    for rate in (0.111, 0.1112)
  )
  holds = error < 1e-6 and near(low, -76 / 9, 1e-9) and below < 1 < above
  shown = go(plan('bowl', tolerance=1e-3, steps=100), 'sgd', [0.03])
  return Proof(
    f'three starts end within {error:.1g} of (1, 7/9), value {low:.6g}; '
    f'|y| after 3,000 steps is {below:.3g} at 0.111 and {above:.3g} at 0.1112',
    holds,
    scenes.views(what('bowl'), shown)[:2],
  )


def right_angles() -> Proof:
  """T08."""
  surface = what('two_minima')
  cost = functools.partial(surfaces.mean_cost, surface)
  w = jnp.array([0.4, 2.4])
  g = jax.grad(cost)(w)
  dot = float(jnp.dot(g, slopes.along_contour(g, 1.0)))
  sizes = np.array([0.04, 0.02, 0.01, 0.005])

  def order(step):
    changes = [abs(float(cost(w + step(g, h)) - cost(w))) for h in sizes]
    return float(np.polyfit(np.log(sizes), np.log(changes), 1)[0])

  across, along = order(slopes.steepest), order(slopes.along_contour)
  stopped = go(plan('two_minima', tolerance=1e-3), 'sgd', [0.1])
  return Proof(
    f'g . tangent = {dot:.1g}; |dC| grows as h^{across:.3f} along the '
    f'gradient and as h^{along:.3f} along the contour',
    abs(dot) < 1e-12 and near(across, 1, 0.05) and near(along, 2, 0.05),
    scenes.views(surface, stopped)[:1],
  )


def two_minima() -> Proof:
  """T04."""
  surface = what('two_minima')
  base = plan('two_minima', steps=2000)
  walks = go(base, 'sgd', [0.1])
  ends = {outcomes.place(np.round(w.positions[-1], 5)) for w in walks}
  lows = sorted({round(float(w.costs[-1]), 5) for w in walks})
  saddle = jnp.array([0.36407, -0.36407])
  slope = jax.grad(surfaces.mean_cost, argnums=1)(surface, saddle)
  flat = float(jnp.linalg.norm(slope))
  height = float(surfaces.mean_cost(surface, saddle))
  basin = scenes.basins(
    plan('two_minima', steps=200, dtype='float32'),
    plans.methods('sgd', surface, None)[0],
    0.1,
  )
  shares = [
    float(s.split(' %')[0].split()[-1]) for s in basin.words.split(',')[1:]
  ]
  near_all = all(
    near(share, about, 3)
    for share, about in zip(shares[-3:], (45, 32, 23), strict=True)
  )
  holds = lows == [-2.01903, -1.04418] and flat < 1e-4 and near_all
  stopped = go(plan('two_minima', tolerance=1e-3), 'sgd', [0.1])
  views = scenes.views(surface, stopped)
  return Proof(
    f'ends {" and ".join(sorted(ends))} at {lows[0]} and {lows[1]}; at the '
    f'saddle the gradient is {flat:.1g} and f = {height:.5f}; of 512 x 512 '
    f'starts {shares[-3]} % deep, {shares[-2]} % shallow, {shares[-1]} % '
    'neither yet',
    holds,
    [views[1], basin],
  )


def saddles() -> Proof:
  """T05."""
  surface, rate = what('saddle'), 0.05
  here = {'(1, 0)': (1.0, 0.0)}
  (batch,) = go(plan('saddle', starts=here, steps=300), 'sgd', [rate])
  online = go(
    plan('saddle', starts=here, steps=300, batch_size=1, seeds=(0, 1)),
    'sgd',
    [rate],
  )
  still = np.abs(batch.positions[:, 1]).max()
  first = abs(online[0].positions[1, 1])
  low = float(np.mean([walk.costs[200:].mean() for walk in online]))
  (flat,) = go(plan('plateau', starts={'saturated': (10.0,)}), 'sgd', [4.0])
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
  stuck = go(plan('plateau', tolerance=1e-3), 'sgd', [4.0])
  return Proof(
    f'full batch: largest |y| = {still:g} in 300 steps; online: |y| = '
    f'{first:.3g} after one step of eta = {rate}, mean cost {low:.3f} after '
    f'200; plateau: gradient {slope:.1e} at w = 10, which is no minimum',
    still == 0
    and near(first, rate, 1e-12)
    and near(low, -0.5, 0.05)
    and slope < 1e-4,
    [
      Scene('saddle', plots.png(picture), said),
      *scenes.views(what('plateau'), stuck)[:1],
    ],
  )


def escape() -> Proof:
  """T37."""
  deep = np.array(what('two_minima').minima['the deep minimum'])
  start = {'the shallow minimum': (0.89, -0.89)}
  shares = {}
  base = plan(
    'two_minima',
    starts=start,
    steps=400,
    quiet_steps=100,
    seeds=tuple(range(500)),
  )
  shown = []
  for sd in (0.0, 0.5, 1.0, 2.0):
    lanes = base.seeds if sd else (0,)  # without noise all are one
    walks = go(base._replace(noise=sd, seeds=lanes), 'sgd', [0.1])
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
    scenes.ground(what('two_minima')), scenes.paths(shown), said
  )
  return Proof(
    'deep minimum reached by '
    + ', '.join(f'{share:.3f} at sd {sd:g}' for sd, share in shares.items()),
    shares[0.0] == 0
    and all(near(shares[sd], about[sd], 0.06) for sd in shares),
    [Scene('escape', plots.png(picture), said)],
  )


def linear_neuron() -> Proof:
  """T09."""
  surface = what('neuron')
  solution = np.array(surface.minima['the least-squares solution'])
  walks = go(plan('neuron', steps=600), 'sgd', [0.3])
  gap = max(float(np.abs(w.positions[-1] - solution).max()) for w in walks)
  n = len(surface.examples.t)
  most = scenes.limit(surface, tuple(solution)) or 0.0
  curved = jax.hessian(
    lambda w: jnp.sum(jax.vmap(surface.cost_of, (None, 0))(w, surface.examples))
  )(jnp.asarray(solution))
  summed = 2 / float(jnp.linalg.eigvalsh(curved)[-1])
  online = go(
    plan('neuron', batch_size=1, starts={'west': (-1.0, 1.5)}, steps=40),
    'sgd',
    [0.5],
  )
  land, ways = scenes.ground(surface), scenes.paths(online)
  said = (
    'Single examples at rate 0.5: every step goes straight to the floor '
    '(dashed) of one pair, and so zig-zags between the valleys.'
  )
  moving = relief.animation(land, ways, frames=30)
  return Proof(
    f'descent ends within {gap:.1g} of the least-squares solution '
    f'{outcomes.place(solution)}; the limit of the mean E/n is {most:.4g}, '
    f'{most / summed:.6g} times that of the sum',
    gap < 1e-6 and near(most / summed, n, 1e-4),
    [
      Scene('valleys', plots.png(terrain.contours(land, ways, said)), said),
      Scene('animation', moving, said),
    ],
  )
