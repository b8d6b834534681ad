"""What users of the package may rely on, and what was settled once: every
signature with its defaults, and every constant. `python -m tests.kept` writes
it down anew; the difference is what a change means to others.
"""

import ast
import functools
import hashlib
import importlib
import inspect
import re
import types
import typing
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
KEPT = Path(__file__).parent / 'kept.txt'
LONG = 160  # characters of a text that stands here as itself


def shown(value: Any) -> str:
  """A value in words that are the same on every machine."""
  if isinstance(value, (float, np.floating)):
    return f'{value:.9g}'
  if isinstance(value, Mapping):
    pairs = (f'{shown(key)}: {shown(of)}' for key, of in value.items())
    return f'{{{", ".join(pairs)}}}'
  if isinstance(value, tuple) and hasattr(value, '_fields'):
    fields = zip(value._fields, value, strict=True)
    inside = ', '.join(f'{name}={shown(of)}' for name, of in fields)
    return f'{type(value).__name__}({inside})'
  if isinstance(value, (tuple, list)):
    return f'[{", ".join(map(shown, value))}]'
  if isinstance(value, (set, frozenset)):
    return f'{{{", ".join(sorted(map(shown, value)))}}}'
  if isinstance(value, functools.partial):
    given = [shown(value.func), *map(shown, value.args)]
    given += [f'{key}={shown(of)}' for key, of in value.keywords.items()]
    return f'partial({", ".join(given)})'
  if isinstance(value, np.ndarray):
    if value.size <= 20:
      return f'{value.dtype} {shown(value.tolist())}'
    digest = hashlib.sha256(np.round(value, 9).tobytes()).hexdigest()
    return f'{value.dtype} {value.shape} {digest[:12]}'
  if isinstance(value, re.Pattern):
    return f'/{value.pattern}/'
  if isinstance(value, str) and len(value) > LONG:
    digest = hashlib.sha256(value.encode()).hexdigest()
    return f'{value[:40]!r}... {digest[:12]}'
  if isinstance(value, (int, str, bytes, type(None), np.dtype)):
    return repr(value)
  named = getattr(value, '__qualname__', None)
  return str(named or type(value).__name__)


def signature(of: Any) -> str:
  """Names and defaults; what is annotated is for the type checker."""
  parts, kinds = [], set()
  for name, parameter in inspect.signature(of).parameters.items():
    kind = parameter.kind
    if kind is kind.KEYWORD_ONLY and not kinds & {
      kind.KEYWORD_ONLY,
      kind.VAR_POSITIONAL,
    }:
      parts.append('*')
    kinds.add(kind)
    stars = {kind.VAR_POSITIONAL: '*', kind.VAR_KEYWORD: '**'}.get(kind, '')
    default = ''
    if parameter.default is not parameter.empty:
      default = f'={shown(parameter.default)}'
    parts.append(f'{stars}{name}{default}')
  return f'({", ".join(parts)})'


def constants(path: Path) -> set[str]:
  """Names that a module assigns at its top."""
  found = set()
  for node in ast.parse(path.read_text()).body:
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
      found |= {
        inner.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
      }
  return found


def is_type(value: Any) -> bool:
  """Whether it is there for annotations."""
  return (
    isinstance(value, type)
    or typing.get_origin(value) is not None
    or (value is Any)
  )


def lines_of(module: types.ModuleType, assigned: set[str]) -> Iterator[str]:
  """A line for everything that a module defines."""
  short = module.__name__.removeprefix('gd_jax.')
  for name, value in vars(module).items():
    if name.startswith('__'):
      continue
    own = getattr(value, '__module__', None) == module.__name__
    if own and callable(value) and hasattr(value, '__name__'):
      if isinstance(value, type) and issubclass(value, BaseException):
        continue
      try:
        takes = signature(value)
      except ValueError:  # a union of types
        continue
      if not name.startswith('_') or '=' in takes:
        yield f'{short}.{name}{takes}'
    elif name in assigned and not is_type(value) and value != []:
      if isinstance(value, Mapping):
        for key, of in value.items():
          yield f'{short}.{name}[{shown(key)}] = {shown(of)}'
      else:
        yield f'{short}.{name} = {shown(value)}'


def made() -> list[str]:
  """All lines, as they are now."""
  found = []
  for path in sorted((ROOT / 'gd_jax').rglob('*.py')):
    name = '.'.join(path.relative_to(ROOT).with_suffix('').parts)
    module = importlib.import_module(name.removesuffix('.__init__'))
    found += lines_of(module, constants(path))
  return found


if __name__ == '__main__':
  KEPT.write_text('\n'.join([*made(), '']))
