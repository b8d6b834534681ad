"""Ours against Optax and against themselves, step by step."""

import inspect
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gd_jax.descent import entries
from gd_jax.descent import optimizers
from gd_jax.descent import schedules
from gd_jax.descent import twins
from gd_jax.judge import certificates
from gd_jax.judge import courses

METHODS = tuple(twins.TWINS)
HALVES = schedules.step(every=2, factor=0.5)


def network(dtype: Any = np.float64):
  rng = np.random.default_rng(3)
  shapes = {'w': (4, 3), 'b': (4,)}
  return {k: jnp.asarray(rng.normal(size=s), dtype) for k, s in shapes.items()}


def gradients(params, k):
  """A gradient that changes at every update, on unlike scales."""
  return jax.tree.map(
    lambda w: (0.1 ** (k % 3) * jnp.sin((k + 1) * w)).astype(w.dtype), params
  )


def descend(optimizer, params, updates=6):
  """The parameters and the state after a scan, outside jit."""

  def step(carry, k):
    params, state = carry
    change, state = optimizer.update(gradients(params, k), state, params)
    return (jax.tree.map(jnp.add, params, change), state), None

  carry = params, optimizer.init(params)
  return jax.lax.scan(step, carry, jnp.arange(updates))[0]


def assert_same(a, b, rtol=1e-13):
  jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol), a, b)


@pytest.mark.parametrize('method', METHODS)
def test_T25_each_is_its_optax_twin_step_by_step(method):
  given = courses.evidence()
  ours = entries.parse(certificates.TRIALS[method])
  mine = courses.side_of(ours, given)
  theirs = courses.side_of(entries.twin(ours), given)
  certificate = certificates.certify(mine, theirs)
  assert certificate.scheduled
  assert certificate.largest <= 1e-13, certificate.verdict
  for course in mine.courses:
    assert np.all(np.ptp(course.positions, axis=0) > 0)


@pytest.mark.parametrize('method', METHODS)
def test_T25_each_is_its_optax_twin_in_float32_as_shipped(method):
  with jax.enable_x64(False):
    params = network(np.float32)
    ours = entries.parse(certificates.TRIALS[method])
    mine, theirs = (
      descend(entries.build(entry, 0.1, HALVES), params)[0]
      for entry in (ours, entries.twin(ours))
    )
  for key in params:
    assert mine[key].dtype == np.float32
    moved = np.max(np.abs(mine[key] - params[key]))
    np.testing.assert_allclose(mine[key], theirs[key], 0, 1e-5 * moved)


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_state_and_updates_follow_the_parameters(method, dtype):
  params = network(dtype)
  entry = entries.parse(certificates.TRIALS[method])
  # np.float64 numbers are strongly typed, and x64 is on.
  hard = {
    key: value if isinstance(value, bool) else np.float64(value)
    for key, value in entry.hyperparameters.items()
  }
  for rate in (0.1, np.float64(0.1), jnp.float64(0.1), lambda t: 0.1 / (1 + t)):
    optimizer = entry.factory(rate, **hard)
    _, state = jax.eval_shape(partial(descend, optimizer), params)
    change, _ = jax.eval_shape(
      optimizer.update, params, optimizer.init(params), params
    )
    for leaf in jax.tree.leaves((change, state)):
      assert leaf.dtype == (dtype if leaf.shape else np.int32)


@pytest.mark.parametrize('method', METHODS)
def test_works_inside_optax_chain(method):
  ours = entries.parse(method)
  chains = [
    optax.chain(optax.clip_by_global_norm(0.5), entries.build(entry, 0.1))
    for entry in (ours, entries.twin(ours))
  ]
  mine, theirs = (descend(chain, network())[0] for chain in chains)
  assert_same(mine, theirs)
  alone = descend(entries.build(ours, 0.1), network())[0]
  assert not np.allclose(alone['w'], mine['w'])


@pytest.mark.parametrize('method', METHODS)
def test_vmap_over_rate_and_hyperparameters_is_one_run_each(method):
  entry = entries.parse(certificates.TRIALS[method])
  numbers = {k: v for k, v in entry.hyperparameters.items() if v is not True}

  def run(rate, numbers):
    return descend(entry.factory(rate, **numbers), network())[0]

  rates = jnp.array([0.1, 0.03])
  several = {key: jnp.array([v, 0.5 * v]) for key, v in numbers.items()}
  together = jax.vmap(run)(rates, several)
  for lane in range(2):
    apart = run(rates[lane], {key: v[lane] for key, v in several.items()})
    assert_same(jax.tree.map(lambda leaf, i=lane: leaf[i], together), apart)


@pytest.mark.parametrize('method', METHODS)
def test_traced_once_when_the_learning_rate_changes(method):
  traces = []
  entry = entries.parse(method)

  @jax.jit
  def step(params, rate):
    traces.append(method)
    optimizer = entries.build(entry, rate, HALVES)
    state = optimizer.init(params)
    return optimizer.update(gradients(params, 0), state, params)[0]

  ends = [step(network(), rate)['w'] for rate in (0.1, 0.2, 0.4)]
  assert traces == [method]
  assert_same(ends[2], 2 * ends[1])


def test_no_memory_makes_momentum_and_nesterov_gradient_descent():
  plain = descend(optimizers.sgd(0.1), network())[0]
  for factory in (optimizers.momentum, optimizers.nesterov):
    assert_same(descend(factory(0.1, mu=0.0), network())[0], plain, rtol=0)


def test_adam_without_first_moment_is_corrected_rmsprop():
  theirs = optax.rmsprop(
    0.1, decay=0.95, eps=1e-5, eps_in_sqrt=False, bias_correction=True
  )
  ours = optimizers.adam(0.1, b1=0.0, b2=0.95, eps=1e-5)
  assert_same(descend(ours, network())[0], descend(theirs, network())[0])


def test_adam_s_first_update_is_the_rate_whatever_the_gradient():
  # m' = g and v' = g^2 at t = 1, by hand.
  optimizer = optimizers.adam(0.25, eps=0.0)
  g = jnp.array([1e-6, -3.0, 700.0])
  change: Any = optimizer.update(g, optimizer.init(g), g)[0]
  np.testing.assert_allclose(change, [-0.25, 0.25, -0.25], 1e-12)


def test_two_updates_of_each_method_by_hand():
  # g = 2 then 1 at w = 1, rate 1/2; s and v are the memory after each.
  def changes(optimizer):
    w, found = jnp.array(1.0), []
    state = optimizer.init(w)
    for g in (2.0, 1.0):
      change, state = optimizer.update(jnp.array(g), state, w)
      w, found = w + change, [*found, float(change)]
    return found

  start = {'initial_accumulator_value': 5.0, 'eps': 0.0}
  expected = {
    optimizers.sgd(0.5): [-1.0, -0.5],
    optimizers.momentum(0.5, mu=0.5): [-1.0, -1.0],  # v = 2, 2
    optimizers.nesterov(0.5, mu=0.5): [-1.5, -1.0],  # g + mu v = 3, 2
    optimizers.adagrad(0.5, **start): [-1 / 3, -0.5 / 10**0.5],  # s = 9, 10
    optimizers.rmsprop(0.5, decay=0.5, eps=0.0): [
      -1 / 2**0.5,  # s = 2
      -0.5 / 1.5**0.5,  # s = 1.5
    ],
    # m = 1, 1 and v = 2, 3/2, each over 1/2, 3/4.
    optimizers.adam(0.5, b1=0.5, b2=0.5, eps=0.0): [
      -0.5,
      -0.5 * 4 / 3 / 2**0.5,
    ],
    optimizers.adamw(0.5, b1=0.5, b2=0.5, eps=0.0, weight_decay=2.0): [
      -0.5 - 1.0,
      -0.5 * 4 / 3 / 2**0.5 + 0.5,  # w = -1/2
    ],
  }
  for optimizer, wanted in expected.items():
    np.testing.assert_allclose(changes(optimizer), wanted, 1e-12)


def test_a_coordinate_without_gradient_stays_with_adagrad():
  optimizer = optimizers.adagrad(1.0, initial_accumulator_value=0.0, eps=0.0)
  w, g = jnp.array([1.0, 1.0]), jnp.array([0.0, 2.0])
  change, _ = optimizer.update(g, optimizer.init(w), w)
  np.testing.assert_array_equal(change, [0.0, -1.0])


def test_adamw_asks_for_the_parameters():
  optimizer = optimizers.adamw(0.1)
  with pytest.raises(ValueError, match='params'):
    optimizer.update(network(), optimizer.init(network()))


def test_the_count_of_updates_never_wraps():
  optimizer = optimizers.sgd(0.1)
  last = jnp.asarray(2**31 - 1, jnp.int32)
  state: Any = optimizer.init(network())
  after: Any = optimizer.update(network(), state._replace(count=last))[1]
  assert after.count == last


@pytest.mark.parametrize('method', METHODS)
def test_defaults_are_optax_s(method):
  twin = twins.TWINS[method]
  theirs = inspect.signature(getattr(optax, twin.optax)).parameters
  for key, parameter in inspect.signature(twin.ours).parameters.items():
    if key not in ('learning_rate', *twin.keys):
      assert parameter.default == theirs[key].default
