"""What rows.jsonl says: rows -> lanes -> one value for each entry and seed.

A row is a dict as it stands in rows.jsonl; `phase` is tuning, report, null (an
entry once more with other seeds) or twin (once more from a start a millionth
longer); both carry the name of the entry that they repeat. A value of None is
no number: the lane diverged, or never reached its target. It is worse than
every number, and is never left out nor filled in.
"""

import math
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from gd_jax.types import UserError

Row = Mapping[str, Any]
# entry -> seed -> value, or None for a lane that has no number.
Values = dict[str, dict[int, float | None]]

UPDATES_TO_TARGET = 'updates_to_target'


class Lane(NamedTuple):
  """One run inside a program: an entry, a rate, a seed."""

  learning_rate: float
  seed: int
  rows: list[Row]  # by update


class Target(NamedTuple):
  """A validation quantity and the value that counts as arrival."""

  quantity: str  # validation_accuracy or validation_cost
  value: float


def higher_is_better(quantity: str) -> bool:
  """Accuracies; costs and updates to target are better when lower."""
  return quantity.endswith('accuracy')


def lanes(rows: Iterable[Row], phase: str) -> dict[str, list[Lane]]:
  """The lanes of a phase by entry, in order of appearance; by rate and seed."""
  found: dict[str, dict[tuple[float, int], list[Row]]] = {}
  for row in rows:
    if row['phase'] == phase:
      of_entry = found.setdefault(row['entry'], {})
      of_entry.setdefault((row['learning_rate'], row['seed']), []).append(row)
  return {
    entry: [
      Lane(rate, seed, sorted(of_lane, key=lambda row: row['step']))
      for (rate, seed), of_lane in sorted(of_entry.items())
    ]
    for entry, of_entry in found.items()
  }


def number(value: float | None) -> float | None:
  """A finite number as it is (0 too), anything else None."""
  return value if value is not None and math.isfinite(value) else None


def last_value(lane: Lane, quantity: str) -> float | None:
  """The quantity at the declared epoch; None when the lane diverged.

  Raises UserError when the last row has no such figure: the lane is unfinished.
  """
  row = lane.rows[-1]
  if row['failed'] == 'diverged':
    return None
  if quantity not in row:
    raise UserError(
      f'the last row of {row["entry"]}, seed {lane.seed}, should hold '
      f'{quantity} but ends at epoch {row["epoch"]} without it: finish the '
      'study with --resume.'
    )
  return number(row[quantity])


def first_update_at(
  lane: Lane, target: Target, cadence: set[int]
) -> int | None:
  """Updates made when a value first is at the target; None is a miss.

  Only updates of the cadence count. A lane that diverged is a miss even where
  it had been at the target before.
  """
  if lane.rows[-1]['failed'] == 'diverged':
    return None
  sign = 1 if higher_is_better(target.quantity) else -1
  for row in lane.rows:
    value = number(row[target.quantity])
    arrived = value is not None and sign * (value - target.value) >= 0
    if arrived and row['step'] in cadence:
      return row['step']
  return None


def common_cadence(of_entries: Mapping[str, list[Lane]]) -> set[int]:
  """The updates after which every entry was evaluated.

  Whoever is looked at more often is seen to arrive earlier. Raises UserError
  when there are none, as between mini-batches and full batches.
  """
  steps = [
    {row['step'] for lane in of_entry for row in lane.rows}
    for of_entry in of_entries.values()
  ]
  common = set.intersection(*steps) if steps else set()
  if steps and not common:
    raise UserError(
      'updates to target need entries evaluated after the same numbers of '
      f'updates, but {", ".join(of_entries)} share none: compare entries of '
      'one batch size.'
    )
  return common


def values(
  rows: Sequence[Row],
  quantity: str,
  *,
  phase: str = 'report',
  target: Target | None = None,
) -> Values:
  """One value for each entry and seed of a phase with one rate an entry.

  `quantity` is a field of a lane's last row, or updates_to_target, at the
  cadence of the report lanes. Raises UserError when entries were not run on the
  same seeds, or on one twice.
  """
  of_entries = lanes(rows, phase)
  if quantity == UPDATES_TO_TARGET:
    if target is None:
      raise UserError(
        'updates_to_target needs a target but none was given: name one with '
        '--target.'
      )
    cadence = common_cadence(lanes(rows, 'report'))
    found = {
      entry: [(lane.seed, first_update_at(lane, target, cadence)) for lane in l]
      for entry, l in of_entries.items()
    }
  else:
    found = {
      entry: [(lane.seed, last_value(lane, quantity)) for lane in l]
      for entry, l in of_entries.items()
    }
  _refuse_unpaired({e: [seed for seed, _ in l] for e, l in found.items()})
  return {entry: dict(sorted(pairs)) for entry, pairs in found.items()}


def _refuse_unpaired(seeds: dict[str, list[int]]) -> None:
  for entry, of_entry in seeds.items():
    first, expected = next(iter(seeds.items()))
    if len(set(of_entry)) < len(of_entry) or set(of_entry) != set(expected):
      raise UserError(
        f'{entry} should have one lane for each of the {len(set(expected))} '
        f'seeds of {first} but has {sorted(of_entry)}: finish the study with '
        '--resume, or extend it under the same protocol.'
      )
