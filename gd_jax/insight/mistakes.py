"""What a network confuses, which images cost it most, which outputs died."""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gd_jax.descent import train
from gd_jax.insight import totals
from gd_jax.types import Batch


class Answers(NamedTuple):
  """The network's answer to every example."""

  cost: np.ndarray | jax.Array  # [n]
  predicted: np.ndarray | jax.Array  # [n] int, the class of the largest output


def answers_of(
  scores_of: train.ScoresOf, mesh: jax.sharding.Mesh
) -> Callable[[Any, Batch], Any]:
  """The function (params, dealt examples) -> (cost, predicted) of each.

  `scores_of` takes (params, one example) to `costs.Scores`; leaves of the
  answer are [chunks, size], for `totals.flat`.
  """

  def of_chunk(params, chunk):
    scores = jax.vmap(scores_of, (None, 0))(params, chunk.examples)
    return (), Answers(scores.cost, jnp.argmax(scores.predicted, axis=-1))

  total = totals.over(mesh, of_chunk)
  return lambda params, examples: total(params, examples)[1]


def confusion(labels: np.ndarray, predicted: Any, k: int) -> np.ndarray:
  """How many examples of class i are called j, [k, k]; rows add up to i's."""
  places = np.asarray(labels, np.int64) * k + predicted
  return np.bincount(places, minlength=k * k).reshape(k, k)


def worst(answers: Answers, labels: np.ndarray, count: int) -> np.ndarray:
  """Places of the wrongly classified examples that cost most, highest first."""
  wrong = np.flatnonzero(np.asarray(answers.predicted) != labels)
  order = np.argsort(-np.asarray(answers.cost)[wrong], kind='stable')
  return wrong[order[:count]]


def dead(predicted: Any, k: int) -> list[int]:
  """Classes that the network all but never names.

  Named for less than a tenth of a fair share: an output that died is still the
  largest for one image in a thousand, where all the others are small too.
  """
  counts = np.bincount(np.asarray(predicted), minlength=k)
  return np.flatnonzero(counts < 0.1 * counts.sum() / k).tolist()
