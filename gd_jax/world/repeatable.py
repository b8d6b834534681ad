"""The same bits from every process that computes on a GPU.

XLA tries several kernels for a matrix product and takes the one that was
fastest just then, so that two processes may differ in the last bit, and a
resumed run from an unbroken one. These settings make it choose by shape alone.
"""

from collections.abc import Iterable
from collections.abc import MutableMapping
from importlib import metadata

# Untried, Triton's products are slow at m = 100, and cuBLAS's are not.
SETTINGS = {
  '--xla_gpu_deterministic_ops': 'true',
  '--xla_gpu_enable_triton_gemm': 'false',
}


def plugins() -> list[str]:
  """The names of the platforms that JAX can load, 'xla_cuda13' among them."""
  return [one.name for one in metadata.entry_points(group='jax_plugins')]


def ask(
  environment: MutableMapping[str, str], platforms: Iterable[str]
) -> None:
  """Adds SETTINGS to XLA_FLAGS where there is a GPU's platform.

  What stands in XLA_FLAGS already is the user's and stays. XLA reads it when
  the first device is asked for.
  """
  if not any('cuda' in name or 'rocm' in name for name in platforms):
    return
  given = environment.get('XLA_FLAGS', '').split()
  names = {one.partition('=')[0] for one in given}
  more = [f'{k}={v}' for k, v in SETTINGS.items() if k not in names]
  environment['XLA_FLAGS'] = ' '.join(given + more)
