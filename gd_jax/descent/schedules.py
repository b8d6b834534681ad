"""Schedules: the shape that multiplies a learning rate.

Each is a function of t, the updates already made, 0 for the first. All start at
1 but the warm-up, so that the rate keeps its meaning whatever the shape. They
work under jit and vmap, and on a plain number. On the command line a schedule
is spelled as an entry is: `cosine+steps=5000`, and `+warmup=100` after any.
"""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gd_jax.descent import specs
from gd_jax.types import Schedule
from gd_jax.types import UserError

Number = int | float
# Within float32, with room for one number times another.
_LEAST, _MOST = 1e-30, 1e30


def _real(t: Any) -> Any:
  # JAX makes float32 of int32 / int, even where its floats are float64.
  return 1.0 * t


def constant() -> Schedule:
  """Returns 1 for ever."""
  return lambda _t: 1.0


def step(*, every: Number, factor: Number) -> Schedule:
  """factor^floor(t / every): the rate drops at once, every so many updates."""
  return lambda t: (1.0 * factor) ** (t // every)


def exponential(*, decay: Number) -> Schedule:
  """decay^t: the rate shrinks by the same factor every update."""
  return lambda t: (1.0 * decay) ** t


def cosine(*, steps: Number, end: Number = 0) -> Schedule:
  """Half a cosine from 1 to `end` in `steps` updates, then constant.

  end + (1 - end) (1 + cos(pi t / steps)) / 2. Loshchilov and Hutter, 2017,
  without restarts.
  """

  def shape(t):
    half_turn = jnp.pi * jnp.minimum(_real(t) / steps, 1)
    return end + (1 - end) * 0.5 * (1 + jnp.cos(half_turn))

  return shape


def inverse_time(*, steps: Number) -> Schedule:
  """1 / (1 + t / steps): half the rate after `steps` updates, then as 1/t.

  The sum of the rates diverges and the sum of their squares does not, which is
  Robbins and Monro's condition (1951) for arriving in spite of noise.
  """
  return lambda t: 1 / (1 + _real(t) / steps)


def warmup(*, updates: Number) -> Schedule:
  """min(1, (t + 1) / updates): the full rate from update number `updates` on.

  The first update already moves; Optax's linear schedules start from 0.
  """
  return lambda t: jnp.minimum(_real(t + 1) / updates, 1)


SCHEDULES = {
  'constant': constant,
  'step': step,
  'exponential': exponential,
  'cosine': cosine,
  'inverse_time': inverse_time,
  'warmup': warmup,
}


def product(a: Schedule, b: Schedule) -> Schedule:
  """a(t) b(t): both count from the first update."""
  return lambda t: a(t) * b(t)


def scale(schedule: Schedule, rate: Any) -> Schedule:
  """The learning rate at each update: rate times shape, in the rate's dtype."""
  return lambda t: rate * jnp.asarray(schedule(t), jnp.result_type(rate, float))


def rates(schedule: Schedule, updates: int) -> jax.Array:
  """The values at the first `updates` updates, [updates]."""
  values = jax.vmap(lambda t: jnp.asarray(schedule(t), float))
  return jax.jit(values)(np.arange(updates))


def parse(text: str) -> Schedule | None:
  """The shape that `text` spells; None for `constant`, which needs none.

  Raises UserError for an unknown name, an unknown or missing key, and a value
  that is no positive number (`end` of cosine may be 0).
  """
  name, arguments = specs.parse(text, 'schedule')
  if name not in SCHEDULES:
    raise UserError(
      f'The schedule {specs.quoted(name)} is unknown: '
      + specs.choices(name, SCHEDULES)
    )
  keys = inspect.signature(SCHEDULES[name]).parameters
  for key, value in arguments.items():
    if key not in keys and key != 'warmup':
      raise UserError(
        f'The schedule {name} has no key {specs.quoted(key)}: '
        + specs.choices(key, [*keys, 'warmup'])
      )
    _check(key, value, text)
  missing = [
    key
    for key, parameter in keys.items()
    if parameter.default is parameter.empty and key not in arguments
  ]
  if missing:
    raise UserError(
      f'The schedule {specs.quoted(text)} needs {" and ".join(missing)}: write'
      f' {name}{"".join(f"+{key}=..." for key in missing)}.'
    )
  warm = arguments.pop('warmup', None)
  shape = SCHEDULES[name](**arguments)
  if warm is not None:
    return product(shape, warmup(updates=warm))
  return None if name == 'constant' else shape


def _check(key: str, value: Any, text: str) -> None:
  number = isinstance(value, Number) and not isinstance(value, bool)
  positive = number and (value >= _LEAST or (value == 0 and key == 'end'))
  if not (positive and value <= _MOST):
    raise UserError(
      f'The schedule {specs.quoted(text)} gives {key} the value'
      f' {specs.quoted(repr(value))}: expected a positive finite number, '
      f'{_LEAST:g} to {_MOST:g}.'
    )
