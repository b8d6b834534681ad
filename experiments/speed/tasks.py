"""What the benchmark can time, spelled out: one task a row."""

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import jax

from experiments import flags
from gd_jax.model import mlp

EXAMPLES = 60_000  # as MNIST trains on
CALL_FLOP = 6e9  # an epoch of the book's network; a larger one is cut short
LANES_FLOP = 6e11  # of all lanes in a call
# Nothing to compute: what a step of it takes is launching.
IDLE_SIZES, IDLE_BATCH, IDLE_STEPS = (8, 8, 8), 8, 1000


class Spec(NamedTuple):
  """What is timed; two rows of one spec can be compared."""

  layer_sizes: tuple[int, ...]
  batch_size: int
  lanes: int
  optimizer: str
  precision: str
  gradients: str


def name_of(spec: Spec) -> str:
  """A row's name: what differs most first."""
  many = f'{spec.lanes} lanes' if spec.lanes > 1 else '1 lane'
  return f'{spec.optimizer} m={spec.batch_size} {many} {spec.precision}'


@contextlib.contextmanager
def arithmetic(precision: str) -> Iterator[str]:
  """Inside, JAX computes in this precision; gives the dtype of parameters."""
  dtype, matmul = flags.PRECISIONS[precision]
  with jax.enable_x64(dtype == 'float64'), jax.default_matmul_precision(matmul):
    yield dtype


def idle(spec: Spec) -> Spec:
  """The same program with nothing to compute."""
  return spec._replace(layer_sizes=IDLE_SIZES, batch_size=IDLE_BATCH)


def steps_of(spec: Spec) -> int:
  """Updates of a call: an epoch, or what the FLOP allow but at least 100."""
  if spec.layer_sizes == IDLE_SIZES:
    return IDLE_STEPS
  whole = EXAMPLES // spec.batch_size
  flop = min(CALL_FLOP, LANES_FLOP / spec.lanes)
  fit = int(flop / mlp.flop(spec.layer_sizes, spec.batch_size))
  return min(whole, max(100, fit))


def specs(
  values: dict[str, Any], sizes: tuple[int, ...], many_lanes: list[int]
) -> list[Spec]:
  """One spec for each crossing of the flags."""
  found = [
    Spec(sizes, EXAMPLES if m == flags.FULL else m, *rest, values['gradients'])
    for precision, text, count, m in itertools.product(
      values['precisions'],
      values['optimizers'],
      many_lanes,
      values['batch_sizes'],
    )
    for rest in [(count, text, precision)]
  ]
  return list(dict.fromkeys(found))
