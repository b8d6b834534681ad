"""Is it faster? Two sets of timings, and where one device overtakes another.

The median of n independent samples lies between the k-th smallest and the k-th
largest with probability 1 - 2 P(Bin(n, 1/2) < k), whatever their distribution
(order statistics; Hogg, McKean and Craig, chapter 4). Both medians are held in
intervals of at least 97.5 %, so that the ratio lies between the quotients of
their ends with at least 95 %.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Literal
from typing import NamedTuple

import numpy as np
from scipy import special

# Speeds this close are the same: two runs of one program differ as much.
BAND = 0.03
COVERAGE = 0.975

Word = Literal['FASTER', 'SLOWER', 'SAME', 'UNSURE']


class Ratio(NamedTuple):
  """How many times as fast the new is; None where samples are too few."""

  ratio: float
  low: float | None
  high: float | None
  word: Word


def median_interval(samples: Sequence[float]) -> tuple[float, float] | None:
  """The narrowest [x_(k), x_(n+1-k)] that holds the median in COVERAGE."""
  n = len(samples)
  ordered = sorted(samples)
  for k in range(n // 2, 0, -1):
    if 1 - 2 * special.bdtr(k - 1, n, 0.5) >= COVERAGE:
      return ordered[k - 1], ordered[n - k]
  return None


def against(
  new: Sequence[float], old: Sequence[float], machine: Ratio | None = None
) -> Ratio:
  """The ratio old / new of median seconds, and the word for it.

  FASTER and SLOWER where the whole interval lies outside BAND, SAME where it
  lies inside, UNSURE where it does neither. `machine` is the ratio of its
  matrix products in the same rounds: a job is called faster only where that
  alone does not explain it, for on a machine in use two runs of one program
  differ by more than the samples of either say.
  """
  slowest = fastest = 1.0
  if machine is not None:
    if machine.low is None or machine.high is None:
      return against(new, old)._replace(word='UNSURE')
    slowest, fastest = min(1.0, machine.low), max(1.0, machine.high)
  ratio = float(np.median(old) / np.median(new))
  ours, theirs = median_interval(new), median_interval(old)
  if ours is None or theirs is None:
    return Ratio(ratio, None, None, 'UNSURE')
  low, high = theirs[0] / ours[1], theirs[1] / ours[0]
  word: Word = 'UNSURE'
  if low > (1 + BAND) * fastest:
    word = 'FASTER'
  elif high < slowest / (1 + BAND):
    word = 'SLOWER'
  elif low >= 1 / (1 + BAND) and high <= 1 + BAND:
    word = 'SAME'
  return Ratio(ratio, low, high, word)


def half_length(rows: Sequence[Mapping[str, Any]]) -> float:
  """n_1/2: the examples a step at which half of its time goes to launching.

  Launch seconds of a step times the fastest samples/s of all rows (Hockney and
  Jesshope 1988). A step counts the examples of all lanes of a wave.
  """
  launch = min(row['launch_seconds'] for row in rows)
  return launch * max(row['samples_per_second'] for row in rows)


def overtakes(
  here: Sequence[Mapping[str, Any]], there: Sequence[Mapping[str, Any]]
) -> dict[int, int | None]:
  """{m: the fewest lanes here that beat whatever there does at m}, or None."""
  found = {}
  for m in sorted({row['batch_size'] for row in here}):
    theirs = [r['samples_per_second'] for r in there if r['batch_size'] == m]
    if not theirs:
      continue
    winners = [
      row['lanes']
      for row in here
      if row['batch_size'] == m and row['samples_per_second'] > max(theirs)
    ]
    found[m] = min(winners, default=None)
  return found
