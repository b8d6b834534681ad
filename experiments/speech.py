"""What a script says, and how it leaves: in one line, with its exit code.

Codes: 0 done, 1 bad flags, 2 an error that the user can mend, 3 diverged, 130
and 143 interrupted after saving.
"""

import contextlib
import gc
import io
import os
import re
import sys
import time
from typing import NoReturn

import jax

from gd_jax.world import files
from gd_jax.world import processes

DONE, BAD_FLAGS, MENDABLE, DIVERGED = 0, 1, 2, 3


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
