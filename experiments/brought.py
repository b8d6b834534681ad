"""A problem that somebody brings: `package.module:factory`."""

import importlib
from typing import Any

import jax

from gd_jax.model import costs
from gd_jax.types import UserError
from gd_jax.types import named


def problem(text: str) -> tuple[Any, Any, Any, Any]:
  """(init, cost_of, dataset, scores_of) of the factory that `text` names.

  The factory takes nothing and returns them: init(key) -> parameters,
  cost_of(params, example) -> a number, a `types.Dataset`, and
  scores_of(params, example) -> `costs.Scores`. They are tried on shapes alone.

  Raises:
    UserError: there is no such factory, or it returns something else.
  """
  module, colon, name = text.partition(':')
  try:
    factory = getattr(importlib.import_module(module), name) if colon else None
  except (Exception, SystemExit) as error:
    raise UserError(
      f'--problem={text} cannot be imported ({named(error)}): expected '
      'package.module:factory that Python finds from here.'
    ) from error
  if not callable(factory):
    raise UserError(
      f'--problem={text} is no factory: expected package.module:factory, a '
      'function without arguments.'
    )
  try:
    made: Any = factory()
  except Exception as error:
    raise UserError(
      f'--problem={text} fails with {named(error)}: expected a function '
      'without arguments that returns (init, cost_of, dataset, scores_of).'
    ) from error
  try:
    init, cost_of, dataset, scores_of = made
    params = jax.eval_shape(init, jax.random.key(0))
    example = jax.tree.map(lambda leaf: leaf[0], dataset.train)
    cost = jax.eval_shape(cost_of, params, example)
    scores = jax.eval_shape(scores_of, params, example)
    fits = cost.shape == () and isinstance(scores, costs.Scores)
    _ = dataset.validation.y, dataset.test, dataset.fingerprint
  except Exception as error:
    raise UserError(
      f'--problem={text} does not fit ({named(error)}): expected a '
      'function without arguments that returns (init, cost_of, dataset, '
      'scores_of).'
    ) from error
  if not fits:
    raise UserError(
      f'--problem={text} does not fit: expected cost_of(params, example) to be '
      'one number and scores_of(params, example) to be costs.Scores.'
    )
  return init, cost_of, dataset, scores_of
