"""How many seeds: what a family of pairs needs, and what would resolve a pair.

Estimates assume that the means and spreads seen so far are the true ones; each
is the number of seeds at which a word would follow in POWER of studies, judged
at Holm's hardest step, ALPHA / pairs.
"""

import math

from scipy import special

from gd_jax.judge import intervals
from gd_jax.judge.intervals import ALPHA

POWER = 0.8
# A pair that would want more seeds than this is not worth an estimate.
MOST_SEEDS = 10_000_000


def seeds_for_family(pairs: int) -> int:
  """Fewest seeds whose smallest exact p, 2 / 2^n, passes Holm's first step.

  6 for one pair, 10 for 15, 11 for 28 to 45: pairs * 2 / 2^n < ALPHA.
  """
  n = 1
  while pairs * 2 / 2**n >= ALPHA:
    n += 1
  return n


def seeds_to_resolve(
  differences: intervals.Numbers, *, margin: float, pairs: int
) -> int | None:
  """Seeds (in all, not more) at which a pair would be told apart or equivalent.

  With mean d and spread s of the differences, the smaller of the least n with
    (t(1 - ALPHA / (2 pairs)) + t(POWER)) s / sqrt(n) <= |d|             better
    (t(1 - ALPHA / pairs) + t((1 + POWER) / 2)) s / sqrt(n) <= margin - |d|
  where t are Student's quantiles with n - 1 degrees of freedom; the second is
  equivalence, which fails on two sides. More than there are now, and no fewer
  than the family needs. One difference has no spread: what the family needs.
  None where no number of seeds up to MOST_SEEDS would do.
  """
  now = len(differences)
  least = max(now + 1, seeds_for_family(pairs))
  if now < 2:
    return least
  gap = abs(math.fsum(differences)) / now
  s = intervals.spread(differences)
  different = _least_seeds(s, gap, ALPHA / (2 * pairs), POWER, least)
  same = _least_seeds(s, margin - gap, ALPHA / pairs, (1 + POWER) / 2, least)
  return min((n for n in (different, same) if n is not None), default=None)


def _least_seeds(
  s: float, gap: float, alpha: float, power: float, least: int
) -> int | None:
  """The first n >= least with (t(1 - alpha) + t(power)) s / sqrt(n) <= gap.

  The normal quantiles give a lower limit; Student's add a few seeds to it.
  """
  z = float(special.ndtri(1 - alpha) + special.ndtri(power))
  if gap <= 0 or z * s > gap * math.sqrt(MOST_SEEDS):
    return None
  n = max(least, math.ceil((z * s / gap) ** 2))
  while _student(n, alpha, power) * s > gap * math.sqrt(n):
    n += 1
  return n


def _student(n: int, alpha: float, power: float) -> float:
  return special.stdtrit(n - 1, 1 - alpha) + special.stdtrit(n - 1, power)


def seeds_to_resolve_signs(
  wins: int, losses: int, *, seeds: int, pairs: int
) -> int | None:
  """The same for a pair that only the sign test can judge.

  With the share f of wins (or losses, the larger) among the k seeds that
  decide, k' = ((z(1 - ALPHA / (2 pairs)) / 2 + z(POWER) sqrt(f (1 - f))) /
  (f - 1/2))^2 deciding seeds are wanted (normal approximation), seeds / k
  seeds for each. None for a draw: such a pair is never equivalent.
  """
  deciding = wins + losses
  if wins == losses:
    return None
  f = max(wins, losses) / deciding
  z = special.ndtri(1 - ALPHA / (2 * pairs)) / 2
  z += special.ndtri(POWER) * math.sqrt(f * (1 - f))
  wanted = max((float(z) / (f - 0.5)) ** 2, seeds_for_family(pairs))
  return max(math.ceil(wanted * seeds / deciding), seeds + 1)
