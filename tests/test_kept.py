"""Signatures, defaults and constants change knowingly only."""

import difflib
import functools
import re
from typing import NamedTuple

import numpy as np
import pytest

from tests import kept


def test_signatures_defaults_and_constants_are_those_kept():
  before = kept.KEPT.read_text().splitlines()
  changed = [
    line
    for line in difflib.unified_diff(before, kept.made(), n=0, lineterm='')
    if not line.startswith(('---', '+++', '@@'))
  ]
  assert not changed, '\n'.join(
    ['if this is meant: python -m tests.kept', *changed]
  )


class Pair(NamedTuple):
  a: float
  b: float = 2.0


def somebody(x, *, rate=0.5, **more):
  return x, rate, more


@pytest.mark.parametrize(
  ('value', 'words'),
  [
    (0.1, '0.1'),
    (True, 'True'),
    (Pair(1.0), 'Pair(a=1, b=2)'),
    ({'b': (1, None)}, "{'b': [1, None]}"),
    (frozenset('ba'), "{'a', 'b'}"),
    (functools.partial(somebody, 1, rate=2), 'partial(somebody, 1, rate=2)'),
    (np.array([1.0, 0.5]), 'float64 [1, 0.5]'),
    (re.compile('a+'), '/a+/'),
    (somebody, 'somebody'),
    (object(), 'object'),
  ],
)
def test_a_value_in_words(value, words):
  assert kept.shown(value) == words


def test_long_things_are_told_apart_by_their_digests():
  for one, other in (('a' * 500, 'a' * 499 + 'b'), (np.ones(99), np.zeros(99))):
    assert kept.shown(one) != kept.shown(other)
    assert len(kept.shown(one)) < 100


def test_a_signature_has_its_defaults():
  assert kept.signature(somebody) == '(x, *, rate=0.5, **more)'
  assert kept.signature(Pair) == '(a, b=2)'
