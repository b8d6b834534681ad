"""From jobs to rows: everything in turn, against what the machine can do."""

import itertools
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jax

from experiments.speed import jobs
from experiments.speed import tasks
from gd_jax.world import clock
from gd_jax.world import peaks
from gd_jax.world import roofline


class Probes(NamedTuple):
  """What the machine can do, probe by probe."""

  products: dict[str, list[peaks.Probe]]  # by precision
  triads: list[peaks.Probe]


def probe(mesh: jax.sharding.Mesh, precisions: Sequence[str]) -> Probes:
  """Sweeps of matrix products, one a precision, and of triads."""
  products = {}
  for precision in precisions:
    with tasks.arithmetic(precision) as dtype:
      products[precision] = peaks.products(mesh, dtype)
  return Probes(products, peaks.triads(mesh))


def measure(
  made: Sequence[jobs.Job],
  idle: Mapping[tasks.Spec, jobs.Job],
  probes: Probes,
  *,
  samples: int,
  stopping: Callable[[], bool],
) -> list[dict[str, Any]]:
  """One row a job. Jobs, idle jobs and peaks are sampled in turn.

  Raises:
    UserError: a row is faster than the machine.
  """
  cache, memory = peaks.best(probes.triads), probes.triads[-1]
  best = {key: peaks.best(found) for key, found in probes.products.items()}
  runs: dict[tuple[str, Any], Callable[[], Any]] = {
    ('job', job.spec): job.run for job in made
  }
  runs |= {('idle', spec): job.run for spec, job in idle.items()}
  runs |= {('cache', None): cache.clocked.run}
  runs |= {('memory', None): memory.clocked.run}
  for precision, product in best.items():
    runs['peak', precision] = inside(precision, product.clocked.run)
  variants = {key: clock.calibrated(run) for key, run in runs.items()}
  names = {str(place): key for place, key in enumerate(variants)}
  found = clock.interleaved(
    {name: variants[key] for name, key in names.items()}, samples, stopping
  )
  if stopping():
    return []
  times = {key: found[name] for name, key in names.items()}
  rows = []
  for job in made:
    precision = job.spec.precision
    product = best[precision]
    peak_times = times['peak', precision]
    swept = itertools.chain.from_iterable(
      one.speeds for one in probes.products[precision]
    )
    machine = roofline.Machine(
      peak=product.work / clock.summary(peak_times).median,
      fastest=max(*swept, product.work / min(peak_times)),
      cache=cache.work / clock.summary(times['cache', None]).median,
      memory=memory.work / clock.summary(times['memory', None]).median,
      cache_bytes=peaks.cache_bytes(probes.triads),
    )
    idled = idle[tasks.idle(job.spec)]
    launch = clock.summary(times['idle', idled.spec]).median / idled.steps
    rows.append(
      row_of(
        job,
        machine,
        times['job', job.spec],
        calls=variants['job', job.spec].calls,
        launch=launch * job.chunks,
      )
      | {'peak_samples': [1e9 / product.work * t for t in peak_times]}
    )
  return rows


def inside(precision: str, run: Callable[[], Any]) -> Callable[[], Any]:
  """`run` in this precision."""

  def wrapped():
    with tasks.arithmetic(precision):
      return run()

  return wrapped


def row_of(
  job: jobs.Job,
  machine: roofline.Machine,
  samples: Sequence[float],
  *,
  calls: int,
  launch: float,
) -> dict[str, Any]:
  """What rows.jsonl says of a job: `samples` are seconds a call."""
  spec, summary = job.spec, clock.summary(samples)
  reading = roofline.read(
    tasks.name_of(spec),
    job.work,
    machine,
    seconds=summary.median / job.steps,
    launch=launch,
  )
  updates = job.steps / (summary.median * job.waves)
  found = max((f.difference for f in job.findings), default=None)
  return {
    'name': tasks.name_of(spec),
    **spec._asdict(),
    'devices': job.devices,
    'steps': job.steps,
    'waves': job.waves,
    'flop': job.flop,
    'samples_per_second': updates * spec.lanes * spec.batch_size,
    'steps_per_second': updates,
    'lane_steps_per_second': updates * spec.lanes,
    'gflops': reading.flops / 1e9,
    'of_peak': reading.of_peak,
    'of_roof': reading.of_roof,
    'bound': reading.bound,
    'intensity': reading.intensity,
    'compute_seconds': reading.compute_seconds,
    'memory_seconds': reading.memory_seconds,
    'launch_seconds': reading.launch_seconds,
    'numpy_difference': found,
    'phase_seconds': job.seconds,
    'seconds': summary._asdict(),
    'calls_a_sample': calls,
    'samples': list(samples),
    'peak_gflops': machine.peak / 1e9,
    'fastest_gflops': machine.fastest / 1e9,
    'cache_gbytes': machine.cache / 1e9,
    'memory_gbytes': machine.memory / 1e9,
    'cache_bytes': machine.cache_bytes,
  }
