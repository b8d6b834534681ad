"""How every script begins: flags, devices, precision, run directory, signals.

    if __name__ == '__main__':
      start.run(main, doc=__doc__, own=FLAGS)

`main(context)` returns the exit code. Codes: 0 done, 1 bad flags, 2 an error
that the user can mend, 3 diverged, 130 and 143 interrupted after saving.
"""

import contextlib
import gc
import io
import os
import re
import shutil
import signal
import socket
import subprocess
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
import jaxlib
from absl import flags as absl_flags

from experiments import flags
from gd_jax.types import UserError
from gd_jax.world import clock
from gd_jax.world import files
from gd_jax.world import machine
from gd_jax.world import processes
from gd_jax.world import versions

HELP = {'--help', '-h', '-help', '--helpfull', '--helpshort'}
DONE, BAD_FLAGS, MENDABLE, DIVERGED = 0, 1, 2, 3


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
  open_streams()
  experiment = os.path.splitext(os.path.basename(sys.argv[0]))[0]
  groups = flags.in_groups(own, f'Flags of {experiment}')
  try:
    if HELP & set(sys.argv[1:]):
      print(flags.help_text(doc or '', groups), flush=True)
      sys.exit(DONE)
    arguments = flags.parse(sys.argv, own)
    flags.refuse_empty(own)
    values = flags.resolved(own)
    flags.check_several(values)
    if arguments and not positionals:
      raise absl_flags.Error(
        f'{arguments[0]!r} is not a flag: write --name=value, see --help.'
      )
  except absl_flags.Error as error:
    leave(f'{experiment}: {error}', BAD_FLAGS)
  except OSError as error:
    nobody_listens(error)
  stop, signals = threading.Event(), []
  listen(stop, signals)
  try:
    join(values, experiment)
    (dtype, devices), span = clock.timed(prepare, values)
    # What a program will read stands alone on stdout.
    read = values.get('json') or values.get('rescore')
    stream = sys.stderr if read else sys.stdout
    first = jax.process_index() == 0
    heard = first and not values.get('quiet')
    context = Context(
      experiment=experiment,
      values=values,
      dtype=dtype,
      devices=devices,
      first=first,
      arguments=arguments,
      stop=stop,
      signals=signals,
      say=lambda text: (
        print(harmless(text), file=stream, flush=True) if heard else None
      ),
      started=started,
      device_seconds=clock.seconds(span),
    )
    context.say(device_line(devices, values))
    code = main(context)
    processes.finish()
  except UserError as error:
    leave(f'{experiment}: {error}', MENDABLE)
  except OSError as error:
    nobody_listens(error)
  except Exception as error:
    if out_of_memory(error):
      words = (str(error) or type(error).__name__).splitlines()[0]
      leave(
        f'{experiment}: memory is full ({words}): give smaller layers, batches '
        'or --lane_block, or a machine with more.',
        MENDABLE,
      )
    if not processes.joined():
      raise
    traceback.print_exc()
    depart(BAD_FLAGS)
  if not signals:
    # Python's way out gives signals back their default: one that comes now
    # would kill what is done already, and lose its exit code.
    for number in (signal.SIGINT, signal.SIGTERM):
      signal.signal(number, signal.SIG_IGN)
  depart(code)


def out_of_memory(error: Exception) -> bool:
  """Whether Python, NumPy or a device found no room for an array."""
  # JAX has one type for all errors of a device; CPU and GPU word it so.
  full = re.search('[Oo]ut of memory|RESOURCE_EXHAUSTED', str(error))
  in_jax = isinstance(error, jax.errors.JaxRuntimeError) and full is not None
  return in_jax or isinstance(error, MemoryError)


def open_streams() -> None:
  """Gives descriptors 0 to 2 something to be, and stdout every character.

  Where one is closed, the next file that is opened takes its number, and a
  library that writes to stderr writes into that file.
  """
  for number, name in enumerate(('stdin', 'stdout', 'stderr')):
    if getattr(sys, name) is None:
      opened = os.open(os.devnull, os.O_RDWR)
      if opened != number:
        os.dup2(opened, number)
      mode = 'w' if number else 'r'
      setattr(sys, name, os.fdopen(number, mode, closefd=False))
  if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors='backslashreplace')


def harmless(text: str) -> str:
  """Lines that are safe in a terminal: what does not print stands escaped."""
  return '\n'.join(map(files.shown, text.split('\n')))


def nobody_listens(error: OSError) -> NoReturn:
  """Ends where a line could not be written: a closed pipe, a full disk."""
  if error.filename is not None:
    leave(
      f'{error.filename} cannot be used ({error.strerror}): mend that and go '
      'on with --resume.',
      MENDABLE,
    )
  # What Python still holds for stdout at its exit goes nowhere.
  os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
  leave(
    f'stdout cannot be written ({error.strerror}): give it a reader or a disk '
    'with room; a run that had begun goes on with --resume.',
    MENDABLE,
  )


def warn(sentence: str) -> None:
  """Says something on stderr, in one line; nobody has to listen."""
  with contextlib.suppress(OSError):
    line = files.shown(' '.join(sentence.split()))
    line = re.sub(r'(\S{300})\S{300,}', r'\1...', line)
    print(line, file=sys.stderr, flush=True)


def leave(sentence: str, code: int) -> NoReturn:
  """Says why on stderr, in one line, and exits."""
  warn(sentence)
  depart(code)


def depart(code: int) -> NoReturn:
  """Exits; from several processes, without JAX's wait for the others."""
  if processes.joined():
    sys.stdout.flush()
    with contextlib.suppress(RuntimeError):  # there is no such platform
      if jax.process_index() == 0:
        # The others end when it does, and may have something to say first.
        time.sleep(1)
    os._exit(code)
  # Python's last collection would look through every module for nothing.
  gc.freeze()
  sys.exit(code)


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


def prepare(values: dict[str, Any]) -> tuple[str, Sequence[Any]]:
  """Sets platform, devices and precision; returns the dtype and the devices.

  Raises:
    UserError: when there is no device of the platform asked for, or jaxlib is
      known to compute wrong numbers there.
  """
  dtype, matmul = flags.PRECISIONS[values.get('precision') or 'float32']
  platform = values.get('platform')
  if platform is not None:
    jax.config.update(
      'jax_platforms', 'cuda' if platform == 'gpu' else platform
    )
  jax.config.update('jax_enable_x64', dtype == 'float64')
  jax.config.update('jax_default_matmul_precision', matmul)
  jax.config.update('jax_num_cpu_devices', machine.cores())
  try:
    devices = jax.local_devices()
  except (RuntimeError, AssertionError) as error:
    # JAX asserts where it was built without that platform at all.
    cause = (str(error).splitlines() or ['no such backend'])[0]
    raise UserError(
      f'JAX finds no {platform or "device"} ({cause}): install its JAX with '
      f'`make compare EXTRA={"tpu" if platform == "tpu" else "cuda"}`, or use '
      '--platform=cpu.'
    ) from error
  versions.check(devices[0].platform, jaxlib.__version__)
  return dtype, devices


def device_line(devices: Sequence[Any], values: dict[str, Any]) -> str:
  """Device, count, precision and JAX's version; and a GPU that lies idle."""
  kind = devices[0].device_kind
  count = str(len(devices))
  if jax.process_count() > 1:
    count = f'{jax.device_count()} (in {jax.process_count()} processes)'
  line = (
    f'{count} x {kind}, {values.get("precision") or "float32"}, '
    f'JAX {jax.__version__}'
  )
  on_cpu = devices[0].platform == 'cpu'
  if on_cpu and values.get('platform') is None and idle_gpu():
    line += (
      '\nnvidia-smi sees a GPU that this JAX does not use: '
      '`make compare EXTRA=cuda` installs one that does'
    )
  return line


def idle_gpu() -> bool:
  """Whether nvidia-smi answers."""
  command = shutil.which('nvidia-smi')
  if command is None:
    return False
  try:
    answer = subprocess.run(
      [command, '-L'], capture_output=True, timeout=10, check=False
    )
  except (OSError, subprocess.TimeoutExpired):
    return False
  return answer.returncode == 0 and b'GPU' in answer.stdout
