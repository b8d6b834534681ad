"""The clock waits for the work, and says so when it does not."""

import math
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gd_jax.types import UserError
from gd_jax.world import clock


def long_work():
  """Arrays that are handed over long before they are ready."""
  slow = jax.jit(
    lambda x: jax.lax.fori_loop(0, 400, lambda _, x: jnp.tanh(x @ x), x)
  )
  x = jnp.full((200, 200), 1e-3, jnp.float32)
  slow(x).block_until_ready()
  return lambda: slow(x)


def unsynchronised(function, *arguments):
  began = time.perf_counter()
  result = function(*arguments)
  return result, clock.Span(began, time.perf_counter())


def test_an_unsynchronised_timer_is_refused(monkeypatch):
  run = long_work()
  variants = {'a': clock.Clocked(run, 2)}
  assert min(clock.interleaved(variants, 3)['a']) > 0
  monkeypatch.setattr(clock, 'timed', unsynchronised)
  with pytest.raises(UserError, match=r'stopped .* before the work'):
    clock.interleaved(variants, 3)


def test_samples_are_taken_in_turn_and_kept():
  seen = []

  def variant(name):
    return clock.Clocked(lambda: seen.append(name), 2)

  found = clock.interleaved({'a': variant('a'), 'b': variant('b')}, samples=3)
  assert [len(samples) for samples in found.values()] == [3, 3]
  assert ''.join(seen) == 'aabbbbaaaabb'


def test_it_ends_between_two_rounds():
  turns = iter([False, True])
  found = clock.interleaved(
    {'a': clock.Clocked(lambda: None, 1)}, 10, lambda: next(turns)
  )
  assert len(found['a']) == 1


def test_calls_fill_a_sample(monkeypatch):
  monkeypatch.setattr(clock, 'LEAST_SECONDS', 0.02)
  calls = []
  clocked = clock.calibrated(lambda: calls.append(time.sleep(0.001)))
  assert len(calls) == clock.WARM_UP
  assert 2 <= clocked.calls <= 24
  assert clock.sample(clocked).seconds >= 0.001


def test_one_call_that_was_set_aside_is_no_lie():
  taken = [clock.Sample(0.2, 1e-6)] * 9 + [clock.Sample(0.2, 0.5)]
  assert clock.honest(taken) == [0.2] * 10
  with pytest.raises(UserError):
    clock.honest([clock.Sample(0.2, 0.1)] * 6 + taken[:4])


def test_the_phases_of_a_program_stand_apart():
  traces = []

  def program(x):
    traces.append(x)
    return jnp.sin(x)

  made = clock.compiled(jax.jit(program), np.float32(0.5))
  assert list(made.seconds) == ['trace', 'lower', 'compile', 'first_run']
  assert min(made.seconds.values()) > 0
  assert made.jaxpr.eqns[-1].primitive.name == 'sin'
  np.testing.assert_allclose(made.run(np.float32(0.5)), math.sin(0.5), 1e-6)
  assert len(traces) == 1


def test_median_and_quartiles():
  assert clock.summary([5.0, 1.0, 2.0, 4.0, 3.0]) == (3.0, 1.0, 2.0, 4.0)


def test_the_age_of_this_process_grows():
  first = clock.age()
  if first is None:
    pytest.skip('no /proc here')
  assert 0 < first < 36_000
  time.sleep(0.05)
  second = clock.age()
  assert second is not None
  assert 0.02 < second - first < 10
