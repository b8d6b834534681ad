"""What a machine can do at most, measured: matrix products and memory.

    product   x <- x w          2 n^3 floating-point operations
    triad     b <- b + s c      3 numbers of traffic each: read b and c, write b

Every device of a mesh works at once, and the sums count. The triad donates b: a
fresh array would time the operating system's page faults.
"""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gd_jax.world import clock

_SAMPLE = 0.05  # seconds; a sweep only looks for the best
_SAMPLES = 3
_LARGEST = 16_384
# 2^e numbers an array of a triad on a device: from its cache to its memory.
_CPU_EXPONENTS = (16, 19, 22, 25)
_EXPONENTS = (19, 22, 25, 28)


class Probe(NamedTuple):
  """Work of known size."""

  name: str
  size: int  # n of a product; the bytes of both arrays a device, of a triad
  work: float  # of a call: FLOP of a product, bytes of traffic of a triad
  clocked: clock.Clocked
  speeds: list[float]  # work a second, of each sample of the sweep


def products(mesh: jax.sharding.Mesh, dtype: str) -> list[Probe]:
  """Products n = 256, 512, ... while one takes under 30 ms.

  At the matmul precision of the caller's context.
  """
  probes = []
  n = 256
  while n <= _LARGEST:
    probe = _swept(
      'product', n, _product(mesh, n, dtype), 2.0 * n**3 * mesh.size
    )
    probes.append(probe)
    if 2 * n**3 * mesh.size / max(probe.speeds) > 0.03:
      break
    n *= 2
  return probes


def triads(mesh: jax.sharding.Mesh) -> list[Probe]:
  """Triads of float32 from a core's cache to memory."""
  on_cpu = mesh.devices.flat[0].platform == 'cpu'
  exponents = _CPU_EXPONENTS if on_cpu else _EXPONENTS
  return [
    _swept('triad', 8 * 2**e, _triad(mesh, 2**e), 12.0 * 2**e * mesh.size)
    for e in exponents
  ]


def best(probes: list[Probe]) -> Probe:
  """The fastest."""
  return max(probes, key=lambda probe: max(probe.speeds))


def cache_bytes(probes: list[Probe]) -> int:
  """What fits where it is fast: the largest triad at half the best speed."""
  least = 0.5 * max(best(probes).speeds)
  return max(probe.size for probe in probes if max(probe.speeds) >= least)


def _swept(
  name: str, size: int, run: Callable[[int], Any], work: float
) -> Probe:
  """A probe whose calls repeat the work so often that calling costs nothing."""
  for _ in range(clock.WARM_UP):
    once = clock.seconds(clock.timed(run, 1)[1])
  repeats = max(1, round(_SAMPLE / once))
  while clock.seconds(clock.timed(run, repeats)[1]) < _SAMPLE / 2:
    repeats *= 2
  clocked = clock.Clocked(lambda: run(repeats), 1)
  times = clock.honest([clock.sample(clocked) for _ in range(_SAMPLES)])
  speeds = [work * repeats / seconds for seconds in times]
  return Probe(name, size, work * repeats, clocked, speeds)


def _over(mesh, function, *, donate=()):
  each, every = jax.P(mesh.axis_names[0]), jax.P()
  return jax.jit(
    jax.shard_map(
      function,
      mesh=mesh,
      in_specs=(each, each, every),
      out_specs=each,
      check_vma=False,
    ),
    donate_argnums=donate,
  )


def _put(mesh, array):
  each = jax.sharding.NamedSharding(mesh, jax.P(mesh.axis_names[0]))
  return jax.device_put(array, each)


def _product(mesh, n, dtype):
  # w of a random matrix over sqrt(n): x neither grows nor vanishes.
  one = np.random.default_rng(0).standard_normal((n, n)) / np.sqrt(n)
  x = _put(mesh, np.broadcast_to(one.astype(dtype), (mesh.size, n, n)))
  w = _put(mesh, np.broadcast_to(one.T.astype(dtype), (mesh.size, n, n)))

  def run(x, w, repeats):
    return jax.lax.fori_loop(0, repeats, lambda _, x: x @ w, x)

  program = _over(mesh, run)
  return lambda repeats: program(x, w, np.int32(repeats))


def _triad(mesh, n):
  shape = (mesh.size, n)
  c = _put(mesh, np.ones(shape, np.float32))
  kept = [_put(mesh, np.zeros(shape, np.float32))]

  def triad(b, c, repeats):
    step = jnp.float32(1e-6)
    return jax.lax.fori_loop(0, repeats, lambda _, b: b + step * c, b)

  program = _over(mesh, triad, donate=0)

  def run(repeats):
    kept[0] = program(kept[0], c, np.int32(repeats))
    return kept[0]

  return run
