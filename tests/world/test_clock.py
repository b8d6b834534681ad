"""The clock waits for the work, and says so when it does not."""

import builtins
import io
import math
import time
import types

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


def test_the_age_is_since_the_start_that_the_kernel_noted(monkeypatch):
  fields = ['S', *map(str, range(1, 40))]
  fields[19] = '12345'
  told = {
    '/proc/self/stat': f'7 (a) b (c) {" ".join(fields)}\n',
    '/proc/uptime': '200.5 999.0\n',
  }

  def opened(path, **named):
    if told[path] is None:
      raise FileNotFoundError
    return io.StringIO(told[path])

  monkeypatch.setattr(builtins, 'open', opened)
  monkeypatch.setattr(clock.os, 'sysconf', {'SC_CLK_TCK': 100}.__getitem__)
  assert clock.age() == pytest.approx(200.5 - 123.45, abs=1e-9)
  for path, others in (
    ('/proc/uptime', [None, '', 'x 1']),
    ('/proc/self/stat', [None, '7 (a) S 1 2']),
  ):
    for told[path] in others:
      assert clock.age() is None


@pytest.mark.parametrize(
  ('one', 'other', 'shared'),
  [
    ((1.0, 4.0), (3.0, 9.0), 1.0),
    ((1.0, 9.0), (3.0, 4.5), 1.5),
    ((1.0, 2.0), (1.0, 2.0), 1.0),
    ((1.0, 2.0), (2.0, 3.0), 0.0),
    ((1.0, 2.0), (5.0, 9.0), 0.0),
  ],
)
def test_spans_share_what_both_cover(one, other, shared):
  for pair in ((one, other), (other, one)):
    assert clock.overlap(*(clock.Span(*span) for span in pair)) == shared


@pytest.fixture
def ticks(monkeypatch):
  """A clock that only moves when it is told to: a list of one time."""
  now = [100.0]
  read = types.SimpleNamespace(perf_counter=lambda: now[0])
  monkeypatch.setattr(clock, 'time', read)
  return now


def test_the_clock_stops_when_arrays_are_ready(ticks, monkeypatch):
  def work(a, b):
    ticks[0] += a
    return b

  def ready(result):
    ticks[0] += 0.5
    return [result]

  monkeypatch.setattr(jax, 'block_until_ready', ready)
  result, span = clock.timed(work, 2.0, 'b')
  assert result == ['b']
  assert span == (100.0, 102.5)
  assert clock.seconds(span) == 2.5
  # Of a sample, what it waited after the clock had stopped is told apart.
  found = clock.sample(clock.Clocked(lambda: work(1.0, 'b'), 4))
  assert found == (1.5, 0.5)


@pytest.mark.parametrize(
  ('takes', 'calls'),
  [
    ([9.0, 0.5, 0.0625, 9.0], 4),  # 3.84
    ([0.5, 9.0, 9.0, 9.0], 1),
    ([0.0, 0.0, 0.0], 2_400_000),
  ],
)
def test_the_fastest_of_three_calls_says_how_many_are_timed(
  ticks, takes, calls
):
  times = iter(takes)

  def work():
    ticks[0] += next(times)

  clocked = clock.calibrated(work)
  assert clocked == (work, calls)
  assert len(list(times)) == len(takes) - 3


@pytest.mark.parametrize('spent', [0.0, 2.0])
def test_a_tenth_and_a_tenth_of_a_millisecond_may_be_waited(spent):
  most = 0.1 * spent + 1e-4
  assert clock.honest([clock.Sample(spent, most)]) == [spent]
  with pytest.raises(UserError) as error:
    clock.honest([clock.Sample(spent, 1.001 * most)])
  assert str(error.value) == (
    f'The clock stopped {1.001 * most:.2g} s before the work of a call was '
    f'done, after {spent:.2g} s: time through clock.timed, which waits for '
    'every array.'
  )


def test_what_was_never_sampled_has_no_seconds():
  found = clock.interleaved(
    {'a': clock.Clocked(lambda: None, 1)}, 10, lambda: True
  )
  assert found == {'a': []}
