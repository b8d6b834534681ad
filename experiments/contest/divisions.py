"""Which examples a seed trains on, is chosen by and is tested on.

One division for all seeds, or with --resplit one for each: all examples of the
source are dealt anew, so that intervals over the seeds cover the division too.
"""

import functools
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jax
import numpy as np

from experiments import problem as problems
from gd_jax.descent import batches
from gd_jax.descent import lanes
from gd_jax.descent import train
from gd_jax.world import mesh as meshes

# No epoch has this number: the stream of a division is apart from all orders.
STREAM = 2**64 - 1


class Division(NamedTuple):
  """The examples of a study, as its lanes see them."""

  examples: Any  # on every device; orders point into them
  order: Callable[[int, int, int], batches.Order]  # (seed, epoch, m)
  # (params of blocks, their seeds, 'validation' or 'test', cost) -> scores
  evaluate: Callable[[Any, Sequence[int], str, str], Any]
  commonest: Callable[[int], float]  # seed -> share of the commonest class


def fixed(
  problem: problems.Problem,
  scores_of: Mapping[str, train.ScoresOf],
  mesh: jax.sharding.Mesh,
) -> Division:
  """The splits of the problem, the same for every seed."""
  splits = meshes.put_everywhere(
    mesh,
    {
      'train': problem.train,
      'validation': problem.validation,
      'test': problem.test,
    },
  )
  n = problems.size_of(problem.train)
  evaluate = {
    cost: lanes.evaluator(scores, mesh) for cost, scores in scores_of.items()
  }
  return Division(
    examples=splits['train'],
    order=lambda seed, epoch, m: batches.epoch_order(seed, epoch, n, m),
    evaluate=lambda params, _seeds, split, cost: evaluate[cost](
      params, splits[split]
    ),
    commonest=lambda _seed: problem.commonest,
  )


def resplit(
  problem: problems.Problem,
  scores_of: Mapping[str, train.ScoresOf],
  mesh: jax.sharding.Mesh,
) -> Division:
  """Splits of the same sizes, dealt from all examples for each seed."""
  splits = problem.train, problem.validation, problem.test
  sizes = [problems.size_of(split) for split in splits]
  pool = jax.tree.map(lambda *parts: np.concatenate(parts), *splits)
  labels = np.concatenate([split.y for split in splits])
  examples = meshes.put_everywhere(mesh, pool)
  evaluate = {
    cost: lanes.part_evaluator(scores, mesh)
    for cost, scores in scores_of.items()
  }

  @functools.cache
  def parts(seed: int) -> dict[str, np.ndarray]:
    stream = np.random.Philox(key=np.array([seed, STREAM], np.uint64))
    dealt = np.random.Generator(stream).permutation(sum(sizes))
    cut = np.split(dealt.astype(np.int32), np.cumsum(sizes)[:-1])
    return dict(zip(('train', 'validation', 'test'), cut, strict=True))

  def order(seed: int, epoch: int, m: int) -> batches.Order:
    drawn = batches.epoch_order(seed, epoch, sizes[0], m)
    return drawn._replace(index=parts(seed)['train'][drawn.index])

  def scores(params: Any, seeds: Sequence[int], split: str, cost: str) -> Any:
    index = np.stack([parts(seed)[split] for seed in seeds])
    return evaluate[cost](params, meshes.put_blocks(mesh, index), examples)

  return Division(
    examples=examples,
    order=order,
    evaluate=scores,
    commonest=lambda seed: problems.commonest(
      labels[parts(seed)['validation']]
    ),
  )
