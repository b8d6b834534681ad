"""The devices of a run: which, how they compute, what is said of them."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

import jax
import jaxlib

from experiments import flags
from gd_jax.types import UserError
from gd_jax.world import machine
from gd_jax.world import repeatable
from gd_jax.world import versions


def prepare(values: dict[str, Any]) -> tuple[str, Sequence[Any]]:
  """Sets platform, devices and precision; returns the dtype and the devices.

  Raises:
    UserError: when there is no device of the platform asked for, or jaxlib is
      known to compute wrong numbers there.
  """
  dtype, matmul = flags.PRECISIONS[values.get('precision') or 'float32']
  platform = values.get('platform')
  if may_be_gpu(platform, os.environ.get('JAX_PLATFORMS')):
    repeatable.ask(os.environ, repeatable.plugins())
  if platform is not None:
    jax.config.update(
      'jax_platforms', 'cuda' if platform == 'gpu' else platform
    )
  jax.config.update('jax_enable_x64', dtype == 'float64')
  jax.config.update('jax_default_matmul_precision', matmul)
  jax.config.update('jax_num_cpu_devices', machine.cores())
  try:
    devices = jax.local_devices()
  except (RuntimeError, AssertionError) as error:
    # JAX asserts where it was built without that platform at all.
    cause = (str(error).splitlines() or ['no such backend'])[0]
    raise UserError(
      f'JAX finds no {platform or "device"} ({cause}): install its JAX with '
      f'`make compare EXTRA={"tpu" if platform == "tpu" else "cuda"}`, or use '
      '--platform=cpu.'
    ) from error
  versions.check(devices[0].platform, jaxlib.__version__)
  return dtype, devices


def may_be_gpu(platform: str | None, platforms: str | None) -> bool:
  """Whether --platform, or else JAX_PLATFORMS, leaves a GPU to be taken."""
  asked = platform or platforms or 'gpu'
  return any(name in asked for name in ('gpu', 'cuda', 'rocm'))


def device_line(devices: Sequence[Any], values: dict[str, Any]) -> str:
  """Device, count, precision and JAX's version; and a GPU that lies idle."""
  kind = devices[0].device_kind
  count = str(len(devices))
  if jax.process_count() > 1:
    count = f'{jax.device_count()} (in {jax.process_count()} processes)'
  line = (
    f'{count} x {kind}, {values.get("precision") or "float32"}, '
    f'JAX {jax.__version__}'
  )
  on_cpu = devices[0].platform == 'cpu'
  asked = values.get('platform') or os.environ.get('JAX_PLATFORMS')
  if on_cpu and not asked and idle_gpu():
    line += (
      '\nnvidia-smi sees a GPU that this JAX does not use: '
      '`make compare EXTRA=cuda` installs one that does'
    )
  return line


def idle_gpu() -> bool:
  """Whether nvidia-smi answers."""
  command = shutil.which('nvidia-smi')
  if command is None:
    return False
  try:
    answer = subprocess.run(
      [command, '-L'], capture_output=True, timeout=10, check=False
    )
  except (OSError, subprocess.TimeoutExpired):
    return False
  return answer.returncode == 0 and b'GPU' in answer.stdout
