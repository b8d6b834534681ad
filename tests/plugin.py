"""Optimizers of somebody else, right and wrong, for the tests of entries."""

from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gd_jax.model import costs
from gd_jax.world import data

# What a stranger's code makes of the type, unseen by the type checker.
Transformation: Any = optax.GradientTransformation


def heavy_ball(learning_rate, mu=0.9):
  """Momentum as papers write it: v <- mu v - eta g, w <- w + v."""

  def init(params):
    return jax.tree.map(jnp.zeros_like, params)

  def update(updates, state, params=None):
    v = jax.tree.map(lambda g, v: mu * v - learning_rate * g, updates, state)
    return v, v

  return optax.GradientTransformation(init, update)


def labelled(learning_rate, label=''):
  """Plain descent under any name at all."""
  return optax.sgd(learning_rate)


def as_a_pair(learning_rate, mu=0.9):
  """A plain tuple of two functions."""
  return tuple(heavy_ball(learning_rate, mu))


class Mine(NamedTuple):
  init: object
  update: object


def own_type(learning_rate):
  """An object with init and update that Optax has never seen."""
  return Mine(*optax.sgd(learning_rate))


def needs_cost(learning_rate=0.25):
  """Moves by the cost itself: Optax's extra arguments."""

  def update(updates, state, params=None, *, value, grad):
    change = jax.tree.map(lambda g: -learning_rate * value * g, grad)
    return change, state

  with_value: Any = optax.GradientTransformationExtraArgs
  return with_value(lambda params: (), update)


def number(learning_rate):
  return 3.0


def fails(learning_rate):
  raise RuntimeError('not today\nand more')


def no_rate(mu=0.9):
  return optax.sgd(mu)


def positional(learning_rate, /):
  return optax.sgd(learning_rate)


def needs_more(learning_rate, *, rank):
  return optax.sgd(learning_rate)


def wrong_state(learning_rate):
  """Its state is an array at first and a pair afterwards."""
  return Transformation(
    lambda params: jnp.zeros(()), lambda g, state, params=None: (g, (state, 1))
  )


def wrong_update(learning_rate):
  """Hands back the change of one leaf alone."""
  return Transformation(
    lambda params: (),
    lambda g, state, params=None: (jax.tree.leaves(g)[0], state),
  )


def two_arguments(learning_rate):
  """An update that takes no params."""
  return Transformation(lambda params: (), lambda g, state: g)


NOT_A_FACTORY = 3.0


def fails_at_7(learning_rate):
  """Plain descent whose 7th update is infinite where its rate is above 1."""

  def init(params):
    return jnp.zeros((), jnp.int32)

  def update(updates, count, params=None):
    bad = (count == 6) & (learning_rate > 1)
    change = jax.tree.map(
      lambda g: jnp.where(bad, jnp.inf, -learning_rate * g), updates
    )
    return change, count + 1

  return optax.GradientTransformation(init, update)


def small_convolution():
  """A problem of one's own: a convolution over the shipped digits."""
  digits = data.load('digits')

  def init(key):
    kernel, dense = jax.random.split(key)
    return {
      'kernel': 0.3 * jax.random.normal(kernel, (3, 3), jnp.float32),
      'dense': 0.2 * jax.random.normal(dense, (10, 36), jnp.float32),
    }

  def outputs(params, image):
    x = image.x.astype(jnp.float32).reshape(8, 8) / 16
    a = jnp.tanh(jax.scipy.signal.convolve(x, params['kernel'], 'valid'))
    return params['dense'] @ a.ravel()

  def cost_of(params, image):
    z = outputs(params, image)
    return jax.nn.logsumexp(z) - z[image.y]

  def scores_of(params, image):
    z = outputs(params, image)
    predicted = jax.nn.one_hot(jnp.argmax(z), 10)
    return costs.Scores(cost_of(params, image), predicted[image.y], predicted)

  return init, cost_of, digits, scores_of
