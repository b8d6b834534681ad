"""The numeric gate before training, once for a device and its versions."""

import contextlib
import datetime
import hashlib
import json
import os
from collections.abc import Callable
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from gd_jax.judge import gate
from gd_jax.types import UserError
from gd_jax.world import files
from gd_jax.world import machine
from gd_jax.world import mesh
from gd_jax.world import seals


def folder() -> Path:
  """Where it stands which devices have passed."""
  base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
  return Path(base) / 'gd_jax' / 'gate'


def pass_once(
  devices: Sequence[Any], dtype: str, precision: str, say: Callable[[str], None]
) -> None:
  """Puts accelerators to the test, unless they passed with these versions.

  A CPU is checked by the tests and by the benchmark.

  Raises:
    UserError: their numbers are wrong.
  """
  if devices[0].platform == 'cpu':
    return
  shape = machine.machine_shape(devices) | {
    'gd_jax': metadata.version('gd_jax'),
    'precision': precision,
  }
  text = json.dumps(shape, sort_keys=True)
  path = folder() / f'{hashlib.sha256(text.encode()).hexdigest()[:16]}.json'
  kind = f'{devices[0].device_kind} in {precision}'
  # What was altered counts for nothing, and the device is tried again.
  with contextlib.suppress(OSError, ValueError, KeyError):
    passed = seals.unsealed(files.read_bytes(path))['passed']
    say(f'{kind}: numbers checked against NumPy on {passed}')
    return
  found = gate.try_device(mesh.row(devices), dtype=dtype, precision=precision)
  worst = max(one.difference for one in found)
  passed = f'{datetime.date.today()}'
  say(
    f'{kind}: numbers agree with NumPy to {worst:.1e} of the movement '
    f'({len(found)} programs), which is remembered in {path}'
  )
  try:
    files.make_folder(path.parent, parents=True)
    files.write_file(path, seals.sealed({'passed': passed, 'machine': shape}))
  except UserError:
    say('that could not be written: the next run checks again')
