"""Inside a run: noise, curvature and the shape of the valley.

On digits, and on MNIST where TFDS has prepared it.
"""

import jax
import numpy as np
from jax import flatten_util

from experiments.claims import benches
from experiments.claims import rows
from experiments.claims.rows import Proof
from experiments.inside import planes
from experiments.inside import sharpness
from experiments.inside import sights
from experiments.inside import workbench
from experiments.walking.scenes import Scene
from gd_jax.descent import optimizers
from gd_jax.insight import curvature
from gd_jax.insight import landscape
from gd_jax.insight import totals
from gd_jax.model import mlp
from gd_jax.pictures.insights import Sight


def scene(sight: Sight) -> Scene:
  """A sight as the page takes it."""
  return Scene(sight.name, sight.png, sight.words)


def projections() -> Proof:
  """T10."""
  made = benches.digits()
  track = made.subject.tracks[0]
  directions = landscape.stacked(
    *(
      landscape.random_direction(jax.random.key(k), track.params[0])
      for k in range(2)
    )
  )
  where = np.array([[0.0, 0.0], [0.3, -0.2], [-1.0, 0.5]])
  on_slice = workbench.on_slice(made, track.params[-1], directions, where).cost
  direct = workbench.costs(
    made,
    [landscape.along(track.params[-1], directions, c) for c in where],
  )
  gap = float(np.abs(on_slice - direct).max())
  sight = planes.trajectories(made)
  share = dict(sight.facts)['variance explained']
  return Proof(
    f'cost on a slice and cost there differ by {gap:.1g}; the plane of six '
    f'optimizers explains {share} of the variance of their snapshots',
    gap < 1e-12,
    [scene(sight), scene(planes.surroundings(made, track))],
  )


def polling() -> Proof:
  """T18."""
  made = benches.digits()
  track = made.subject.tracks[0]
  n = workbench.size(made)
  found = sights.poll_at(made, track.params[-1])
  slope = found.slope
  trace = found.noise.trace * (n - 1) / n
  half = found.errors[-1].mean() / (trace / found.sizes[-1])
  return Proof(
    f'slope {slope.value:.3f} ({slope.low:.3f} to {slope.high:.3f}); at m = '
    f'{found.sizes[-1]} of {n:,} the variance is {half:.3f} of tr(S)/m, by '
    f'theory {(n - found.sizes[-1]) / (n - 1):.3f}',
    slope.low <= -1 <= slope.high
    and rows.near(half, (n - found.sizes[-1]) / (n - 1), 0.1),
    [scene(sights.polls(made, track))],
  )


def direction() -> Proof:
  """T32."""
  made = benches.mnist()
  track = made.subject.tracks[0]
  n = workbench.size(made)
  ends = [
    [c.mean() for c in sights.poll_at(made, track.params[k]).cosines]
    for k in (0, 1)
  ]
  words = [', '.join(f'{c:.2f}' for c in cosines[:4]) for cosines in ends]
  return Proof(
    f'm = 10 of {n:,} touches {n // 10:,} times fewer examples; cosines '
    f'{words[0]} at the start, {words[1]} after an epoch',
    n == 60_000 and ends[0][1] > 0.8 and 0.02 < ends[1][1] < ends[1][3],
    [scene(sights.polls(made, track))],
  )


def importance() -> Proof:
  """T22."""
  made = benches.digits()
  track = made.subject.tracks[0]
  params = track.params[-1]
  grad = workbench.run(made, made.mean, params, made.train).grad
  ratio = sights.check_nudges(made, params, grad)
  adam = optimizers.adam(0.01)
  change, _ = adam.update(grad, adam.init(params))
  g, moved = (
    np.abs(np.asarray(flatten_util.ravel_pytree(tree)[0]))
    for tree in (grad, change)
  )
  share = float(np.mean(np.abs(moved[g > 0] - 0.01) < 1e-3))
  return Proof(
    f'dC = {ratio:.5f} g d for the ten most important weights; the first '
    f'update of Adam at eta 0.01 moves {100 * share:.1f} % of the weights that '
    'have a gradient by 0.009 to 0.011',
    rows.near(ratio, 1, 1e-2) and share > 0.9,
    [scene(sights.weights(made, track))],
  )


def products() -> Proof:
  """T23."""
  made = benches.digits()
  problem = made.subject.problem
  small = mlp.init(jax.random.key(0), (64, 3, 10), dtype='float64')
  vector, unravel = flatten_util.ravel_pytree(small)
  some = jax.tree.map(lambda leaf: leaf[:200], problem.train)

  def cost(v):
    return jax.vmap(problem.cost_of, (None, 0))(unravel(v), some).mean()

  dense = np.asarray(jax.jit(jax.hessian(cost))(vector))
  v = landscape.random_direction(jax.random.key(1), small)
  found = jax.jit(made.multiply)(small, v, totals.deal(some, made.mesh))
  gap = np.abs(
    dense @ flatten_util.ravel_pytree(v)[0]
    - flatten_util.ravel_pytree(found)[0]
  ).max()
  ratio, _ = sharpness.product_cost(made)
  return Proof(
    f'a million weights have {curvature.distinct_entries(10**6):.3g} distinct '
    f'second derivatives; H v by hvp and by the dense matrix differ by '
    f'{gap:.1g}, the matrix from its transpose by '
    f'{np.abs(dense - dense.T).max():.1g}; a product takes {ratio:.2f} '
    'gradients',
    bool(gap < 1e-8),
  )


def minima() -> Proof:
  """T36."""
  made = benches.mnist()
  first, other = made.subject.tracks
  found = planes.line(made, first, other)
  low, high = sorted(found.ends)
  return Proof(
    f'two seeds end at {found.ends[0]:.4f} and {found.ends[1]:.4f}, '
    f'{found.apart:.2f} lengths apart, with a barrier of {found.barrier:.3f} '
    'on the line between',
    high < 1.1 * low and found.barrier > 2 * high,
    [scene(planes.between(made)), scene(planes.trajectories(made))],
  )


def clusters() -> Proof:
  """T42."""
  sight = planes.cloud(benches.mnist())
  share = dict(sight.facts)['variance explained']
  return Proof(
    f'the first two directions explain {share} of the variance of 60,000 '
    'images',
    share.startswith('16.8'),
    [scene(sight)],
  )


PART = rows.Part(
  'Inside a run',
  'Noise, curvature and the shape of the valley, seen round trained networks.',
  (
    rows.Row(
      'T18',
      'Polling: the mini-batch gradient is unbiased, its variance falls as 1/m',
      'E |g_m − g|² = tr(S)/m · (N − m)/(N − 1)',
      'slope -1 inside its interval; the factor itself at m = N/2',
      rows.INSPECT + '--views=polls',
      polling,
    ),
    rows.Row(
      'T32',
      'A poll is cheap and points in the generally correct direction',
      'cos = g_m · g / (|g_m||g|)',
      '6,000 times fewer examples; cosines 0.68, 0.95, 0.99, 1.00 at m = 1, '
      '10, 100, 1000 at the start, 0.07, 0.11, 0.31, 0.71 after an epoch at '
      'eta 3',
      rows.INSPECT + '--views=polls',
      direction if benches.HAS_MNIST else None,
    ),
    rows.Row(
      'T22',
      'Some weights matter more; Adam undoes it',
      'dC = g_j d',
      'dC over g d is 1; Adam moves each weight by about eta',
      rows.INSPECT + '--views=weights',
      importance,
    ),
    rows.Row(
      'T23',
      'Second derivatives: too many to write down, cheap to multiply by',
      'H v = d/dt grad C(w + t v)',
      '5e11 for a million weights; equal to the dense matrix; a few gradients',
      rows.INSPECT + '--views=sharpness',
      products,
    ),
    rows.Row(
      'T36',
      'Many equally good minima',
      'C(w_1 + t (w_2 − w_1))',
      'costs within a few per cent, weights far apart, a barrier between',
      rows.INSPECT + 'A B --views=between,trajectories',
      minima if benches.HAS_MNIST else None,
    ),
    rows.Row(
      'T42',
      'Projection shows clusters of the data',
      '',
      '9.70 + 7.10 = 16.8 % of the variance',
      rows.INSPECT + '--views=data',
      clusters if benches.HAS_MNIST else None,
    ),
  ),
)
