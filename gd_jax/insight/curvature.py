"""Second derivatives without the matrix: H v, and the ends of the spectrum.

    H v = d/dt grad C(w + t v) at t = 0

forward over reverse (Pearlmutter 1994): a few gradients, where H itself has
D (D + 1)/2 distinct entries. Full-batch descent on the quadratic model with
curvature lambda multiplies a displacement by 1 - eta lambda a step, and so is
stable below eta = 2/lambda_max only.
"""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import flatten_util

from gd_jax.descent import train
from gd_jax.insight import totals
from gd_jax.types import Batch

Product = Callable[[Any, Any, Batch], Any]


class Ritz(NamedTuple):
  """What k Lanczos steps know of the spectrum, the largest value first."""

  values: jax.Array  # [k]
  # [k], an eigenvalue of H lies within this of the value: |H u - theta u|
  errors: jax.Array
  vectors: Any  # leaves [k, ...], of length 1


def distinct_entries(weights: int) -> int:
  """How many second derivatives there are: D (D + 1)/2."""
  return weights * (weights + 1) // 2


def product(cost_of: train.CostOf, mesh: jax.sharding.Mesh) -> Product:
  """The function (params, v, dealt examples) -> H v, a tree as v."""

  def of_chunk(arguments, chunk):
    params, vector = arguments
    _, change = jax.jvp(
      lambda p: train.cost_and_grad(cost_of, p, chunk)[1], (params,), (vector,)
    )
    dtype = jnp.result_type(*jax.tree.leaves(change))
    return (change, jnp.sum(chunk.weights.astype(dtype))), ()

  total = totals.over(mesh, of_chunk)

  def multiply(params, vector, examples):
    (change, n), _ = total((params, vector), examples)
    return jax.tree.map(lambda g: g / n, change)

  return multiply


def lanczos(multiply: Product, steps: int) -> Callable[[Any, Any, Batch], Ritz]:
  """The function (params, start, dealt examples) -> Ritz.

  `start` is any vector that is not 0, as a tree; each of at most `steps` steps
  costs one product. Vectors are kept orthogonal to all before them.
  """
  from matfree import decomp

  def spectrum(params, start, examples):
    vector, unravel = flatten_util.ravel_pytree(start)
    tridiagonal = decomp.tridiag_sym(
      min(steps, vector.size), reortho='full', custom_vjp=False
    )

    def matvec(v):
      change = multiply(params, unravel(v), examples)
      return flatten_util.ravel_pytree(change)[0]

    found = tridiagonal(matvec, vector)
    values, within = jnp.linalg.eigh(found.J_small)
    order = jnp.argsort(-values)
    left = jnp.linalg.norm(found.residual)
    basis = jnp.asarray(found.Q_tall).reshape(len(values), vector.size)
    return Ritz(
      values[order],
      left * jnp.abs(within[-1, order]),
      jax.vmap(unravel)(within.T[order] @ basis),
    )

  return spectrum
