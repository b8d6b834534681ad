"""How processes meet and part, where fakes answer for JAX and for C."""

import ctypes
import functools
import os
import signal
import socket
import sys
import types

import jax
import pytest

from gd_jax.types import UserError
from gd_jax.world import processes

FATAL = processes._FATAL
LOST = (
  'E1126 heartbeats): /job:jax_worker/replica:0/task:13 \n'
  'The tasks have crashed\n'
)


# --- addresses ---


@pytest.fixture
def hosts(monkeypatch):
  """What is asked of the resolver, which knows no host of the name gone."""
  asked = []

  def known(host, port, **more):
    asked.append((host, port))
    if host == 'gone':
      raise socket.gaierror(-2, 'Name or service not known')
    return [(socket.AF_INET, socket.SOCK_DGRAM, 17, '', ('127.0.0.1', port))]

  monkeypatch.setattr(socket, 'getaddrinfo', known)
  return asked


@pytest.mark.parametrize(
  ('text', 'host', 'port'),
  [
    ('a:1', 'a', 1),
    ('10.0.0.1:65535', '10.0.0.1', 65535),
    ('[::1]:8476', '::1', 8476),
  ],
)
def test_an_address_is_a_host_and_a_port(hosts, text, host, port):
  assert processes._port(text) == port
  assert hosts == [(host, port)]


@pytest.mark.parametrize('text', ['a', ':1', 'a:', 'a:0', 'a:65536', 'a:x'])
def test_what_is_no_address_is_not_looked_up(hosts, text):
  with pytest.raises(UserError) as error:
    processes._port(text)
  assert str(error.value) == (
    f'--coordinator={text} is no address: give HOST:PORT, where process 0 runs '
    'and a port that is free there, such as 10.0.0.1:8476.'
  )
  assert hosts == []


def test_a_host_that_nobody_knows_is_named(hosts):
  with pytest.raises(UserError) as error:
    processes._port('gone:80')
  assert str(error.value) == (
    '--coordinator=gone:80 names a host that is not known here (Name or '
    'service not known): give the address of the machine of process 0.'
  )


@pytest.mark.parametrize('family', [socket.AF_INET, socket.AF_INET6])
def test_a_port_is_free_or_taken_whoever_listens(family):
  if family == socket.AF_INET6 and not socket.has_dualstack_ipv6():
    pytest.skip('no IPv6 here')
  with socket.create_server(('', 0), family=family) as taken:
    port = taken.getsockname()[1]
    with pytest.raises(UserError) as error:
      processes._check_free(port)
  assert str(error.value).startswith(f'port {port} is taken on this machine (')
  assert str(error.value).endswith(
    '): give all processes another in --coordinator=HOST:PORT, and each its '
    'own --process_id.'
  )
  processes._check_free(port)
  processes._check_free(port)  # nothing was left listening there


@pytest.mark.parametrize('dual', [False, True])
def test_a_port_is_tried_as_jax_will_open_it(monkeypatch, dual):
  tried = []

  def create(address, *, family, dualstack_ipv6):
    tried.append((address, family, dualstack_ipv6))
    return types.SimpleNamespace(close=lambda: tried.append('closed'))

  monkeypatch.setattr(socket, 'has_dualstack_ipv6', lambda: dual)
  monkeypatch.setattr(socket, 'create_server', create)
  processes._check_free(80)
  family = socket.AF_INET6 if dual else socket.AF_INET
  assert tried == [(('', 80), family, dual), 'closed']


def test_gloo_takes_the_address_that_the_coordinator_is_reached_from(
  monkeypatch, hosts
):
  made = functools.partial(dict)
  state = types.SimpleNamespace(coordinator_address='[some]:8476')
  monkeypatch.setattr(processes.distributed, 'global_state', state)
  monkeypatch.setattr(
    processes._jax, 'make_gloo_tcp_collectives', made, raising=False
  )
  processes._bind_gloo()
  assert hosts == [('some', 8476)]
  bound = processes._jax.make_gloo_tcp_collectives
  assert bound(distributed_client=1) == {
    'hostname': '127.0.0.1',
    'distributed_client': 1,
  }


# --- joining ---


@pytest.fixture
def meeting(monkeypatch, hosts):
  """What `join` does, in order; nothing of it reaches JAX or this process."""
  done = []

  def note(name):
    return lambda *given, **named: done.append((name, *given, named))

  for name in ('_check_free', '_bind_gloo', '_take_abort'):
    monkeypatch.setattr(processes, name, note(name))
  monkeypatch.setattr(processes, '_own_output', lambda: ['said'])
  monkeypatch.setattr(jax.config, 'update', note('update'))
  monkeypatch.setattr(jax.distributed, 'initialize', note('initialize'))
  return done


def leave(sentence):
  raise AssertionError(sentence)


@pytest.mark.parametrize('process', [0, 1, None])
def test_all_is_ready_before_the_others_are_met(meeting, process):
  processes.join('a:80', 2, process, leave=leave)
  free = [('_check_free', 80, {})] if process == 0 else []
  assert meeting == [
    *free,
    ('_take_abort', ['said'], 'a:80', leave, {}),
    ('update', 'jax_enable_preemption_service', False, {}),
    ('update', 'jax_cpu_collectives_implementation', 'gloo', {}),
    (
      'initialize',
      'a:80',
      2,
      process,
      {
        'initialization_timeout': 300,
        'heartbeat_timeout_seconds': 10,
        'shutdown_timeout_seconds': 7 * 86400,
      },
    ),
    ('_bind_gloo', {}),
  ]


def test_a_cluster_names_the_address(meeting, hosts):
  processes.join(None, None, None, leave=leave)
  where = 'the coordinator that the cluster names'
  assert meeting[0] == ('_take_abort', ['said'], where, leave, {})
  assert meeting[3][:4] == ('initialize', None, None, None)
  assert hosts == []


@pytest.mark.parametrize('kind', [ValueError, RuntimeError, OSError, KeyError])
def test_a_meeting_that_fails_says_what_to_give(meeting, monkeypatch, kind):
  def fail(*given, **named):
    raise kind('no way')

  monkeypatch.setattr(jax.distributed, 'initialize', fail)
  why = str(kind('no way'))
  with pytest.raises(UserError) as error:
    processes.join('a:80', 2, 1, leave=leave)
  assert str(error.value) == (
    f'process 1 cannot meet others at a:80 ({why}): give all of them the same '
    'free port, and each its own --process_id.'
  )
  with pytest.raises(UserError) as error:
    processes.join(None, None, None, leave=leave)
  assert str(error.value) == (
    '--distributed finds no cluster of Slurm, Open MPI, GKE or Cloud TPU here '
    f'({why}): give --coordinator=HOST:PORT --num_processes=N --process_id=I '
    'instead.'
  )
  assert [one for one in meeting if one[0] == '_bind_gloo'] == []


@pytest.mark.parametrize('together', [False, True])
def test_only_who_joined_waits_for_the_others(monkeypatch, together):
  ended = []
  monkeypatch.setattr(jax.distributed, 'is_initialized', lambda: together)
  monkeypatch.setattr(jax.distributed, 'shutdown', lambda: ended.append(1))
  assert processes.joined() is together
  processes.finish()
  assert ended == [1] * together


# --- parting ---


@pytest.mark.parametrize(
  ('text', 'sentence'),
  [
    (
      f'{LOST}F1126 {FATAL} lost them: RegisterTask was long ago\n{FATAL} x\n',
      'process 13 has ended or does not answer, and so this one ends: the run '
      'directory is intact, start all of them again with --resume.',
    ),
    (
      f'heartbeats): 4 \n{FATAL} x\n',
      'process 4 has ended or does not answer, and so this one ends: the run '
      'directory is intact, start all of them again with --resume.',
    ),
    (
      f'ALREADY_EXISTS\n{FATAL} cannot be reached\n',
      'process 0 has ended or does not answer, and so this one ends: the run '
      'directory is intact, start all of them again with --resume.',
    ),
    (
      f'{FATAL} client: ALREADY_EXISTS: RegisterTask\n',
      'another process came to a:80 with the same --process_id: give each its '
      'own, from 0.',
    ),
    (
      f'{FATAL} client: ABORTED: RegisterTask\n',
      'another process came to a:80 with the same --process_id: give each its '
      'own, from 0.',
    ),
    (
      f'{FATAL} client: DEADLINE_EXCEEDED: RegisterTask\n',
      'not all processes met at a:80 within 300 s: start as many as '
      '--num_processes says, process 0 on the machine of that address, and see '
      'that the port is open.',
    ),
  ],
)
def test_what_jax_said_becomes_a_sentence(text, sentence):
  assert processes._sentence(text, 'a:80') == sentence


@pytest.fixture
def abort(monkeypatch):
  """A function (said, spoken meanwhile) -> what one leaves with."""

  def run(said, meanwhile):
    left, taken, waited = [], [], []

    def wait(seconds):
      waited.append(seconds)
      said.extend(meanwhile)

    def take(number, handler):
      taken.append((number, handler))

    libc = types.SimpleNamespace(signal=take)
    # ctypes keeps what a real function would have.
    take.argtypes = take.restype = None
    monkeypatch.setattr(ctypes, 'CDLL', lambda name: libc)
    monkeypatch.setattr(processes, '_kept', [])
    monkeypatch.setattr(processes.time, 'sleep', wait)
    processes._take_abort(said, 'a:80', left.append)
    assert waited == left == []
    ((number, handler),) = taken
    assert number == signal.SIGABRT
    assert processes._kept == [handler]
    assert take.argtypes == (ctypes.c_int, type(handler))
    handler(number)
    assert waited == [0.2]
    return left

  return run


def test_an_abort_of_jax_gets_its_sentence_once_all_is_read(abort):
  left = abort(['heartbeats): 4 \n'], [f'{FATAL} x\n'])
  assert len(left) == 1
  assert left[0].startswith('process 4 has ended')


def test_any_other_abort_stays_what_it_is(abort):
  assert abort(['free(): invalid pointer\n'], []) == []


def test_output_of_c_goes_to_stderr_but_for_chatter(monkeypatch, tmp_path):
  """Descriptors 1 and 2 of this process are pytest's, and stay."""
  names = ('out', 'err')
  ours = [os.open(tmp_path / name, os.O_RDWR | os.O_CREAT) for name in names]
  reading, writing = os.pipe()
  moved, flushed, threads = [], [], []
  make = processes.threading.Thread
  monkeypatch.setattr(os, 'dup', lambda one: ours[one - 1])
  monkeypatch.setattr(os, 'dup2', lambda one, other: moved.append((one, other)))
  monkeypatch.setattr(os, 'pipe', lambda: (reading, writing))
  monkeypatch.setattr(
    processes.threading,
    'Thread',
    lambda **named: threads.append(make(**named)) or threads[0],
  )
  before = types.SimpleNamespace(flush=lambda: flushed.append(1))
  monkeypatch.setattr(sys, 'stdout', before)
  monkeypatch.setattr(sys, 'stderr', sys.stderr)
  said = processes._own_output()
  own = sys.stdout, sys.stderr
  monkeypatch.undo()
  assert moved == [(writing, 1), (writing, 2)]
  assert flushed == [1]
  assert threads[0].daemon
  # A line is on its way when it ends.
  own[0].write('{"row": 1}\n')
  own[1].write('a word\udc80\n')
  assert (tmp_path / 'out').read_text() == '{"row": 1}\n'
  lines = [
    'W1126 careful\n',
    '[Gloo] Rank 1 is connected\n',
    'E1126 10:00 client.cc] error polling\n',
    'E1126 10:00 client.cc] Polled an error\n',
    'E1126 10:00 another\n',
    '1, 2, 3\n',
    'The tasks have crashed\n',
    'he said: The tasks have crashed\n',
    f'F1126 {FATAL}\n',
    'and all that follows\n',
  ]
  os.write(writing, ''.join(lines).encode() + b'\xff')
  os.close(writing)
  threads[0].join(10)
  assert said == [*lines, '\\xff']
  assert (tmp_path / 'err').read_text() == (
    'a word\\udc80\nW1126 careful\nE1126 10:00 another\n'
    'he said: The tasks have crashed\n'
  )
  for stream in own:
    stream.close()
