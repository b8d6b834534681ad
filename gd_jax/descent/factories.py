"""Finding a factory by its name, and whether it takes what it will be given."""

import contextlib
import importlib
import inspect
import re
import sys
from typing import Any

from gd_jax.descent import specs
from gd_jax.descent import twins
from gd_jax.types import UserError
from gd_jax.types import named

_DOTTED = re.compile(r'[A-Za-z_]\w*(\.[A-Za-z_]\w*)*', re.ASCII)


def find(spelled: str) -> tuple[str, str, Any]:
  """(implementation, name, factory) of NAME or MODULE:ATTRIBUTE.

  Raises:
    UserError: there is none, with the names that are near.
  """
  module, colon, attribute = spelled.partition(':')
  if not colon:
    if spelled in twins.TWINS:
      return 'ours', spelled, twins.TWINS[spelled].ours
    theirs = [f'optax:{name}' for name in twins.names()]
    near = f'optax:{spelled}' if f'optax:{spelled}' in theirs else spelled
    raise UserError(
      f'The optimizer {specs.quoted(spelled)} is unknown: expected'
      f' {", ".join(twins.TWINS)}, or MODULE:ATTRIBUTE such as optax:lion'
      + specs.hint(near, [*twins.TWINS, *theirs])
    )
  if not (_DOTTED.fullmatch(module) and _DOTTED.fullmatch(attribute)):
    raise UserError(
      f'The optimizer {specs.quoted(spelled)} is misspelled: expected'
      ' MODULE:ATTRIBUTE, both dotted names, such as optax:contrib.muon.'
    )
  factory = _import(module, spelled)
  for part in attribute.split('.'):
    if not hasattr(factory, part):
      known = twins.names() if module == 'optax' else _factories(factory)
      raise UserError(
        f'The module {module} has no {attribute}: '
        + specs.choices(attribute, known or ['nothing that takes a rate'])
      )
    factory = getattr(factory, part)
  package, _, rest = f'{module}.{attribute}'.partition('.')
  if package == 'optax':
    return 'optax', rest, factory
  return 'module', spelled, factory


def _import(module: str, spelled: str) -> Any:
  try:
    # What a module prints when it is imported is no line of ours.
    with contextlib.redirect_stdout(sys.stderr):
      return importlib.import_module(module)
  except (Exception, SystemExit) as error:
    raise UserError(
      f'The optimizer {specs.quoted(spelled)} cannot be imported, {module}'
      f' fails with {named(error)}: expected a module that Python finds from'
      ' here, as PYTHONPATH says.'
    ) from error


def _factories(module: Any) -> list[str]:
  """The public functions of a module that take a learning rate."""
  return [
    name
    for name in dir(module)
    if not name.startswith('_')
    and twins.takes_rate(getattr(module, name, None))
  ]


def fit(factory: Any, hyperparameters: dict[str, Any]) -> tuple[str, Any, str]:
  """The factory's keyword for the rate, its default, and what does not fit.

  What does not fit is the end of a sentence, '' where everything does.
  """
  try:
    keys = inspect.signature(factory).parameters
  except (TypeError, ValueError):
    found = type(factory).__name__
    return '', None, f'expected a factory of optimizers, found a {found}.'
  by_name = {
    key: parameter.default
    for key, parameter in keys.items()
    if parameter.kind
    in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
  }
  rate = next((key for key in twins.RATE_ARGUMENTS if key in by_name), '')
  if not rate:
    misfit = 'expected a factory with a keyword argument learning_rate, found'
    return '', None, f'{misfit} one that takes {", ".join(keys) or "nothing"}.'
  default = by_name.pop(rate)
  misfit = ''
  open_ended = any(p.kind == p.VAR_KEYWORD for p in keys.values())
  for key in hyperparameters:
    if key == rate:
      misfit = f'{rate} is no hyperparameter here, write @RATE instead.'
    elif key not in by_name and not open_ended:
      misfit = f'{key} is no hyperparameter of it, ' + specs.choices(
        key, by_name or ['none']
      )
  needed = [
    f'+{key}=...'
    for key, value in by_name.items()
    if value is inspect.Parameter.empty and key not in hyperparameters
  ]
  if needed:
    misfit = f'it needs {" and ".join(needed)} too.'
  return rate, default, misfit
