"""What each entry did: its seeds, failures, rates and luck. No words yet.

Words belong to pairs on the primary metric (`verdicts`); everything here is a
number with its spread, or None where there is no number.
"""

import math
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from gd_jax.judge import intervals
from gd_jax.judge import records
from gd_jax.judge.records import Lane
from gd_jax.judge.records import Row

Value = float | None


class Summary(NamedTuple):
  """An entry on one quantity; the interval is Student's, unadjusted."""

  seeds: list[int]
  values: list[Value]  # a strip of all seeds, None without a number
  numbers: int  # how many have one: of updates to target, the hits
  mean: Value  # None as soon as one seed has no number
  low: Value
  high: Value
  median: Value  # over all seeds, None counted as worst


class Failures(NamedTuple):
  """Lanes that failed, each kind apart, beside Wilson's upper 95 % limit."""

  lanes: int
  diverged: int
  diverged_up_to: float
  diverged_at: list[int]  # updates made when the finite numbers were left
  saturated: int
  saturated_up_to: float
  dead_outputs: int  # lanes with a digit that is never predicted
  dead_outputs_up_to: float
  failed: int  # any of the three
  failed_up_to: float


class RateScore(NamedTuple):
  """One rate of a grid over the tuning seeds."""

  learning_rate: float
  seeds: int
  mean: Value  # None as soon as one seed diverged: the rate failed
  lowest: Value  # of the seeds that have a number
  highest: Value
  diverged: int
  saturated: int
  failed_share: float  # diverged or saturated
  failed_up_to: float


class Region(NamedTuple):
  """Rates around the best one that do nearly as well."""

  low: float
  high: float
  decades: float  # log10(high / low)
  rates: int
  open_below: bool  # reaches the edge of the grid: it may be wider
  open_above: bool


def summarize(values: Mapping[int, Value], *, higher: bool) -> Summary:
  """Of one entry, seed -> value; `higher` says which way is better."""
  strip = list(values.values())
  numbers = [value for value in strip if value is not None]
  complete = numbers if len(numbers) == len(strip) else []
  mean, low, high = intervals.t_interval(complete)
  return Summary(
    seeds=list(values),
    values=strip,
    numbers=len(numbers),
    mean=mean,
    low=low,
    high=high,
    median=median(strip, higher=higher),
  )


def median(values: Sequence[Value], *, higher: bool) -> Value:
  """The middle value with None as the worst; None where the middle has none."""
  if not values:
    return None
  worst = -math.inf if higher else math.inf
  ordered = sorted(worst if value is None else value for value in values)
  n = len(ordered)
  middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
  return records.number(middle)


def paired_differences(
  a: Mapping[int, Value], b: Mapping[int, Value]
) -> dict[int, Value]:
  """Seed -> a - b, None where either has no number: of a twin, its drift."""
  both = {seed: (a[seed], b[seed]) for seed in a if seed in b}
  return {
    seed: None if p is None or q is None else p - q
    for seed, (p, q) in both.items()
  }


def count_failures(lanes: Iterable[Lane]) -> Failures:
  """Failures of an entry's lanes, from their last rows."""
  last = [lane.rows[-1] for lane in lanes]
  diverged = [row for row in last if row['failed'] == 'diverged']
  saturated = [row for row in last if row['failed'] == 'saturated']
  dead = [row for row in last if row.get('dead_outputs')]
  failed = [row for row in last if row['failed'] or row.get('dead_outputs')]

  def up_to(of_kind: list[Row]) -> float:
    return intervals.wilson(len(of_kind), len(last))[1]

  return Failures(
    lanes=len(last),
    diverged=len(diverged),
    diverged_up_to=up_to(diverged),
    diverged_at=sorted(row['diverged_at'] for row in diverged),
    saturated=len(saturated),
    saturated_up_to=up_to(saturated),
    dead_outputs=len(dead),
    dead_outputs_up_to=up_to(dead),
    failed=len(failed),
    failed_up_to=up_to(failed),
  )


def sensitivity(lanes: Iterable[Lane], quantity: str) -> list[RateScore]:
  """An entry's tuning lanes, rate by rate, at the epoch that is reported."""
  grid: dict[float, list[Lane]] = {}
  for lane in lanes:
    grid.setdefault(lane.learning_rate, []).append(lane)
  return [_rate_score(rate, grid[rate], quantity) for rate in sorted(grid)]


def _rate_score(rate: float, lanes: list[Lane], quantity: str) -> RateScore:
  values = [records.last_value(lane, quantity) for lane in lanes]
  numbers = [value for value in values if value is not None]
  kinds = [lane.rows[-1]['failed'] for lane in lanes]
  failed = sum(kind is not None for kind in kinds)
  complete = len(numbers) == len(lanes)
  return RateScore(
    learning_rate=rate,
    seeds=len(lanes),
    mean=math.fsum(numbers) / len(numbers) if complete else None,
    lowest=min(numbers, default=None),
    highest=max(numbers, default=None),
    diverged=kinds.count('diverged'),
    saturated=kinds.count('saturated'),
    failed_share=failed / len(lanes),
    failed_up_to=intervals.wilson(failed, len(lanes))[1],
  )


def region(
  scores: Sequence[RateScore], *, higher: bool = True, within: float = 0.005
) -> Region | None:
  """Neighbouring rates within `within` of the best: 0.5 points of accuracy.

  Its ends are rates that were tried, so that the width is a lower limit; one
  rate alone is 0 decades. None when every rate failed.
  """
  sign = 1 if higher else -1
  heights = [None if s.mean is None else sign * s.mean for s in scores]
  best = max((h for h in heights if h is not None), default=None)
  if best is None:
    return None
  # A rate exactly `within` below belongs; float32 must not put it outside.
  lowest = best - within - 1e-6 * abs(best)
  inside = [h is not None and h >= lowest for h in heights]
  first = last = heights.index(best)
  while first > 0 and inside[first - 1]:
    first -= 1
  while last + 1 < len(scores) and inside[last + 1]:
    last += 1
  low, high = scores[first].learning_rate, scores[last].learning_rate
  return Region(
    low=low,
    high=high,
    decades=math.log10(high / low),
    rates=last - first + 1,
    open_below=first == 0,
    open_above=last == len(scores) - 1,
  )


def best_of_k(values: Sequence[Value], *, higher: bool) -> list[Value]:
  """Expected best of k = 1..K trials drawn from K rates without replacement.

  E_k = sum_i v_(i) C(i - 1, k - 1) / C(K, k), v sorted from worst to best
  (Dodge et al. 2019, there with replacement), so that E_K is the best. A failed
  rate is None, below every other: while k trials may all fail, k <= the number
  of failed rates, E_k is None; `chance_of_failing` says how likely that is.
  """
  sign = 1 if higher else -1
  ordered = sorted(sign * value for value in values if value is not None)
  total, failed = len(values), len(values) - len(ordered)

  def expected(k: int) -> float:
    terms = (
      v * math.comb(i - 1, k - 1)
      for i, v in enumerate(ordered, start=failed + 1)
    )
    return sign * math.fsum(terms) / math.comb(total, k)

  return [expected(k) if k > failed else None for k in range(1, total + 1)]


def chance_of_failing(values: Sequence[Value]) -> list[float]:
  """C(f, k) / C(K, k): that k = 1..K trials all meet one of f failed rates."""
  total, failed = len(values), sum(value is None for value in values)
  return [
    math.comb(failed, k) / math.comb(total, k) for k in range(1, total + 1)
  ]
