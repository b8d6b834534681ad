"""Devices in a row, and what several processes tell each other about theirs.

Lanes never communicate, so every process trains its own blocks on a mesh of its
own devices. One collective an epoch tells all of them what came out, and
whether a signal came to any of them: whatever follows from rows and signals,
every process decides alike. Of one process alone, all of this is the identity.
"""

import functools
import json
import re
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jax
import numpy as np

from gd_jax.types import UserError
from gd_jax.world import files

_WORD = np.dtype(np.int64)


class Share(NamedTuple):
  """What of a wave of blocks is this process's, and what the others did."""

  devices: int  # of all processes
  mine: Callable[[Any], Any]  # leaves [blocks, ...] -> those of this process
  gather: Callable[[Any], Any]  # the way back, to arrays of NumPy everywhere
  stopping: Callable[[], bool]  # a signal came, as far as all of them know


def row(devices: Sequence[Any]) -> jax.sharding.Mesh:
  """A mesh of one axis, `lanes`, over the devices in their order."""
  auto = (jax.sharding.AxisType.Auto,)
  return jax.sharding.Mesh(np.array(devices), ('lanes',), axis_types=auto)


def put_blocks(mesh: jax.sharding.Mesh, tree: Any) -> Any:
  """Leaves [blocks, ...] on the devices: of several processes, JAX asks it."""
  each = jax.sharding.NamedSharding(mesh, jax.P(mesh.axis_names[0]))
  return jax.device_put(tree, each)


def put_everywhere(mesh: jax.sharding.Mesh, tree: Any) -> Any:
  """All of the tree on every device."""
  return jax.device_put(tree, jax.sharding.NamedSharding(mesh, jax.P()))


def share(signals: list[int]) -> Share:
  """The share of this process.

  `signals` are those that it received. Several processes stop after the epoch
  in whose collective the first of them told: then that number is put first.
  """
  counts = _devices_of_each()
  process = jax.process_index()
  agreed = signals if len(counts) == 1 else []

  def gather(tree):
    host = jax.device_get(tree)
    if len(counts) == 1:
      return host
    leaves, shape = jax.tree.flatten(host)
    sent = packed(leaves, counts, process, word=signals[0] if signals else 0)
    words, leaves = unpacked(_collect(sent), leaves, counts, process)
    if max(words) and not agreed:
      agreed.append(max(words))
      signals.insert(0, max(words))
    return jax.tree.unflatten(shape, leaves)

  return Share(
    sum(counts),
    lambda tree: jax.tree.map(lambda leaf: _part(leaf, counts, process), tree),
    gather,
    lambda: bool(agreed),
  )


def _devices_of_each() -> list[int]:
  owners = [device.process_index for device in jax.devices()]
  return [owners.count(process) for process in range(jax.process_count())]


def _part(leaf: Any, counts: Sequence[int], process: int) -> Any:
  """The rows of a process, dealt to processes as to devices in a row."""
  each = len(leaf) // sum(counts)
  first = each * sum(counts[:process])
  return leaf[first : first + each * counts[process]]


def packed(
  leaves: Sequence[np.ndarray], counts: Sequence[int], process: int, word: int
) -> np.ndarray:
  """A word and the leaves of one process as bytes, uint8, as many in each.

  A process with fewer devices has fewer rows: zeros fill the rest.
  """
  text = b''.join(leaf.tobytes() for leaf in leaves)
  room = _WORD.itemsize + len(text) // counts[process] * max(counts)
  return np.frombuffer(
    (_WORD.type(word).tobytes() + text).ljust(room, b'\0'), np.uint8
  )


def unpacked(
  parts: np.ndarray,
  leaves: Sequence[np.ndarray],
  counts: Sequence[int],
  process: int,
) -> tuple[list[int], list[np.ndarray]]:
  """The words of all processes, and the leaves with the rows of all of them.

  Args:
    parts: [processes, bytes], what `packed` made in each.
    leaves: those of this process, for their shapes and dtypes.
    counts: devices of each process.
    process: which one this is.
  """
  words, rows = [], []
  for part, count in zip(parts, counts, strict=True):
    text = part.tobytes()
    words.append(int(np.frombuffer(text, _WORD, 1)[0]))
    place, found = _WORD.itemsize, []
    for leaf in leaves:
      shape = (len(leaf) // counts[process] * count, *leaf.shape[1:])
      size = int(np.prod(shape))
      found.append(
        np.frombuffer(text, leaf.dtype, size, offset=place).reshape(shape)
      )
      place += size * leaf.itemsize
    rows.append(found)
  return words, [np.concatenate(same) for same in zip(*rows, strict=True)]


def everyone(value: Any) -> list[Any]:
  """What each process says, in the order of processes, as JSON keeps it."""
  if jax.process_count() == 1:
    return [value]
  text = np.frombuffer(json.dumps(value).encode('ascii'), np.uint8)
  size = np.frombuffer(_WORD.type(len(text)).tobytes(), np.uint8)
  sizes = _collect(size).view(_WORD)[:, 0]
  parts = _collect(np.pad(text, (0, int(sizes.max()) - len(text))))
  return [
    json.loads(part[:size].tobytes())
    for part, size in zip(parts, sizes, strict=True)
  ]


def from_first(make: Callable[[], Any]) -> Any:
  """What `make` gives in process 0, which alone calls it, in every process.

  Only process 0 need see the run directory.
  """
  if jax.process_count() == 1:
    return make()
  return everyone(make() if jax.process_index() == 0 else None)[0]


def agree(what: Mapping[str, Any]) -> None:
  """Refuses processes that are about to do different things.

  Raises:
    UserError: the same in every process, with the differing lines.
  """
  first, *others = everyone(what)
  for process, other in enumerate(others, 1):
    lines = files.differing_lines(first, other)
    if lines:
      raise UserError(
        f'process 0 (there) and process {process} (now) differ: start all of '
        'them with the same flags, versions and data:\n' + ';\n'.join(lines)
      )


@functools.cache
def _meeting() -> tuple[jax.sharding.NamedSharding, Callable[..., jax.Array]]:
  """One device of each process in a row, and a program that tells them all."""
  first = {device.process_index: device for device in jax.devices()[::-1]}
  line = row([first[process] for process in sorted(first)])
  spread = jax.NamedSharding(line, jax.P())
  apart = jax.NamedSharding(line, jax.P('lanes'))
  return apart, jax.jit(lambda parts: parts, out_shardings=spread)


def _collect(mine: np.ndarray) -> np.ndarray:
  """[bytes] uint8 of this process -> [processes, bytes] of all of them.

  On CPUs gloo waits for half an hour; JAX's heartbeats find the dead sooner.
  """
  apart, tell = _meeting()
  shape = (jax.process_count(), *mine.shape)
  try:
    parts = jax.make_array_from_process_local_data(apart, mine[None], shape)
    return np.asarray(tell(parts).addressable_data(0))
  except (ValueError, RuntimeError) as error:
    cause = re.sub(r'\[external.*?\] ', '', str(error).partition('\n')[0])
    raise UserError(
      f'another process of this run has ended or is far behind ({cause}): see '
      'what it said, and start all of them again with --resume.'
    ) from error
