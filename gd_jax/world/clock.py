"""Honest timing: everything synchronised, nothing counted as free."""

import math
import os
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jax
import numpy as np

from gd_jax.types import UserError

WARM_UP = 3  # a GPU records its command buffers in the first calls
LEAST_SECONDS = 0.2  # of a sample
LEAST_SAMPLES = 10


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


class Clocked(NamedTuple):
  """Something to time again and again."""

  run: Callable[[], Any]  # returns arrays
  calls: int  # in a sample, so that it takes LEAST_SECONDS or more


class Summary(NamedTuple):
  """Of samples, in their unit."""

  median: float
  minimum: float
  lower: float  # quartiles
  upper: float


def age() -> float | None:
  """Seconds since this process began, to 0.01; None where no /proc says it."""
  try:
    with open('/proc/self/stat', encoding='ascii', errors='replace') as file:
      ticks = int(file.read().rpartition(')')[2].split()[19])
    with open('/proc/uptime', encoding='ascii') as file:
      up = float(file.read().split()[0])
  except (OSError, ValueError, IndexError):
    return None
  return up - ticks / os.sysconf('SC_CLK_TCK')


class Compiled(NamedTuple):
  """A jitted program, ready to run."""

  run: Any  # the executable, called as the program
  jaxpr: Any
  seconds: dict[str, float]  # of trace, lower, compile and first_run


def compiled(program: Any, *arguments: Any) -> Compiled:
  """The program compiled for these arguments, each phase timed by itself."""
  traced, trace = timed(program.trace, *arguments)
  lowered, lower = timed(traced.lower)
  executable, compiling = timed(lowered.compile)
  spans = {'trace': trace, 'lower': lower, 'compile': compiling}
  _, spans['first_run'] = timed(executable, *arguments)
  each = {name: seconds(span) for name, span in spans.items()}
  return Compiled(executable, traced.jaxpr.jaxpr, each)


def calibrated(run: Callable[[], Any]) -> Clocked:
  """Warms up and finds how many calls make a sample of LEAST_SECONDS."""
  spans = [timed(run)[1] for _ in range(WARM_UP)]
  fastest = max(min(map(seconds, spans)), 1e-7)
  # Some more, for a machine that is in a hurry later on.
  return Clocked(run, math.ceil(1.2 * LEAST_SECONDS / fastest))


class Sample(NamedTuple):
  """Of one variant, means over its calls."""

  seconds: float  # a call
  waited: float  # a call, for arrays that the clock took to be ready


def sample(clocked: Clocked) -> Sample:
  """Times the calls of one sample, each by itself."""
  spent = waited = 0.0
  for _ in range(clocked.calls):
    result, span = timed(clocked.run)
    rest = time.perf_counter()
    jax.block_until_ready(result)
    spent += seconds(span)
    waited += time.perf_counter() - rest
  return Sample(spent / clocked.calls, waited / clocked.calls)


def honest(samples: Sequence[Sample]) -> list[float]:
  """The seconds of samples whose clock waited for the work.

  Medians are looked at: on a machine in use any one call can be set aside.

  Raises:
    UserError: the clock stops before the work does, so that what was timed is
      how fast work can be handed over.
  """
  spent = float(np.median([one.seconds for one in samples]))
  waited = float(np.median([one.waited for one in samples]))
  # A second look at arrays that are ready costs microseconds.
  if waited > 0.1 * spent + 1e-4:
    raise UserError(
      f'The clock stopped {waited:.2g} s before the work of a call was done, '
      f'after {spent:.2g} s: time through clock.timed, which waits for every '
      'array.'
    )
  return [one.seconds for one in samples]


def interleaved(
  variants: Mapping[str, Clocked],
  samples: int = LEAST_SAMPLES,
  stopping: Callable[[], bool] = lambda: False,
) -> dict[str, list[float]]:
  """Seconds a call: `samples` of each, in turn, so that all meet one weather.

  Ends early, between two rounds, where `stopping()`.
  """
  found: dict[str, list[Sample]] = {name: [] for name in variants}
  for turn in range(samples):
    if stopping():
      break
    names = list(variants)
    # Nobody always follows the same one.
    for name in names if turn % 2 == 0 else reversed(names):
      found[name].append(sample(variants[name]))
  return {name: honest(taken) if taken else [] for name, taken in found.items()}


def summary(samples: Sequence[float]) -> Summary:
  """Median, minimum and quartiles."""
  lower, median, upper = np.quantile(samples, (0.25, 0.5, 0.75))
  return Summary(float(median), min(samples), float(lower), float(upper))
