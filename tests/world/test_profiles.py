"""A trace that cannot be written is one sentence."""

import types

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


@pytest.fixture
def tracer(monkeypatch):
  """JAX's, which writes the files of `left` and keeps what it was asked."""
  asked, left = [], []

  def start(folder, profiler_options):
    assert list(profiles.Path(folder).iterdir()) == []
    asked.append((folder, profiler_options.python_tracer_level))

  def stop():
    folder = profiles.Path(asked[-1][0])
    for name in left:
      (folder / name).parent.mkdir(parents=True, exist_ok=True)
      (folder / name).touch()

  profiler = types.SimpleNamespace(
    ProfileOptions=lambda: types.SimpleNamespace(python_tracer_level=1),
    start_trace=start,
    stop_trace=stop,
  )
  monkeypatch.setattr(jax, 'profiler', profiler)
  return asked, left


def test_the_latest_trace_is_the_one_to_open(tracer, tmp_path):
  asked, left = tracer
  left += [f'{at}.trace.json.gz' for at in ('c/1', 'a/2', 'b/3')]
  left += ['d.xplane.pb']
  folder = tmp_path / 'profile'
  folder.mkdir()
  (folder / 'old.trace.json.gz').touch()
  worked = []
  found = profiles.record(folder, lambda: worked.append(list(asked)))
  assert found == folder / 'c' / '1.trace.json.gz'
  assert worked == [[(str(folder), 0)]]
  assert not (folder / 'old.trace.json.gz').exists()


def test_no_trace_is_said(tracer, tmp_path):
  folder = tmp_path / 'profile'
  with pytest.raises(UserError) as error:
    profiles.record(folder, lambda: None)
  assert str(error.value) == (
    f'Cannot write a trace to {folder} (JAX left no trace): free room there, '
    'or go on with --resume and without --profile.'
  )
  assert '(no reason given)' in str(profiles.cannot(folder, ''))
