"""Honest timing: everything synchronised, nothing counted as free."""

import time
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import jax


class Span(NamedTuple):
  """When something happened, in seconds of `time.perf_counter`."""

  began: float
  ended: float


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[Any, Span]:
  """function(*arguments), once its arrays are ready, and when it ran."""
  began = time.perf_counter()
  result = jax.block_until_ready(function(*arguments))
  return result, Span(began, time.perf_counter())


def seconds(span: Span) -> float:
  """How long it took."""
  return span.ended - span.began


def overlap(one: Span, other: Span) -> float:
  """Seconds that two spans share.

  Work done ahead in a thread is free where it overlaps training and has to be
  counted where it overlaps anything else.
  """
  return max(0.0, min(one.ended, other.ended) - max(one.began, other.began))
