"""Sums over every example of a split: in chunks, over the devices of a mesh.

A device holds its share of the examples as they are stored and decodes one
chunk at a time, so that memory stays bounded whatever n is.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gd_jax.descent import batches
from gd_jax.types import Batch
from gd_jax.types import Examples

# (arguments, chunk) -> (what is summed over the chunks, what stands for each)
OfChunk = Callable[[Any, Batch], tuple[Any, Any]]


def deal(
  examples: Examples, mesh: jax.sharding.Mesh, *, most: int = batches.CHUNK
) -> Batch:
  """The examples on the devices of the mesh, leaves [chunks, size, ...].

  Equal chunks of at most `most` examples, as many for each device; slots of
  weight 0 pad the last ones.
  """
  n = jax.tree.leaves(examples)[0].shape[0]
  each = batches.steps_of(n, mesh.size * most)
  size = batches.steps_of(n, mesh.size * each)
  slots = mesh.size * each * size
  index = np.minimum(np.arange(slots), n - 1).reshape(-1, size)
  weights = (np.arange(slots) < n).astype(np.float32).reshape(-1, size)
  gathered = batches.gather(examples, batches.Order(index, weights))
  spread = jax.sharding.NamedSharding(mesh, jax.P(mesh.axis_names[0]))
  return jax.device_put(gathered, spread)


def over(
  mesh: jax.sharding.Mesh, of_chunk: OfChunk
) -> Callable[[Any, Batch], tuple[Any, Any]]:
  """The function (arguments, dealt examples) -> (sums, of each chunk).

  Sums are over all chunks; what stands for each gains a leading [chunks]. It
  may stand in a larger program and under differentiation.
  """
  axis = mesh.axis_names[0]

  def local(arguments, mine):
    first = jax.tree.map(lambda leaf: leaf[0], mine)
    shapes, _ = jax.eval_shape(of_chunk, arguments, first)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def body(sums, chunk):
      more, each = of_chunk(arguments, chunk)
      return jax.tree.map(jnp.add, sums, more), each

    sums, each = jax.lax.scan(body, zeros, mine)
    return jax.lax.psum(sums, axis), each

  return jax.shard_map(
    local,
    mesh=mesh,
    in_specs=(jax.P(), jax.P(axis)),
    out_specs=(jax.P(), jax.P(axis)),
    check_vma=False,
  )


def flat(each: Any, n: int) -> Any:
  """What stands for each example as NumPy, [chunks, size, ...] to [n, ...]."""
  return jax.tree.map(
    lambda leaf: np.asarray(leaf).reshape(-1, *leaf.shape[2:])[:n], each
  )
