"""Snapshots as they are made: where they fall, and what they say."""

from collections.abc import Mapping
from typing import Any

import jax

from experiments import problem as problems
from gd_jax.descent import batches
from gd_jax.world import snapshots


def pieces(
  values: Mapping[str, Any], problem: problems.Problem, m: int
) -> list[slice]:
  """Cuts an epoch so that memory is bounded and snapshots fall on the cuts."""
  n, epochs = problems.size_of(problem.train), values['epochs']
  row_bytes = sum(leaf[:1].nbytes for leaf in jax.tree.leaves(problem.train))
  least = batches.steps_of(max(values.get('snapshots') or 0, 2) - 1, epochs)
  return batches.pieces(batches.steps_of(n, m), m * row_bytes, least)


def marks(values: Mapping[str, Any], pieces_an_epoch: int) -> list[int]:
  """The numbers of pieces after which a snapshot is kept, 0 among them."""
  wanted = values.get('snapshots') or 0
  total = pieces_an_epoch * values['epochs']
  return snapshots.spread(total, wanted) if wanted else []


def about(
  entry: str, rate: float, seed: int, m: int, init: str
) -> dict[str, Any]:
  """What a manifest says of its track."""
  return {
    'entry': entry,
    'learning_rate': rate,
    'seed': seed,
    'batch_size': m,
    'init': init,
  }
