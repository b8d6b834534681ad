"""What the device and the host did when, by jax.profiler."""

import shutil
from collections.abc import Callable
from pathlib import Path

import jax

from gd_jax.types import UserError
from gd_jax.world import files


def record(folder: Path, work: Callable[[], None]) -> Path:
  """Traces `work` into the folder in place of what stood there.

  Python's own calls are left out: they would be nearly all of it.

  Returns:
    The trace that Perfetto opens; XProf opens the folder.

  Raises:
    UserError: it could not be written.
  """
  shutil.rmtree(folder, ignore_errors=True)
  files.make_folder(folder)
  options = jax.profiler.ProfileOptions()
  options.python_tracer_level = 0
  jax.profiler.start_trace(str(folder), profiler_options=options)
  try:
    work()
  finally:
    try:
      jax.profiler.stop_trace()
    except (OSError, RuntimeError) as error:
      raise cannot(folder, str(error)) from error
  found = sorted(folder.rglob('*.trace.json.gz'))
  if not found:
    raise cannot(folder, 'JAX left no trace')
  return found[-1]


def cannot(folder: Path, why: str) -> UserError:
  """The one sentence."""
  first = (why.splitlines() or ['no reason given'])[0]
  return UserError(
    f'Cannot write a trace to {files.shown(folder)} ({files.shown(first)}): '
    'free room there, or go on with --resume and without --profile.'
  )
