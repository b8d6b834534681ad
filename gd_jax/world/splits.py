"""What every source of images gives, verified and named by a fingerprint."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import numpy as np

from gd_jax.types import UserError


class Splits(NamedTuple):
  """All training examples of a source, and its test set."""

  x_train: np.ndarray  # [n, *shape] uint8
  y_train: np.ndarray  # [n] uint8, a label in [0, classes)
  x_test: np.ndarray
  y_test: np.ndarray
  classes: int


def arrays_of(splits: Splits) -> dict[str, np.ndarray]:
  """The four arrays by their names in an .npz."""
  arrays = splits._asdict()
  del arrays['classes']
  return arrays


def verified(
  what: str,
  arrays: Mapping[str, Any],
  *,
  classes: int | None = None,
  mend: str,
) -> Splits:
  """Arrays that are what `Splits` says; `classes` defaults to max(y) + 1.

  Raises:
    UserError: the first thing that is not as it should be, and the mend.
  """

  def refuse(expected: str, found: str) -> UserError:
    return UserError(f'{what}: expected {expected}, found {found}; {mend}.')

  for part in ('train', 'test'):
    x, y = arrays[f'x_{part}'], arrays[f'y_{part}']
    if x.dtype != np.uint8 or x.ndim < 2 or x.size == 0:
      expected = f'x_{part} to be uint8 images [n, ...]'
      raise refuse(expected, f'{x.dtype} {list(x.shape)}')
    if y.dtype.kind not in 'iu' or y.shape != x.shape[:1]:
      expected = f'y_{part} to be integer labels [{len(x)}], one an image'
      raise refuse(expected, f'{y.dtype} {list(y.shape)}')
  shape, test_shape = arrays['x_train'].shape[1:], arrays['x_test'].shape[1:]
  if shape != test_shape:
    expected = f'images of x_test to be {list(shape)} as those of x_train'
    raise refuse(expected, str(list(test_shape)))
  labels = [arrays['y_train'], arrays['y_test']]
  least = min(int(y.min()) for y in labels)
  greatest = max(int(y.max()) for y in labels)
  last = (classes or 256) - 1
  if least < 0 or greatest > last:
    found = f'labels from {least} to {greatest}'
    raise refuse(f'labels from 0 to {last}', found)
  if greatest == 0:
    raise refuse('two classes or more', 'label 0 alone')
  uint8 = {k: np.ascontiguousarray(v, np.uint8) for k, v in arrays.items()}
  return Splits(**uint8, classes=classes or greatest + 1)


def fingerprint(
  splits: Splits,
  digests: Mapping[str, str] | None,
  scale: float,
  validation_size: int,
) -> str:
  """Hex SHA-256 of the arrays (bytes, dtypes, shapes) and of their use.

  `digests`, the SHA-256 of each array, spares hashing what was just verified.
  """
  outline = {
    key: [
      str(array.dtype),
      list(array.shape),
      digests[key] if digests else sha256(array),
    ]
    for key, array in arrays_of(splits).items()
  }
  matter = [outline, scale, splits.classes, validation_size]
  return sha256(json.dumps(matter, sort_keys=True).encode('ascii'))


def sha256(data: Any) -> str:
  """Hex SHA-256 of bytes, or of the bytes of a contiguous array."""
  return hashlib.sha256(data).hexdigest()
