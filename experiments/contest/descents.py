"""Snapshots of a study: one descent an entry, trained once more."""

import functools
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from experiments import keeping
from experiments import session
from experiments.contest import arena as arenas
from experiments.contest import tournament
from gd_jax.descent import batches
from gd_jax.descent import entries
from gd_jax.descent import train
from gd_jax.judge import study
from gd_jax.world import snapshots


def keep(
  kept: session.Session,
  arena: arenas.Arena,
  protocol: study.Protocol,
  rows: Sequence[Mapping[str, Any]],
) -> None:
  """Trains each entry's first report seed once more and keeps snapshots of it.

  The same start, batches and rate as its lane, in a program of its own: a lane
  is too fast to be stopped within an epoch. A descent that diverges keeps what
  was finite.

  Raises:
    InterruptedStudyError: when a signal came; what is kept stays.
  """
  values = kept.config['flags']
  seed = protocol.report_seeds[0]
  if not values.get('snapshots') or not kept.context.first:
    return
  for place, one in enumerate(protocol.contestants):
    rate = next(
      row['learning_rate']
      for row in rows
      if (row['phase'], row['entry'], row['seed']) == ('report', one.name, seed)
    )
    what = keeping.about(one.name, rate, seed, one.batch_size, one.init)
    problem = arenas.problem_of(arena, one)
    optimizer = entries.build(
      entries.parse(one.optimizer),
      jnp.asarray(rate, arena.dtype),
      arena.schedule,
    )
    step = train.make_step(
      problem.cost_of,
      optimizer,
      gradients=arena.gradients,
      reduction=arena.reduction,
    )
    run = jax.jit(functools.partial(train.run_epoch, step))
    cut = keeping.pieces(values, problem, one.batch_size)
    wanted = keeping.marks(values, len(cut))
    state = train.start(arena.starts[one.init](seed), optimizer)
    for done in range(len(cut) * arena.epochs + 1):
      epoch, part = divmod(done, len(cut))
      if done in wanted:
        made = epoch * cut[-1].stop + (cut[part].start if part else 0)
        snapshots.save(kept.run.path, place, made, state.params, what)
      if done == len(cut) * arena.epochs:
        break
      # What the others hear is told once an epoch, and they have ended theirs.
      if arena.share.stopping() or kept.context.stop.is_set():
        raise tournament.InterruptedStudyError
      order = arena.division.order(seed, epoch, one.batch_size)
      some = batches.Order(*(leaf[cut[part]] for leaf in order))
      state, metrics = run(state, arena.division.examples, some)
      if not train.finite(state, metrics.cost):
        break
