"""A trace that cannot be written is one sentence."""

import jax
import pytest

from gd_jax.types import UserError
from gd_jax.world import profiles


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
  def full():
    stop()
    raise RuntimeError('INTERNAL: no space left on device\nand more')

  stop = jax.profiler.stop_trace
  monkeypatch.setattr(jax.profiler, 'stop_trace', full)
  with pytest.raises(UserError, match='no space left') as error:
    profiles.record(tmp_path / 'profile', lambda: None)
  assert 'without --profile' in str(error.value)
  assert '\n' not in str(error.value)


def test_an_error_inside_ends_the_trace(tmp_path):
  def fails():
    raise ZeroDivisionError

  with pytest.raises(ZeroDivisionError):
    profiles.record(tmp_path / 'profile', fails)
  # Another can begin, in the place of the first.
  found = profiles.record(tmp_path / 'profile', lambda: None)
  assert list((tmp_path / 'profile').rglob('*.trace.json.gz')) == [found]
