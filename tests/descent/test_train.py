"""One update and one epoch, against NumPy by hand, Optax, and identities."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import flatten_util

from gd_jax.descent import batches
from gd_jax.descent import optimizers
from gd_jax.descent import train
from gd_jax.model import costs
from gd_jax.model import mlp
from gd_jax.types import Batch
from gd_jax.types import Images
from gd_jax.world import data
from tests import oracles

SIZES = (12, 7, 3)


def images(n, seed=0):
  rng = np.random.default_rng(seed)
  return Images(
    rng.integers(0, 17, (n, SIZES[0]), dtype=np.uint8),
    rng.integers(0, SIZES[-1], n, dtype=np.uint8),
  )


def parts(cost='quadratic', scale=16.0, classes=SIZES[-1]):
  decode = costs.decode_image(scale, classes)
  return mlp.weighted_input, costs.COSTS[cost], decode


COST_OF = costs.example_cost(*parts())


def params(dtype='float64', seed=1):
  return mlp.init(jax.random.key(seed), SIZES, dtype=dtype)


def layers_of(tree):
  return [(np.asarray(w), np.asarray(b)) for w, b in tree]


def assert_near(a, b, tolerance):
  jax.tree.map(
    lambda p, q: np.testing.assert_allclose(p, q, rtol=0, atol=tolerance), a, b
  )


def whole(examples):
  return Batch(examples, np.ones(len(examples.y), np.float32))


@functools.partial(jax.jit, static_argnums=(0, 1))
def epoch_of_sgd(settings, eta, start, examples, order):
  step = train.make_step(COST_OF, optimizers.sgd(eta), **dict(settings))
  state = train.start(start, optimizers.sgd(eta))
  return train.run_epoch(step, state, examples, order)


def replay_on_mnist(mnist_dir, init, updates):
  """The largest difference from NumPy, one example at a time, in float64."""
  dataset = data.load('mnist', data_dir=mnist_dir)
  start = mlp.init(jax.random.key(0), (784, 30, 10), init, dtype='float64')
  order = batches.epoch_order(0, 0, len(dataset.train.y), 10)
  order = batches.Order(*(leaf[:updates] for leaf in order))
  cost_of = costs.example_cost(*parts(scale=255.0, classes=10))
  optimizer = optimizers.sgd(3.0)
  step = train.make_step(cost_of, optimizer)
  run = jax.jit(functools.partial(train.run_epoch, step))
  state, _ = run(train.start(start, optimizer), dataset.train, order)
  by_hand = oracles.descend(
    layers_of(start),
    dataset.train.x / 255.0,
    np.eye(10)[dataset.train.y],
    list(order.index),
    3.0,
  )
  moved = np.abs(np.asarray(state.params[0].w - start[0].w)).max()
  assert moved > 0.1
  pairs = zip(layers_of(state.params), by_hand, strict=True)
  return max(
    np.abs(p - q).max()
    for ours, hand in pairs
    for p, q in zip(ours, hand, strict=True)
  )


def test_exact_replay_of_100_updates_from_the_normal_start(mnist_dir):
  assert replay_on_mnist(mnist_dir, 'normal', 100) < 1e-10


def test_exact_replay_of_an_epoch_from_the_scaled_start(mnist_dir):
  assert replay_on_mnist(mnist_dir, 'scaled', 5000) < 1e-10


@pytest.mark.parametrize('method', ['sgd', 'momentum', 'adam'])
def test_hand_rolled_and_optax_train_alike(method):
  examples = images(57)
  order = batches.epoch_order(0, 0, 57, 10)
  theirs = {
    'sgd': optax.sgd(0.7),
    'momentum': optax.sgd(0.7, momentum=0.9),
    'adam': optax.adam(0.7),
  }[method]
  found = []
  for optimizer in (getattr(optimizers, method)(0.7), theirs):
    step = train.make_step(COST_OF, optimizer)
    run = jax.jit(functools.partial(train.run_epoch, step))
    state, metrics = run(train.start(params(), optimizer), examples, order)
    found.append((state.params, metrics))
  moved = np.abs(np.asarray(found[0][0][0].w - params()[0].w)).max()
  assert_near(found[0], found[1], 1e-13 * moved)


def test_T15_random_weights_are_utter_trash(mnist_dir):
  dataset = data.load('mnist', data_dir=mnist_dir)
  scores_of = costs.example_scores(*parts(scale=255.0, classes=10))
  evaluate = jax.jit(functools.partial(train.evaluate, scores_of))
  some = Images(dataset.test.x[:2000], dataset.test.y[:2000])
  found = [
    evaluate(mlp.init(jax.random.key(seed), (784, 30, 10), 'normal'), some)
    for seed in range(10)
  ]
  accuracy = np.array([scores.accuracy for scores in found])
  assert 0.05 < accuracy.mean() < 0.15
  assert accuracy.max() < 0.25
  assert min(scores.cost for scores in found) > 1.0


def test_T16_the_cost_is_smooth_and_accuracy_is_not():
  examples = images(300)
  scores_of = costs.example_scores(*parts())
  evaluate = jax.jit(functools.partial(train.evaluate, scores_of))
  start = params()
  cost = evaluate(start, examples)
  moved_cost = moved_accuracy = 0
  for place in range(SIZES[0]):
    w = start[0].w.at[0, place].add(1e-6)
    after = evaluate((start[0]._replace(w=w), start[1]), examples)
    moved_cost += after.cost != cost.cost
    moved_accuracy += after.accuracy != cost.accuracy
  assert moved_cost == SIZES[0]
  assert moved_accuracy == 0


@pytest.mark.parametrize('weights', [np.ones(20), np.arange(20) % 3 > 0])
def test_T17_gradient_is_the_mean_of_the_per_example_gradients(weights):
  batch = Batch(images(20), np.asarray(weights, np.float32))
  each = train.per_example_grads(COST_OF, params(), batch.examples)
  assert each[0].w.shape == (20, *params()[0].w.shape)
  mean = jax.tree.map(
    lambda g: np.average(np.asarray(g), axis=0, weights=weights), each
  )
  for gradients in train.GRADIENTS:
    _, summed = train.cost_and_grad(
      COST_OF, params(), batch, gradients=gradients
    )
    found = jax.tree.map(lambda g: g / weights.sum(), summed)
    assert_near(found, mean, 1e-15)


def test_T17_holds_through_100_updates():
  examples = images(1000)
  order = batches.epoch_order(0, 0, 1000, 10)
  a, b = (
    epoch_of_sgd((('gradients', g),), 2.0, params(), examples, order)
    for g in train.GRADIENTS
  )
  assert_near(a, b, 1e-11)


@pytest.mark.parametrize('m', [1, 10, 57])
def test_T20_batch_mini_batch_and_online_are_one_code(m):
  examples = images(57)
  order = batches.epoch_order(4, 2, 57, m)
  state, metrics = epoch_of_sgd((), 0.5, params(), examples, order)
  batches_by_hand = [
    index[weights == 1]
    for index, weights in zip(order.index, order.weights, strict=True)
  ]
  by_hand = oracles.descend(
    layers_of(params()),
    examples.x / 16.0,
    np.eye(SIZES[-1])[examples.y],
    batches_by_hand,
    0.5,
  )
  assert_near(layers_of(state.params), by_hand, 1e-13)
  assert metrics.examples == 57


def test_T21_summing_is_the_rate_times_m_for_sgd_and_momentum():
  examples = images(57)
  order = batches.epoch_order(0, 0, 57, 10)  # the last mini-batch holds 7
  sizes = order.weights.sum(1)
  assert sizes[-1] == 7

  def train_on(optimizer, reduction, rows):
    step = train.make_step(COST_OF, optimizer, reduction=reduction)
    some = batches.Order(*(leaf[rows] for leaf in order))
    state = train.start(params(), optimizer)
    return train.run_epoch(step, state, examples, some)[0].params

  for method in (optimizers.sgd, optimizers.momentum):
    # The true size of a short last mini-batch, through a schedule of rates.
    def times_m(t):
      return 0.01 * jnp.asarray(sizes, float)[t]

    if method is optimizers.sgd:
      assert_near(
        train_on(method(0.01), 'sum', slice(None)),
        train_on(method(times_m), 'mean', slice(None)),
        1e-14,
      )
    assert_near(
      train_on(method(0.01), 'sum', slice(5)),
      train_on(method(0.1), 'mean', slice(5)),
      1e-14,
    )
  adam = [
    train_on(optimizers.adam(rate), reduction, slice(5))
    for rate, reduction in ((0.01, 'sum'), (0.1, 'mean'))
  ]
  difference = np.abs(np.asarray(adam[0][0].w - adam[1][0].w)).max()
  assert difference > 0.01


def test_T43_all_weights_are_one_long_vector():
  start = mlp.init(jax.random.key(0), (784, 30, 10), dtype='float64')
  vector, unravel = flatten_util.ravel_pytree(start)
  assert vector.shape == (23860,)
  assert_near(unravel(vector), start, 0)
  small, back = flatten_util.ravel_pytree(params())
  batch = whole(images(30))
  optimizer = optimizers.adam(0.1)

  def cost_of_vector(v, example):
    return COST_OF(back(v), example)

  tree_state = train.start(params(), optimizer)
  vector_state = train.start(small, optimizer)
  for _ in range(3):
    tree_state, _ = train.make_step(COST_OF, optimizer)(tree_state, batch)
    vector_state, _ = train.make_step(cost_of_vector, optimizer)(
      vector_state, batch
    )
  assert_near(back(vector_state.params), tree_state.params, 1e-14)


def test_T43_one_optimizer_object_descends_curve_bowl_and_network():
  optimizer = optimizers.sgd(0.05)
  nothing = Batch(np.zeros((1,)), np.ones((1,), np.float32))

  def curve(x, _):
    return 6 * x**2 - 12 * x + 3

  def bowl(p, _):
    return 6 * p[0] ** 2 + 9 * p[1] ** 2 - 12 * p[0] - 14 * p[1] + 3

  for cost_of, start, end in (
    (curve, jnp.float64(-0.9), 1.0),
    (bowl, jnp.array([0.0, 0.0]), np.array([1.0, 7 / 9])),
  ):
    state = train.start(start, optimizer)
    step = jax.jit(train.make_step(cost_of, optimizer))
    for _ in range(60):
      state, _ = step(state, nothing)
    np.testing.assert_allclose(state.params, end, atol=1e-12)
  step = train.make_step(COST_OF, optimizer)
  state = train.start(params(), optimizer)
  after, before = step(state, whole(images(30)))
  _, then = step(after, whole(images(30)))
  assert then.cost < before.cost


def test_a_large_batch_in_chunks_equals_one_piece():
  examples = images(2300)
  order = batches.epoch_order(0, 0, 2300, 2300)
  assert order.index.shape == (1, 2300)
  chunked, metrics = epoch_of_sgd((), 1.0, params(), examples, order)
  step = train.make_step(COST_OF, optimizers.sgd(1.0), chunk=10**6)
  state = train.start(params(), optimizers.sgd(1.0))
  one, expected = step(state, whole(examples))
  assert_near(chunked.params, one.params, 1e-14)
  np.testing.assert_allclose(metrics.cost, expected.cost, rtol=1e-13)
  assert metrics.examples == 2300


def test_evaluate_counts_every_example_once():
  scores_of = costs.example_scores(*parts())
  for n in (1, 1000, 2345):
    examples = images(n)
    scores = train.evaluate(scores_of, params(), examples)
    each = jax.vmap(scores_of, (None, 0))(params(), examples)
    np.testing.assert_allclose(scores.cost, np.mean(each.cost), rtol=1e-13)
    np.testing.assert_allclose(scores.accuracy, np.mean(each.accuracy))
    np.testing.assert_allclose(scores.predicted.sum(), 1, rtol=1e-13)


def test_value_and_grad_reach_an_optimizer_that_wants_them():
  given = []

  def update(updates, state, params=None, *, value, grad, **_):
    given.append((value, grad))
    return jax.tree.map(jnp.zeros_like, updates), state

  optimizer = optax.GradientTransformationExtraArgs(lambda _: (), update)
  batch = whole(images(20))
  train.make_step(COST_OF, optimizer)(train.start(params(), optimizer), batch)
  cost, grad = train.cost_and_grad(COST_OF, params(), batch)
  np.testing.assert_allclose(given[0][0], cost / 20, rtol=1e-14)
  assert_near(given[0][1], jax.tree.map(lambda g: g / 20, grad), 1e-16)


def test_float32_stays_float32_with_x64_at_hand():
  state = train.start(params('float32'), optimizers.adam(0.1))
  step = train.make_step(COST_OF, optimizers.adam(0.1))
  order = batches.epoch_order(0, 0, 57, 10)
  state, metrics = train.run_epoch(step, state, images(57), order)
  floats = [
    leaf
    for leaf in jax.tree.leaves((state, metrics))
    if jnp.issubdtype(leaf.dtype, jnp.floating)
  ]
  assert {leaf.dtype for leaf in floats} == {jnp.dtype('float32')}
  wide = jax.tree.map(lambda p: p.astype(jnp.float64), params('float32'))
  double = train.start(wide, optimizers.adam(0.1))
  double, _ = train.run_epoch(step, double, images(57), order)
  assert_near(state.params, double.params, 1e-3)


def both_ways(dtype, **how):
  """An epoch of adam in the given way, and in the plain one."""
  state = train.start(params(dtype), optimizers.adam(0.1))
  step = train.make_step(COST_OF, optimizers.adam(0.1))
  order = batches.epoch_order(0, 0, 57, 10)
  run = jax.jit(functools.partial(train.run_epoch, step, **how))
  whole = jax.jit(functools.partial(train.run_epoch, step))
  return run(state, images(57), order), whole(state, images(57), order)


@pytest.mark.parametrize('together', [1, 2, 6])
def test_rows_gathered_in_parts_train_the_same_bits(together):
  (state, metrics), plain = both_ways('float32', together=together)
  for ours, theirs in zip(
    jax.tree.leaves(state), jax.tree.leaves(plain[0]), strict=True
  ):
    np.testing.assert_array_equal(ours, theirs)
  assert metrics.examples == plain[1].examples == 57
  np.testing.assert_allclose(metrics.cost, plain[1].cost, rtol=1e-6)


@pytest.mark.parametrize(
  ('together', 'unroll'), [(None, 4), (None, 6), (None, 99), (2, 4)]
)
def test_unrolled_updates_are_the_same_but_for_rounding(together, unroll):
  found, plain = both_ways('float64', together=together, unroll=unroll)
  assert found[1].examples == 57
  assert_near(found, plain, 1e-13)


def test_the_loop_makes_as_many_turns_as_are_asked_for():
  state = train.start(params(), optimizers.sgd(1.0))
  step = train.make_step(COST_OF, optimizers.sgd(1.0))
  order = batches.epoch_order(0, 0, 57, 10)

  def scans(**how):
    run = functools.partial(train.run_epoch, step, **how)
    jaxpr = jax.make_jaxpr(run)(state, images(57), order).jaxpr
    found = [e for e in jaxpr.eqns if e.primitive.name == 'scan']
    return [e.params['unroll'] for e in found]

  assert scans() == [1]
  assert batches.chunk_on('cpu') < batches.chunk_on('gpu')
  assert scans(unroll=batches.unroll_on('cpu')) == [1]
  assert scans(unroll=batches.unroll_on('gpu')) == [batches.UNROLL]
  assert batches.UNROLL > 1


def test_the_step_is_traced_once_an_epoch():
  traces = []

  def counted(p, example):
    traces.append(None)
    return COST_OF(p, example)

  step = train.make_step(counted, optimizers.sgd(1.0))
  run = jax.jit(functools.partial(train.run_epoch, step))
  state = train.start(params(), optimizers.sgd(1.0))
  for epoch in range(3):
    order = batches.epoch_order(0, epoch, 57, 10)
    state, _ = run(state, images(57), order)
  assert len(traces) == 2  # once for the shape of the sums, once in the scan


def test_the_mean_divides_no_parameter():
  step = train.make_step(COST_OF, optimizers.sgd(1.0))
  batch = jax.tree.map(
    lambda leaf: leaf[0],
    batches.gather(images(57), batches.epoch_order(0, 0, 57, 10)),
  )
  state = train.start(params(), optimizers.sgd(1.0))
  jaxpr = jax.make_jaxpr(step)(state, batch)
  divided = [
    eqn.outvars[0].aval.shape
    for eqn in jaxpr.eqns
    if eqn.primitive.name == 'div'
  ]
  shapes = {leaf.shape for leaf in jax.tree.leaves(state.params)}
  assert (10,) in divided  # the weights of the examples
  assert not shapes & set(divided)


def test_watching_freezes_before_the_first_update_that_is_not_finite():
  optimizer = optax.chain(
    optimizers.sgd(0.1),
    optax.scale_by_schedule(lambda t: jnp.where(t == 4, jnp.inf, 1.0)),
  )
  step = train.make_step(COST_OF, optimizer)
  order = batches.epoch_order(0, 0, 57, 6)
  gathered = batches.gather(images(57), order)
  state = train.start(params(), optimizer)
  frozen, updates = train.run_watched(step, state, gathered)
  assert updates == 4
  some = jax.tree.map(lambda leaf: leaf[:4], gathered)
  expected, _ = train.run_batches(step, state, some)
  assert_near(frozen.params, expected.params, 1e-14)


def test_jaxlib_sums_vmapped_matrix_products_right():
  """jaxlib 0.10.2 has thousands of wrong elements here (jax#39103)."""
  rng = np.random.default_rng(0)
  matrix = rng.normal(size=(3, 3)).astype(np.float32)
  x = rng.normal(size=(40_000, 3)).astype(np.float32)

  @jax.jit
  def squares(matrix, x):
    return jax.vmap(lambda v: jnp.sum((matrix @ v) ** 2))(x)

  expected = ((x.astype(float) @ matrix.T.astype(float)) ** 2).sum(1)
  np.testing.assert_allclose(squares(matrix, x), expected, rtol=1e-4)
