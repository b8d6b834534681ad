"""Trained networks as `inspect_run` looks into them, for the proofs."""

import functools

import jax
import jax.numpy as jnp

from experiments import problem as problems
from experiments.inside import tracks
from experiments.inside import workbench
from gd_jax.descent import batches
from gd_jax.descent import entries
from gd_jax.descent import train
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
