"""A network that learns digits: gradients, epochs, mini-batches.

What needs MNIST, hours or PyTorch is proven by `make test` and `make claims`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from experiments.claims import rows
from experiments.claims import small_network
from experiments.claims.rows import Proof
from gd_jax.descent import batches
from gd_jax.descent import entries
from gd_jax.descent import optimizers
from gd_jax.descent import train
from gd_jax.judge import certificates
from gd_jax.model import mlp
from gd_jax.types import Images


def trash() -> Proof:
  """T15."""
  images = small_network.images()
  scores_of = small_network.scores_of()

  def score(key):
    params = mlp.init(key, small_network.SIZES, 'normal', dtype='float64')
    scores = train.evaluate(scores_of, params, images)
    return scores.accuracy, scores.cost

  keys = jax.random.split(jax.random.key(0), 100)
  accuracy, cost = jax.jit(lambda keys: jax.lax.map(score, keys))(keys)
  return Proof(
    f'100 random networks 64-30-10 read {100 * accuracy.mean():.1f} % of the '
    f'digits (from {100 * accuracy.min():.1f} to {100 * accuracy.max():.1f}), '
    f'mean cost {cost.mean():.2f}',
    rows.near(float(accuracy.mean()), 0.1, 0.02) and float(cost.mean()) > 1,
  )


def smooth() -> Proof:
  """T16."""
  images, params = small_network.images(), small_network.start()
  scores_of = small_network.scores_of()
  last = params[-1]

  def score(nudge):
    moved = last._replace(w=last.w.at[3, 7].add(nudge))
    scores = train.evaluate(scores_of, (*params[:-1], moved), images)
    return scores.cost, scores.accuracy

  nudges = jnp.linspace(-1e-3, 1e-3, 201)
  cost, accuracy = jax.jit(lambda n: jax.lax.map(score, n))(nudges)
  found = len(set(cost.tolist())), len(set(accuracy.tolist()))
  return Proof(
    f'201 nudges of one weight, up to 0.001: {found[0]} different costs, '
    f'{found[1]} different accurac{"y" if found[1] == 1 else "ies"}',
    found[0] == 201 and found[1] < 10,
  )


def mean_of_gradients() -> Proof:
  """T17."""
  params, batch = small_network.start(), small_network.some(100)
  _, whole = train.cost_and_grad(small_network.cost_of(), params, batch)
  each = train.per_example_grads(
    small_network.cost_of(), params, batch.examples
  )
  gap = small_network.apart(whole, jax.tree.map(lambda g: g.sum(axis=0), each))
  ends = [run(10, gradients=kind) for kind in train.GRADIENTS]
  through = small_network.apart(*ends)
  return Proof(
    f'largest difference over 100 examples {gap:.1g}; after an epoch of '
    f'updates by --gradients=per_example {through:.1g}',
    gap < 1e-12 and through < 1e-10,
  )


def run(
  m: int, *, gradients: str = 'mean', reduction: str = 'mean', eta: float = 1.0
):
  """Parameters after one epoch on 300 images in mini-batches of m."""
  images = small_network.some(300).examples
  step = train.make_step(
    small_network.cost_of(),
    optimizers.sgd(eta),
    gradients=gradients,
    reduction=reduction,
  )
  state = train.start(small_network.start(), optimizers.sgd(eta))
  order = batches.epoch_order(0, 0, 300, m)
  epoch = batches.gather(jax.tree.map(jnp.asarray, images), order)
  return jax.jit(functools.partial(train.run_batches, step))(state, epoch)[
    0
  ].params


def epochs() -> Proof:
  """T19."""
  orders = [batches.epoch_order(0, epoch, 60_000, 10) for epoch in (0, 1)]
  index = [order.index.ravel() for order in orders]
  once = all(bool((np.bincount(i) == 1).all()) for i in index)
  steps = len(orders[0].index)
  held_out = batches.steps_of(50_000, 10)
  return Proof(
    f'{steps:,} steps of 60,000 examples ({held_out:,} with 10,000 held out), '
    f'each example {"once" if once else "not once"}, the next epoch in '
    f'{"the same" if (index[0] == index[1]).all() else "another"} order',
    steps == 6000
    and held_out == 5000
    and once
    and not bool((index[0] == index[1]).all()),
  )


def one_number() -> Proof:
  """T20."""
  images, gaps = small_network.some(300).examples, {}
  grad = jax.jit(jax.grad(small_network.cost_of()))
  for name, m in (('online', 1), ('mini-batch', 10), ('batch', 300)):
    params = small_network.start()
    order = batches.epoch_order(0, 0, 300, m)
    for row in order.index:
      each = [grad(params, Images(images.x[i], images.y[i])) for i in row]
      params = jax.tree.map(
        lambda w, *g, m=m: w - 1.0 * sum(g) / m, params, *each
      )
    gaps[name] = small_network.apart(params, run(m))
  return Proof(
    'one epoch of 300 images against a loop over single examples: '
    + ', '.join(f'{name} {gap:.1g}' for name, gap in gaps.items()),
    max(gaps.values()) < 1e-10,
  )


def summing() -> Proof:
  """T21."""
  gap = small_network.apart(run(7, reduction='sum', eta=0.1), run(7, eta=0.7))
  short = small_network.apart(
    run(10, reduction='sum', eta=0.1), run(10, eta=1.0)
  )
  return Proof(
    f'm = 10 of 300: sum at eta 0.1 and mean at eta 1 differ by {short:.1g}; '
    f'with m = 7 the last mini-batch holds 6, and they differ by {gap:.1g}, '
    'as they should',
    short < 1e-10 and gap > 1e-6,
  )


def twins() -> Proof:
  """T25."""
  words = []
  for name in ('momentum', 'nesterov', 'adagrad', 'rmsprop', 'adam'):
    entry = entries.parse(certificates.TRIALS[name])
    made = certificates.certify_entries(entry, entries.twin(entry))
    words.append((name, made.largest))
  return Proof(
    'largest difference from Optax over 200 updates, relative to the movement: '
    + ', '.join(f'{name} {gap:.1g}' for name, gap in words),
    all(gap is not None and gap <= 1e-13 for _, gap in words),
  )


PART = rows.Part(
  'A network that learns',
  'The same rule moves thousands of weights, on the images that are shipped.',
  (
    rows.Row(
      'T11',
      'MNIST: 60,000 + 10,000 images of 28x28 = 784 numbers',
      '',
      'shapes, one-hot labels, SHA-256 of the files',
      'make mnist',
    ),
    rows.Row(
      'T15',
      'Random weights are utter trash',
      '',
      'accuracy near 10 %, mean cost above 1',
      rows.TEXTBOOK + 'T15',
      trash,
    ),
    rows.Row(
      'T16',
      'The cost is smooth, accuracy is not',
      '',
      'every nudge of a weight moves the cost, hardly any the accuracy',
      rows.TEXTBOOK + 'T16',
      smooth,
    ),
    rows.Row(
      'T17',
      'The gradient of C is the mean of the gradients of its examples',
      'grad C = 1/n Σ grad C_x',
      'equal to rounding, through an epoch of updates too',
      rows.TEXTBOOK + 'T17',
      mean_of_gradients,
    ),
    rows.Row(
      'T19',
      'An epoch sees every example once; the next is reshuffled',
      '60,000 / 10 = 6,000 steps',
      '6,000 steps (5,000 with 10,000 held out)',
      rows.TEXTBOOK + 'T19',
      epochs,
    ),
    rows.Row(
      'T20',
      'Batch, mini-batch and online are one code and one number',
      '',
      'each equal to a loop over single examples',
      rows.TEXTBOOK + 'T20',
      one_number,
    ),
    rows.Row(
      'T21',
      'Summing instead of averaging is the learning rate times m',
      'eta Σ = (eta m) · mean',
      'equal where every mini-batch is full, and not where the last is short',
      rows.TEXTBOOK + 'T21',
      summing,
    ),
    rows.Row(
      'T25',
      'Momentum, Nesterov, Adagrad, RMSprop, Adam',
      '',
      "Optax's, step by step, to 1e-13",
      rows.TEXTBOOK + 'T25',
      twins,
    ),
  ),
)
