"""NumPy's own descent, and the gate that it keeps."""

import hashlib
import inspect
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gd_jax.descent import batches
from gd_jax.descent import lanes
from gd_jax.descent import optimizers
from gd_jax.descent import train
from gd_jax.descent import twins
from gd_jax.judge import gate
from gd_jax.judge import reference
from gd_jax.model import mlp
from gd_jax.types import UserError
from tests import meshes
from tests import oracles

SIZES = (12, 5, 3)
# Nothing at its default.
HYPERPARAMETERS = {
  'sgd': {},
  'momentum': {'mu': 0.7},
  'nesterov': {'mu': 0.6},
  'adagrad': {'initial_accumulator_value': 0.05, 'eps': 1e-3},
  'rmsprop': {'decay': 0.8, 'eps': 1e-3, 'initial_scale': 0.1},
  'adam': {'b1': 0.8, 'b2': 0.95, 'eps': 1e-3, 'eps_root': 1e-4},
  'adamw': {'b1': 0.8, 'b2': 0.95, 'eps': 1e-3, 'weight_decay': 0.03},
}


def start():
  return mlp.init(jax.random.key(0), SIZES, dtype='float64')


def descended(method, hyperparameters, rate=0.3, examples=57, m=10):
  data = gate.images(examples, SIZES[0], SIZES[-1])
  order = batches.epoch_order(1, 0, examples, m)
  keys = inspect.signature(twins.TWINS[method].ours).parameters
  defaults = {key: value.default for key, value in keys.items()}
  found = reference.descend(
    gate.numpy_layers(start()),
    data.x,
    data.y,
    gate.members(order),
    scale=gate.SCALE,
    method=method,
    rate=rate,
    hyperparameters=defaults | hyperparameters,
  )
  return found, data, order


def test_gradients_are_those_of_the_loop_over_single_examples():
  found, data, order = descended('sgd', {}, examples=57, m=25)
  x, y = data.x / gate.SCALE, np.eye(SIZES[-1])[data.y]
  expected = oracles.descend(
    gate.numpy_layers(start()), x, y, gate.members(order), 0.3
  )
  for layer, wanted in zip(found, expected, strict=True):
    for a, b in zip(layer, wanted, strict=True):
      np.testing.assert_allclose(a, b, rtol=0, atol=1e-14)


@pytest.mark.parametrize('method', list(reference.METHODS))
def test_methods_are_those_of_optax_step_by_step(method):
  given = HYPERPARAMETERS[method]
  found, data, order = descended(method, given, rate=0.05)
  name, theirs = twins.theirs(method, given)
  optimizer = getattr(optax, name)(0.05, **theirs)
  step = train.make_step(gate.cost_of(SIZES[-1]), optimizer)
  state = train.start(start(), optimizer)
  state, _ = train.run_epoch(step, state, data, order)
  gate.check(method, start(), state.params, found, 'float64')


def test_rmsprop_of_pytorch_has_its_eps_outside():
  given = {'eps_in_sqrt': False, 'eps': 1e-2}
  found, data, order = descended('rmsprop', given, rate=0.05)
  optimizer = optax.rmsprop(0.05, eps_in_sqrt=False, eps=1e-2)
  step = train.make_step(gate.cost_of(SIZES[-1]), optimizer)
  state, _ = train.run_epoch(step, train.start(start(), optimizer), data, order)
  gate.check('rmsprop', start(), state.params, found, 'float64')


@pytest.fixture
def small(monkeypatch):
  monkeypatch.setattr(gate, 'SIZES', SIZES)
  monkeypatch.setattr(gate, 'MANY', 3000)


@pytest.mark.parametrize(
  'precision', ['float32', pytest.param('float64', marks=pytest.mark.claims)]
)
def test_this_device_computes_right(small, precision):
  found = gate.try_device(meshes.two(), dtype=precision, precision=precision)
  assert len(found) == 2 + 2 * gate.WIDTH
  most = {'float32': 1e-4, 'float64': 1e-12}[precision]
  assert max(one.difference for one in found) < most


def test_the_gate_is_as_large_as_it_has_to_be():
  assert gate.STEPS >= 100
  assert gate.WIDTH >= 3
  assert gate.MANY > 32_769


def test_the_gate_s_images_never_change():
  found = gate.images(57, *SIZES[::2])
  assert {leaf.dtype for leaf in found} == {np.dtype('uint8')}
  assert found.x.shape == (57, 12)
  assert found.y[:12].tolist() == [2, 1, 2, 1, 0, 1, 2, 0, 0, 1, 2, 0]
  assert (
    hashlib.sha256(found.x.tobytes()).hexdigest().startswith('0ad7c1e4fb2c2efc')
  )
  assert 0.18 < np.mean(found.x > 0) < 0.22


class StopHereError(Exception):
  """Before anything is compiled."""


def test_the_gate_s_lanes_start_and_go_alike_every_time(small, monkeypatch):
  seen: dict[str, Any] = {}

  def launch(rate, starts):
    seen.update(rate=rate, starts=starts)

  def stop(made, fleet, rate, orders, data):
    seen.update(orders=orders)
    raise StopHereError

  programs = SimpleNamespace(launch=launch)
  monkeypatch.setattr(lanes, 'programs', lambda **_: programs)
  monkeypatch.setattr(lanes, 'run_epoch', stop)
  data = gate.images(3000, SIZES[0], SIZES[-1])
  with pytest.raises(StopHereError):
    gate.try_lanes(meshes.two(), data, dtype='float64', precision='float64')
  np.testing.assert_array_equal(seen['rate'], [[0.3, 1, 3]] * 2)
  for seed in range(2):
    found = jax.tree.map(lambda leaf, seed=seed: leaf[seed], seen['starts'])
    wanted = mlp.init(jax.random.key(seed), SIZES, dtype='float64')
    jax.tree.map(np.testing.assert_array_equal, found, wanted)
    order = jax.tree.map(lambda leaf, seed=seed: leaf[seed], seen['orders'])
    jax.tree.map(
      np.testing.assert_array_equal,
      order,
      batches.epoch_order(seed, 0, 1200, 10),
    )


def test_the_gate_s_full_batch_starts_alike_every_time(small, monkeypatch):
  seen = {}

  def init(key, sizes, dtype):
    seen.update(key=jax.random.key_data(key).tolist(), sizes=sizes, dtype=dtype)

  def stop(*given, shards, chunk):
    seen.update(order=given, shards=shards)
    raise StopHereError

  monkeypatch.setattr(mlp, 'init', init)
  monkeypatch.setattr(batches, 'epoch_order', stop)
  data = gate.images(3000, SIZES[0], SIZES[-1])
  with pytest.raises(StopHereError):
    gate.try_full_batch(
      meshes.two(), data, dtype='float32', precision='float32'
    )
  assert (seen['key'], seen['sizes'], seen['dtype']) == (
    *([0, 0], SIZES, 'float32'),
  )
  assert (seen['order'], seen['shards']) == ((0, 0, 3000, 3000), 2)


def test_a_difference_of_what_is_allowed_passes_and_more_is_told():
  start = [np.zeros(2), np.zeros(1)]
  expected = [(np.array([1.0, -8.0]), np.array([4.0]))]
  # 0.25 of the farthest movement, 8.
  ours = [np.array([1.0, -8.0]), np.array([6.0])]
  with pytest.raises(UserError) as error:
    gate.check('a run', start, ours, expected, 'bfloat16')
  assert str(error.value) == (
    'This device computes wrong numbers: a run ends 0.25 of its movement away '
    'from NumPy in float64, where 1e-01 is allowed in bfloat16; install '
    'another version of jaxlib or its driver, nothing is trained or timed '
    'with this.'
  )
  ours[1] = np.array([4 + 8 * gate.TOLERANCES['bfloat16']])
  found = gate.check('a run', start, ours, expected, 'bfloat16')
  assert found == ('a run', pytest.approx(0.1), 0.1)
  found = gate.check(
    'a run',
    start,
    [*start[:1], expected[0][1]],
    [
      (start[0], expected[0][1]),
    ],
    'float64',
  )
  assert found.difference == 0


def slightly_wrong(learning_rate):
  return optimizers.momentum(learning_rate, mu=0.01)


def test_a_wrong_step_is_refused(small, monkeypatch):
  monkeypatch.setattr(optimizers, 'sgd', slightly_wrong)
  data = gate.images(3000, SIZES[0], SIZES[-1])
  with pytest.raises(UserError, match=r'120 scanned steps x 3 vmapped lanes'):
    gate.try_lanes(meshes.two(), data, dtype='float32', precision='float32')


def wrong_under_scan_and_vmap(learning_rate):
  """Right in one step and in one lane: off by 2 % from the 51st of several."""

  @jax.custom_batching.custom_vmap
  def kept(g, _count):
    return g

  @kept.def_vmap
  def _(_size, _batched, g, count):
    late = count.reshape(count.shape + (1,) * (g.ndim - count.ndim)) >= 50
    return jnp.where(late, 1.02 * g, g), True

  def update(grads, count, _=None):
    change = jax.tree.map(lambda g: -learning_rate * kept(g, count), grads)
    return change, count + 1

  return optax.GradientTransformation(
    lambda params: jnp.zeros((), jnp.int32), update
  )


def test_a_fault_under_scan_and_vmap_alone_is_refused(small, monkeypatch):
  monkeypatch.setattr(optimizers, 'sgd', wrong_under_scan_and_vmap)
  data = gate.images(3000, SIZES[0], SIZES[-1])
  # Neither one vmapped step nor many steps of one run show it.
  gate.try_full_batch(meshes.two(), data, dtype='float64', precision='float64')
  optimizer = wrong_under_scan_and_vmap(0.3)
  expected, data_57, order = descended('sgd', {}, examples=570, m=5)
  step = train.make_step(gate.cost_of(SIZES[-1]), optimizer)
  state = train.start(start(), optimizer)
  state, _ = train.run_epoch(step, state, data_57, order)
  assert int(state.optimizer) == 114
  gate.check('one run', start(), state.params, expected, 'float64')
  with monkeypatch.context() as few:
    few.setattr(gate, 'STEPS', 1)
    gate.try_lanes(meshes.two(), data, dtype='float64', precision='float64')
  with pytest.raises(UserError, match=r'120 scanned steps x 3 vmapped lanes'):
    gate.try_lanes(meshes.two(), data, dtype='float64', precision='float64')


def test_a_wrong_sum_over_the_devices_is_refused(small, monkeypatch):
  monkeypatch.setattr(train, 'all_reduce', lambda tree, axis: tree)
  data = gate.images(3000, SIZES[0], SIZES[-1])
  with pytest.raises(UserError, match=r'an update on 3,000 examples'):
    gate.try_full_batch(
      meshes.two(), data, dtype='float32', precision='float32'
    )


def test_no_number_is_no_agreement():
  found, _, _ = descended('sgd', {})
  broken = jax.tree.map(lambda leaf: leaf * jnp.nan, start())
  with pytest.raises(UserError, match='nan of its movement'):
    gate.check('a run', start(), broken, found, 'bfloat16')
