"""Devices in a row, for lanes and for large batches."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np


def row(devices: Sequence[Any]) -> jax.sharding.Mesh:
  """A mesh of one axis, `lanes`, over the devices in their order."""
  auto = (jax.sharding.AxisType.Auto,)
  return jax.sharding.Mesh(np.array(devices), ('lanes',), axis_types=auto)
