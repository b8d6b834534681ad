"""Who wins: words, ranking and the verdict matrix of a study, from its rows."""

import math
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from gd_jax.judge import pairs
from gd_jax.judge import power
from gd_jax.judge import records
from gd_jax.judge import scores
from gd_jax.judge.pairs import Pair
from gd_jax.judge.pairs import Strip
from gd_jax.judge.pairs import Word
from gd_jax.judge.records import Row
from gd_jax.judge.records import Target
from gd_jax.types import UserError

METRICS = ('test_cost', 'test_accuracy', records.UPDATES_TO_TARGET)
OPPOSITE: dict[Word, Word] = {
  'better': 'worse',
  'worse': 'better',
  'equivalent': 'equivalent',
  'unresolved': 'unresolved',
}


class Verdicts(NamedTuple):
  """The words of a study and what they rest on."""

  metric: str
  seeds: int
  seeds_needed: int  # by the family, for any word
  values: dict[str, list[float | None]]
  hopeless: list[str]  # entries of which every seed failed
  ranking: list[str]
  pairs: list[Pair]  # null pairs last


def rank(
  values: Mapping[str, Strip], *, metric: str, hopeless: Collection[str] = ()
) -> list[str]:
  """Entries from best to worst, failed last.

  First, by mean, those whose every seed has a number; then, by median with no
  number as the worst, those with a seed that has none and those that are
  `hopeless` (failed on every seed). Equal ones stand by name.
  """
  higher = records.higher_is_better(metric)
  sign = -1 if higher else 1

  def place(entry: str) -> tuple[bool, float, int, str]:
    numbers = [value for value in values[entry] if value is not None]
    lost = len(values[entry]) - len(numbers)
    failed = lost > 0 or not numbers or entry in hopeless
    middle = scores.median(values[entry], higher=higher)
    if failed:
      height = math.inf if middle is None else sign * middle
    else:
      height = sign * math.fsum(numbers) / len(numbers)
    return failed, height, lost, entry

  return sorted(values, key=place)


def matrix(judged: Sequence[Pair]) -> dict[str, dict[str, Word]]:
  """Row entry -> column entry -> the word about the row; null pairs apart."""
  words: dict[str, dict[str, Word]] = {}
  for pair in judged:
    if not pair.null:
      words.setdefault(pair.a, {})[pair.b] = pair.word
      words.setdefault(pair.b, {})[pair.a] = OPPOSITE[pair.word]
  return words


def judge_rows(
  rows: Sequence[Row],
  *,
  metric: str,
  images: int,
  target: Target | None = None,
) -> Verdicts:
  """All words of a study from its rows: report lanes and null lanes.

  Raises UserError for another metric and for entries that are not paired.
  """
  if metric not in METRICS:
    raise UserError(
      f'--metric should be one of {", ".join(METRICS)}, but is {metric!r}.'
    )
  report = records.values(rows, metric, target=target)
  again = records.values(rows, metric, phase='null', target=target)
  values = {entry: list(strip.values()) for entry, strip in report.items()}
  nulls = []
  for entry, strip in again.items():
    if len(strip) != len(values.get(entry, ())):
      raise UserError(
        f'the null pair of {entry} should have as many seeds as its report, '
        f'{len(values.get(entry, ()))}, but has {len(strip)}: finish the study '
        'with --resume.'
      )
    nulls.append((entry, values[entry], list(strip.values())))
  hopeless = [
    entry
    for entry, lanes in records.lanes(rows, 'report').items()
    if all(lane.rows[-1]['failed'] for lane in lanes)
  ]
  judged = pairs.judge(values, metric=metric, images=images, nulls=nulls)
  return Verdicts(
    metric=metric,
    seeds=min((len(strip) for strip in values.values()), default=0),
    seeds_needed=power.seeds_for_family(len(judged)),
    values=values,
    hopeless=hopeless,
    ranking=rank(values, metric=metric, hopeless=hopeless),
    pairs=judged,
  )
