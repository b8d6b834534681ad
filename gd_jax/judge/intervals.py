"""How sure: intervals and tests of numbers that came from seeds.

Every function takes finite numbers, [n] for n seeds, and returns finite ones;
what a diverged seed means is decided by the caller (`verdicts`). A pair's
differences are one entry's values minus another's, seed by seed.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

# The risk that a word, or an interval, is false; over a whole family for words.
ALPHA = 0.05
# Up to this many seeds every flip of signs is counted, 2^20 of them.
EXACT_SEEDS = 20
FLIPS = 100_000
FLIP_SEED = 20
# Sums this close, relative to the sum of magnitudes, are one sum: the order of
# additions must not decide whether a flip ties with what was observed.
TIE = 1e-10

Numbers = Sequence[float] | np.ndarray


class Interval(NamedTuple):
  """A mean and its interval; None for what so few values do not have."""

  mean: float | None
  low: float | None
  high: float | None


def spread(values: Numbers) -> float:
  """Sample standard deviation s (n - 1 below the sum); 0 for one value."""
  n = len(values)
  if n < 2 or min(values) == max(values):
    return 0.0
  mean = math.fsum(values) / n
  far = max(abs(v - mean) for v in values)
  # Scaled, so that no square overflows or vanishes.
  squares = math.fsum(((v - mean) / far) ** 2 for v in values)
  return float(far * math.sqrt(squares / (n - 1)))


def t_interval(values: Numbers) -> Interval:
  """Student's mean -+ t_{n-1}(1 - ALPHA / 2) s / sqrt(n), for one mean alone.

  No value has no mean; one value has a mean and no interval; values that are
  all one number have an interval of width 0.
  """
  n = len(values)
  if n == 0:
    return Interval(None, None, None)
  mean = math.fsum(values) / n
  if n == 1:
    return Interval(mean, None, None)
  half = special.stdtrit(n - 1, 1 - ALPHA / 2) * spread(values) / math.sqrt(n)
  return Interval(mean, float(mean - half), float(mean + half))


def tost_p(differences: Numbers, margin: float) -> float:
  """P-value of two one-sided paired t-tests: small says |mean| < margin.

  The larger of P(T >= (mean + margin) / se) and P(T <= (mean - margin) / se)
  with n - 1 degrees of freedom (Schuirmann 1987). Differences that are all one
  number have no t: 0 strictly inside the margin (or no difference at all), 1
  outside. One difference proves nothing: 1.
  """
  n = len(differences)
  if n < 2:
    return 1.0
  mean = math.fsum(differences) / n
  se = spread(differences) / math.sqrt(n)
  if se == 0:
    first = abs(float(differences[0]))
    return 0.0 if first < margin or first == 0 else 1.0
  with np.errstate(over='ignore'):
    nearest = np.float64(margin - abs(mean)) / se
  return float(special.stdtr(n - 1, -nearest))


def holm(p: Numbers) -> np.ndarray:
  """Holm's adjusted p-values, [pairs] in the order given (Holm 1979).

  With p sorted upwards, adjusted_i = max over j <= i of (pairs - j + 1) p_j,
  at most 1. Adjusted values below ALPHA err in at most ALPHA of families,
  whatever the dependence between pairs.
  """
  p = np.asarray(p, dtype=float)
  order = np.argsort(p, kind='stable')
  steps = np.arange(len(p), 0, -1) * p[order]
  adjusted = np.empty_like(p)
  adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
  return adjusted


def sign_flip_p(differences: np.ndarray) -> np.ndarray:
  """Two-sided sign-flip p-values: [pairs, n] -> [pairs].

  The share of the 2^n ways to sign the differences whose |sum| is at least the
  observed one (Fisher 1935). Exact up to EXACT_SEEDS seeds; beyond,
  (1 + hits) / (1 + FLIPS) of random flips from a fixed Philox stream. The order
  of seeds and the sign of a pair do not matter: magnitudes are sorted first.
  """
  d = np.asarray(differences, dtype=float)
  pairs, n = d.shape
  observed = np.abs([math.fsum(row) for row in d])
  total = np.array([math.fsum(np.abs(row)) for row in d])
  p = np.ones(pairs)
  told = np.flatnonzero(observed > TIE * total)
  if told.size == 0:
    return p
  sizes = np.sort(np.abs(d[told]), axis=1) / total[told, None]
  at_least = observed[told] / total[told] - TIE
  if n <= EXACT_SEEDS:
    counts = [
      _flips_at_least(*pair) for pair in zip(sizes, at_least, strict=True)
    ]
    p[told] = np.array(counts) / 2**n
  else:
    p[told] = (1 + _random_flips_at_least(sizes, at_least)) / (1 + FLIPS)
  return p


def _signed_sums(sizes: np.ndarray) -> np.ndarray:
  sums = np.zeros(1)
  for size in sizes:
    sums = np.concatenate([sums - size, sums + size])
  return sums


def _flips_at_least(sizes: np.ndarray, at_least: float) -> int:
  """Sign patterns with |sum| >= at_least > 0, by meeting in the middle.

  Sums of the two halves, 2^(n/2) each, replace 2^n sums: for every sum of one
  half a binary search counts the partners that reach `at_least`. Patterns and
  their opposites come in pairs, hence the 2.
  """
  half = len(sizes) // 2
  left = _signed_sums(sizes[:half])
  right = np.sort(_signed_sums(sizes[half:]))
  short = np.searchsorted(right, at_least - left, side='left')
  return 2 * int(np.sum(right.size - short))


def _random_flips_at_least(
  sizes: np.ndarray, at_least: np.ndarray
) -> np.ndarray:
  """Hits [pairs] among FLIPS random sign patterns, one stream for all pairs."""
  flips = np.random.Generator(np.random.Philox(FLIP_SEED))
  hits = np.zeros(len(sizes), dtype=int)
  chunk = FLIPS // 10
  for _ in range(10):
    bits = flips.integers(0, 2, (chunk, sizes.shape[1]), dtype=np.int8)
    sums = np.abs((2.0 * bits - 1.0) @ sizes.T)
    hits += np.sum(sums >= at_least, axis=0)
  return hits


def sign_test_p(wins: int, losses: int) -> float:
  """Two-sided exact sign test; ties are left out before, no seed left is 1.

  min(1, 2 P(X <= min(wins, losses))), X the heads of wins + losses fair coins.
  """
  if wins + losses == 0:
    return 1.0
  tail = special.bdtr(min(wins, losses), wins + losses, 0.5)
  return min(1.0, 2 * float(tail))


def wilson(count: int, n: int) -> tuple[float, float]:
  """Wilson's two-sided 95 % limits of a share: 0 of 20 is 0 to 0.161.

  (c + z^2/2 -+ z sqrt(c (n - c) / n + z^2/4)) / (n + z^2) with z = 1.96 (Wilson
  1927). Nothing counted is nothing known: 0 to 1.
  """
  if n == 0:
    return 0.0, 1.0
  z = float(special.ndtri(1 - ALPHA / 2))
  middle = count + z**2 / 2
  half = z * math.sqrt(count * (n - count) / n + z**2 / 4)
  low = 0.0 if count == 0 else (middle - half) / (n + z**2)
  high = 1.0 if count == n else (middle + half) / (n + z**2)
  return low, high
