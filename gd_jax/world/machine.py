"""The shape of the machine: what has to be equal for bits to be equal."""

import os
import platform
from collections.abc import Mapping
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import jax

_PACKAGES = ('gd_jax', 'jax', 'jaxlib', 'numpy', 'optax')
# Settings of JAX, from its environment, that change the numbers it draws.
_SETTINGS = (
  'jax_default_prng_impl',
  'jax_random_seed_offset',
  'jax_threefry_partitionable',
)
# What several processes have to have in common.
SOFTWARE = (
  'python',
  *_PACKAGES,
  *_SETTINGS,
  'xla_flags',
  'libtpu_flags',
  'platform',
  'device_kind',
)


def machine_shape(devices: Sequence[Any]) -> dict[str, Any]:
  """Versions, XLA flags, devices, processor and cores, as JSON can hold them.

  `devices` are those that the run uses: asking for them starts a backend,
  which is the caller's to choose. Cores are those that this process may use
  (XLA's thread pools follow them). The processor's model stands here because
  XLA compiles for its instructions, and JAX calls every one of them 'cpu'.
  """
  return {
    'python': platform.python_version(),
    **{name: _version(name) for name in _PACKAGES},
    **{name: getattr(jax.config, name) for name in _SETTINGS},
    'xla_flags': os.environ.get('XLA_FLAGS', ''),
    'libtpu_flags': os.environ.get('LIBTPU_INIT_ARGS', ''),
    'platform': devices[0].platform,
    'device_kind': devices[0].device_kind,
    'devices': len(devices),
    'system': f'{platform.system()} {platform.machine()}',
    'processor': _processor(),
    'cores': cores(),
  }


def together(shapes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
  """The shape of several processes that run the same software, or of one."""
  if len(shapes) == 1:
    return dict(shapes[0])
  own = ('devices', 'system', 'processor', 'cores')
  return {
    **shapes[0],
    'devices': sum(shape['devices'] for shape in shapes),
    'processes': [{key: shape[key] for key in own} for shape in shapes],
  }


def cores() -> int:
  """Cores that this process may use, which taskset and Slurm can narrow."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1  # macOS has no affinity


def _version(name: str) -> str:
  """Of an installed package; gd_jax may run from a mere checkout."""
  try:
    return metadata.version(name)
  except metadata.PackageNotFoundError:
    return 'not installed'


def memory() -> int:
  """Bytes of memory that this machine has."""
  return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')


def _processor() -> str:
  """The processor's model; platform.processor() is empty on most Linuxes."""
  try:
    with open('/proc/cpuinfo', encoding='utf-8', errors='replace') as file:
      for line in file:
        if line.startswith('model name'):
          return line.partition(':')[2].strip()
  except OSError:
    pass
  return platform.processor()
