"""A word for every pair of entries on one declared metric.

  unresolved   fewer seeds than the family needs, else
  equivalent   Holm-adjusted TOST below ALPHA, else
  better/worse Holm-adjusted exact sign-flip p below ALPHA, else
  unresolved   with the number of seeds that would resolve it

The family is every pair of entries, the null pair included; each of the two
sets of p-values is adjusted over the whole family. A pair in which a seed has
no number has no mean: the sign test judges it (no number loses, two tie) and it
is never equivalent.
"""

import itertools
import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Literal
from typing import NamedTuple

import numpy as np

from gd_jax.judge import intervals
from gd_jax.judge import power
from gd_jax.judge import records
from gd_jax.judge.intervals import ALPHA

Word = Literal['better', 'worse', 'equivalent', 'unresolved']
# A difference below the margin is none worth a word.
MARGIN_SHARE = 0.05  # of the better entry's mean, for costs and updates
MARGIN_ACCURACY = 0.001  # 0.1 points, or one test image where that is more

# One value for each seed, in one order for all entries; None is no number.
Strip = Sequence[float | None]


class Contest(NamedTuple):
  """Two strips, paired seed by seed; a null contest is one entry twice."""

  a: str
  b: str
  null: bool
  strip_a: Strip
  strip_b: Strip


class Pair(NamedTuple):
  """Entry a against entry b; the word is about a."""

  a: str
  b: str
  null: bool
  word: Word
  seeds: int
  wins: int  # seeds on which a is better
  losses: int
  test: str  # sign-flip, or sign where a seed has no number
  mean: float | None  # of a - b in the metric's unit; Student's interval
  low: float | None
  high: float | None
  margin: float | None
  p_margin: float  # TOST, alone and adjusted over the family
  p_margin_adjusted: float
  p_zero: float  # sign-flip or sign test
  p_zero_adjusted: float
  seeds_to_resolve: int | None  # of an unresolved pair; None: no number would


def margin(metric: str, mean_a: float, mean_b: float, images: int) -> float:
  """Delta, in the metric's unit; `images` are those of the test set."""
  if metric == 'test_accuracy':
    return max(MARGIN_ACCURACY, 1 / images)
  return MARGIN_SHARE * min(mean_a, mean_b)


def judge(
  values: Mapping[str, Strip],
  *,
  metric: str,
  images: int,
  nulls: Sequence[tuple[str, Strip, Strip]] = (),
) -> list[Pair]:
  """A word for each pair of entries, then for each null pair.

  `nulls` are (entry, its strip, its strip from other seeds). Accuracies are
  fractions; their differences are rounded to whole test images, so that ties
  are ties in whatever precision they were computed.
  """
  family = [
    Contest(a, b, False, values[a], values[b])
    for a, b in itertools.combinations(values, 2)
  ] + [Contest(entry, entry, True, *strips) for entry, *strips in nulls]
  if not family:
    return []
  differences = [_differences(contest, metric, images) for contest in family]
  pairs = [
    _measure(contest, d, metric, images)
    for contest, d in zip(family, differences, strict=True)
  ]
  whole = [i for i, pair in enumerate(pairs) if pair.mean is not None]
  if whole:
    flips = intervals.sign_flip_p(np.array([differences[i] for i in whole]))
    for i, p in zip(whole, flips, strict=True):
      pairs[i] = pairs[i]._replace(p_zero=float(p))
  p_margin = intervals.holm([pair.p_margin for pair in pairs])
  p_zero = intervals.holm([pair.p_zero for pair in pairs])
  adjusted = [
    pair._replace(p_margin_adjusted=float(p), p_zero_adjusted=float(q))
    for pair, p, q in zip(pairs, p_margin, p_zero, strict=True)
  ]
  return [
    _say(pair, d, metric, len(family))
    for pair, d in zip(adjusted, differences, strict=True)
  ]


def _differences(contest: Contest, metric: str, images: int) -> np.ndarray:
  """Differences a - b, [n]; no number is infinitely bad, two are 0 apart."""
  worst = -math.inf if records.higher_is_better(metric) else math.inf
  both = zip(contest.strip_a, contest.strip_b, strict=True)
  d = np.array(
    [
      0.0
      if a is None and b is None
      else (worst if a is None else a) - (worst if b is None else b)
      for a, b in both
    ]
  )
  return np.round(d * images) / images if metric == 'test_accuracy' else d


def _measure(contest: Contest, d: np.ndarray, metric: str, images: int) -> Pair:
  """A pair on its own: nothing adjusted, no word, the sign test's p."""
  a, b, null, strip_a, strip_b = contest
  gains = d if records.higher_is_better(metric) else -d
  wins, losses = int(np.sum(gains > 0)), int(np.sum(gains < 0))
  p_sign = intervals.sign_test_p(wins, losses)
  pair = Pair(
    *(a, b, null, 'unresolved', len(d), wins, losses, 'sign'),
    *(None, None, None, None, 1.0, 1.0, p_sign, 1.0, None),
  )
  numbers_a = [value for value in strip_a if value is not None]
  numbers_b = [value for value in strip_b if value is not None]
  if not numbers_a or len(numbers_a) + len(numbers_b) < 2 * len(d):
    return pair
  mean, low, high = intervals.t_interval(d.tolist())
  mean_a, mean_b = (math.fsum(v) / len(d) for v in (numbers_a, numbers_b))
  delta = margin(metric, mean_a, mean_b, images)
  return pair._replace(
    test='sign-flip',
    mean=mean,
    low=low,
    high=high,
    margin=delta,
    p_margin=intervals.tost_p(d.tolist(), delta),
  )


def _say(pair: Pair, d: np.ndarray, metric: str, family: int) -> Pair:
  """The word, from adjusted p-values, or how many seeds it would take."""
  enough = pair.seeds >= power.seeds_for_family(family)
  if enough and pair.p_margin_adjusted < ALPHA:
    return pair._replace(word='equivalent')
  if enough and pair.p_zero_adjusted < ALPHA:
    higher = pair.wins > pair.losses if pair.mean is None else pair.mean > 0
    if pair.mean is not None and not records.higher_is_better(metric):
      higher = not higher
    return pair._replace(word='better' if higher else 'worse')
  if pair.margin is not None:
    seeds = power.seeds_to_resolve(d.tolist(), margin=pair.margin, pairs=family)
  else:
    seeds = power.seeds_to_resolve_signs(
      pair.wins, pair.losses, seeds=pair.seeds, pairs=family
    )
  return pair._replace(seeds_to_resolve=seeds)
