"""What the textbook's page is made of: rows, parts, and the proofs of rows.

A proof measures what its row claims, in float64, and says whether it holds.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple

from experiments.walking.scenes import Scene

# The beginnings of commands that stand beside the rows.
DESCEND = 'python -m experiments.descend '
TEXTBOOK = 'python -m experiments.textbook --rows='
INSPECT = 'python -m experiments.inspect_run '
CLAIMS = 'make claims'


class Proof(NamedTuple):
  """What was found, whether it is what was expected, and its pictures."""

  found: str
  holds: bool
  scenes: Sequence[Scene] = ()


class Row(NamedTuple):
  """A claim of the textbooks; `prove` is None where the page cannot."""

  name: str
  claim: str
  equation: str
  expected: str
  command: str
  prove: Callable[[], Proof] | None = None


class Part(NamedTuple):
  """Rows under one heading."""

  title: str
  text: str
  rows: tuple[Row, ...]


def near(found: float, expected: float, within: float) -> bool:
  """Whether two numbers differ by less."""
  return abs(found - expected) < within
