"""A mini-batch as a poll of the examples: how far its gradient is off.

    E |g_m - g|^2 = tr(S)/m (N - m)/(N - 1)

for m of N examples drawn without replacement, S the covariance of one
example's gradient (1/N). Its size against the gradient's is the simple noise
scale tr(S)/|g|^2 (McCandlish et al. 2018): at a mini-batch that large, noise
and signal are as long as each other.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from gd_jax.descent import batches
from gd_jax.descent import train
from gd_jax.types import Batch
from gd_jax.types import Examples


class Polls(NamedTuple):
  """What many mini-batches of one size say; leaves [r]."""

  error: jax.Array  # |g_m - g|^2
  cosine: jax.Array  # of the angle between g_m and g; 0 where g_m is 0


class Estimate(NamedTuple):
  """A number with its 95 % interval."""

  value: float
  low: float
  high: float


class NoiseScale(NamedTuple):
  """tr(S)/|g|^2, and the two that it is made of; both without bias."""

  scale: Estimate  # the upper end is infinite where noise may hide the gradient
  trace: float  # tr(S), 1/(n - 1)
  signal: float  # |g|^2 less what the noise of n examples adds to it


def finite_population(n: int, m: Any) -> Any:
  """(N - m)/(N - 1): a poll of everybody has no error."""
  return (n - m) / (n - 1)


def draws(seed: int, n: int, m: int, repeats: int) -> batches.Order:
  """`repeats` mini-batches of m different examples of n, as rows of an order.

  Like an epoch's, a large batch is padded with slots of weight 0.
  """
  stream = np.random.Philox(key=np.array([seed, m], np.uint64))
  rng = np.random.Generator(stream)
  slots = batches.slots_of(m)
  index = np.zeros((repeats, slots), np.int32)
  weights = np.zeros((repeats, slots), np.float32)
  for row in index:
    row[:m] = rng.choice(n, m, replace=False, shuffle=False)
  weights[:, :m] = 1
  return batches.Order(index, weights)


def polls_of(
  cost_of: train.CostOf, mesh: jax.sharding.Mesh
) -> Callable[[Any, Any, Examples, batches.Order], Polls]:
  """The function (params, g, examples, order of r mini-batches) -> Polls.

  Examples lie on every device; r is a multiple of the mesh's size.
  """
  axis = mesh.axis_names[0]

  def local(params, mean, examples, order):
    length = _norm(mean)

    def poll(row):
      some = jax.tree.map(lambda leaf: leaf[row.index], examples)
      batch = Batch(some, row.weights)
      _, grad = train.cost_and_grad(cost_of, params, batch)
      m = jnp.sum(row.weights.astype(length.dtype))
      grad = jax.tree.map(lambda g: g / m, grad)
      apart = _norm(jax.tree.map(jnp.subtract, grad, mean))
      parts = jax.tree.map(lambda a, b: jnp.sum(a * b), grad, mean)
      lengths = length * _norm(grad)
      there = lengths > 0
      cosine = sum(jax.tree.leaves(parts)) / jnp.where(there, lengths, 1)
      return Polls(jnp.square(apart), jnp.where(there, cosine, 0))

    return jax.lax.map(poll, order)

  return jax.shard_map(
    local,
    mesh=mesh,
    in_specs=(jax.P(), jax.P(), jax.P(), jax.P(axis)),
    out_specs=jax.P(axis),
    check_vma=False,
  )


def _norm(tree):
  squares = jax.tree.map(lambda leaf: jnp.sum(jnp.square(leaf)), tree)
  return jnp.sqrt(sum(jax.tree.leaves(squares)))


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
  """The mean of repeats and its standard error."""
  values = np.asarray(values, np.float64)
  return values.mean(), values.std(ddof=1) / np.sqrt(len(values))


def slope(
  sizes: Sequence[int], errors: Sequence[np.ndarray], n: int
) -> Estimate:
  """The slope of log(E |g_m - g|^2 / finite_population) against log m.

  -1 by the law. Weighted least squares on the logarithms of the means; their
  standard errors are the delta method's, se/mean, and give the interval.
  """
  found = [mean_and_error(each) for each in errors]
  m = np.array(sizes, np.float64)
  y = np.log([mean for mean, _ in found]) - np.log(finite_population(n, m))
  precision = np.array([(mean / se) ** 2 for mean, se in found])
  x = np.log(m)
  x = x - np.average(x, weights=precision)
  spread = np.sum(precision * x**2)
  value = float(np.sum(precision * x * y) / spread)
  reach = float(special.ndtri(0.975) / np.sqrt(spread))
  return Estimate(value, value - reach, value + reach)


def noise_scale(
  square: np.ndarray, along: np.ndarray, norm: float
) -> NoiseScale:
  """The simple noise scale of n examples, with a delete-one jackknife interval.

  Args:
    square: |g_x|^2, [n].
    along: g_x . g, [n].
    norm: |g|^2.

  The n examples are a sample: |g|^2 overstates the true one by tr(S)/n, which
  is taken off. Leaving out x changes both to what these numbers give exactly;
  the interval is Student's on the logarithm of the ratio. It has no end where
  two examples leave one, or where a ratio has no logarithm.
  """
  square, along = (np.asarray(leaf, np.float64) for leaf in (square, along))
  n, total = len(square), square.sum()

  def ratio(n, total, norm):
    trace = (total - n * norm) / (n - 1)
    return trace, norm - trace / n

  trace, signal = ratio(n, total, norm)
  value = trace / signal if signal > 0 else np.inf
  endless = NoiseScale(Estimate(value, 0.0, np.inf), trace, signal)
  if n == 2 or signal <= 0 or trace <= 0:
    return endless
  left = (n**2 * norm - 2 * n * along + square) / (n - 1) ** 2
  traces, signals = ratio(n - 1, total - square, left)
  if (signals <= 0).any() or (traces <= 0).any():
    return endless
  logs = np.log(traces / signals)
  se = np.sqrt((n - 1) / n * np.sum((logs - logs.mean()) ** 2))
  reach = special.stdtrit(n - 1, 0.975) * se
  return NoiseScale(
    Estimate(
      float(value), float(value * np.exp(-reach)), float(value * np.exp(reach))
    ),
    float(trace),
    float(signal),
  )
