"""One run on several devices: each has a part of every large batch.

The parameters are on all of them. A step adds up the costs and gradients of the
parts with one all-reduce of one raveled vector (`train.make_step` with the axis
of the mesh), and every device makes the same update.
"""

from collections.abc import Callable
from typing import Any

import jax

from gd_jax.descent import train
from gd_jax.types import Batch

# A larger mini-batch is divided; below, the all-reduce takes what devices save.
LARGE = 1000


def mesh_for(m: int, mesh: jax.sharding.Mesh) -> jax.sharding.Mesh | None:
  """The mesh where a batch of m is worth dividing, None for one device."""
  return mesh if m > LARGE and mesh.size > 1 else None


def axis_of(mesh: jax.sharding.Mesh | None) -> str | None:
  """What `train.make_step` has to know of the mesh."""
  return None if mesh is None else mesh.axis_names[0]


def put(batch: Batch, mesh: jax.sharding.Mesh | None) -> Batch:
  """Mini-batches [steps, m, ...] on the device, or a part of m on each."""
  if mesh is None:
    return jax.device_put(batch)
  parts = jax.P(None, mesh.axis_names[0])
  return jax.device_put(batch, jax.sharding.NamedSharding(mesh, parts))


def over_devices(
  run: Callable[[train.State, Batch], Any], mesh: jax.sharding.Mesh | None
) -> Any:
  """`run(state, batch)` jitted; what it returns is the same on every device."""
  if mesh is None:
    return jax.jit(run)
  specs = (jax.P(), jax.P(None, mesh.axis_names[0]))
  return jax.jit(
    jax.shard_map(
      run, mesh=mesh, in_specs=specs, out_specs=jax.P(), check_vma=False
    ),
    in_shardings=tuple(jax.sharding.NamedSharding(mesh, s) for s in specs),
  )


def epoch_program(
  step: train.Step, mesh: jax.sharding.Mesh | None, *, unroll: int = 1
) -> Any:
  """(state, batch) -> (state, metrics, finite): what one run trains by.

  `unroll` is as of `train.run_batches`.
  """

  def program(state, batch):
    state, metrics = train.run_batches(step, state, batch, unroll=unroll)
    return state, metrics, train.finite(state, metrics.cost)

  return over_devices(program, mesh)
