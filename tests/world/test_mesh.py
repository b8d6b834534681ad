"""What several processes tell each other, over real sockets."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from gd_jax.types import UserError
from gd_jax.world import mesh
from gd_jax.world import processes

ROOT = Path(__file__).parents[2]
VICTIMS = {'killed': (0, signal.SIGKILL), 'halted': (1, signal.SIGSTOP)}


def free_port():
  with socket.socket() as listening:
    listening.bind(('localhost', 0))
    return listening.getsockname()[1]


def said(folder, name, stream):
  return (folder / f'{name}.{stream}').read_text()


@pytest.fixture(scope='module')
def talks(tmp_path_factory):
  """(folder, {name: process}, what starts one more): all started at once."""
  folder = tmp_path_factory.mktemp('talks')
  running = {}

  def talk(name, port, count, process, *, devices=1, seconds=10):
    numbers = map(str, (count, process, devices, seconds))
    with (
      open(folder / f'{name}.out', 'w') as out,
      open(folder / f'{name}.err', 'w') as err,
    ):
      running[name] = subprocess.Popen(
        [
          sys.executable,
          '-m',
          'tests.world.talk',
          f'localhost:{port}',
          *numbers,
        ],
        cwd=ROOT,
        stdout=out,
        stderr=err,
      )

  with socket.socket(socket.AF_INET6) as taken, contextlib.ExitStack() as end:
    end.callback(lambda: [(one.kill(), one.wait()) for one in running.values()])
    taken.bind(('::', 0))
    taken.listen()
    talk('busy', taken.getsockname()[1], 2, 0)
    three, shared = free_port(), free_port()
    talk('alone', shared, 2, 0, seconds=4)
    talk('unheard', free_port(), 2, 1, seconds=4)
    for i in range(3):
      talk(f'uneven{i}', three, 3, i, devices=i % 2 + 1)
    for name in VICTIMS:
      port = free_port()
      for i in range(2):
        talk(f'{name}{i}', port, 2, i, seconds=6)
    yield folder, running, talk


def refusal(talks, name):
  """The one line with which a process ended."""
  folder, running, _ = talks
  assert running[name].wait(40) == 2
  *chatter, line = said(folder, name, 'err').splitlines()
  assert all(one.startswith('E') for one in chatter), chatter  # gRPC, of ports
  assert line.startswith('gone: ')
  return line


def test_uneven_processes_gather_and_stop_together(talks):
  folder, running, _ = talks
  for i in range(3):
    assert running[f'uneven{i}'].wait(60) == 0, said(
      folder, f'uneven{i}', 'err'
    )
    assert said(folder, f'uneven{i}', 'out').splitlines() == [
      f'met {i % 2 + 1} of 4',
      f'stopped after 5 {[15, 15] if i == 1 else [15]}',
    ]
    assert said(folder, f'uneven{i}', 'err') == ''


@pytest.mark.parametrize('name', VICTIMS)
def test_a_process_that_is_gone_ends_the_other(talks, name):
  folder, running, _ = talks
  victim, number = VICTIMS[name]
  while 'stopped' not in said(folder, f'{name}{victim}', 'out'):
    assert running[f'{name}{victim}'].poll() is None
    time.sleep(0.02)
  running[f'{name}{victim}'].send_signal(number)
  line = refusal(talks, f'{name}{1 - victim}')
  assert f'process {victim} has ended' in line or 'another process' in line
  assert '--resume' in line


def test_processes_that_do_not_meet_say_so(talks):
  assert 'not all processes met at localhost:' in refusal(talks, 'alone')
  assert 'within 4 s' in refusal(talks, 'unheard')
  assert 'is taken on this machine' in refusal(talks, 'busy')


@pytest.mark.claims  # JAX takes its time to see it
def test_one_number_for_two_processes_is_refused(talks):
  *_, talk = talks
  port = free_port()
  for name, number in (('twice0', 0), ('twice1', 1), ('twice2', 1)):
    talk(name, port, 3, number, seconds=12)
  lines = [refusal(talks, name) for name in ('twice1', 'twice2')]
  assert any('the same --process_id' in line for line in lines)


@pytest.mark.parametrize(
  ('address', 'word'),
  [
    ('localhost', 'HOST:PORT'),
    (':4000', 'HOST:PORT'),
    ('localhost:0', 'HOST:PORT'),
    ('localhost:65536', 'HOST:PORT'),
    ('localhost:http', 'HOST:PORT'),
    ('no.such.host.invalid:4000', 'not known here'),
  ],
)
def test_an_address_that_is_none_is_refused_at_once(address, word):
  with pytest.raises(UserError, match=word):
    processes.join(address, 2, 0, leave=pytest.fail)


def test_alone_every_exchange_is_the_identity():
  signals = []
  share = mesh.share(signals)
  tree = {'a': np.arange(6), 'b': jax.numpy.ones((2, 3))}
  assert share.devices == jax.device_count() == 2
  assert np.array_equal(share.mine(tree)['a'], tree['a'])
  assert isinstance(share.gather(tree)['b'], np.ndarray)
  assert not share.stopping()
  signals.append(2)
  assert share.stopping()
  assert mesh.everyone((1, 2)) == [(1, 2)]
  assert mesh.from_first(lambda: (1, 2)) == (1, 2)
  mesh.agree({'flags': {'seed': 0}})
