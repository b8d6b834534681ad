"""How the lanes of a study are cut into calls of compiled programs."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax

from experiments import problem as problems
from gd_jax.descent import lanes
from gd_jax.judge import study

# What an accelerator may hold of gathered examples at once.
WAVE_BYTES = 8 * 2**30

# Tuning that takes no more FLOP than this, a few seconds of two cores, saves
# less by wide blocks than it costs to compile a program of its own for them.
SHORT_FLOP = 2e11
# Nor does an accelerator's step of no more FLOP than this, which is launched in
# more time than it computes.
LAUNCHED_FLOP = 4e8


def wave_shape(
  platform: str,
  *,
  devices: int,
  rates: int,
  seeds: int,
  lane_block: int | None,
  epoch_bytes: int,
  least: int = 0,
) -> tuple[int, int]:
  """(blocks, lanes a block) of the waves that train rates x seeds.

  On an accelerator there are at least `least` blocks as far as memory allows,
  padding among them, so that units of several sizes have one shape.
  """
  width = min(lane_block or lanes.widest(rates, seeds, devices), rates)
  if platform == 'cpu':
    return devices, width
  blocks = max(least, -(-rates // width) * seeds)
  return min(-(-blocks // devices), fitting(epoch_bytes)) * devices, width


def fitting(epoch_bytes: int) -> int:
  """Blocks whose gathered examples an accelerator holds at once."""
  return max(1, WAVE_BYTES // max(1, epoch_bytes))


def lane_by_lane(
  platform: str,
  *,
  weights: int,
  batch_size: int,
  examples: int,
  tuning_lanes: int,
  most_lanes: int,
  fit: int,
) -> bool:
  """Whether an entry is trained in less time than its programs compile.

  Then blocks are of one lane, and all its units train in one program. On a CPU
  the work of its tuning decides, on an accelerator that of a step, and whether
  one wave holds all lanes.

  Args:
    platform: of the devices.
    weights: of the network.
    batch_size: m.
    examples: that a lane learns from, over all epochs.
    tuning_lanes: of the entry.
    most_lanes: of any of its units.
    fit: blocks that the devices hold at once.
  """
  if platform == 'cpu':
    return 6 * weights * examples * tuning_lanes <= SHORT_FLOP
  step = 6 * weights * batch_size * most_lanes
  return fit >= most_lanes and step <= LAUNCHED_FLOP


def check_memory(
  params: Any,
  protocol: study.Protocol,
  devices: Sequence[Any],
  values: Mapping[str, Any],
) -> None:
  """Refuses lanes that this machine cannot hold side by side.

  Raises:
    UserError: with how many there would be, and what they take.
  """
  blocks, width = wave_shape(
    'cpu',  # one block a device, which is the least anywhere
    devices=len(devices),
    rates=protocol.rates,
    seeds=len(protocol.tuning_seeds),
    lane_block=values['lane_block'],
    epoch_bytes=0,
  )
  weights = sum(
    leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(params)
  )
  problems.check_memory(weights, 'this study', blocks * width)
