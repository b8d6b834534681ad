"""The same bits from every process that computes on a GPU.

XLA tries several kernels for a matrix product and takes the one that was
fastest just then, so that two processes may differ in the last bit, and a
resumed run from an unbroken one. These settings make it choose by shape alone.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from collections.abc import MutableMapping
from importlib import metadata

# Untried, Triton's products are slow at m = 100, and cuBLAS's are not.
SETTINGS = {
  '--xla_gpu_deterministic_ops': 'true',
  '--xla_gpu_enable_triton_gemm': 'false',
}

# What reads XLA_FLAGS, at a tenth of the price of a device.
PROBE = 'from jaxlib import xla_client; xla_client.CompileOptions()'


def plugins() -> list[str]:
  """The names of the platforms that JAX can load, 'xla_cuda13' among them."""
  return [one.name for one in metadata.entry_points(group='jax_plugins')]


def takes(flags: str) -> bool:
  """Whether this XLA knows all of these flags; with another it ends at once.

  Only its own word counts against them, not that it could not be asked.
  """
  try:
    done = subprocess.run(
      [sys.executable, '-c', PROBE],
      env={**os.environ, 'XLA_FLAGS': flags},
      capture_output=True,
      check=False,
    )
  except OSError:
    return True
  return done.returncode == 0 or b'Unknown flag' not in done.stderr


def ask(
  environment: MutableMapping[str, str], platforms: Iterable[str]
) -> None:
  """Adds SETTINGS to XLA_FLAGS where there is a GPU's platform.

  A setting that this XLA has no longer, or not yet, is left out.

  Args:
    environment: where XLA will look when the first device is asked for. What
      stands in XLA_FLAGS stays; where it names a file of flags (its first
      letter is no hyphen), nothing is added.
    platforms: names, as of `plugins`.
  """
  given = environment.get('XLA_FLAGS', '').strip()
  gpu = any('cuda' in name or 'rocm' in name for name in platforms)
  if not gpu or (given and not given.startswith('-')):
    return
  names = {one.partition('=')[0] for one in given.split()}
  more = [f'{k}={v}' for k, v in SETTINGS.items() if k not in names]
  if more and not takes(' '.join(more)):
    more = [one for one in more if takes(one)]
  environment['XLA_FLAGS'] = ' '.join([given, *more]).strip()
