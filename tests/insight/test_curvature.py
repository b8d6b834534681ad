"""Products with the Hessian and its largest eigenvalues against the matrix."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gd_jax.descent import optimizers
from gd_jax.descent import train
from gd_jax.insight import curvature
from gd_jax.insight import totals
from gd_jax.model import costs
from gd_jax.model import mlp
from gd_jax.world import data
from tests.insight import networks as nets


@pytest.fixture(scope='module')
def multiply():
  return curvature.product(nets.COST_OF, nets.MESH)


def test_T23_a_product_is_that_with_the_dense_matrix(multiply):
  found = jax.jit(multiply)(nets.params(), nets.direction(), nets.dealt())
  dense = nets.hessian()
  np.testing.assert_allclose(dense, dense.T, rtol=0, atol=1e-12)
  np.testing.assert_allclose(
    nets.flat(found), dense @ nets.flat(nets.direction()), rtol=0, atol=1e-8
  )
  assert curvature.distinct_entries(1_000_000) == pytest.approx(5e11, rel=1e-5)
  assert [curvature.distinct_entries(n) for n in (1, 2, 3)] == [1, 3, 6]
  other = nets.direction(5)
  there = nets.flat(nets.direction()) @ nets.flat(
    jax.jit(multiply)(nets.params(), other, nets.dealt())
  )
  back = nets.flat(other) @ nets.flat(found)
  assert there == pytest.approx(back, abs=1e-12)


@pytest.mark.parametrize('steps', [30, 1000])
def test_lanczos_finds_the_largest_eigenvalue(multiply, steps):
  found = jax.jit(curvature.lanczos(multiply, steps))(
    nets.params(), nets.direction(), nets.dealt()
  )
  values, vectors = np.linalg.eigh(nets.hessian())
  assert float(found.values[0]) == pytest.approx(values[-1], abs=1e-8)
  assert float(found.errors[0]) < 1e-6
  top = nets.flat(jax.tree.map(lambda leaf: leaf[0], found.vectors))
  assert abs(top @ vectors[:, -1]) == pytest.approx(1, abs=1e-8)


def test_few_steps_say_how_far_they_are_off(multiply):
  found = jax.jit(curvature.lanczos(multiply, 6))(
    nets.params(), nets.direction(), nets.dealt()
  )
  dense = nets.hessian()
  for k in range(6):
    u = nets.flat(jax.tree.map(lambda leaf, k=k: leaf[k], found.vectors))
    theta = float(found.values[k])
    residual = np.linalg.norm(dense @ u - theta * u)
    assert float(found.errors[k]) == pytest.approx(residual, abs=1e-10)
    nearest = np.abs(np.linalg.eigvalsh(dense) - theta).min()
    assert nearest <= residual + 1e-12


@pytest.fixture(scope='module')
def trained():
  """Digits after some full-batch descent, in float64."""
  images = data.load('digits').train
  parts = (
    mlp.weighted_input,
    costs.quadratic_of_z,
    costs.decode_image(16.0, 10),
  )
  cost_of = costs.example_cost(*parts)
  examples = totals.deal(images, nets.MESH)
  start = mlp.init(jax.random.key(0), (64, 12, 10), dtype='float64')
  multiply = curvature.product(cost_of, nets.MESH)
  whole = totals.over(
    nets.MESH, lambda p, c: (train.cost_and_grad(cost_of, p, c), ())
  )
  optimizer = optimizers.sgd(1.0)

  @jax.jit
  def descend(params, examples):
    def step(params, _):
      _, grad = whole(params, examples)[0]
      grad = jax.tree.map(lambda g: g / len(images.y), grad)
      change, _ = optimizer.update(grad, optimizer.init(params))
      return jax.tree.map(jnp.add, params, change), None

    return jax.lax.scan(step, params, length=200)[0]

  return multiply, descend(start, examples), examples


def displacements(multiply, params, direction, examples, *, eta, steps):
  """Descent on the quadratic model, d <- d - eta H d, [steps + 1]."""

  def along(d):
    parts = jax.tree.map(lambda a, b: jnp.sum(a * b), d, direction)
    return jnp.stack(jax.tree.leaves(parts)).sum()

  def step(d, _):
    change = multiply(params, d, examples)
    d = jax.tree.map(lambda a, h: a - eta * h, d, change)
    return d, along(d)

  _, found = jax.lax.scan(step, direction, length=steps)
  return jnp.concatenate([along(direction)[None], found])


def test_T02_on_a_network_two_over_lambda_max_is_the_limit(trained):
  multiply, params, examples = trained
  ritz = jax.jit(curvature.lanczos(multiply, 60))(params, params, examples)
  top = jax.tree.map(lambda leaf: leaf[0], ritz.vectors)
  limit = 2 / ritz.values[0]
  walk = jax.jit(functools.partial(displacements, multiply, steps=20))
  below = np.asarray(walk(params, top, examples, eta=0.95 * limit))
  above = np.asarray(walk(params, top, examples, eta=1.05 * limit))
  k = np.arange(21)
  np.testing.assert_allclose(below, (-0.9) ** k, rtol=1e-5)
  np.testing.assert_allclose(above, (-1.1) ** k, rtol=1e-5)
