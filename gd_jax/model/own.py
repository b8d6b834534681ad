"""Anyone's own function as a surface: `package.module:function`."""

import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gd_jax.model import surfaces
from gd_jax.model.surfaces import Surface
from gd_jax.types import UserError
from gd_jax.types import named

_SPELLED = re.compile(r'([A-Za-z_]\w*(?:\.\w+)*):([A-Za-z_]\w*)', re.ASCII)
_HALF = 4.0  # the domain of a function that does not say: from -4 to 4


def find(text: str) -> Surface:
  """The surface that `text` names: one of SURFACES, or anyone's own.

  An own one is a `Surface`, or a function of one or two numbers, f(x) or
  f(x, y), written in jax.numpy; its arguments name the variables. A `domain`
  that the function has as an attribute, pairs such as ((-1, 1), (0, 2)), is
  the picture's.

  Raises:
    UserError: what was expected, and what was found.
  """
  if text in surfaces.SURFACES:
    return surfaces.SURFACES[text]
  spelled = _SPELLED.fullmatch(text)
  if not spelled:
    raise UserError(
      f'The surface {text!a} is unknown: expected one of '
      f'{", ".join(surfaces.SURFACES)}, or package.module:function.'
    )
  module, name = spelled.groups()
  try:
    found = getattr(importlib.import_module(module), name)
  except (Exception, SystemExit) as error:
    raise UserError(
      f'The surface {text} cannot be imported, {named(error)}: expected a '
      'module that Python finds from here, as PYTHONPATH says, and a function '
      'in it.'
    ) from error
  return found if isinstance(found, Surface) else _wrapped(text, found)


def _wrapped(text: str, function: Any) -> Surface:
  try:
    variables = tuple(inspect.signature(function).parameters)
  except (TypeError, ValueError):
    variables = ()
  if len(variables) not in (1, 2):
    raise UserError(
      f'The surface {text} is no function of one or two numbers: expected '
      f'f(x) or f(x, y), found {len(variables) or "no"} arguments.'
    )

  def cost_of(w, _example):
    return jnp.asarray(function(*w), w.dtype)

  _check(text, cost_of, len(variables))
  domain = getattr(function, 'domain', ((-_HALF, _HALF),) * len(variables))
  try:
    pairs = tuple((float(low), float(high)) for low, high in domain)
  except (TypeError, ValueError):
    pairs = ()
  if len(pairs) != len(variables) or any(low >= high for low, high in pairs):
    raise UserError(
      f'The domain of the surface {text} is {domain!r}: expected '
      f'{len(variables)} pairs of numbers, the lower first.'
    )
  at = {'west': (0.1, 0.8), 'middle': (0.45, 0.15), 'east': (0.9, 0.6)}
  starts = {
    name: tuple(
      low + part * (high - low)
      for part, (low, high) in zip(parts, pairs, strict=False)
    )
    for name, parts in at.items()
  }
  return Surface(
    name=text,
    formula=f'{text}({", ".join(variables)})',
    cost_of=cost_of,
    variables=variables,
    domain=pairs,
    minima={},
    starts=starts,
    rate=0.05,
    steps=200,
  )


def _check(text: str, cost_of: Callable[..., Any], variables: int) -> None:
  point = jax.ShapeDtypeStruct((variables,), jnp.float32)
  try:
    jax.eval_shape(jax.grad(cost_of), point, 0.0)
  except (Exception, SystemExit) as error:
    raise UserError(
      f'The surface {text} cannot be differentiated, {named(error)}: expected '
      'a function of numbers, written in jax.numpy, that returns one number.'
    ) from error
