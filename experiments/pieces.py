"""Epochs in pieces: each gathered while the one before trains, and timed."""

import functools
import time
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import jax

from experiments import keeping
from experiments import problem as problems
from gd_jax.descent import batches
from gd_jax.descent import shards
from gd_jax.descent import train
from gd_jax.types import Batch
from gd_jax.world import clock


class Piece(NamedTuple):
  """A piece of an epoch, trained."""

  epoch: int  # from 0
  updates: slice  # of the epoch
  last: bool  # of its epoch
  before: train.State
  after: train.State
  batch: Batch
  metrics: train.Metrics
  finite: bool
  train_seconds: float
  compile_seconds: float


def trained(
  values: dict[str, Any],
  problem: problems.Problem,
  step: train.Step,
  local: jax.sharding.Mesh | None,
  state: train.State,
  done: int,
) -> Iterator[Piece]:
  """Trains piece after piece, each gathered while the one before trains.

  `local` is of the devices that divide a large batch among them.
  """
  m, n = values['batch_size'], problems.size_of(problem.train)
  cut = keeping.pieces(values, problem, m)
  todo = (divmod(k, len(cut)) for k in range(done, values['epochs'] * len(cut)))
  platform = jax.local_devices()[0].platform
  examples = problem.train
  if platform != 'cpu' and local is None:
    examples = jax.device_put(problem.train)

  def make(key: tuple[int, int]) -> Batch:
    return batch_of(values, examples, local, key[0], cut[key[1]])

  whole = functools.cache(make) if m == n else None
  program = shards.epoch_program(
    step, local, unroll=batches.unroll_on(platform)
  )
  programs = {}
  last = clock.Span(time.perf_counter(), time.perf_counter())
  asked = last.ended
  for (epoch, part), (batch, made) in batches.made_ahead(
    lambda key: clock.timed(whole or make, (0, 0) if whole else key),
    todo,
  ):
    waited = clock.Span(asked, time.perf_counter())
    compiled = clock.Span(waited.ended, waited.ended)
    shape = batch.weights.shape
    if shape not in programs:
      lowered = program.lower(state, batch)
      programs[shape], compiled = clock.timed(lowered.compile)
      compiled = clock.Span(waited.ended, compiled.ended)
    before = state
    (state, metrics, finite), span = clock.timed(programs[shape], state, batch)
    # Gathering ahead is free only while the piece before it trained.
    gathered = clock.seconds(made) - clock.overlap(made, last)
    last = span
    yield Piece(
      epoch=epoch,
      updates=cut[part],
      last=part + 1 == len(cut),
      before=before,
      after=state,
      batch=batch,
      metrics=metrics,
      finite=bool(finite),
      train_seconds=clock.seconds(span) + max(gathered, clock.seconds(waited)),
      compile_seconds=clock.seconds(compiled),
    )
    asked = time.perf_counter()


def batch_of(
  values: dict[str, Any],
  examples: Any,
  local: jax.sharding.Mesh | None,
  epoch: int,
  updates: slice,
) -> Batch:
  """The mini-batches of some updates of an epoch, on the device."""
  order = batches.epoch_order(
    values['seed'],
    epoch,
    problems.size_of(examples),
    values['batch_size'],
    shards=1 if local is None else local.size,
    chunk=batches.chunk_on(jax.local_devices()[0].platform),
  )
  part = batches.Order(*(leaf[updates] for leaf in order))
  return shards.put(batches.gather(examples, part), local)
