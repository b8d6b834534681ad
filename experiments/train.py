r"""Train one network with one optimizer, and watch it learn.

Question: how well, and how fast, does gradient descent teach a network of
sigmoid neurons to read handwritten digits?

  python -m experiments.train
  python -m experiments.train --dataset=mnist --layer_sizes=784,30,10 \
      --batch_size=10 --learning_rate=3 --epochs=30 --init=normal

Writes a run directory: config.json, rows.jsonl (one row an epoch), status.json,
checkpoint/, figures/curves.png and, with --snapshots=21, what
`experiments.inspect_run` looks at. Expected: about 90 % of the digits after 5
epochs, in seconds; the second command (Nielsen, chapter 1) about 95 % of MNIST.
"""

import functools
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
from absl import flags as absl_flags

from experiments import flags
from experiments import gates
from experiments import keeping
from experiments import pieces
from experiments import problem as problems
from experiments import profiling
from experiments import session
from experiments import start
from gd_jax.descent import batches
from gd_jax.descent import entries
from gd_jax.descent import schedules
from gd_jax.descent import shards
from gd_jax.descent import train
from gd_jax.pictures import plots
from gd_jax.types import Optimizer
from gd_jax.world import clock
from gd_jax.world import mesh
from gd_jax.world import snapshots

OPTIMIZER = absl_flags.DEFINE_string(
  'optimizer', 'sgd', f'How to descend: {flags.ENTRY}'
)
FLAGS = (
  *problems.FLAGS,
  *flags.TRAINING,
  OPTIMIZER,
  flags.LEARNING_RATE,
  flags.RESUME,
  flags.CHECKPOINT_EVERY,
  flags.PROFILE,
  *flags.EVERY,
)


class Progress(NamedTuple):
  """What a checkpoint holds: between two pieces of an epoch."""

  state: train.State
  sums: train.Metrics  # of the epoch so far


def main(context: start.Context) -> int:
  """One run: data, run directory, epochs, picture."""
  values = dict(context.values)
  entry = entries.parse(values['optimizer'])
  values['learning_rate'] = values['learning_rate'] or entry.centre
  schedule = schedules.parse(values['schedule'])
  problems.check_rate(values['learning_rate'], context.dtype)
  problem = problems.single(values, context.dtype)
  values['batch_size'] = problems.batch_size(values['batch_size'], problem)
  shape = jax.eval_shape(problem.init, jax.random.key(0))
  entries.check(entry, shape, schedule)
  optimizer = entries.build(entry, values['learning_rate'], schedule)
  title = f'{problem.words}; {entry.text} at {values["learning_rate"]:g}'

  gates.pass_once(
    context.devices, context.dtype, values['precision'], context.say
  )

  def work(kept: session.Session) -> session.Outcome:
    context.say(title)
    outcome, rows = descend(context, values, problem, optimizer, kept)
    if rows:
      figure = plots.png(plots.learning_curves(rows, title))
      session.write_figure(kept, 'curves.png', figure)
    if outcome.code == start.DONE:
      context.say(
        f'{100 * rows[-1]["test_accuracy"]:.2f} % of the '
        f'{problems.size_of(problem.test):,} test images are read right after '
        f'{rows[-1]["epoch"]} epoch(s), {rows[-1]["step"]:,} updates; '
        f'wrote {kept.run.path}'
      )
    return outcome

  return session.hold(context, values, problem.fingerprint, work)


def descend(
  context: start.Context,
  values: dict[str, Any],
  problem: problems.Problem,
  optimizer: Optimizer,
  kept: session.Session,
) -> tuple[session.Outcome, list[dict[str, Any]]]:
  """Trains to the last epoch, a signal, or divergence; returns all rows."""
  local = shards.mesh_for(values['batch_size'], mesh.row(context.devices))
  step = train.make_step(
    problem.cost_of,
    optimizer,
    gradients=values['gradients'],
    reduction=values['reduction'],
    chunk=batches.chunk_on(context.devices[0].platform),
    axis=shards.axis_of(local),
  )
  state = train.start(problem.init(jax.random.key(values['seed'])), optimizer)
  zeros = train.Metrics(*jnp.zeros((2,), context.dtype))
  (state, sums), done, rows, spent = session.restore(
    kept, Progress(state, zeros)
  )
  updates = steps_an_epoch(values, problem)
  evaluate = jax.jit(functools.partial(train.evaluate, problem.scores_of))
  test = jax.device_put(problem.test)
  # Of an epoch that a stop cut in two, both parts count.
  seconds, compiling = spent.get('train_seconds', 0.0), 0.0
  warm = False
  cut = keeping.pieces(values, problem, values['batch_size'])
  marks = keeping.marks(values, len(cut))
  about = keeping.about(
    values['optimizer'],
    values['learning_rate'],
    values['seed'],
    values['batch_size'],
    values['init'][0],
  )
  if values['profile']:
    some = slice(0, profiling.UPDATES)
    few = pieces.batch_of(values, problem.train, local, 0, some)
    unroll = batches.unroll_on(jax.local_devices()[0].platform)
    program = shards.epoch_program(step, local, unroll=unroll)
    profiling.keep(
      kept,
      {
        'gather': lambda: pieces.batch_of(
          values, problem.train, local, 0, some
        ),
        'train': lambda: program(state, few),
        'evaluate': lambda: evaluate(state.params, test),
      },
    )
  if 0 in marks and not done:
    snapshots.save(kept.run.path, 0, 0, state.params, about)
  for piece in pieces.trained(values, problem, step, local, state, done):
    done += 1
    seconds += piece.train_seconds
    compiling += piece.compile_seconds
    if not piece.finite:
      made = piece.epoch * updates + piece.updates.start
      return diverged(step, local, piece, made), rows
    if done in marks:
      made = piece.epoch * updates + piece.updates.stop
      snapshots.save(kept.run.path, 0, made, piece.after.params, about)
    sums = jax.tree.map(jnp.add, sums, piece.metrics)
    if piece.last:
      if not warm:
        _, span = clock.timed(evaluate, piece.after.params, test)
        compiling, warm = compiling + clock.seconds(span), True
      scores, span = clock.timed(evaluate, piece.after.params, test)
      row = {
        'epoch': piece.epoch + 1,
        'step': (piece.epoch + 1) * updates,
        'train_cost': float(sums.cost / sums.examples),
        'test_cost': float(scores.cost),
        'test_accuracy': float(scores.accuracy),
        'train_seconds': seconds,
        'eval_seconds': clock.seconds(span),
      }
      rows.append(row if rows else row | {'compile_seconds': compiling})
      session.record(kept, rows[-1:])
      context.say(progress_line(row, values['epochs']))
      sums, seconds, compiling = zeros, 0.0, 0.0
    stop = context.stop.is_set()
    end = piece.last and piece.epoch + 1 == values['epochs']
    due = end or not piece.last or not done % values['checkpoint_every']
    if stop or due:
      left = {'train_seconds': seconds}
      after = Progress(piece.after, sums)
      session.save(kept, done, after, left, passing=not due)
    if stop and not end:
      return session.interrupted(context), rows
  return session.Outcome(start.DONE, ''), rows


def steps_an_epoch(values: dict[str, Any], problem: problems.Problem) -> int:
  """Updates an epoch makes."""
  n = problems.size_of(problem.train)
  return batches.steps_of(n, values['batch_size'])


def diverged(
  step: train.Step,
  local: jax.sharding.Mesh | None,
  piece: pieces.Piece,
  made: int,
) -> session.Outcome:
  """Which update left the finite numbers; `made` came before this piece."""
  watch = shards.over_devices(functools.partial(train.run_watched, step), local)
  _, updates = watch(piece.before, piece.batch)
  return session.Outcome(
    start.DIVERGED,
    f'diverged: update {made + int(updates) + 1} left the finite numbers, try '
    'a smaller --learning_rate',
  )


def progress_line(row: dict[str, Any], epochs: int) -> str:
  """One epoch in one line."""
  return (
    f'epoch {row["epoch"]:{len(str(epochs))}}/{epochs}  '
    f'train cost {row["train_cost"]:.5f}  test cost {row["test_cost"]:.5f}  '
    f'test accuracy {100 * row["test_accuracy"]:5.2f} %  '
    f'{row["train_seconds"]:.3f} s'
  )


if __name__ == '__main__':
  start.run(main, doc=__doc__, own=FLAGS)
