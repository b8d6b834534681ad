"""How far a study is, and about how long it still takes."""

import time
from typing import Any

from gd_jax.descent import batches
from gd_jax.judge import study


def whole_work(protocol: study.Protocol, training_examples: int) -> int:
  """Lane-updates of a study without widening: what 100 % will be, at least."""
  seeds = (
    protocol.rates * len(protocol.tuning_seeds)
    + len(protocol.report_seeds)
    + len(protocol.tuning_seeds)
  )
  extra = len(protocol.null_seeds)
  return sum(
    protocol.epochs
    * batches.steps_of(training_examples, one.batch_size)
    * (seeds + (extra if one is protocol.contestants[0] else 0))
    for one in protocol.contestants
  )


def line(program: dict[str, Any], done: int, whole: int, began: float) -> str:
  """One unit in one line, with an estimate of what is left."""
  spent = time.perf_counter() - began
  left = max(0.0, spent / max(done, 1) * (whole - done))
  return (
    f'{program["phase"]:6}  {program["entry"]:24.24}  '
    f'{program["lanes"]:3} lanes x {program["updates"]:,} updates  '
    f'{program["seconds"]:6.2f} s, compiled in '
    f'{program["compile_seconds"]:.2f} s'
    f'  {min(100, 100 * done // max(whole, 1)):3} %'
    + (f', about {left:.0f} s left' if done < whole else '')
  )
