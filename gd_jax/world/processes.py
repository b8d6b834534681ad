"""How several processes meet, and how one ends when another has.

JAX watches over them (jax.distributed): a process that ended or stopped is
noticed within seconds, and then JAX aborts all others from C++, wherever Python
is. Here that abort gets a sentence and an exit code.
"""

import ctypes
import functools
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

import jax
from jax._src import distributed
from jax._src.lib import _jax

from gd_jax.types import UserError

JOIN_SECONDS = 300
HEARTBEAT_SECONDS = 10
# Who has nothing left to do waits until process 0 has written everything.
FINISH_SECONDS = 7 * 86400

# What C++ writes where one sentence says it better.
_CHATTER = re.compile(
  r'\[Gloo\] Rank|E\d{4} .*(error polling|Polled an error)|'
  r'[\d, ]+$|The tasks have crashed'
)
_FATAL = 'Terminating process because the JAX distributed service'

_kept = []  # C calls the handler for as long as the process lives


def join(
  coordinator: str | None,
  num_processes: int | None,
  process_id: int | None,
  *,
  leave: Callable[[str], NoReturn],
) -> None:
  """Meets the other processes; without a coordinator, JAX asks its cluster.

  To be called before any backend is up. From here on `leave` is called with a
  sentence, from a thread of C++, when another process has gone.

  Raises:
    UserError: for an address that is none, a port that is taken, and where
      there is no cluster.
  """
  if coordinator is not None:
    port = _port(coordinator)
    if process_id == 0:
      _check_free(port)
  where = coordinator or 'the coordinator that the cluster names'
  _take_abort(_own_output(), where, leave)
  # It would take SIGTERM, which is ours to hear.
  jax.config.update('jax_enable_preemption_service', False)
  jax.config.update('jax_cpu_collectives_implementation', 'gloo')
  try:
    jax.distributed.initialize(
      coordinator,
      num_processes,
      process_id,
      initialization_timeout=JOIN_SECONDS,
      heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
      shutdown_timeout_seconds=FINISH_SECONDS,
    )
  except (ValueError, RuntimeError, OSError, KeyError) as error:
    if coordinator is None:
      raise UserError(
        '--distributed finds no cluster of Slurm, Open MPI, GKE or Cloud TPU '
        f'here ({error}): give --coordinator=HOST:PORT --num_processes=N '
        '--process_id=I instead.'
      ) from error
    raise UserError(
      f'process {process_id} cannot meet others at {coordinator} ({error}): '
      'give all of them the same free port, and each its own --process_id.'
    ) from error
  _bind_gloo()


def joined() -> bool:
  """Whether this is one of several processes."""
  return jax.distributed.is_initialized()


def finish() -> None:
  """Waits until all processes are done, for as long as they live."""
  if joined():
    jax.distributed.shutdown()


def _port(text: str) -> int:
  host, _, port = text.rpartition(':')
  if not host or not port.isdecimal() or not 0 < int(port) < 65536:
    raise UserError(
      f'--coordinator={text} is no address: give HOST:PORT, where process 0 '
      'runs and a port that is free there, such as 10.0.0.1:8476.'
    )
  try:
    socket.getaddrinfo(host.strip('[]'), int(port))
  except OSError as error:
    raise UserError(
      f'--coordinator={text} names a host that is not known here '
      f'({error.strerror}): give the address of the machine of process 0.'
    ) from error
  return int(port)


def _check_free(port: int) -> None:
  both = socket.has_dualstack_ipv6()
  family = socket.AF_INET6 if both else socket.AF_INET
  try:
    # jaxlib 0.10.1 crashes where it finds the port taken, by IPv4 alone too.
    socket.create_server(('', port), family=family, dualstack_ipv6=both).close()
  except OSError as error:
    raise UserError(
      f'port {port} is taken on this machine ({error.strerror}): give all '
      'processes another in --coordinator=HOST:PORT, and each its own '
      '--process_id.'
    ) from error


def _bind_gloo() -> None:
  """Binds gloo to the address from which the coordinator is reached.

  By itself it takes the one that this host's name has, often 127.0.1.1.
  """
  address = distributed.global_state.coordinator_address or ''
  host, _, port = address.rpartition(':')
  *_, (family, kind, *_, there) = socket.getaddrinfo(
    host.strip('[]'), int(port), type=socket.SOCK_DGRAM
  )
  with socket.socket(family, kind) as way:
    way.connect(there)
    own = way.getsockname()[0]
  _jax.make_gloo_tcp_collectives = functools.partial(
    _jax.make_gloo_tcp_collectives, hostname=own
  )


def _own_output() -> list[str]:
  """Sends to stderr what C++ writes, but for chatter; the list holds all of it.

  Python keeps stdout, where rows of JSON may have to stand alone.
  """
  out, err = os.dup(1), os.dup(2)
  sys.stdout.flush()
  # Open for as long as the process lives.
  sys.stdout = open(out, 'w', buffering=1)  # noqa: SIM115
  sys.stderr = open(err, 'w', buffering=1, errors='backslashreplace')  # noqa: SIM115
  reading, writing = os.pipe()
  os.dup2(writing, 1)
  os.dup2(writing, 2)
  said = []

  def pass_on():
    fatal = False
    with open(reading, errors='backslashreplace') as lines:
      for line in lines:
        said.append(line)
        fatal = fatal or _FATAL in line
        if not fatal and not _CHATTER.match(line):
          os.write(err, line.encode(errors='backslashreplace'))

  threading.Thread(target=pass_on, daemon=True).start()
  return said


def _take_abort(
  said: list[str], where: str, leave: Callable[[str], NoReturn]
) -> None:
  """Gives JAX's abort a sentence; any other abort stays what it is."""
  handler = ctypes.CFUNCTYPE(None, ctypes.c_int)

  def aborted(_):
    time.sleep(0.2)  # until what was written has been read
    text = ''.join(said)
    if _FATAL in text:
      leave(_sentence(text, where))

  libc = ctypes.CDLL(None)
  libc.signal.argtypes = (ctypes.c_int, handler)
  libc.signal.restype = ctypes.c_void_p
  _kept.append(handler(aborted))
  libc.signal(signal.SIGABRT, _kept[-1])


def _sentence(text: str, where: str) -> str:
  """What happened, out of what JAX said when it aborted."""
  cause = text[text.rindex(_FATAL) :]
  if 'RegisterTask' not in cause:
    gone = re.search(r'heartbeats\):\s*(\S*\D)?(\d+)\s', text)
    who = f'process {gone[2]}' if gone else 'process 0'
    return (
      f'{who} has ended or does not answer, and so this one ends: the run '
      'directory is intact, start all of them again with --resume.'
    )
  if 'ALREADY_EXISTS' in cause or 'ABORTED' in cause:
    return (
      f'another process came to {where} with the same --process_id: give each '
      'its own, from 0.'
    )
  return (
    f'not all processes met at {where} within {JOIN_SECONDS} s: start as many '
    'as --num_processes says, process 0 on the machine of that address, and '
    'see that the port is open.'
  )
