"""The cost of neurons as a landscape over their weights."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import flatten_util

from experiments.claims import rows
from experiments.claims import small_network
from experiments.claims import walked
from experiments.claims.rows import Proof
from experiments.walking import lessons
from experiments.walking import scenes
from experiments.walking.scenes import Scene
from gd_jax.descent import optimizers
from gd_jax.descent import outcomes
from gd_jax.descent import train
from gd_jax.descent import trajectories
from gd_jax.model import costs
from gd_jax.model import mlp
from gd_jax.model import neurons
from gd_jax.model import surfaces
from gd_jax.pictures import plots
from gd_jax.pictures import relief
from gd_jax.pictures import terrain
from gd_jax.pictures import traces

XOR_STEPS, XOR_RATE, XOR_STARTS = 4000, 8.0, 200


def linear_neuron() -> Proof:
  """T09."""
  surface = surfaces.SURFACES['neuron']
  solution = np.array(surface.minima['the least-squares solution'])
  walks = walked.go(walked.plan('neuron', steps=600), 'sgd', [0.3])
  gap = max(float(np.abs(w.positions[-1] - solution).max()) for w in walks)
  n = len(surface.examples.t)
  most = scenes.limit(surface, tuple(solution)) or 0.0
  curved = jax.hessian(
    lambda w: jnp.sum(jax.vmap(surface.cost_of, (None, 0))(w, surface.examples))
  )(jnp.asarray(solution))
  summed = 2 / float(jnp.linalg.eigvalsh(curved)[-1])
  online = walked.go(
    walked.plan('neuron', batch_size=1, starts={'west': (-1.0, 1.5)}, steps=40),
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
    gap < 1e-6 and rows.near(most / summed, n, 1e-4),
    [
      Scene('valleys', plots.png(terrain.contours(land, ways, said)), said),
      Scene('animation', moving, said),
    ],
  )


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
    and rows.near(least, 0.5, 1e-12)
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
  params = small_network.start()
  vector, unravel = flatten_util.ravel_pytree(params)
  grad = jax.grad(
    lambda p: train.cost_and_grad(
      small_network.cost_of(), p, small_network.some(10)
    )[0]
  )(params)
  optimizer = optimizers.momentum(0.1)
  tree, _ = optimizer.update(grad, optimizer.init(params), params)
  flat, _ = optimizer.update(
    flatten_util.ravel_pytree(grad)[0], optimizer.init(vector), vector
  )
  gap = small_network.apart(tree, flat)
  there = small_network.apart(unravel(vector), params)
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


def ranked() -> Proof:
  """T14."""
  costs = [cost for _, _, cost in lessons.ranked()]
  expected = [4.5, 1.25, 1.0, 0.5, 0.45, 0.125, 0.0]
  return Proof(
    ', '.join(f'{cost:g}' for cost in costs),
    bool(np.allclose(costs, expected, atol=1e-6)),
    [lessons.rank_scene()],
  )


PART = rows.Part(
  'Neurons',
  'The cost of a neuron is such a landscape over its weights: a bowl as long '
  'as it is linear, something richer with sigmoids.',
  (
    rows.Row(
      'T09',
      'A linear neuron has a bowl; each example alone has a valley',
      'E = ½ Σ (t − y)², y = w · x',
      'descent ends at the least-squares solution; the limit of the mean E/n '
      'is n = 4 times that of the sum',
      rows.DESCEND
      + '--surface=neuron --start=west --online --learning_rates=0.5 '
      '--animate',
      linear_neuron,
    ),
    rows.Row(
      'T41',
      'Linear neurons draw straight lines; XOR needs sigmoids',
      'least squares on XOR: ½ four times',
      'E = 1/2 exactly; 2-2-1 reaches E < 0.01 from a stated share of starts',
      rows.TEXTBOOK + 'T41',
      xor,
    ),
    rows.Row(
      'T12',
      'Counting weights and biases',
      'Σ n_out (n_in + 1)',
      '13,002 for 784-16-16-10; 23,860 for 784-30-10',
      rows.TEXTBOOK + 'T12',
      counts,
    ),
    rows.Row(
      'T43',
      'All weights are one long vector, and one rule moves it',
      'w ← w − eta grad C, whatever the dimension',
      'ravel and unravel are inverse; the update of the vector is that of the '
      'tree',
      rows.TEXTBOOK + 'T43',
      one_vector,
    ),
    rows.Row(
      'T13',
      'The quadratic cost lies between 0 and 5',
      'C = 1/2n Σ |y − a|²',
      '0 <= C <= 5 for ten outputs, 0 only when a = y',
      rows.TEXTBOOK + 'T13',
      bounds,
    ),
    rows.Row(
      'T14',
      'An unsure network can cost more than a confidently wrong one',
      'C = ½ |y − a|² for ten outputs and a 4',
      '4.5, 1.25, 1, 0.5, 0.45, 0.125, 0',
      rows.DESCEND + '--lesson=rank',
      ranked,
    ),
  ),
)
