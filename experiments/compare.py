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

import importlib.util
import json
import time
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
from absl import flags as absl_flags

from experiments import flags
from experiments import gates
from experiments import kinds
from experiments import problem as problems
from experiments import session
from experiments import speech
from experiments import start
from experiments.contest import arena as arenas
from experiments.contest import declaration
from experiments.contest import descents
from experiments.contest import extensions
from experiments.contest import outputs
from experiments.contest import side_by_side
from experiments.contest import studies
from experiments.contest import tables
from experiments.contest import tournament
from experiments.contest import traced
from experiments.contest import waves
from gd_jax.descent import entries
from gd_jax.descent import schedules
from gd_jax.descent import specs
from gd_jax.judge import certificates
from gd_jax.judge import pytorch
from gd_jax.judge import study
from gd_jax.types import UserError
from gd_jax.world import files
from gd_jax.world import mesh
from gd_jax.world import rowfile

SIX = 'sgd,momentum,nesterov,adagrad,rmsprop,adam'
RATES = kinds.whole(
  'rates',
  8,
  'Learning rates tried for every entry, half a decade apart.',
  least=1,
  most=40,
)
TUNING_SEEDS = kinds.whole(
  'tuning_seeds', 3, 'Seeds that the rate is chosen on.', least=1, most=10_000
)
REPORT_SEEDS = kinds.whole(
  'report_seeds',
  20,
  'Seeds that are judged, none of them tuned on.',
  least=1,
  most=10_000,
)
METRIC = absl_flags.DEFINE_enum(
  'metric',
  'test_cost',
  list(study.CHOSEN_BY),
  'What the words are about; declared before training.',
)
TARGET = kinds.number(
  'target',
  None,
  'Validation accuracy (0 to 1) to reach, for updates to target.',
  above=0,
  most=1,
)
LANE_BLOCK = kinds.whole(
  'lane_block',
  None,
  'Lanes that train side by side on one batch; empty takes the most that keep '
  'every device busy, and 1 on a CPU where tuning takes less time than '
  'compiling.',
  least=1,
)
RESPLIT = absl_flags.DEFINE_bool(
  'resplit',
  False,
  'Deal all examples anew into training, validation and test for every seed, '
  'so that intervals cover the split too.',
)
CERTIFY = absl_flags.DEFINE_bool(
  'certify',
  False,
  'Only say whether ours equal Optax (and PyTorch where it is installed), step '
  'by step in float64, and train nothing.',
)
PAIRS = absl_flags.DEFINE_string(
  'pairs',
  None,
  'Pairs of entries to certify, A=B,C=D, such as my.module:adam=optax:adam.',
)
RESCORE = absl_flags.DEFINE_string(
  'rescore',
  None,
  'Run directory of a finished study: print its tables, recomputed from its '
  'rows.',
)
EXTEND = absl_flags.DEFINE_string(
  'extend',
  None,
  'Run directory of a finished study: the same with further --optimizers, '
  'training nothing twice.',
)
PROBLEM = absl_flags.DEFINE_string(
  'problem',
  None,
  'package.module:factory that returns (init, cost_of, dataset, scores_of): '
  'your own model and data instead of the network of the flags.',
)
FLAGS = (
  flags.OPTIMIZERS,
  RATES,
  TUNING_SEEDS,
  REPORT_SEEDS,
  flags.BATCH_SIZES,
  METRIC,
  TARGET,
  RESPLIT,
  LANE_BLOCK,
  CERTIFY,
  PAIRS,
  RESCORE,
  EXTEND,
  PROBLEM,
  *problems.FLAGS,
  *flags.TRAINING,
  *flags.SEVERAL,
  flags.RESUME,
  flags.PROFILE,
  *flags.EVERY,
)

ALONE = ('rescore', 'certify', 'pairs')


def main(context: start.Context) -> int:
  """Trains a study, or scores, certifies or extends what there is."""
  values = dict(context.values)
  session.agree(context)
  alone = next((name for name in ALONE if values[name]), None)
  if alone is not None and jax.process_count() > 1:
    raise UserError(
      f'--{alone} trains nothing: start it once, without --distributed or '
      '--coordinator.'
    )
  if values['rescore'] is not None:
    return rescore(context, values['rescore'])
  if values['certify'] or values['pairs'] is not None:
    return certify(context, values['pairs'])
  before = ([], [])
  if values['extend'] is not None:
    values, before = mesh.from_first(
      lambda: extensions.extended(values, [h.name for h in FLAGS if h.present])
    )
  values['optimizers'] = values['optimizers'] or SIX
  named = [entries.parse(text) for text in specs.split(values['optimizers'])]
  schedule = schedules.parse(values['schedule'])
  made = problems.by_kind(values, context.dtype)
  problem = next(iter(made.values()))
  protocol = declaration.declare(values, named, problem, context.dtype)
  if values['extend'] is not None:
    extensions.refuse_other_data(values['extend'], problem.fingerprint)
  shape = jax.eval_shape(problem.init, jax.random.key(0))
  waves.check_memory(shape, protocol, context.devices, values)
  for entry in named:
    entries.check(entry, shape, schedule)

  gates.pass_once(
    context.devices, context.dtype, values['precision'], context.say
  )

  def work(kept: session.Session) -> session.Outcome:
    context.say(problem.words)
    arena = arenas.arena(
      made,
      mesh.row(context.devices),
      values,
      dtype=context.dtype,
      schedule=schedule,
      share=mesh.share(context.signals),
    )
    plan = studies.prepare(kept, arena, protocol, before)
    certified = studies.certificates_of(protocol) if context.first else []
    try:
      rows, programs = studies.train_all(kept, arena, protocol, plan)
      descents.keep(kept, arena, protocol, rows)
      traced.keep(kept, arena, protocol)
    except tournament.InterruptedStudyError:
      return session.interrupted(context)
    if not context.first:
      return session.Outcome(start.DONE, '')
    inputs = {
      'problem': problem.words,
      'images': problems.size_of(problem.test),
      'protocol': study.record_of(protocol),
      'programs': programs,
      'rows_sha256': rowfile.sha256(kept.run.path),
      'side_by_side': side_by_side.run(arena, protocol, rows),
      'certificates': certified,
      'seconds': time.perf_counter() - context.started,
    }
    finish(kept, inputs, rows)
    return session.Outcome(start.DONE, '')

  return session.hold(context, values, problem.fingerprint, work)


def rescore(context: start.Context, run: str) -> int:
  """Prints the tables of a finished study, recomputed from its rows.

  They are what stands on stdout, or with --json the rows.
  """
  stored = studies.stored(run)
  rows = studies.stored_rows(run, stored)
  text = tables.everything(studies.score(stored, rows))
  if context.values['json']:
    context.say(text)
    for row in rows:
      print(json.dumps(row), flush=True)
  elif not context.values['quiet']:
    print(speech.harmless(text), end='', flush=True)
  return start.DONE


def certify(context: start.Context, wanted: str | None) -> int:
  """Prints whether optimizers are one another: pairs, or all of ours."""
  if wanted:
    pairs = [entries.parse_pair(text) for text in specs.split(wanted)]
    found = [
      certificates.certify_entries(a, b)
      for a, b in pairs
      if not context.stop.is_set()
    ]
  else:
    found = certificates.certify_twins()
    if importlib.util.find_spec('torch') is None:
      context.say('PyTorch is not installed here: `make torch` adds its side')
    else:
      found += [
        pytorch.certify(entries.parse(text))
        for method, text in certificates.TRIALS.items()
        if method in pytorch.CLASSES
      ]
  for certificate in found:
    context.say(certificates.sentence(certificate))
    if context.values['json']:
      print(json.dumps(files.plain(certificate._asdict())), flush=True)
  if context.stop.is_set():
    speech.warn('compare: stopped before all pairs were certified.')
    return 128 + context.signals[0]
  return start.DONE


def finish(
  kept: session.Session,
  inputs: Mapping[str, Any],
  rows: Sequence[Mapping[str, Any]],
) -> None:
  """Scores, writes and shows a trained study."""
  scored = studies.score(inputs, rows)
  outputs.write(kept, scored, rows)
  kept.context.say(tables.everything(scored))
  kept.context.say(f'wrote {kept.run.path}')


if __name__ == '__main__':
  start.run(main, doc=__doc__, own=FLAGS)
