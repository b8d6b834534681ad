"""A study from its declaration to its answers, unit by unit."""

import pathlib
import time
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from experiments import problem as problems
from experiments import session
from experiments import speech
from experiments.contest import arena as arenas
from experiments.contest import progress
from experiments.contest import tournament
from gd_jax.descent import entries
from gd_jax.judge import certificates
from gd_jax.judge import results
from gd_jax.judge import study
from gd_jax.types import UserError
from gd_jax.world import files
from gd_jax.world import mesh
from gd_jax.world import rowfile
from gd_jax.world import seals

# What a study holds that does not follow from its rows.
INPUTS = {
  'programs',
  'certificates',
  'side_by_side',
  'images',
  'rows_sha256',
}
# Rows that are known already, by (phase, entry, rates, seeds) of their unit.
Known = dict[tuple, list[dict[str, Any]]]


def known_rows(rows: Sequence[Mapping[str, Any]], programs) -> Known:
  """The rows of finished units."""
  known: Known = {}
  first = 0
  for program in programs:
    part = rows[first : first + program['rows']]
    known[key_of(program)] = [dict(row) for row in part]
    first += program['rows']
  return known


def key_of(unit: Mapping[str, Any]) -> tuple:
  """What a unit is, of its record."""
  return (
    unit['phase'],
    unit['entry'],
    tuple(unit['rates']),
    tuple(unit['seeds']),
  )


class Plan(NamedTuple):
  """What a study knows before it trains: units that need no training."""

  known: Known
  programs: dict[tuple, dict[str, Any]]  # records, by the key of their unit
  recorded: int  # units that this run directory holds already


def prepare(
  kept: session.Session,
  arena: arenas.Arena,
  protocol: study.Protocol,
  before: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> Plan:
  """Finds what is known, and starts compiling what will be needed.

  `before` holds the rows and programs of a finished study that this one
  extends; what this run recorded before it was interrupted is taken over too.
  """
  recorded, rows, extra = mesh.from_first(lambda: session.restore(kept, ())[1:])
  mine = extra.get('programs', [])
  known = known_rows(*before) | known_rows(rows, mine)
  units = study.tuning_units(protocol)
  # Whatever rates are chosen, the programs of the report have these shapes.
  guess = [
    study.Unit('report', one, (one.centre,), tuple(protocol.report_seeds))
    for one in protocol.contestants
  ]
  missing = [unit for unit in units if study.key_of(unit) not in known]
  arenas.compile_ahead(arena, missing + guess if missing else guess)
  return Plan(
    known, {key_of(program): program for program in before[1] + mine}, recorded
  )


def train_all(
  kept: session.Session,
  arena: arenas.Arena,
  protocol: study.Protocol,
  plan: Plan,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
  """Every unit of the study, trained or taken over: (rows, programs)."""
  rows, programs = [], []
  problem = next(iter(arena.problems.values()))
  whole = progress.whole_work(protocol, problems.size_of(problem.train))
  trained, began = 0, time.perf_counter()

  def train(units: Sequence[study.Unit]) -> None:
    nonlocal trained
    missing = [unit for unit in units if study.key_of(unit) not in plan.known]
    # Nothing is timed while something else compiles.
    arenas.compile_now(arena, missing)
    for unit in units:
      key = study.key_of(unit)
      if key in plan.known:
        unit_rows, program = plan.known[key], plan.programs[key]
      else:
        unit_rows, program = tournament.run_unit(arena, unit)
      rows.extend(unit_rows)
      programs.append(program)
      trained += program['lanes'] * program['updates']
      if not kept.context.first:
        continue
      if len(programs) > plan.recorded:
        session.record(kept, unit_rows)
        session.save(kept, len(programs), (), {'programs': programs})
      if key not in plan.known and not kept.context.values['quiet']:
        speech.warn(progress.line(program, trained, whole, began))

  train(study.tuning_units(protocol))
  for widened in range(study.WIDENINGS):
    train(study.widening_units(protocol, rows, widened))
  train(study.report_units(protocol, rows))
  return rows, programs


def certificates_of(protocol: study.Protocol) -> list[dict[str, Any]]:
  """Each contestant of ours against its Optax twin, in float64."""
  ours = dict.fromkeys(
    one.optimizer
    for one in protocol.contestants
    if one.implementation == 'ours'
  )
  parsed = [entries.parse(text) for text in ours]
  return [
    certificates.certify_entries(entry, entries.twin(entry))._asdict()
    for entry in parsed
  ]


def score(
  inputs: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
  """What study.json holds: the inputs, and all that follows from the rows."""
  protocol = study.protocol_from(inputs['protocol'])
  answers = results.assemble(protocol, rows, images=inputs['images'])
  orders = {}
  for program in inputs['programs']:
    if program['phase'] == 'report':
      before = orders.get(program['entry'], '')
      orders[program['entry']] = before + program['orders']
  checks = results.checklist(
    protocol,
    rows,
    answers,
    certificates=inputs['certificates'],
    orders=orders,
  )
  return {**inputs, **answers, 'checklist': [list(check) for check in checks]}


def stored_rows(run: str, study_there: Mapping[str, Any]) -> list[dict]:
  """The rows of a finished study, all of them.

  Raises:
    UserError: rows are missing or altered, or no rows of a study.
  """
  rows = rowfile.read(run)
  wanted = sum(program['rows'] for program in study_there['programs'])
  if len(rows) != wanted:
    raise UserError(
      f'{files.shown(rowfile.path_of(run))} does not hold the {wanted} rows '
      f'that its study.json counts but {len(rows)}: bring back a copy of both.'
    )
  if rowfile.sha256(run) != study_there['rows_sha256']:
    raise UserError(
      f'{files.shown(rowfile.path_of(run))} is not as its study.json knows it '
      '(its SHA-256 is another): bring back a copy of both.'
    )
  return rows


def stored(run: str) -> dict[str, Any]:
  """What study.json of a finished study holds.

  Raises:
    UserError: there is none, or it is damaged.
  """
  file = pathlib.Path(run) / 'study.json'
  try:
    found = seals.unsealed(files.read_file(file))
    study.protocol_from(found['protocol'])
    if not found.keys() >= INPUTS:
      raise ValueError('it lacks what this version reads')
  except (ValueError, KeyError, TypeError, IndexError) as error:
    raise UserError(
      f'{files.shown(file)} is no study as compare writes it '
      f'({files.shown(error)}): bring back a copy of it, or compare again.'
    ) from error
  return found
