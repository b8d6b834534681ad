"""Devices for tests that need several."""

import jax
import pytest

from gd_jax.world import mesh


def of(count):
  """The first devices as a mesh; a machine of fewer skips the test."""
  if len(jax.devices()) < count:
    pytest.skip(f'{count} devices are needed, and there is one')
  return mesh.row(jax.devices()[:count])


def two():
  return of(2)
