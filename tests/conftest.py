"""Strict numerics for every test: float64 at hand, nothing promoted silently."""

import os

os.environ.setdefault('MPLBACKEND', 'Agg')

import jax
import pytest

jax.config.update('jax_platforms', 'cpu')
jax.config.update('jax_num_cpu_devices', 2)
jax.config.update('jax_enable_x64', True)
jax.config.update('jax_numpy_rank_promotion', 'raise')
jax.config.update('jax_debug_key_reuse', True)
jax.config.update('jax_default_matmul_precision', 'highest')


@pytest.fixture(autouse=True)
def no_global_leak():
  """A test that switches a global flag leaves it as it was."""
  yield
  assert jax.config.jax_enable_x64
