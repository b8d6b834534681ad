"""Whether what is timed ends where NumPy ends."""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.speed import tasks
from gd_jax.descent import batches
from gd_jax.descent import entries
from gd_jax.descent import twins
from gd_jax.judge import gate
from gd_jax.judge import reference
from gd_jax.types import Images


def checked(
  spec: tasks.Spec,
  entry: entries.Entry,
  starts: Sequence[Any],
  params: Any,
  orders: Sequence[batches.Order],
  data: Images,
  rates: np.ndarray,
  places: Sequence[tuple[int, int]],
) -> list[gate.Finding]:
  """The lanes at `places` against NumPy; none for a method it does not know.

  Raises:
    UserError: a lane ends elsewhere.
  """
  known = method_of(entry)
  if known is None:
    return []
  method, hyperparameters = known
  return gate.check_lanes(
    tasks.name_of(spec),
    starts,
    params,
    orders,
    data,
    rates,
    places,
    method=method,
    hyperparameters=hyperparameters,
    precision=spec.precision,
  )


def method_of(entry: entries.Entry) -> tuple[str, dict[str, Any]] | None:
  """The entry as a method of NumPy's with all its hyperparameters, or None."""
  known: tuple[str, dict[str, Any]] | None = None
  if entry.implementation == 'ours':
    known = entry.name, entry.hyperparameters
  elif entry.implementation == 'optax':
    known = twins.ours(entry.name, entry.hyperparameters)
  if known is None or known[0] not in reference.METHODS:
    return None
  method, given = known
  keys = inspect.signature(twins.TWINS[method].ours).parameters
  if not given.keys() <= keys.keys():
    return None
  defaults = {key: value.default for key, value in keys.items()}
  return method, defaults | given
