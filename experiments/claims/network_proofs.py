"""Proofs of the textbook's rows about networks that take seconds, on digits.

What needs MNIST, hours or PyTorch is proven by `make test` and `make claims`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import flatten_util

from experiments.claims.proofs import Proof
from experiments.claims.proofs import near
from experiments.walking.scenes import Scene
from gd_jax.descent import batches
from gd_jax.descent import entries
from gd_jax.descent import optimizers
from gd_jax.descent import train
from gd_jax.descent import trajectories
from gd_jax.judge import certificates
from gd_jax.model import costs
from gd_jax.model import mlp
from gd_jax.model import neurons
from gd_jax.model import surfaces
from gd_jax.pictures import plots
from gd_jax.pictures import traces
from gd_jax.types import Batch
from gd_jax.types import Images
from gd_jax.world import data

SIZES = (64, 30, 10)
XOR_STEPS, XOR_RATE, XOR_STARTS = 4000, 8.0, 200


@functools.cache
def digits() -> Images:
  """The shipped training images."""
  return data.load('digits').train


def cost_of():
  """The cost of one image of digits."""
  return costs.example_cost(
    mlp.weighted_input, costs.quadratic_of_z, costs.decode_image(16.0, 10)
  )


def start(seed: int = 0, sizes: tuple[int, ...] = SIZES):
  """Random parameters in float64."""
  return mlp.init(jax.random.key(seed), sizes, dtype='float64')


def some(m: int) -> Batch:
  """The first m training images as one batch."""
  images = digits()
  return Batch(Images(images.x[:m], images.y[:m]), jnp.ones(m))


def apart(one, other) -> float:
  """The largest difference between two trees of parameters."""
  flat = [flatten_util.ravel_pytree(tree)[0] for tree in (one, other)]
  return float(jnp.abs(flat[0] - flat[1]).max())


def xor() -> Proof:
  """T41."""
  pairs = neurons.with_bias(neurons.XOR)
  w = neurons.solve(pairs)
  outputs = pairs.x @ w
  least = 0.5 * float(np.sum((pairs.t - outputs) ** 2))
  keys = jax.random.split(jax.random.key(0), XOR_STARTS)
  begin = jax.vmap(lambda k: mlp.init(k, (2, 2, 1), 'normal', dtype='float64'))
  lanes = trajectories.Lanes(
    start=begin(keys),
    rate=jnp.full(XOR_STARTS, XOR_RATE),
    key=keys,
    order=trajectories.orders([0] * XOR_STARTS, steps=XOR_STEPS, n=4, m=4),
  )
  program = jax.jit(
    lambda lanes: (
      trajectories.follow(
        neurons.sigmoid_cost,
        lambda rate, _key: optimizers.sgd(rate),
        neurons.XOR,
        lanes,
      ).costs
    )
  )
  error = 4 * np.asarray(program(lanes))
  arrived = error[:, -1] < 0.01
  share = float(arrived.mean())
  every = slice(0, None, 20)
  said = (
    f'XOR, 2-2-1 sigmoid neurons, {XOR_STARTS} starts from N(0, 1), batch '
    f'descent at rate {XOR_RATE:g}: {100 * share:.1f} % reach E < 0.01 within '
    f'{XOR_STEPS:,} steps, the rest stick on plateaus.'
  )
  picture = traces.lines(
    np.arange(XOR_STEPS + 1)[every],
    {
      'E < 0.01': error[arrived][:, every],
      'stuck': error[~arrived][:, every],
    },
    'XOR: some starts arrive, some stick',
    'E',
    said,
  )
  return Proof(
    f'least squares answers {", ".join(f"{y:.3g}" for y in outputs)}, E = '
    f'{least:.6g}; the 2-2-1 network reaches E < 0.01 from {100 * share:.1f} % '
    f'of {XOR_STARTS} starts in {XOR_STEPS:,} steps at rate {XOR_RATE:g}',
    bool(np.allclose(outputs, 0.5))
    and near(least, 0.5, 1e-12)
    and 0.2 < share < 1,
    [Scene('xor', plots.png(picture), said)],
  )


def counts() -> Proof:
  """T12."""
  found = [
    mlp.count(mlp.init(jax.random.key(0), sizes))
    for sizes in ((784, 16, 16, 10), (784, 30, 10))
  ]
  return Proof(f'{found[0]:,} and {found[1]:,}', found == [13_002, 23_860])


def one_vector() -> Proof:
  """T43."""
  params = start()
  vector, unravel = flatten_util.ravel_pytree(params)
  grad = jax.grad(lambda p: train.cost_and_grad(cost_of(), p, some(10))[0])(
    params
  )
  optimizer = optimizers.momentum(0.1)
  tree, _ = optimizer.update(grad, optimizer.init(params), params)
  flat, _ = optimizer.update(
    flatten_util.ravel_pytree(grad)[0], optimizer.init(vector), vector
  )
  gap = apart(tree, flat)
  there = apart(unravel(vector), params)
  falls = []
  for name in ('parabola', 'bowl'):
    surface = surfaces.SURFACES[name]
    w = jnp.asarray(next(iter(surface.starts.values())))
    cost = functools.partial(surfaces.mean_cost, surface)
    small = optimizers.momentum(0.001)
    change, _ = small.update(jax.grad(cost)(w), small.init(w), w)
    falls.append(bool(cost(jnp.add(w, jnp.asarray(change))) < cost(w)))
  return Proof(
    f'{len(vector):,} weights: back from the vector within {there:g}; the '
    f'update of the vector is that of the tree within {gap:g}; the same '
    'optimizer lowers the parabola and the bowl',
    gap == 0 and there == 0 and all(falls),
  )


def bounds() -> Proof:
  """T13."""
  key = jax.random.key(0)
  a_key, y_key = jax.random.split(key)
  a = jax.random.uniform(a_key, (10_000, 10))
  y = jax.nn.one_hot(jax.random.randint(y_key, (10_000,), 0, 10), 10)
  found = jax.vmap(costs.quadratic)(a, y)
  six = jnp.eye(10)[6]
  worst, best = costs.quadratic(1 - six, six), costs.quadratic(six, six)
  return Proof(
    f'10,000 random outputs cost {found.min():.3f} to {found.max():.3f}; every '
    f'output wrong {worst:g}; a = y {best:g}',
    bool(found.min() > 0 and found.max() <= 5)
    and float(worst) == 5
    and float(best) == 0,
  )


def trash() -> Proof:
  """T15."""
  images = digits()
  scores_of = costs.example_scores(
    mlp.weighted_input, costs.quadratic_of_z, costs.decode_image(16.0, 10)
  )

  def score(key):
    params = mlp.init(key, SIZES, 'normal', dtype='float64')
    scores = train.evaluate(scores_of, params, images)
    return scores.accuracy, scores.cost

  keys = jax.random.split(jax.random.key(0), 100)
  accuracy, cost = jax.jit(lambda keys: jax.lax.map(score, keys))(keys)
  return Proof(
    f'100 random networks 64-30-10 read {100 * accuracy.mean():.1f} % of the '
    f'digits (from {100 * accuracy.min():.1f} to {100 * accuracy.max():.1f}), '
    f'mean cost {cost.mean():.2f}',
    near(float(accuracy.mean()), 0.1, 0.02) and float(cost.mean()) > 1,
  )


def smooth() -> Proof:
  """T16."""
  images, params = digits(), start()
  scores_of = costs.example_scores(
    mlp.weighted_input, costs.quadratic_of_z, costs.decode_image(16.0, 10)
  )
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
  params, batch = start(), some(100)
  _, whole = train.cost_and_grad(cost_of(), params, batch)
  each = train.per_example_grads(cost_of(), params, batch.examples)
  gap = apart(whole, jax.tree.map(lambda g: g.sum(axis=0), each))
  ends = [run(10, gradients=kind) for kind in train.GRADIENTS]
  through = apart(*ends)
  return Proof(
    f'largest difference over 100 examples {gap:.1g}; after an epoch of '
    f'updates by --gradients=per_example {through:.1g}',
    gap < 1e-12 and through < 1e-10,
  )


def run(
  m: int, *, gradients: str = 'mean', reduction: str = 'mean', eta: float = 1.0
):
  """Parameters after one epoch on 300 images in mini-batches of m."""
  images = some(300).examples
  step = train.make_step(
    cost_of(), optimizers.sgd(eta), gradients=gradients, reduction=reduction
  )
  state = train.start(start(), optimizers.sgd(eta))
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
  images, gaps = some(300).examples, {}
  grad = jax.jit(jax.grad(cost_of()))
  for name, m in (('online', 1), ('mini-batch', 10), ('batch', 300)):
    params = start()
    order = batches.epoch_order(0, 0, 300, m)
    for row in order.index:
      each = [grad(params, Images(images.x[i], images.y[i])) for i in row]
      params = jax.tree.map(
        lambda w, *g, m=m: w - 1.0 * sum(g) / m, params, *each
      )
    gaps[name] = apart(params, run(m))
  return Proof(
    'one epoch of 300 images against a loop over single examples: '
    + ', '.join(f'{name} {gap:.1g}' for name, gap in gaps.items()),
    max(gaps.values()) < 1e-10,
  )


def summing() -> Proof:
  """T21."""
  gap = apart(run(7, reduction='sum', eta=0.1), run(7, eta=0.7))
  short = apart(run(10, reduction='sum', eta=0.1), run(10, eta=1.0))
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
