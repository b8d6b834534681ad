"""What a fair study is, as data: contestants, grids, seeds, choices.

Every contestant gets the same number of tuning trials; tuning seeds and report
seeds never meet; the rate is chosen on the validation split at the epoch that
is reported; report seed i gives everybody the same start and the same batches.
"""

import itertools
import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from gd_jax.judge import records
from gd_jax.judge import scores
from gd_jax.judge.records import Row

WIDENINGS = 2  # at most, of every grid
WIDEN_BY = 2  # trials of half a decade, each time
TWIN_FACTOR = 1 + 1e-6  # the twin's start, to see what chaos alone does

# What a metric on the test split is chosen by on the validation split.
CHOSEN_BY = {
  'test_cost': 'validation_cost',
  'test_accuracy': 'validation_accuracy',
  records.UPDATES_TO_TARGET: 'validation_cost',
}


class Contestant(NamedTuple):
  """An optimizer at a batch size, from a kind of start, under a cost."""

  name: str  # unique in its study; every table shows it
  optimizer: str  # the entry as typed
  implementation: str  # 'ours', 'optax' or 'module'
  batch_size: int
  init: str
  cost: str
  centre: float  # of its grid of learning rates
  centre_source: str  # 'entry', 'table', 'factory' or 'unknown'


class Protocol(NamedTuple):
  """All that decides a study's numbers, beside the problem itself."""

  contestants: list[Contestant]
  rates: int  # tuning trials each, before widening
  tuning_seeds: list[int]
  report_seeds: list[int]
  null_seeds: list[int]  # of the first contestant, entered once more
  epochs: int
  metric: str
  target: tuple[str, float] | None
  resplit: bool = False  # every seed has a division of the examples of its own


class Unit(NamedTuple):
  """Lanes that train together: all rates of a contestant on some seeds."""

  phase: str  # 'tuning', 'report', 'null' or 'twin'
  contestant: Contestant
  rates: tuple[float, ...]
  seeds: tuple[int, ...]
  start_factor: float = 1.0  # the start is multiplied by it


def key_of(unit: Unit) -> tuple:
  """What makes a unit the one it is within its study."""
  return unit.phase, unit.contestant.name, unit.rates, unit.seeds


class Choice(NamedTuple):
  """The rate that a contestant is reported at."""

  learning_rate: float
  edge: bool  # still at the edge of its grid after all widening
  all_failed: bool  # no tuned rate stayed finite and above naming one class


def record_of(protocol: Protocol) -> dict[str, Any]:
  """The protocol as JSON can hold it."""
  return protocol._asdict() | {
    'contestants': [one._asdict() for one in protocol.contestants],
    'target': list(protocol.target) if protocol.target else None,
  }


def protocol_from(record: Mapping[str, Any]) -> Protocol:
  """The protocol that study.json holds, from its JSON."""
  target = record['target']
  return Protocol(
    **{
      **record,
      'contestants': [Contestant(**one) for one in record['contestants']],
      'target': (target[0], target[1]) if target else None,
    }
  )


def contestants(
  entries: Sequence[tuple[str, str, float, str]],
  batch_sizes: Sequence[int],
  inits: Sequence[str],
  costs: Sequence[str],
) -> list[Contestant]:
  """Crosses (optimizer, implementation, centre, source) with all the rest.

  A name says the batch size, the start and the cost only where they vary.
  """
  crossed = []
  for entry, m, init, cost in itertools.product(
    entries, batch_sizes, inits, costs
  ):
    optimizer, implementation, centre, source = entry
    name = optimizer
    name += f' m={m}' if len(batch_sizes) > 1 else ''
    name += f' {init}' if len(inits) > 1 else ''
    name += f' {cost}' if len(costs) > 1 else ''
    crossed.append(
      Contestant(name, optimizer, implementation, m, init, cost, centre, source)
    )
  return crossed


def split_seeds(
  first: int, tuning: int, report: int
) -> tuple[list[int], list[int], list[int]]:
  """Disjoint seeds for tuning, report and the null pair, from `first` on."""
  middle, last = first + tuning, first + tuning + report
  return (
    list(range(first, middle)),
    list(range(middle, last)),
    list(range(last, last + report)),
  )


def grid(centre: float, rates: int) -> tuple[float, ...]:
  """Rates at half-decade steps, the centre the upper middle one."""
  return tuple(step_of(centre, k - rates // 2) for k in range(rates))


def ends_of_grid(centre: float, rates: int) -> tuple[float, float]:
  """The smallest and the largest rate that tuning can come to."""
  more = WIDENINGS * WIDEN_BY
  return (
    step_of(centre, -(rates // 2) - more),
    step_of(centre, rates - 1 - rates // 2 + more),
  )


def step_of(centre: float, half_decades: int) -> float:
  """Centre 10^(half_decades / 2), rounded to be read and typed again."""
  return float(f'{centre * 10 ** (half_decades / 2):.6g}')


def tuning_units(protocol: Protocol) -> list[Unit]:
  """The first round of tuning."""
  seeds = tuple(protocol.tuning_seeds)
  return [
    Unit('tuning', one, grid(one.centre, protocol.rates), seeds)
    for one in protocol.contestants
  ]


def widening_units(
  protocol: Protocol, rows: Sequence[Row], done: int
) -> list[Unit]:
  """One more round for everybody if any optimum lies at the edge of its grid.

  Each contestant goes on at its own best side. `done` rounds came before; after
  WIDENINGS there are no more.
  """
  if done >= WIDENINGS:
    return []
  tried = {
    one.name: _rates_tried(rows, one.name) for one in protocol.contestants
  }
  best = {
    one.name: choose(protocol, rows, one.name).learning_rate
    for one in protocol.contestants
  }
  if not any(best[name] in (r[0], r[-1]) for name, r in tried.items()):
    return []
  seeds = tuple(protocol.tuning_seeds)
  units = []
  for one in protocol.contestants:
    rates = tried[one.name]
    below = math.log(best[one.name] / rates[0])
    above = math.log(rates[-1] / best[one.name])
    edge, sign = (rates[-1], 1) if above <= below else (rates[0], -1)
    more = [step_of(edge, sign * k) for k in range(1, WIDEN_BY + 1)]
    units.append(Unit('tuning', one, tuple(sorted(more)), seeds))
  return units


def _rates_tried(rows: Sequence[Row], name: str) -> list[float]:
  return sorted(
    {
      row['learning_rate']
      for row in rows
      if row['phase'] == 'tuning' and row['entry'] == name
    }
  )


def choose(protocol: Protocol, rows: Sequence[Row], name: str) -> Choice:
  """The best mean on the validation split over the tuning seeds.

  A rate that failed on any seed (diverged or saturated) is worse than every
  rate that did not; among equals the smaller one wins.
  """
  quantity = CHOSEN_BY[protocol.metric]
  sign = -1 if records.higher_is_better(quantity) else 1
  tried = scores.sensitivity(records.lanes(rows, 'tuning')[name], quantity)

  def worth(score: scores.RateScore) -> tuple[bool, bool, float, float]:
    mean = sign * score.mean if score.mean is not None else 0.0
    return (
      score.mean is None,
      score.failed_share > 0,
      mean,
      score.learning_rate,
    )

  best = min(tried, key=worth)
  rates = [score.learning_rate for score in tried]
  return Choice(
    learning_rate=best.learning_rate,
    edge=best.learning_rate in (rates[0], rates[-1]),
    all_failed=best.mean is None or best.failed_share > 0,
  )


def report_units(protocol: Protocol, rows: Sequence[Row]) -> list[Unit]:
  """The lanes that are judged, then the null pair's, then the twins'."""
  rate = {
    one.name: choose(protocol, rows, one.name).learning_rate
    for one in protocol.contestants
  }
  units = [
    Unit('report', one, (rate[one.name],), tuple(protocol.report_seeds))
    for one in protocol.contestants
  ]
  first = protocol.contestants[0]
  units.append(
    Unit('null', first, (rate[first.name],), tuple(protocol.null_seeds))
  )
  some = tuple(protocol.report_seeds[: len(protocol.tuning_seeds)])
  units += [
    Unit('twin', one, (rate[one.name],), some, TWIN_FACTOR)
    for one in protocol.contestants
  ]
  return units
