"""How fast is this accelerator at gradient descent, and how near to its roof?

Everything is measured in one run: the peak, the bandwidth and the job.

  python -m experiments.benchmark
  python -m experiments.benchmark --batch_sizes=10,100 --lanes=1,24,512
  python -m experiments.benchmark --against=runs/OLD/rows.jsonl

Writes a run directory: rows.jsonl (a line a row: machine, versions, flags, raw
samples), table.txt and figures/roofline.png. Expected: under two minutes on two
cores. First every program has to end where NumPy ends, in float64.

How to read the table:

  samples/s     examples that all lanes together learn from in a second
  steps/s       updates that each lane makes; lane-steps/s: all lanes together
  GFLOP/s       m (4 sum n n' + 2 sum n n' without the first layer) a step
  peak          its share of the fastest matrix products measured in this run
  roof          its share of what this work can reach: a step takes at least its
                FLOP at the peak, and its bytes at the measured bandwidth
  bound         the longest of three floors of a step. launch: the same program
                with nothing to compute, so give it more lanes or a larger m;
                memory: its bytes; compute: its FLOP, nothing better to be had
"""

import pathlib
import time
from collections.abc import Sequence
from typing import Any

from absl import flags as absl_flags

from experiments import flags
from experiments import kinds
from experiments import problem as problems
from experiments import profiling
from experiments import session
from experiments import start
from experiments.speed import jobs
from experiments.speed import measures
from experiments.speed import speed_tables
from experiments.speed import tasks
from gd_jax.descent import entries
from gd_jax.descent import specs
from gd_jax.judge import gate
from gd_jax.pictures import plots
from gd_jax.pictures import roofline
from gd_jax.types import UserError
from gd_jax.world import clock
from gd_jax.world import files
from gd_jax.world import machine
from gd_jax.world import mesh

SIZES = (784, 30, 10)
BATCH_SIZES = (10, 100, flags.FULL)
LANES_HERE = {'cpu': (1, 24)}
LANES_ELSEWHERE = (1, 24, 512)
REFERENCES = pathlib.Path(__file__).parent / 'results' / 'benchmark'
# Versions and XLA flags are what one compares.
MACHINE = ('platform', 'device_kind', 'devices', 'system', 'processor', 'cores')

LANES = kinds.wholes(
  'lanes',
  [],
  'Networks trained at once: 1 is the program of train, several that of '
  'compare, in blocks of up to 8 rates; empty means 1,24 on a CPU and '
  '1,24,512 elsewhere.',
)
PRECISIONS = kinds.words(
  'precisions',
  ['float32'],
  f'Of the arithmetic: {", ".join(flags.PRECISIONS)}.',
  tuple(flags.PRECISIONS),
)
SAMPLES = kinds.whole(
  'samples',
  clock.LEAST_SAMPLES,
  'Samples of each row, in turn, 0.2 s or more each.',
  least=clock.LEAST_SAMPLES,
)
AGAINST = absl_flags.DEFINE_string(
  'against',
  None,
  'rows.jsonl of an earlier benchmark on this machine: says FASTER, SLOWER, '
  'SAME or UNSURE of each row, by a 95 % interval of the ratio of medians '
  '(order statistics) and a band of 3 %.',
)
FLAGS = (
  flags.BATCH_SIZES,
  LANES,
  flags.OPTIMIZERS,
  PRECISIONS,
  SAMPLES,
  AGAINST,
  flags.LAYER_SIZES,
  flags.GRADIENTS,
  flags.PROFILE,
  *flags.EVERY,
)


def main(context: start.Context) -> int:
  """Checks, measures, writes."""
  values = resolved(context)
  sizes = tuple(values['layer_sizes'])
  wanted = tasks.specs(values, sizes, values['lanes'])
  old = None
  if values['against'] is not None:
    old = rows_against(values['against'], wanted, context)

  def work(kept: session.Session) -> session.Outcome:
    rows = benchmark(context, values, wanted)
    if not rows:
      return session.interrupted(context)
    session.record(kept, rows)
    if values['profile']:
      trace(kept, wanted)
    others = speed_tables.references(REFERENCES)
    text = speed_tables.everything(rows, others, old)
    files.write_file(kept.run.path / 'table.txt', text.encode('ascii'))
    figure = plots.png(roofline.figure(rows))
    session.write_figure(kept, 'roofline.png', figure)
    context.say(text)
    context.say(f'wrote {kept.run.path}')
    return session.Outcome(start.DONE, '')

  return session.hold(context, values, 'made-up images', work)


def resolved(context: start.Context) -> dict[str, Any]:
  """The flags with what an empty one means; a wrong one is a UserError."""
  values: dict[str, Any] = context.values | {'resume': False}
  platform = context.devices[0].platform
  sizes = values['layer_sizes'] or list(SIZES)
  if len(sizes) < 2 or sizes[-1] > 256:
    raise UserError(
      f'--layer_sizes={",".join(map(str, sizes))} is no network here: give '
      'inputs, hidden layers and up to 256 classes, such as 784,30,10.'
    )
  for m in values['batch_sizes']:
    if m != flags.FULL and m > tasks.EXAMPLES:
      raise UserError(
        f'--batch_sizes={m} is larger than the {tasks.EXAMPLES} made-up '
        f'images: give at most that, or {flags.FULL}.'
      )
  texts = specs.split(values['optimizers'] or 'sgd')
  for text in texts:
    entries.parse(text)
  many = LANES_HERE.get(platform, LANES_ELSEWHERE)
  problems.check_memory(
    4 * problems.weights_of(sizes),
    f'--layer_sizes={",".join(map(str, sizes))}',
    max(values['lanes'] or many),
    'lanes',
  )
  return values | {
    'layer_sizes': sizes,
    'batch_sizes': values['batch_sizes'] or list(BATCH_SIZES),
    'lanes': values['lanes'] or list(many),
    'optimizers': texts,
  }


def benchmark(
  context: start.Context, values: dict[str, Any], wanted: list[tasks.Spec]
) -> list[dict[str, Any]]:
  """All rows; none where a signal came."""
  row = mesh.row(context.devices)
  for precision in values['precisions']:
    with tasks.arithmetic(precision) as dtype:
      found = gate.try_device(row, dtype=dtype, precision=precision)
    worst = max(one.difference for one in found)
    context.say(
      f'{precision}: {len(found)} programs end where NumPy ends, to '
      f'{worst:.1e} of the movement'
    )
  made = []
  sizes = wanted[0].layer_sizes
  data = gate.images(tasks.EXAMPLES, sizes[0], sizes[-1])
  nothing = gate.images(
    tasks.IDLE_STEPS * tasks.IDLE_BATCH,
    tasks.IDLE_SIZES[0],
    tasks.IDLE_SIZES[-1],
  )
  idle = {}
  for spec in wanted:
    if context.stop.is_set():
      return []
    job = jobs.make(spec, row, data)
    made.append(job)
    if tasks.idle(spec) not in idle:
      idle[tasks.idle(spec)] = jobs.make(tasks.idle(spec), row, nothing)
    context.say(f'{tasks.name_of(spec)}: {speed_tables.checked(job)}')
  probes = measures.probe(row, values['precisions'])
  rows = measures.measure(
    made,
    idle,
    probes,
    samples=values['samples'],
    stopping=context.stop.is_set,
  )
  shape = machine.machine_shape(context.devices)
  about = {
    'import_seconds': import_seconds(context),
    'device_seconds': context.device_seconds,
    'machine': shape,
    'flags': {key: values[key] for key in sorted(values)},
  }
  return [one | about for one in rows]


def trace(kept: session.Session, wanted: Sequence[tasks.Spec]) -> None:
  """Traces a few updates of every row's program, after it was timed."""
  row, sizes = mesh.row(kept.context.devices), wanted[0].layer_sizes
  data = gate.images(tasks.EXAMPLES, sizes[0], sizes[-1])
  profiling.keep(
    kept,
    {
      tasks.name_of(spec): jobs.make(spec, row, data, profiling.UPDATES).run
      for spec in wanted
    },
  )


def import_seconds(context: start.Context) -> float | None:
  """From the birth of this process until the script began."""
  age = clock.age()
  return None if age is None else age + context.started - time.perf_counter()


def rows_against(
  file: str, wanted: Sequence[tasks.Spec], context: start.Context
) -> list[dict[str, Any]]:
  """The rows of an earlier benchmark, one for each that is wanted.

  Raises:
    UserError: another machine, other flags, or no such rows.
  """
  old = speed_tables.read(pathlib.Path(file))
  shape = machine.machine_shape(context.devices)
  for row in old:
    for key in MACHINE:
      if row['machine'].get(key) != shape[key]:
        raise UserError(
          f'--against={files.shown(file)} was measured on another machine: '
          f'{key} is {files.shown(row["machine"].get(key))} there and '
          f'{shape[key]} here; compare rows of one machine.'
        )
  there = {speed_tables.key_of(row) for row in old}
  for spec in wanted:
    if tuple(spec) not in there:
      raise UserError(
        f'--against={files.shown(file)} has no row of {tasks.name_of(spec)} '
        f'({spec.gradients} gradients, {"-".join(map(str, spec.layer_sizes))}'
        '): give the flags that it was measured with.'
      )
  return old


if __name__ == '__main__':
  start.run(main, doc=__doc__, own=FLAGS)
