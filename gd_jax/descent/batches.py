"""Which examples an update sees: batch, mini-batch and online descent.

They are one code and one number, the mini-batch size m: m = n is batch descent,
m = 1 online learning. The order of an epoch is a pure function of (seed, epoch)
drawn on the host, so that nothing of the data pipeline needs saving.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from concurrent import futures
from typing import Any
from typing import NamedTuple

import jax
import numpy as np

from gd_jax.types import Batch
from gd_jax.types import Examples

# A step works through a large batch in pieces of at most this many examples: so
# many decoded images of 28 x 28 pixels fit a core's cache.
CHUNK = 250
# An accelerator wants wide matrix products instead.
ACCELERATOR_CHUNK = 16_384

# Updates a turn of the loop, where a turn costs an accelerator more than a
# kernel; a CPU has nothing of it.
UNROLL = 4

# A longer epoch is gathered in pieces, so that memory stays bounded.
PIECE_BYTES = 256 * 2**20

# Rows gathered at once inside a program on a CPU: they stay in a core's cache.
CACHED_BYTES = 2**19


class Order(NamedTuple):
  """Who trains when: row s names the examples of update s of an epoch."""

  index: np.ndarray  # [steps, m] int32, into the examples of the split
  weights: np.ndarray  # [steps, m] float32, 0 pads a short last mini-batch


def steps_of(n: int, m: int) -> int:
  """Updates an epoch of n examples makes in mini-batches of m: ceil(n / m)."""
  return -(-n // m)


def chunk_on(platform: str) -> int:
  """Examples that a step on this platform works through at once."""
  return CHUNK if platform == 'cpu' else ACCELERATOR_CHUNK


def unroll_on(platform: str) -> int:
  """Updates that this platform makes a turn of the loop over mini-batches."""
  return 1 if platform == 'cpu' else UNROLL


def slots_of(m: int, *, shards: int = 1, chunk: int = CHUNK) -> int:
  """Slots that m examples take on `shards` devices, in equal chunks on each."""
  each = steps_of(m, shards)
  chunks = steps_of(each, chunk)
  return shards * chunks * steps_of(each, chunks)


def epoch_order(
  seed: int, epoch: int, n: int, m: int, *, shards: int = 1, chunk: int = CHUNK
) -> Order:
  """The order of epoch `epoch` (from 0): every one of n examples, once.

  A short last mini-batch is trained too; slots of weight 0 pad it, and pad a
  batch that is worked through in chunks or on several devices (`slots_of`).
  Batch descent (m = n) keeps the stored order: a permutation would change
  nothing but rounding.
  """
  steps = steps_of(n, m)
  slots = slots_of(m, shards=shards, chunk=chunk)
  index = np.zeros((steps, slots), np.int32)
  weights = np.zeros((steps, slots), np.float32)
  if m == n:
    examples = np.arange(n, dtype=np.int32)
  else:
    stream = np.random.Philox(key=np.array([seed, epoch], np.uint64))
    examples = np.random.Generator(stream).permutation(n).astype(np.int32)
  whole = n // m
  index[:whole, :m] = examples[: whole * m].reshape(whole, m)
  weights[:whole, :m] = 1
  if whole < steps:
    index[whole, : n - whole * m] = examples[whole * m :]
    weights[whole, : n - whole * m] = 1
  return Order(index, weights)


def gather(examples: Examples, order: Order) -> Batch:
  """All mini-batches of an epoch, leaves [steps, m, ...], in the stored dtype.

  NumPy arrays give NumPy arrays, JAX arrays JAX arrays: one gather of uint8
  rows an epoch is twice as fast as one of decoded rows a step.
  """
  taken = jax.tree.map(lambda leaf: leaf[order.index], examples)
  return Batch(taken, order.weights)


def pieces(steps: int, bytes_a_step: int, least: int = 1) -> list[slice]:
  """Cuts an epoch into runs of updates whose examples fit PIECE_BYTES.

  There are about `least` of them or more, all of one length but the last.
  """
  count = min(steps, max(least, steps_of(steps * bytes_a_step, PIECE_BYTES)))
  size = steps_of(steps, count)
  return [slice(s, min(s + size, steps)) for s in range(0, steps, size)]


def together(steps: int, bytes_a_step: int) -> int:
  """The largest divisor of `steps` whose rows fit CACHED_BYTES, at least 1."""
  most = max(1, min(steps, CACHED_BYTES // bytes_a_step))
  return max(part for part in range(1, most + 1) if steps % part == 0)


def made_ahead(
  make: Callable[[Any], Any], keys: Iterable[Any]
) -> Iterator[tuple[Any, Any]]:
  """Yields (key, make(key)), each made in a thread while the caller trains.

  At most one is made ahead of its use. An exception of `make` is raised where
  its key's turn comes.
  """
  with futures.ThreadPoolExecutor(1) as thread:
    coming = None
    for key in keys:
      made = coming
      coming = key, thread.submit(make, key)
      if made is not None:
        yield made[0], made[1].result()
    if coming is not None:
      yield coming[0], coming[1].result()
