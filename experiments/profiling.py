"""--profile: a few updates, made once more under jax.profiler.

They start where the run starts, and what they give is thrown away: the numbers
of the run, and its times, are those without.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import jax

from experiments import session
from gd_jax.world import files
from gd_jax.world import lock
from gd_jax.world import profiles

# A CPU's trace has some 4 KB an update.
UPDATES = 30


def keep(
  kept: session.Session, programs: Mapping[str, Callable[[], Any]]
) -> None:
  """Runs every program once to compile it and once to trace it.

  Raises:
    UserError: the trace could not be written.
  """
  for run in programs.values():
    jax.block_until_ready(run())

  def work():
    for name, run in programs.items():
      with jax.profiler.TraceAnnotation(name):
        jax.block_until_ready(run())

  lock.check(kept.run.path, kept.run.lock)
  folder = kept.run.path / 'profile'
  file = profiles.record(folder, work)
  kept.context.say(
    f'wrote {files.shown(file)}: open it in https://ui.perfetto.dev, or look '
    f'closer with `xprof {files.shown(folder)}` (pip install xprof)'
  )
