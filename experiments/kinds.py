"""Kinds of flags: what a value has to be, and how a wrong one is refused."""

import math

from absl import flags

LARGEST = 2**31 - 1


class _Number(flags.FloatParser):
  """A finite number above a bound; nan passes absl's own bounds."""

  def __init__(self, above: float | None = None, most: float | None = None):
    super().__init__()
    self.above = above
    self.most = most
    self.syntactic_help = 'a finite number'
    if above is not None:
      self.syntactic_help += f' above {above:g}'
    if most is not None:
      self.syntactic_help += f', at most {most:g}'

  def parse(self, argument):
    """Parses one value; ValueError says what was expected."""
    try:
      value = float(argument)
    except (TypeError, ValueError):
      value = math.nan
    low = -math.inf if self.above is None else self.above
    high = math.inf if self.most is None else self.most
    if not math.isfinite(value) or not low < value <= high:
      raise ValueError(f'expected {self.syntactic_help}')
    return value


class _Whole(flags.ArgumentParser):
  """A whole number of at least `least`, or one of the `words`."""

  def __init__(self, least: int, words: tuple[str, ...], most: int):
    self.least = least
    self.most = most
    self.words = words
    self.syntactic_help = f'a whole number from {least}'
    if most < LARGEST:
      self.syntactic_help += f' to {most}'
    self.syntactic_help += ''.join(f' or {word!r}' for word in words)

  def parse(self, argument):
    """Parses one value; ValueError says what was expected."""
    text = str(argument).strip()
    if text in self.words:
      return text
    if not (text.isascii() and text.isdigit()):
      raise ValueError(f'expected {self.syntactic_help}')
    # int() refuses thousands of digits in words of its own.
    if len(text.lstrip('0')) > len(str(LARGEST)) or int(text) > self.most:
      raise ValueError(f'expected at most {self.most}')
    if int(text) < self.least:
      raise ValueError(f'expected {self.syntactic_help}')
    return int(text)


class _Word(flags.ArgumentParser):
  """One of some words."""

  def __init__(self, words: tuple[str, ...]):
    self.words = words
    self.syntactic_help = f'one of {", ".join(words)}'

  def parse(self, argument):
    """Parses one word; ValueError says what was expected."""
    if argument not in self.words:
      raise ValueError(f'expected {self.syntactic_help}')
    return argument


class _Each(flags.ArgumentParser):
  """A comma-separated list, each element parsed by `element`."""

  syntactic_help = 'a comma-separated list'

  def __init__(self, element: flags.ArgumentParser):
    self.element = element

  def parse(self, argument):
    """Parses the list; an empty text is an empty list."""
    if isinstance(argument, (list, tuple)):
      return list(argument)
    if not argument.strip():
      return []
    return [self.element.parse(part) for part in argument.split(',')]


def _define(parser, name, default, text):
  return flags.DEFINE(
    parser, name, default, text, serializer=flags.ArgumentSerializer()
  )


def number(name, default, text, *, above=None, most=None):
  """Defines a flag for a finite number above `above`, at most `most`."""
  return _define(_Number(above, most), name, default, text)


def numbers(name, default, text, *, above=None):
  """Defines a flag for a comma-separated list of finite numbers."""
  return _define(_Each(_Number(above)), name, default, text)


def whole(name, default, text, *, least=0, words=(), most=LARGEST):
  """Defines a flag for a whole number in [least, most], or a word."""
  return _define(_Whole(least, words, most), name, default, text)


def wholes(name, default, text, *, least=1, words=()):
  """Defines a flag for a comma-separated list of whole numbers."""
  return _define(_Each(_Whole(least, words, LARGEST)), name, default, text)


def words(name, default, text, allowed):
  """Defines a flag for a comma-separated list of some words."""
  return _define(_Each(_Word(allowed)), name, default, text)
