"""Shapes against their equations and Optax's, and how they are spelled."""

import math

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import strategies as st

from gd_jax.descent import optimizers
from gd_jax.descent import schedules
from gd_jax.types import UserError

UPDATES = (0, 1, 2, 9, 10, 11, 99, 100, 5000)

SPELLED = {
  'step+every=10+factor=0.5': lambda t: 0.5 ** (t // 10),
  'exponential+decay=0.99': lambda t: 0.99**t,
  'cosine+steps=100': lambda t: (
    0.5 * (1 + math.cos(math.pi * min(t, 100) / 100))
  ),
  'cosine+steps=100+end=0.2': lambda t: (
    0.6 + 0.4 * math.cos(math.pi * min(t, 100) / 100)
  ),
  'inverse_time+steps=10': lambda t: 10 / (10 + t),
  'warmup+updates=10': lambda t: min(1, (t + 1) / 10),
  'constant+warmup=4': lambda t: min(1, (t + 1) / 4),
  'step+every=2+factor=0.5+warmup=4': lambda t: (
    0.5 ** (t // 2) * min(1, (t + 1) / 4)
  ),
  'step+every=1e1+factor=2': lambda t: 2.0 ** (t // 10) if t < 5000 else None,
}


def made(text):
  shape = schedules.parse(text)
  assert shape is not None
  return shape


@pytest.mark.parametrize('text', SPELLED)
def test_each_is_its_equation_on_numbers_and_under_jit_and_vmap(text):
  wanted = {t: SPELLED[text](t) for t in UPDATES}
  wanted = {t: value for t, value in wanted.items() if value is not None}
  shape = made(text)
  plain = [float(shape(t)) for t in wanted]
  np.testing.assert_allclose(plain, list(wanted.values()), 1e-14, 1e-300)
  together = jax.jit(jax.vmap(shape))(jnp.array(list(wanted), jnp.int32))
  np.testing.assert_allclose(together, plain, 1e-12, 1e-16)


@pytest.mark.parametrize(
  ('text', 'theirs'),
  [
    (
      'step+every=10+factor=0.5',
      optax.exponential_decay(1.0, 10, 0.5, staircase=True),
    ),
    ('exponential+decay=0.9', optax.exponential_decay(1.0, 1, 0.9)),
    ('cosine+steps=50+end=0.1', optax.cosine_decay_schedule(1.0, 50, 0.1)),
  ],
)
def test_three_are_optax_s(text, theirs):
  t = jnp.arange(120.0)
  np.testing.assert_allclose(
    jax.vmap(made(text))(t), jax.vmap(theirs)(t), 1e-12, 1e-15
  )


@pytest.mark.parametrize('text', [t for t in SPELLED if 'warmup' not in t])
def test_a_shape_starts_at_one(text):
  assert float(made(text)(0)) == 1.0


def test_constant_needs_no_schedule_and_is_one():
  assert schedules.parse('constant') is None
  assert [schedules.constant()(t) for t in UPDATES] == [1.0] * len(UPDATES)


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_the_rate_keeps_its_dtype_and_lanes_their_rates(dtype):
  def third(rate):
    return schedules.scale(made('step+every=2+factor=0.5'), rate)(2)

  rates = jnp.array([0.5, 0.25], dtype)
  scaled = jax.jit(jax.vmap(third))(rates)
  assert scaled.dtype == dtype
  np.testing.assert_array_equal(scaled, [0.25, 0.125])
  # A rate that is a whole number does not round the shape.
  assert float(third(1)) == 0.5


def test_an_optimizer_reads_the_schedule_from_update_zero():
  rate = schedules.scale(made('inverse_time+steps=1'), 1.0)
  optimizer = optimizers.sgd(rate)
  g = jnp.array(1.0)
  state, changes = optimizer.init(g), []
  for _ in range(4):
    change, state = optimizer.update(g, state)
    changes.append(change)
  np.testing.assert_allclose(changes, [-1, -1 / 2, -1 / 3, -1 / 4], 1e-15)


def test_rates_are_the_first_values():
  np.testing.assert_allclose(
    schedules.rates(made('exponential+decay=0.5'), 3), [1, 0.5, 0.25], 1e-15
  )


@pytest.mark.parametrize(
  ('text', 'told'),
  [
    ('cosin+steps=3', "'cosin' is unknown.*cosine, inverse_time.*mean cosine"),
    ('', 'expected one of constant, step'),
    ('step+evry=3+factor=1', "no key 'evry'.*every, factor, warmup.*every?"),
    ('step+every=1000', r'needs factor: write step\+factor='),
    ('step', 'needs every and factor'),
    ('step+every=0+factor=2', "every the value '0': expected a positive"),
    ('step+every=-3+factor=2', 'expected a positive'),
    ('exponential+decay=1e999', 'expected a positive finite'),
    ('exponential+decay=True', 'expected a positive finite'),
    ("exponential+decay='a'", 'expected a positive finite'),
    ('exponential+decay=nan', 'no literal'),
    ('exponential+decay=__import__("os")', 'no literal'),
    ('cosine+steps=10+steps=20', 'each key once'),
    ('cosine+steps', 'without a value'),
    ('cosine+steps=10\n', 'one line'),
    ('constant+warmup=0', 'expected a positive'),
    ('cosine+steps=10+end=-1', 'expected a positive'),
  ],
)
def test_a_misspelled_schedule_is_refused_in_one_sentence(text, told):
  with pytest.raises(UserError, match=told) as refused:
    schedules.parse(text)
  assert str(refused.value).isprintable()


PIECES = ['step', 'cosine', 'warmup', '+', '=', 'every', 'steps', '1', '.5']


@hypothesis.settings(derandomize=True, deadline=None, max_examples=80)
@hypothesis.given(
  st.text(max_size=20) | st.lists(st.sampled_from(PIECES)).map(''.join)
)
def test_whatever_is_typed_is_a_schedule_or_a_sentence(text):
  try:
    shape, told = schedules.parse(text), ''
  except UserError as error:
    shape, told = None, str(error)
  assert told.isascii()
  assert told.isprintable()
  assert shape is None or np.isfinite(float(shape(0)))
