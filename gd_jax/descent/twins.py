"""What we know of Optax: which of ours is which of theirs, and what cannot run.

Names are as after `optax:` in an entry: 'sgd', 'contrib.muon'.
"""

import inspect
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import optax

from gd_jax.descent import optimizers
from gd_jax.types import Optimizer

# What factories call their learning rate.
RATE_ARGUMENTS = ('learning_rate', 'max_learning_rate')


class Twin(NamedTuple):
  """One method, hand-rolled and Optax's."""

  ours: Callable[..., Optimizer]
  optax: str  # the name of theirs
  keys: dict[str, str]  # our hyperparameter -> theirs, where the names differ
  fixed: dict[str, bool]  # what makes theirs this method
  centre: float  # learning rate in the middle of the default grid


_MU = {'mu': 'momentum'}
_LOOK_AHEAD = {'nesterov': True}

TWINS = {
  'sgd': Twin(optimizers.sgd, 'sgd', {}, {}, 1.0),
  'momentum': Twin(optimizers.momentum, 'sgd', _MU, {}, 0.1),
  'nesterov': Twin(optimizers.nesterov, 'sgd', _MU, _LOOK_AHEAD, 0.1),
  'adagrad': Twin(optimizers.adagrad, 'adagrad', {}, {}, 1.0),
  'rmsprop': Twin(optimizers.rmsprop, 'rmsprop', {}, {}, 0.01),
  'adam': Twin(optimizers.adam, 'adam', {}, {}, 0.01),
  'adamw': Twin(optimizers.adamw, 'adamw', {}, {}, 0.01),
}

# Of methods that are Optax's alone.
_CENTRES = {'lion': 0.0003, 'contrib.muon': 0.01}

_FUNCTION = 'its update needs the cost as a function, and a step has its value.'
_AVERAGE = 'it is evaluated at other parameters than those that it trains.'
_LINK = 'it is one link of an optax.chain, and no optimizer by itself.'

# Why no step of ours can drive them: the end of a sentence.
REFUSED = {
  'lbfgs': _FUNCTION.replace('.', ', write optax:lbfgs+linesearch=None.'),
  'contrib.sophia': _FUNCTION,
  'contrib.schedule_free': _AVERAGE,
  'contrib.schedule_free_adamw': _AVERAGE,
  'contrib.schedule_free_sgd': _AVERAGE,
  'contrib.dpsgd': 'it needs the gradient of every single example.',
}


def theirs(
  method: str, hyperparameters: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
  """The name in Optax of our `method`, and the same hyperparameters for it."""
  twin = TWINS[method]
  defaults = inspect.signature(twin.ours).parameters
  renamed = {key: defaults[key].default for key in twin.keys}
  named = {
    twin.keys.get(key, key): value
    for key, value in (renamed | hyperparameters).items()
  }
  return twin.optax, named | twin.fixed


def ours(
  name: str, hyperparameters: dict[str, Any]
) -> tuple[str, dict[str, Any]] | None:
  """The method and hyperparameters of ours that Optax's `name` is, or None.

  Hyperparameters that ours lack are handed back as they are.
  """
  if name != 'sgd':
    return (name, hyperparameters) if name in TWINS else None
  rest = dict(hyperparameters)
  mu, look_ahead = rest.pop('momentum', None), rest.pop('nesterov', False)
  if mu is None:
    return 'sgd', rest
  return ('nesterov' if look_ahead else 'momentum'), {'mu': mu, **rest}


def centre(name: str, hyperparameters: dict[str, Any]) -> float | None:
  """The centre that is known for Optax's `name`, or None."""
  known = ours(name, hyperparameters)
  return TWINS[known[0]].centre if known else _CENTRES.get(name)


def refusal(name: str, hyperparameters: dict[str, Any]) -> str:
  """Why Optax's `name` cannot run, as in REFUSED; '' where it can."""
  if name.rpartition('.')[2].startswith('scale_by_'):
    return _LINK
  if name == 'lbfgs' and hyperparameters.get('linesearch', 0) is None:
    return ''
  return REFUSED.get(name, '')


def takes_rate(factory: Any) -> bool:
  """Whether a function has an argument for the learning rate."""
  return inspect.isfunction(factory) and any(
    key in inspect.signature(factory).parameters for key in RATE_ARGUMENTS
  )


def names() -> list[str]:
  """Every optimizer of Optax: the functions that take a learning rate."""
  return [
    prefix + name
    for prefix, module in (('', optax), ('contrib.', optax.contrib))
    for name, factory in sorted(vars(module).items())
    if takes_rate(factory) and not name.startswith(('_', 'scale_by_'))
  ]
