"""When targets were reached, and how batch sizes ran: read from the rows."""

import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from gd_jax.pictures import readings
from gd_jax.pictures.readings import Entry
from gd_jax.pictures.readings import Row

PACES = ('epochs', 'updates', 'seconds of the whole program')


class Arrivals(NamedTuple):
  """Updates until a target was reached first, None for a miss."""

  seeds: list[int]
  values: list[int | None]
  median: readings.Value  # over all seeds, a miss the last
  hits: int


class BatchLine(NamedTuple):
  """An entry's validation cost, and where each point lies on three axes."""

  entry: Entry
  batch_size: int
  points: list[readings.Point]
  paces: tuple[list[float], list[float], list[float]]  # as PACES


def arrivals(
  study: Mapping[str, Any], rows: Sequence[Row]
) -> dict[str, Arrivals]:
  """Entry -> when its report lanes reached the target; empty without one.

  All entries are looked at after the same numbers of updates where they share
  any; a lane that diverged later has missed.
  """
  if not study['protocol']['target']:
    return {}
  quantity, wanted = study['protocol']['target']
  sign = 1 if readings.is_accuracy(quantity) else -1
  lanes: dict[str, dict[int, list[Row]]] = {
    name: {} for name in study['ranking']
  }
  for row in rows:
    if row['phase'] == 'report':
      lanes[row['entry']].setdefault(row['seed'], []).append(row)
  steps = [
    {row['step'] for lane in of_entry.values() for row in lane}
    for of_entry in lanes.values()
  ]
  common = set.intersection(*steps) or set.union(*steps)

  def first(lane: Sequence[Row]) -> int | None:
    if lane[-1]['failed'] == 'diverged':
      return None
    return next(
      (
        row['step']
        for row in lane
        if row['step'] in common
        and row[quantity] is not None
        and sign * (row[quantity] - wanted) >= 0
      ),
      None,
    )

  return {
    name: _arrivals({seed: first(lane) for seed, lane in of_entry.items()})
    for name, of_entry in lanes.items()
  }


def _arrivals(found: Mapping[int, int | None]) -> Arrivals:
  values = list(found.values())
  ordered = sorted(math.inf if v is None else v for v in values)
  middle = readings.quantile(ordered, 0.5) if ordered else math.inf
  return Arrivals(
    seeds=list(found),
    values=values,
    median=middle if math.isfinite(middle) else None,
    hits=sum(value is not None for value in values),
  )


def batch_groups(study: Mapping[str, Any]) -> dict[str, list[Entry]]:
  """Optimizer, start and cost -> entries by size; empty when all share one."""
  found = readings.entries(study)
  if len({entry.record['batch_size'] for entry in found}) < 2:
    return {}
  varied = [
    key
    for key in ('init', 'cost')
    if len({entry.record[key] for entry in found}) > 1
  ]
  groups: dict[str, list[Entry]] = {}
  for entry in sorted(found, key=lambda one: one.record['batch_size']):
    name = ' '.join(entry.record[key] for key in ('optimizer', *varied))
    groups.setdefault(name, []).append(entry)
  return groups


def batch_lines(
  study: Mapping[str, Any], rows: Sequence[Row]
) -> dict[str, list[BatchLine]]:
  """Optimizer and start -> validation cost of its batch sizes, by pace.

  A lane has no seconds: they are of the whole program of all report seeds, in
  proportion to the epochs.
  """
  seconds: dict[str, float] = {}
  for program in study['programs']:
    if program['phase'] == 'report':
      name = program['entry']
      seconds[name] = seconds.get(name, 0.0) + program['seconds']

  def line(entry: Entry) -> BatchLine:
    points = readings.curve(rows, entry.name, 'validation_cost')
    each = seconds.get(entry.name, 0.0) / max(len(points), 1)
    paces = (
      [float(point.epoch) for point in points],
      [float(point.step) for point in points],
      [each * point.epoch for point in points],
    )
    return BatchLine(entry, entry.record['batch_size'], points, paces)

  return {
    name: [line(entry) for entry in group]
    for name, group in batch_groups(study).items()
  }
