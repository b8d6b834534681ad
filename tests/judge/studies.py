"""Made-up studies: rows as compare.py would write them, nothing trained."""

from typing import Any

Row = dict[str, Any]


def lane(entry: str, seed: int, value: float | None, **fields) -> list[Row]:
  """Two epochs of one report lane that ends at a test cost of `value`."""
  common = {
    'entry': entry,
    'phase': 'report',
    'learning_rate': 0.1,
    'seed': seed,
    'batch_size': 10,
    'init': 'scaled',
    'cost': 'quadratic',
    'failed': None,
    'diverged_at': None,
  }
  if value is None:
    common |= {'failed': 'diverged', 'diverged_at': 7}
  last = {
    'validation_cost': value,
    'validation_accuracy': None if value is None else 1 - value,
    'train_cost': value,
  }
  first = dict.fromkeys(last, 0.5)
  test = {
    'test_cost': value,
    'test_accuracy': None if value is None else 1 - value,
    'dead_outputs': 0,
  }
  return [
    common | first | {'epoch': 1, 'step': 120} | fields,
    common | last | {'epoch': 2, 'step': 240} | test | fields,
  ]


def study(
  strips: dict[str, list[float | None]], *, first_seed: int = 0, **fields
) -> list[Row]:
  """Lanes of all entries; seeds count up from `first_seed`."""
  return [
    row
    for entry, strip in strips.items()
    for seed, value in enumerate(strip, start=first_seed)
    for row in lane(entry, seed, value, **fields)
  ]
