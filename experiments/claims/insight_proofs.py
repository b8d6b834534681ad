"""Proofs of the textbook's rows about the inside of a run.

On digits, and on MNIST where TFDS has prepared it.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import flatten_util

from experiments import problem as problems
from experiments.claims import proofs
from experiments.claims.proofs import Proof
from experiments.inside import planes
from experiments.inside import sharpness
from experiments.inside import sights
from experiments.inside import tracks
from experiments.inside import workbench
from experiments.walking.scenes import Scene
from gd_jax.descent import batches
from gd_jax.descent import entries
from gd_jax.descent import optimizers
from gd_jax.descent import train
from gd_jax.insight import curvature
from gd_jax.insight import landscape
from gd_jax.insight import totals
from gd_jax.model import mlp
from gd_jax.pictures.insights import Sight
from gd_jax.world import data
from gd_jax.world import mesh

HAS_MNIST = data.is_ready('mnist')
SIX = {
  'sgd': 1.0,
  'momentum': 0.1,
  'nesterov': 0.1,
  'adagrad': 0.3,
  'rmsprop': 0.01,
  'adam': 0.01,
}


def descent(
  problem: problems.Problem,
  name: str,
  rate: float,
  *,
  label: str,
  seed: int,
  epochs: int,
  dtype: str,
) -> tracks.Track:
  """One descent in mini-batches of 10, a snapshot an epoch."""
  optimizer = entries.build(entries.parse(name), jnp.asarray(rate, dtype), None)
  run = jax.jit(
    functools.partial(
      train.run_batches, train.make_step(problem.cost_of, optimizer)
    )
  )
  state = train.start(problem.init(jax.random.key(seed)), optimizer)
  n, params = problems.size_of(problem.train), [state.params]
  for epoch in range(epochs):
    order = batches.epoch_order(seed, epoch, n, 10)
    state, _ = run(state, batches.gather(problem.train, order))
    params.append(state.params)
  steps = [batches.steps_of(n, 10) * k for k in range(epochs + 1)]
  return tracks.Track(label, name, rate, seed, 10, 'constant', steps, params)


def bench(
  dataset: str,
  dtype: str,
  names: dict[str, float],
  *,
  seeds: tuple[int, ...],
  epochs: int,
) -> workbench.Bench:
  """Descents from the default start on a data set, ready to be looked into."""
  values = {holder.name: holder.default for holder in problems.FLAGS}
  values |= {'dataset': dataset, 'validation_size': 0, 'layer_sizes': []}
  problem = problems.single(values, dtype)
  found = [
    descent(
      problem,
      name,
      rate,
      label=name if len(seeds) == 1 else f'{name}, seed {seed}',
      seed=seed,
      epochs=epochs,
      dtype=dtype,
    )
    for seed in seeds
    for name, rate in names.items()
  ]
  return workbench.bench(
    tracks.Subject(problem, values, found, []),
    mesh.row(jax.local_devices()),
    points=41,
    lanczos_steps=30,
  )


@functools.cache
def digits() -> workbench.Bench:
  """Six optimizers from one start, in float64."""
  return bench('digits', 'float64', SIX, seeds=(0,), epochs=20)


@functools.cache
def mnist() -> workbench.Bench:
  """Plain descent at eta 3 from two seeds, an epoch, float32 as shipped."""
  return bench('mnist', 'float32', {'sgd': 3.0}, seeds=(0, 1), epochs=2)


def scene(sight: Sight) -> Scene:
  """A sight as the page takes it."""
  return Scene(sight.name, sight.png, sight.words)


def projections() -> Proof:
  """T10."""
  made = digits()
  track = made.subject.tracks[0]
  directions = landscape.stacked(
    *(
      landscape.random_direction(jax.random.key(k), track.params[0])
      for k in range(2)
    )
  )
  where = np.array([[0.0, 0.0], [0.3, -0.2], [-1.0, 0.5]])
  on_slice = workbench.run(
    made, made.slices, track.params[-1], directions, where, made.train
  ).cost
  direct = workbench.costs(
    made,
    [landscape.along(track.params[-1], directions, c) for c in where],
  )
  gap = float(np.abs(np.asarray(on_slice) - direct).max())
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
  made = digits()
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
    and proofs.near(half, (n - found.sizes[-1]) / (n - 1), 0.1),
    [scene(sights.polls(made, track))],
  )


def direction() -> Proof:
  """T32."""
  made = mnist()
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
  made = digits()
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
    proofs.near(ratio, 1, 1e-2) and share > 0.9,
    [scene(sights.weights(made, track))],
  )


def products() -> Proof:
  """T23."""
  made = digits()
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
  made = mnist()
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
  sight = planes.cloud(mnist())
  share = dict(sight.facts)['variance explained']
  return Proof(
    f'the first two directions explain {share} of the variance of 60,000 '
    'images',
    share.startswith('16.8'),
    [scene(sight)],
  )
