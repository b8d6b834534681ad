"""The vocabulary: what every floor of the house calls the same thing.

Shape key: n examples of a split, m examples of a mini-batch, n_in and n_out the
neurons before and after a layer, k classes.
"""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import jax
import numpy as np
import optax


class UserError(Exception):
  """An error that the user can mend; its text is one sentence saying how.

  Experiments print it without a traceback and exit with code 2.
  """


def named(error: BaseException) -> str:
  """The type and the first line of an exception in ASCII, for a sentence."""
  first = (str(error).strip().splitlines() or [''])[0].rstrip('.')
  return ascii(f'{type(error).__name__}: {first}'[:200])[1:-1]


class Layer(NamedTuple):
  """One fully connected layer: z = w @ x + b on one example."""

  w: jax.Array  # [n_out, n_in], Nielsen's notation
  b: jax.Array  # [n_out]


Params = tuple[Layer, ...]

# Any pytree whose leaves share a leading axis of examples.
Examples = Any


class Images(NamedTuple):
  """Labelled images as they lie on the disk and on the device."""

  x: np.ndarray | jax.Array  # [n, n_in] uint8
  y: np.ndarray | jax.Array  # [n] uint8, a label in [0, k)


class Batch(NamedTuple):
  """A mini-batch of m slots; slots of weight 0 pad a short last one."""

  examples: Examples  # leaves [m, ...]
  weights: np.ndarray | jax.Array  # [m], 1 for an example and 0 for padding


class Dataset(NamedTuple):
  """Labelled images split once and for all, named by a fingerprint."""

  name: str
  train: Images
  validation: Images
  test: Images
  scale: float  # a pixel's largest value: 255, or 16 for digits
  classes: int
  shape: tuple[int, ...]  # of one image, such as (28, 28, 1)
  fingerprint: str  # hex SHA-256 of the arrays and the split


# A function of the number of updates already made, from 0.
Schedule = Callable[[Any], Any]

# Optax's (init, update) contract, exactly: `update` returns the change to add.
Optimizer = optax.GradientTransformation
