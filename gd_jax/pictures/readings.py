"""What the pictures of a tournament read out of study.json and rows.jsonl.

Both the page and the figures for a paper draw from here, so that they show the
same numbers. None is a seed without a number (diverged, or its target missed):
it stands behind every number and is never left out of a count.
"""

import math
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from gd_jax.pictures import plots

Row = Mapping[str, Any]
Value = float | None

QUANTITIES = {
  'test_cost': 'test cost',
  'test_accuracy': 'test accuracy (%)',
  'validation_cost': 'validation cost',
  'validation_accuracy': 'validation accuracy (%)',
  'updates_to_target': 'updates to target',
}
VALIDATION = ('validation_cost', 'validation_accuracy')
# The middle 80 % of the seeds.
LOW, HIGH = 0.1, 0.9
MOST_NAMED = 8  # more columns have no room for words: numbers and signs
MOST_BANDS = 12  # more of them hide each other


class Entry(NamedTuple):
  """A contestant as it is drawn."""

  name: str
  label: str  # one printable line, not too long
  colour: str  # what tells it apart first: see `entries`
  place: int  # among the contestants of its colour: the dash of its lines
  record: Mapping[str, Any]  # of study.json


class Point(NamedTuple):
  """All seeds of an entry after an epoch, in the unit that is drawn."""

  epoch: int
  step: int
  middle: Value  # median over all seeds, those without a number the worst
  low: Value
  high: Value
  numbers: int
  seeds: int


class Seed(NamedTuple):
  """One report lane at the declared epoch."""

  seed: int
  value: Value
  failed: str  # '', 'diverged', 'saturated' or 'dead outputs'


def label(name: object, width: int = 30) -> str:
  """A name on one line, cut in the middle when it is long."""
  text = ''.join(c if c.isprintable() else ' ' for c in str(name))
  if len(text) <= width:
    return text
  tail = width // 3
  return f'{text[: width - tail - 2]}..{text[-tail:]}'


def entries(study: Mapping[str, Any]) -> list[Entry]:
  """The contestants from best to worst, each in what tells it apart.

  The colour is the optimizer's; of one optimizer at several batch sizes it is
  the size's, of one at one size the contestant's.
  """
  records = study['entries']
  colour = _colours(records)
  places: dict[str, int] = {}
  seen: dict[str, int] = {}
  for name in records:
    places[name] = seen.get(colour[name], 0)
    seen[colour[name]] = places[name] + 1
  return [
    Entry(name, label(name), colour[name], places[name], records[name])
    for name in study['ranking']
  ]


def _colours(records: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
  """{contestant: colour}, in the protocol's order where names decide."""
  optimizers = {name: one['optimizer'] for name, one in records.items()}
  sizes = {name: one['batch_size'] for name, one in records.items()}
  if len(set(optimizers.values())) > 1 or len(records) == 1:
    known = plots.colours(optimizers.values())
    return {name: known[optimizer] for name, optimizer in optimizers.items()}
  if len(set(sizes.values())) == 1:
    return plots.colours(records)
  ranks = sorted(set(sizes.values()))
  tints = dict(zip(ranks, plots.in_order(len(ranks)), strict=True))
  return {name: tints[size] for name, size in sizes.items()}


def quantities(study: Mapping[str, Any]) -> list[str]:
  """The declared metric first, then accuracy, or cost when that was first."""
  metric = study['metric']
  other = 'test_cost' if metric == 'test_accuracy' else 'test_accuracy'
  return [metric, other]


def is_accuracy(quantity: str) -> bool:
  """Accuracies are higher when better, and drawn in percent."""
  return quantity.endswith('accuracy')


def drawn(quantity: str, value: Value) -> Value:
  """A value in the unit that is drawn: accuracies in percent."""
  if value is None or not math.isfinite(value):
    return None
  return 100 * value if is_accuracy(quantity) else value


def wants_log(values: Iterable[Value]) -> bool:
  """Whether values are told apart better on a logarithmic axis."""
  numbers = [value for value in values if value is not None]
  return bool(numbers) and min(numbers) > 0 and max(numbers) > 4 * min(numbers)


def title(quantity: str) -> str:
  """What an axis says."""
  return QUANTITIES.get(quantity, quantity.replace('_', ' '))


def axis_title(study: Mapping[str, Any], quantity: str) -> str:
  """What an axis of a study says: costs of two kinds have no one scale."""
  kinds = {record['cost'] for record in study['entries'].values()}
  each = len(kinds) > 1 and quantity.endswith('cost')
  return title(quantity) + ' (each its own)' * each


def strip(study_rows: Sequence[Row], entry: Entry, quantity: str) -> list[Seed]:
  """Every report seed of an entry; how it failed comes from its last row."""
  last = {}
  for row in study_rows:
    if row['phase'] == 'report' and row['entry'] == entry.name:
      last[row['seed']] = row
  figure = entry.record['figures'][quantity]
  return [
    Seed(seed, drawn(quantity, value), failure(last.get(seed, {})))
    for seed, value in zip(figure['seeds'], figure['values'], strict=True)
  ]


def failure(row: Row) -> str:
  """How the lane of a last row failed; empty when it did not."""
  return row.get('failed') or (
    'dead outputs' if row.get('dead_outputs') else ''
  )


def thinned(ticks: Sequence[int], most: int = 8) -> list[int]:
  """Every k-th of them, so that no more than `most` stay."""
  return list(ticks[:: max(1, -(-len(ticks) // most))])


def curve(study_rows: Sequence[Row], name: str, quantity: str) -> list[Point]:
  """A validation quantity of an entry's report lanes after every epoch."""
  after: dict[int, list[Row]] = {}
  for row in study_rows:
    if row['phase'] == 'report' and row['entry'] == name:
      after.setdefault(row['epoch'], []).append(row)
  # A diverged lane stands still: the others say how many updates were made.
  return [
    _point(
      epoch,
      max(row['step'] for row in lanes),
      [drawn(quantity, row[quantity]) for row in lanes],
      higher=is_accuracy(quantity),
    )
    for epoch, lanes in sorted(after.items())
  ]


def _point(
  epoch: int, step: int, values: Sequence[Value], *, higher: bool
) -> Point:
  numbers = [value for value in values if value is not None]
  worst = -math.inf if higher else math.inf
  ordered = sorted(worst if value is None else value for value in values)
  low, middle, high = (quantile(ordered, q) for q in (LOW, 0.5, HIGH))
  if numbers:  # a band that would reach to infinity ends at the last number
    low, high = max(low, min(numbers)), min(high, max(numbers))
  found = {
    name: value if math.isfinite(value) else None
    for name, value in (('middle', middle), ('low', low), ('high', high))
  }
  return Point(epoch, step, **found, numbers=len(numbers), seeds=len(values))


def quantile(ordered: Sequence[float], q: float) -> float:
  """Linear between the two nearest; infinite where one of them is."""
  position = q * (len(ordered) - 1)
  below, above = ordered[math.floor(position)], ordered[math.ceil(position)]
  if not math.isfinite(below + above):
    return below if below == above or not math.isfinite(below) else above
  return below + (position % 1) * (above - below)
