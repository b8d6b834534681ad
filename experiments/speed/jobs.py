"""What the benchmark times: the programs that train and compare run.

A job is one compiled program on made-up images of MNIST's shape, called again
and again from the same start: one lane is the epoch of `train`, several are the
epoch of a wave of `compare`. Before it is timed, the very executable has to end
where NumPy ends after the same updates.
"""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import problem as problems
from experiments.contest import arena as arenas
from experiments.contest import waves
from experiments.speed import agreement
from experiments.speed import tasks
from gd_jax.descent import batches
from gd_jax.descent import entries
from gd_jax.descent import lanes
from gd_jax.descent import shards
from gd_jax.descent import train
from gd_jax.judge import gate
from gd_jax.model import mlp
from gd_jax.types import Images
from gd_jax.world import clock
from gd_jax.world import roofline

RATES = 8  # of a block, as a study tunes
CHECKED = 3  # lanes of a wave


class Job(NamedTuple):
  """A program ready to be timed."""

  spec: tasks.Spec
  run: Callable[[], Any]  # one call: `steps` updates of the lanes of a wave
  steps: int
  waves: int  # calls that train all lanes
  flop: float  # of a call
  work: roofline.Work  # of a step
  devices: int
  chunks: int  # pieces that a device works through in a step
  seconds: dict[str, float]  # of the phases until it runs
  findings: list[gate.Finding]  # against NumPy; none where it knows no method


def make(
  spec: tasks.Spec,
  mesh: jax.sharding.Mesh,
  data: Images,
  most: int = tasks.EXAMPLES,
) -> Job:
  """Compiles and checks a job of at most so many updates.

  Raises:
    UserError: its numbers are not NumPy's, or its FLOP not the formula's.
  """
  entry = entries.parse(spec.optimizer)
  with tasks.arithmetic(spec.precision) as dtype:
    made = many if spec.lanes > 1 else one
    steps = min(most, tasks.steps_of(spec))
    job = made(spec, entry, mesh, data, dtype, steps)

  def run():
    with tasks.arithmetic(spec.precision):
      return job.run()

  return job._replace(run=run)


def one(
  spec: tasks.Spec,
  entry: entries.Entry,
  mesh: jax.sharding.Mesh,
  data: Images,
  dtype: str,
  steps: int,
) -> Job:
  """The epoch of `train`: one lane, a large batch divided over the devices."""
  m, rate = spec.batch_size, entry.centre / 10
  local = shards.mesh_for(m, mesh)
  devices = 1 if local is None else local.size
  platform = mesh.devices.flat[0].platform
  chunk = batches.chunk_on(platform)
  optimizer = entries.build(entry, rate)
  step = train.make_step(
    gate.cost_of(spec.layer_sizes[-1]),
    optimizer,
    gradients=spec.gradients,
    chunk=chunk,
    axis=shards.axis_of(local),
  )
  start = mlp.init(jax.random.key(0), spec.layer_sizes, dtype=dtype)
  state = train.start(start, optimizer)
  order = batches.epoch_order(0, 0, steps * m, m, shards=devices, chunk=chunk)
  batch = shards.put(batches.gather(data, order), local)
  program = clock.compiled(
    shards.epoch_program(step, local, unroll=batches.unroll_on(platform)),
    state,
    batch,
  )
  flop = float(steps * mlp.flop(spec.layer_sizes, m))
  chunks = batches.steps_of(order.index.shape[1] // devices, chunk)
  job = Job(
    spec=spec,
    run=lambda: program.run(state, batch),
    steps=steps,
    waves=1,
    flop=flop,
    work=work_of(spec, state, live=1, pieces=chunks * devices),
    devices=devices,
    chunks=chunks,
    seconds=program.seconds,
    findings=[],
  )
  if spec.layer_sizes == tasks.IDLE_SIZES:
    return job
  roofline.check_flop(tasks.name_of(spec), flop, program.jaxpr)
  params = jax.tree.map(lambda leaf: leaf[None, None], job.run()[0].params)
  rates = np.full((1, 1), rate, dtype)
  return job._replace(
    findings=agreement.checked(
      spec, entry, [start], params, [order], data, rates, [(0, 0)]
    )
  )


def many(
  spec: tasks.Spec,
  entry: entries.Entry,
  mesh: jax.sharding.Mesh,
  data: Images,
  dtype: str,
  steps: int,
) -> Job:
  """The epoch of a wave of `compare`, as many rates as a study has."""
  m = spec.batch_size
  platform = mesh.devices.flat[0].platform
  rates = max(d for d in range(1, RATES + 1) if spec.lanes % d == 0)
  seeds = spec.lanes // rates
  # What is timed on a CPU is a study long enough for wide blocks.
  epoch_bytes = steps * m * (spec.layer_sizes[0] + 1)
  single = platform != 'cpu' and waves.lane_by_lane(
    platform,
    weights=problems.weights_of(spec.layer_sizes),
    batch_size=m,
    examples=steps * m,
    tuning_lanes=spec.lanes,
    most_lanes=spec.lanes,
    fit=mesh.size * waves.fitting(epoch_bytes),
  )
  blocks, width = waves.wave_shape(
    platform,
    devices=mesh.size,
    rates=rates,
    seeds=seeds,
    lane_block=1 if single else None,
    epoch_bytes=epoch_bytes,
  )
  dealt = lanes.deal(
    list(np.geomspace(entry.centre / 100, entry.centre / 10, rates)),
    seeds,
    width=width,
    multiple=blocks,
    dtype=dtype,
  )
  parts = lanes.waves(dealt, blocks)
  wave = parts[0]
  starts = [
    mlp.init(jax.random.key(int(seed)), spec.layer_sizes, dtype=dtype)
    for seed in wave.seed
  ]
  orders = [
    batches.epoch_order(int(seed), 0, steps * m, m) for seed in wave.seed
  ]
  order = arenas.stack(orders)
  made = lanes.programs(
    cost_of=gate.cost_of(spec.layer_sizes[-1]),
    optimizer_of=lambda rate: entries.build(entry, rate),
    mesh=mesh,
    gradients=spec.gradients,
  )
  everywhere = jax.sharding.NamedSharding(mesh, jax.P())
  examples = jax.device_put(data, everywhere)
  fleet = made.launch(jnp.asarray(wave.rate), arenas.stack(starts))
  program = clock.compiled(made.epoch, fleet, wave.rate, order, examples)
  made = made._replace(epoch=program.run)
  flop = float(wave.rate.size * steps * mlp.flop(spec.layer_sizes, m))
  lane = jax.tree.map(lambda leaf: leaf[0, 0], fleet.state)
  chunks = batches.steps_of(order.index.shape[2], batches.CHUNK)
  job = Job(
    spec=spec,
    run=lambda: lanes.run_epoch(made, fleet, wave.rate, order, examples),
    steps=steps,
    waves=len(parts),
    flop=flop,
    work=work_of(
      spec,
      lane,
      lanes_a_step=wave.rate.size,
      blocks=blocks,
      live=width if platform == 'cpu' else wave.rate.size // mesh.size,
      pieces=chunks,
    ),
    devices=mesh.size,
    chunks=chunks,
    seconds=program.seconds,
    findings=[],
  )
  if spec.layer_sizes == tasks.IDLE_SIZES:
    return job
  roofline.check_flop(tasks.name_of(spec), flop, program.jaxpr)
  flat = np.linspace(0, wave.rate.size - 1, CHECKED).round().astype(int)
  places = [divmod(int(place), width) for place in dict.fromkeys(flat)]
  after = job.run()[0].state.params
  return job._replace(
    findings=agreement.checked(
      spec, entry, starts, after, orders, data, wave.rate, places
    )
  )


def work_of(
  spec: tasks.Spec,
  state: Any,
  *,
  live: int,
  pieces: int,
  lanes_a_step: int = 1,
  blocks: int = 1,
) -> roofline.Work:
  """What a step of all lanes moves at the least.

  Parameters are read and written once and their gradient written once for each
  piece of the batch; the optimizer's memory is read and written. Lanes of a
  block read one mini-batch. `live` lanes are at work at once on a device.
  """

  def size(tree: Any) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))

  params, memory = size(state.params), size(state.optimizer)
  m = spec.batch_size
  return roofline.Work(
    flop=float(lanes_a_step * mlp.flop(spec.layer_sizes, m)),
    state_bytes=float(lanes_a_step * (3 * params * pieces + 2 * memory)),
    example_bytes=float(blocks * m * (spec.layer_sizes[0] + 1)),
    footprint=float(live * (2 * params + memory)),
  )
