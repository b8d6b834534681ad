"""How every script begins: flags, devices, precision, run directory, signals.

    if __name__ == '__main__':
      start.run(main, doc=__doc__, own=FLAGS)

`main(context)` returns the exit code, one of those of `speech`.
"""

import os
import re
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple
from typing import NoReturn

import jax
from absl import flags as absl_flags

from experiments import command_line
from experiments import devices
from experiments import speech
from gd_jax.types import UserError
from gd_jax.world import clock
from gd_jax.world import processes

HELP = {'--help', '-h', '-help', '--helpfull', '--helpshort'}
DONE = speech.DONE
BAD_FLAGS = speech.BAD_FLAGS
MENDABLE = speech.MENDABLE
DIVERGED = speech.DIVERGED


class Context(NamedTuple):
  """What a script is given before its first line."""

  experiment: str
  values: dict[str, Any]  # every flag that it honours, as given or by default
  dtype: str  # of parameters and arithmetic
  devices: Sequence[Any]  # of this process
  first: bool  # this process writes; False in all but one of several
  arguments: list[str]  # positionals
  stop: threading.Event  # set by the first SIGINT or SIGTERM
  signals: list[int]  # those received
  say: Callable[[str], None]  # a line for people, who may want none
  started: float  # time.perf_counter() of the start
  device_seconds: float  # until the devices answered


def run(
  main: Callable[[Context], int],
  *,
  doc: str | None,
  own: Sequence[absl_flags.FlagHolder],
  positionals: bool = False,
) -> NoReturn:
  """Parses sys.argv, prepares the device, runs `main`, exits with its code."""
  started = time.perf_counter()
  speech.open_streams()
  experiment = os.path.splitext(os.path.basename(sys.argv[0]))[0]
  groups = command_line.in_groups(own, f'Flags of {experiment}')
  try:
    if HELP & set(sys.argv[1:]):
      print(command_line.help_text(doc or '', groups), flush=True)
      sys.exit(DONE)
    arguments = command_line.parse(sys.argv, own)
    command_line.refuse_empty(own)
    values = command_line.resolved(own)
    command_line.check_several(values)
    if arguments and not positionals:
      raise absl_flags.Error(
        f'{arguments[0]!r} is not a flag: write --name=value, see --help.'
      )
  except absl_flags.Error as error:
    speech.leave(f'{experiment}: {error}', BAD_FLAGS)
  except OSError as error:
    speech.nobody_listens(error)
  stop, signals = threading.Event(), []
  listen(stop, signals)
  try:
    join(values, experiment)
    (dtype, found), span = clock.timed(devices.prepare, values)
    # What a program will read stands alone on stdout.
    read = values.get('json') or values.get('rescore')
    stream = sys.stderr if read else sys.stdout
    first = jax.process_index() == 0
    heard = first and not values.get('quiet')
    context = Context(
      experiment=experiment,
      values=values,
      dtype=dtype,
      devices=found,
      first=first,
      arguments=arguments,
      stop=stop,
      signals=signals,
      say=lambda text: (
        print(speech.harmless(text), file=stream, flush=True) if heard else None
      ),
      started=started,
      device_seconds=clock.seconds(span),
    )
    context.say(devices.device_line(found, values))
    code = main(context)
    processes.finish()
  except UserError as error:
    speech.leave(f'{experiment}: {error}', MENDABLE)
  except OSError as error:
    speech.nobody_listens(error)
  except Exception as error:
    if out_of_memory(error):
      words = (str(error) or type(error).__name__).splitlines()[0]
      speech.leave(
        f'{experiment}: memory is full ({words}): give smaller layers, batches '
        'or --lane_block, or a machine with more.',
        MENDABLE,
      )
    if not processes.joined():
      raise
    traceback.print_exc()
    speech.depart(BAD_FLAGS)
  if not signals:
    # Python's way out gives signals back their default: one that comes now
    # would kill what is done already, and lose its exit code.
    for number in (signal.SIGINT, signal.SIGTERM):
      signal.signal(number, signal.SIG_IGN)
  speech.depart(code)


def out_of_memory(error: Exception) -> bool:
  """Whether Python, NumPy or a device found no room for an array."""
  # JAX has one type for all errors of a device; CPU and GPU word it so.
  full = re.search('[Oo]ut of memory|RESOURCE_EXHAUSTED', str(error))
  in_jax = isinstance(error, jax.errors.JaxRuntimeError) and full is not None
  return in_jax or isinstance(error, MemoryError)


def join(values: dict[str, Any], experiment: str) -> None:
  """Meets the other processes, where the flags speak of several.

  Raises:
    UserError: where they cannot meet.
  """

  def gone(sentence: str) -> NoReturn:
    # Not by print: the main thread may hold what print needs.
    line = f'{experiment}: {sentence}\n'.encode('ascii', 'backslashreplace')
    os.write(sys.stderr.fileno(), line)
    os._exit(MENDABLE)

  if values.get('distributed') or values.get('coordinator'):
    processes.join(
      values['coordinator'],
      values['num_processes'],
      values['process_id'],
      leave=gone,
    )


def listen(stop: threading.Event, signals: list[int]) -> None:
  """The first SIGINT or SIGTERM sets `stop`; a second one exits at once.

  Python's own handlers wait for the end of a compiled program, which may run
  for minutes, so a thread reads the numbers that the C handler writes.
  """
  hearing, telling = socket.socketpair()
  telling.setblocking(False)
  signal.set_wakeup_fd(telling.fileno())
  for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: None)

  def hear():
    # The closure keeps `telling` open for as long as the thread lives.
    while telling.fileno() >= 0:
      for number in hearing.recv(64):
        if stop.is_set():
          os._exit(128 + number)
        signals.append(number)
        stop.set()

  threading.Thread(target=hear, daemon=True).start()
