"""The spelling that entries and schedules share: NAME+key=value+key=value.

Values are Python literals (numbers, 'text', True, None, tuples), read and never
evaluated.
"""

import ast
import difflib
import re
from collections.abc import Iterable
from typing import Any
from typing import NamedTuple

from gd_jax.types import UserError

_LONGEST = 300
# A plus that starts a key; that of 1e+3 does not.
_PLUS = re.compile(r'\+(?=[^+=]*=)')
_OPENING, _CLOSING, _QUOTES = '([{', ')]}', '\'"'


class Spec(NamedTuple):
  """A name and its arguments, as typed."""

  name: str
  arguments: dict[str, Any]


def parse(text: str, thing: str) -> Spec:
  """The name and the arguments of `text`, which names a `thing`.

  Raises UserError: for what cannot be shown in a table (anything but ASCII on
  one line), for a key that is no word or stands twice, and for a value that is
  no literal.
  """
  if not (text.isascii() and text.isprintable() and len(text) <= _LONGEST):
    raise UserError(
      f'The {thing} {quoted(text)} cannot be shown in a table: write it on one'
      f' line of at most {_LONGEST} ASCII characters.'
    )
  name, *pieces = _PLUS.split(text)
  if '+' in name:
    raise UserError(
      f'The {thing} {quoted(text)} has a + without a value after it: write'
      ' NAME+key=value+key=value.'
    )
  arguments = {}
  for piece in pieces:
    key, _, value = piece.partition('=')
    if not key.isidentifier() or key in arguments:
      raise UserError(
        f'The {thing} {quoted(text)} has {quoted("+" + key)} where a new key'
        ' is expected: write NAME+key=value+key=value, each key once.'
      )
    arguments[key] = _literal(value, key, text, thing)
  return Spec(name, arguments)


def _literal(value: str, key: str, text: str, thing: str) -> Any:
  try:
    return ast.literal_eval(value.strip())
  except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
    raise UserError(
      f'The {thing} {quoted(text)} gives {key} the value {quoted(value)},'
      " which is no literal: write a number, True, False, None, 'text' in"
      ' quotes or a tuple such as (0.9, 0.99).'
    ) from None


def split(text: str) -> list[str]:
  """The items of a comma-separated list; brackets and quotes hold commas."""
  items, depth, quote = [''], 0, ''
  for c in text:
    if quote:
      quote = '' if c == quote else quote
    elif c in _QUOTES:
      quote = c
    depth += (c in _OPENING) - (c in _CLOSING) if not quote else 0
    if c == ',' and depth <= 0 and not quote:
      items.append('')
    else:
      items[-1] += c
  return [item.strip() for item in items]


def quoted(text: str) -> str:
  """`text` in quotes, on one line of ASCII, long ones cut short."""
  return ascii(text if len(text) <= 80 else text[:77] + '...')


def choices(name: str, names: Iterable[str]) -> str:
  """The end of a sentence: what there is, and what was perhaps meant."""
  names = list(names)
  return f'expected one of {", ".join(names)}{hint(name, names)}'


def hint(name: str, names: Iterable[str]) -> str:
  """The end of a sentence: the nearest of `names`, if one is near."""
  near = difflib.get_close_matches(name, list(names), n=1)
  return f'; did you mean {near[0]}?' if near else '.'
