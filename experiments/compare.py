"""Optimizer against optimizer, as a referee would accept it.

Question: which optimizer is better here, by how much, and how sure are we?

  python -m experiments.compare
  python -m experiments.compare --optimizers=sgd,optax:lion,adam+b1=0.95@0.003
  python -m experiments.compare --dataset=mnist --epochs=10

Every entry is tuned on the same number of learning rates, on seeds of their
own; the chosen rate is then reported on fresh seeds, pair by pair, with a word
(better, worse, equivalent, unresolved) only where the statistics allow one.
Writes a run directory: rows.jsonl (every figure), study.json (every verdict),
report.html and figures/. Expected: under half a minute for digits.
"""

import time
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
from absl import flags as absl_flags

from experiments import flags
from experiments import problem as problems
from experiments import progress
from experiments import session
from experiments import side_by_side
from experiments import start
from experiments import tables
from experiments import tournament
from gd_jax.descent import entries
from gd_jax.descent import schedules
from gd_jax.descent import specs
from gd_jax.judge import certificates
from gd_jax.judge import records
from gd_jax.judge import results
from gd_jax.judge import study
from gd_jax.types import UserError
from gd_jax.world import files
from gd_jax.world import mesh

OPTIMIZERS = absl_flags.DEFINE_string(
  'optimizers',
  'sgd,momentum,nesterov,adagrad,rmsprop,adam',
  f'Entries, separated by commas: {flags.ENTRY}',
)
RATES = flags.whole(
  'rates',
  8,
  'Learning rates tried for every entry, half a decade apart.',
  least=1,
)
TUNING_SEEDS = flags.whole(
  'tuning_seeds', 3, 'Seeds that the rate is chosen on.', least=1
)
REPORT_SEEDS = flags.whole(
  'report_seeds', 20, 'Seeds that are judged, none of them tuned on.', least=1
)
BATCH_SIZES = flags.wholes(
  'batch_sizes',
  [],
  'Mini-batch sizes to cross the entries with, such as 1,10,100,full; empty '
  'means --batch_size alone.',
  words=(flags.FULL,),
)
METRIC = absl_flags.DEFINE_enum(
  'metric',
  'test_cost',
  list(study.CHOSEN_BY),
  'What the words are about; declared before training.',
)
TARGET = flags.number(
  'target',
  None,
  'Validation accuracy (0 to 1) to reach, for updates to target.',
  above=0,
)
LANE_BLOCK = flags.whole(
  'lane_block',
  None,
  'Lanes that train side by side on one batch; empty takes the most that keep '
  'every device busy.',
  least=1,
)
FLAGS = (
  OPTIMIZERS,
  RATES,
  TUNING_SEEDS,
  REPORT_SEEDS,
  BATCH_SIZES,
  METRIC,
  TARGET,
  LANE_BLOCK,
  *problems.FLAGS,
  flags.SCHEDULE,
  flags.BATCH_SIZE,
  flags.EPOCHS,
  flags.SEED,
  flags.REDUCTION,
  flags.GRADIENTS,
  flags.PRECISION,
  flags.PLATFORM,
  flags.WORKDIR,
  flags.NAME,
  flags.RESUME,
  flags.JSON,
)


def main(context: start.Context) -> int:
  """A study: protocol, lanes, verdicts, tables, report."""
  values = dict(context.values)
  texts = [text for text in specs.split(values['optimizers']) if text]
  named = [entries.parse(text) for text in texts]
  schedule = schedules.parse(values['schedule'])
  made = {
    init: problems.from_flags(values | {'init': init}, context.dtype)
    for init in (values['init'],)
  }
  problem = next(iter(made.values()))
  protocol = declare(values, named, problem)
  shape = jax.eval_shape(problem.init, jax.random.key(0))
  for entry in named:
    entries.check(entry, shape, schedule)
  values['optimizers'] = [entry.text for entry in named]

  def work(kept: session.Session) -> session.Outcome:
    context.say(problem.words)
    arena = tournament.arena(
      made,
      mesh.row(context.devices),
      values,
      dtype=context.dtype,
      schedule=schedule,
      stopping=context.stop.is_set,
    )
    try:
      rows, programs = train_all(kept, arena, protocol)
    except tournament.InterruptedStudyError:
      return session.interrupted(context)
    beside = side_by_side.run(arena, protocol, rows)
    inputs = {
      'problem': problem.words,
      'images': problems.size_of(problem.test),
      'protocol': study.record_of(protocol),
      'programs': programs,
      'side_by_side': beside,
      'certificates': certificates_of(protocol),
      'seconds': time.perf_counter() - context.started,
    }
    finish(kept, inputs, rows)
    return session.Outcome(start.DONE, '')

  return session.hold(context, values, problem.fingerprint, work)


def declare(
  values: Mapping[str, Any],
  named: Sequence[entries.Entry],
  problem: problems.Problem,
) -> study.Protocol:
  """The protocol of the flags.

  Raises:
    UserError: for what cannot be a study.
  """
  texts = [entry.text for entry in named]
  twice = [text for text in texts if texts.count(text) > 1]
  if twice or not texts:
    raise UserError(
      f'--optimizers names {twice[0]} twice: name every entry once (one of '
      'them is entered twice anyway, as the null pair).'
      if twice
      else '--optimizers names nothing: name an entry, such as sgd.'
    )
  if not problems.size_of(problem.validation):
    raise UserError(
      'a study chooses learning rates on the validation split, which is '
      'empty: give --validation_size at least 1.'
    )
  if values['metric'] == records.UPDATES_TO_TARGET and not values['target']:
    raise UserError(
      f'--metric={records.UPDATES_TO_TARGET} needs a target: give --target=0.9 '
      'for 90 % of the validation split.'
    )
  sizes = values['batch_sizes'] or [values['batch_size']]
  tuning, report, null = study.split_seeds(
    values['seed'], values['tuning_seeds'], values['report_seeds']
  )
  return study.Protocol(
    contestants=study.contestants(
      [(e.text, e.implementation, e.centre, e.centre_source) for e in named],
      [problems.batch_size(size, problem) for size in sizes],
      [values['init']],
    ),
    rates=values['rates'],
    tuning_seeds=tuning,
    report_seeds=report,
    null_seeds=null,
    epochs=values['epochs'],
    metric=values['metric'],
    target=('validation_accuracy', values['target'])
    if values['target']
    else None,
  )


def train_all(
  kept: session.Session, arena: tournament.Arena, protocol: study.Protocol
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
  """Every unit of the study that is not on the disk yet: (rows, programs)."""
  _, done, rows, extra = session.restore(kept, ())
  programs = extra.get('programs', [])
  recorded = list(rows)
  rows, count = [], 0
  problem = next(iter(arena.problems.values()))
  whole = progress.whole_work(protocol, problems.size_of(problem.train))
  trained, began = 0, time.perf_counter()

  def train(units: Sequence[study.Unit]) -> None:
    nonlocal count, trained
    tournament.compile_ahead(arena, units)
    for unit in units:
      count += 1
      if count <= done:
        lanes = len(unit.rates) * len(unit.seeds)
        first = len(rows)
        rows.extend(recorded[first : first + lanes * protocol.epochs])
        continue
      unit_rows, program = tournament.run_unit(arena, unit)
      session.record(kept, unit_rows)
      rows.extend(unit_rows)
      programs.append(program)
      session.save(kept, count, (), {'programs': programs})
      trained += program['lanes'] * program['updates']
      start.warn(progress.line(program, trained, whole, began))

  train(study.tuning_units(protocol))
  # Whatever rate is chosen, the programs of the report are these.
  tournament.compile_ahead(arena, study.report_units(protocol, rows))
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


def finish(
  kept: session.Session,
  inputs: Mapping[str, Any],
  rows: Sequence[Mapping[str, Any]],
) -> None:
  """Scores, writes and shows a trained study."""
  scored = score(inputs, rows)
  files.write_file(
    kept.run.path / 'study.json', files.json_bytes(scored, 'the study')
  )
  files.write_file(
    kept.run.path / 'tables.txt', tables.everything(scored).encode('ascii')
  )
  kept.context.say(tables.everything(scored))
  kept.context.say(f'wrote {kept.run.path}')


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


if __name__ == '__main__':
  start.run(main, doc=__doc__, own=FLAGS)
