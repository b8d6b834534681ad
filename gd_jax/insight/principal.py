"""Principal directions: of the points of trajectories, and of the data.

They explain the most variance that so many directions can; the share that they
explain says how much a projection hides.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_ROWS = 4000  # of the data, decoded at once


class Principal(NamedTuple):
  """The mean of some points and the directions along which they vary most."""

  mean: np.ndarray  # [d]
  directions: np.ndarray  # [count, d], orthonormal
  share: np.ndarray  # [count], of the variance


def of_points(points: np.ndarray, count: int = 2) -> Principal:
  """From points [t, d] with t small: by the singular values, in float64.

  A direction's sign is such that the last point lies on its positive side.
  """
  points = np.asarray(points, np.float64)
  mean = points.mean(axis=0)
  _, lengths, directions = np.linalg.svd(points - mean, full_matrices=False)
  directions = directions[:count]
  signs = np.where(directions @ (points[-1] - mean) < 0, -1.0, 1.0)
  total = np.sum(lengths**2)
  share = lengths[:count] ** 2 / total if total else np.zeros(count)
  return Principal(mean, directions * signs[:, None], share)


def of_rows(rows: np.ndarray, count: int = 2) -> Principal:
  """From many rows [n, d] of numbers (images as stored), in chunks.

  The covariance [d, d] is summed in float64. A direction's sign is such that
  its components add up to something positive.
  """
  n, d = rows.shape
  mean, second = np.zeros(d), np.zeros((d, d))
  for begin in range(0, n, _ROWS):
    some = rows[begin : begin + _ROWS].astype(np.float64)
    mean += some.sum(axis=0)
    second += some.T @ some
  mean /= n
  values, vectors = np.linalg.eigh(second / n - np.outer(mean, mean))
  directions = vectors.T[::-1][:count]
  signs = np.where(directions.sum(axis=1) < 0, -1.0, 1.0)
  share = values[::-1][:count] / values.sum()
  return Principal(mean, directions * signs[:, None], share)


def coordinates(found: Principal, points: np.ndarray) -> np.ndarray:
  """Where points [n, d] lie on the directions, [n, count]."""
  parts = [
    (points[begin : begin + _ROWS] - found.mean) @ found.directions.T
    for begin in range(0, len(points), _ROWS)
  ]
  return np.concatenate(parts)


def frame(
  coordinates: Sequence[np.ndarray], margin: float = 0.15
) -> tuple[tuple[float, float], tuple[float, float]]:
  """((low, high) of the first, of the second), a margin round all points."""
  everything = np.concatenate(list(coordinates))
  low, high = everything.min(axis=0), everything.max(axis=0)
  longest = (high - low).max() or 1.0
  reach = np.maximum(high - low, 0.25 * longest)
  half = reach * (0.5 + margin)
  middle = (low + high) / 2
  first, second = np.stack([middle - half, middle + half], axis=1).tolist()
  return tuple(first), tuple(second)
