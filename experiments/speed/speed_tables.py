"""A benchmark in plain text, and the rows of others beside it."""

import pathlib
import textwrap
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from experiments.contest import tables
from experiments.speed import jobs
from experiments.speed import tasks
from gd_jax.judge import speeds
from gd_jax.types import UserError
from gd_jax.world import files

Row = Mapping[str, Any]
_NUMBERS = ('samples_per_second', 'launch_seconds', 'gflops', 'of_peak')


def key_of(row: Row) -> tuple:
  """What a row is a row of: equal keys can be compared."""
  sizes, *rest = (row[name] for name in tasks.Spec._fields)
  return (tuple(sizes), *rest)


def read(path: pathlib.Path) -> list[dict[str, Any]]:
  """The rows of a file that a benchmark wrote.

  Raises:
    UserError: there is none, or a line is no row.
  """
  lines = files.read_file(path).splitlines()
  rows = [files.parsed(line) for line in lines]
  try:
    sound = bool(rows) and all(
      isinstance(row['machine'], dict)
      and all(row['samples'])
      and all(row['peak_samples'])
      and all(row[name] > 0 for name in _NUMBERS)
      and key_of(row)
      for row in rows
    )
  except (KeyError, TypeError):
    sound = False
  if not sound:
    raise UserError(
      f'{files.shown(path)} holds no rows of a benchmark: expected the '
      'rows.jsonl that experiments.benchmark writes.'
    )
  return rows


def references(folder: pathlib.Path) -> dict[str, list[dict[str, Any]]]:
  """{name of a machine: its rows} of what was measured elsewhere."""
  return {path.stem: read(path) for path in sorted(folder.glob('*.jsonl'))}


def checked(job: jobs.Job) -> str:
  """How far a job's executable ends from NumPy."""
  if not job.findings:
    return 'compiled; NumPy knows no such update, so its numbers are unchecked'
  worst = max(one.difference for one in job.findings)
  return f'ends where NumPy ends, to {worst:.1e} of the movement'


def everything(
  rows: Sequence[Row],
  others: Mapping[str, Sequence[Row]],
  old: Sequence[Row] | None,
) -> str:
  """The table, the rows of others, what bounds, and the old beside the new."""
  parts = [speed_table(rows), roofs(rows), reference_table(rows, others)]
  parts += ['\n'.join(textwrap.wrap(crossover(rows, others), tables.WIDTH))]
  if old is not None:
    parts.append(against_table(rows, old))
  return '\n\n'.join(part for part in parts if part) + '\n'


def speed_table(rows: Sequence[Row]) -> str:
  """One line a row, from the median of its samples."""
  body = [
    [
      row['name'] + ('' if row['numpy_difference'] is not None else ' *'),
      str(row['devices']),
      f'{row["samples_per_second"]:,.0f}',
      f'{row["steps_per_second"]:,.4g}',
      f'{row["lane_steps_per_second"]:,.4g}',
      f'{row["gflops"]:.4g}',
      f'{100 * row["of_peak"]:.0f} %',
      f'{100 * row["of_roof"]:.0f} %',
      row['bound'],
    ]
    for row in rows
  ]
  head = ['row', 'dev', 'samples/s', 'steps/s', 'lane-steps/s']
  head += ['GFLOP/s', 'peak', 'roof', 'bound']
  text = tables.table(head, body)
  if any(row['numpy_difference'] is None for row in rows):
    text += '\n* its update is unknown to NumPy and was not checked'
  return text


def roofs(rows: Sequence[Row]) -> str:
  """The machine as it was measured."""
  lines = []
  for precision in dict.fromkeys(row['precision'] for row in rows):
    row = next(row for row in rows if row['precision'] == precision)
    lines.append(
      f'{row["machine"]["device_kind"]}: matrix products of {precision} '
      f'{row["peak_gflops"]:.4g} GFLOP/s (median; fastest '
      f'{row["fastest_gflops"]:.4g}), triad {row["cache_gbytes"]:.3g} GB/s in '
      f'cache and {row["memory_gbytes"]:.3g} in memory.'
    )
  seconds = rows[0]
  phases = {
    name: sum(row['phase_seconds'][name] for row in rows)
    for name in rows[0]['phase_seconds']
  }
  before = seconds['import_seconds']
  lines.append(
    'Seconds until a steady state: '
    + ('' if before is None else f'import {before:.2f}, ')
    + f'device {seconds["device_seconds"]:.2f}, all rows '
    + ', '.join(f'{n.replace("_", " ")} {s:.2f}' for n, s in phases.items())
    + '.'
  )
  return '\n'.join(
    part for line in lines for part in textwrap.wrap(line, tables.WIDTH)
  )


def reference_table(
  rows: Sequence[Row], others: Mapping[str, Sequence[Row]]
) -> str:
  """Samples/s here beside those of other machines, where they have the row."""
  by_key = {
    name: {key_of(row): row for row in found} for name, found in others.items()
  }
  body = []
  for row in rows:
    theirs = [found.get(key_of(row)) for found in by_key.values()]
    if any(theirs):
      body.append(
        [row['name'], f'{row["samples_per_second"]:,.0f}']
        + [f'{r["samples_per_second"]:,.0f}' if r else '-' for r in theirs]
      )
  return tables.table(['samples/s', 'here', *by_key], body) if body else ''


def crossover(rows: Sequence[Row], others: Mapping[str, Sequence[Row]]) -> str:
  """From where on this device is worth it, and why one small lane is not."""
  kind = rows[0]['machine']['device_kind']
  slowest = min(rows, key=lambda row: row['samples_per_second'])
  fastest = max(rows, key=lambda row: row['samples_per_second'])
  half = speeds.half_length(rows)
  text = (
    f'Crossover: a step that computes nothing takes '
    f'{1e6 * slowest["launch_seconds"]:.3g} us on this {kind} '
    f'({slowest["name"]}), so half of a step is launching at about '
    f'{half:.0f} examples a step, lanes x m; {slowest["name"]} makes '
    f'{slowest["samples_per_second"]:,.0f} samples/s and {fastest["name"]} '
    f'{fastest["samples_per_second"]:,.0f}.'
  )
  for name, found in others.items():
    there = found[0]['machine']['device_kind']
    if there == kind:
      continue
    won = speeds.overtakes(rows, found)
    words = [
      f'm={m} from {lanes} lane(s) on' if lanes else f'm={m} at no lanes here'
      for m, lanes in won.items()
    ]
    if words:
      text += f' Against {name} this {kind} wins at {"; ".join(words)}.'
  return text


def against_table(rows: Sequence[Row], old: Sequence[Row]) -> str:
  """FASTER, SLOWER, SAME or UNSURE of each row."""
  there = {key_of(row): row for row in old}
  found: dict[str, speeds.Ratio] = {}
  for row in rows:
    before = there[key_of(row)]
    machine = speeds.against(row['peak_samples'], before['peak_samples'])
    found[f'(matrix products, {row["precision"]})'] = machine
    found[row['name']] = speeds.against(
      row['samples'], before['samples'], machine
    )
  body = []
  for name, one in found.items():
    interval = '-'
    if one.low is not None:
      interval = f'{one.low:.3f} to {one.high:.3f}'
    body.append([name, f'{one.ratio:.3f}', interval, one.word])
  text = tables.table(
    ['times as fast as before', 'ratio', '95 % interval', 'word'], body
  )
  differ = files.differing_lines(old[0]['machine'], rows[0]['machine'])
  return '\n'.join([text, *differ])
