"""A large batch over two devices equals one device, with one all-reduce."""

import itertools
import re

import jax
import numpy as np
import pytest

from gd_jax.descent import batches
from gd_jax.descent import optimizers
from gd_jax.descent import shards
from gd_jax.descent import train
from gd_jax.model import costs
from gd_jax.model import mlp
from gd_jax.types import Images
from gd_jax.world import mesh
from tests import meshes

N, M = 3700, 1500  # two whole mini-batches, and a short third one


def examples():
  rng = np.random.default_rng(0)
  return Images(
    rng.integers(0, 256, (N, 12), dtype=np.uint8),
    rng.integers(0, 3, N, dtype=np.uint8),
  )


def trained(row, *, m, dtype='float32', epochs=3, gradients='mean'):
  """The state and metrics after some epochs, and the program."""
  decode = costs.decode_image(255.0, 3)
  cost_of = costs.example_cost(mlp.weighted_input, costs.quadratic_of_z, decode)
  optimizer = optimizers.adam(0.01)
  step = train.make_step(
    cost_of, optimizer, gradients=gradients, axis=shards.axis_of(row)
  )
  program = shards.epoch_program(step, row)
  params = mlp.init(jax.random.key(1), (12, 5, 3), dtype=dtype)
  state = train.start(params, optimizer)
  for epoch in range(epochs):
    order = batches.epoch_order(
      0, epoch, N, m, shards=1 if row is None else row.size
    )
    batch = shards.put(batches.gather(examples(), order), row)
    state, metrics, finite = program(state, batch)
    assert bool(finite)
  return state, metrics, program.lower(state, batch)


# Each value of each daily; all of them together are a claim.
DAILY = {
  ('float32', M, 'mean'),
  ('float64', M, 'per_example'),
  ('float64', N, 'mean'),
}


@pytest.mark.parametrize(
  ('dtype', 'm', 'gradients'),
  [
    pytest.param(*one, marks=() if one in DAILY else pytest.mark.claims)
    for one in itertools.product(
      ('float32', 'float64'), (M, N), train.GRADIENTS
    )
  ],
)
def test_two_devices_agree_with_one(dtype, m, gradients):
  most = {'float32': 1e-6, 'float64': 1e-13}[dtype]
  one, one_sums, _ = trained(None, m=m, dtype=dtype, gradients=gradients)
  both, sums, _ = trained(meshes.two(), m=m, dtype=dtype, gradients=gradients)
  for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(both), strict=True):
    np.testing.assert_allclose(b, a, rtol=0, atol=most)
  np.testing.assert_allclose(sums.cost, one_sums.cost, rtol=most)
  assert sums.examples == N


def test_a_repeat_has_the_same_bits():
  first, second = (trained(meshes.two(), m=N)[0] for _ in range(2))
  jax.tree.map(np.testing.assert_array_equal, first, second)


def test_a_step_makes_one_all_reduce():
  text = trained(meshes.two(), m=M, epochs=1)[2].as_text()
  assert len(re.findall(r'stablehlo\.all_reduce', text)) == 1
  assert 'all_gather' not in text


def test_only_a_large_batch_is_divided():
  assert shards.mesh_for(shards.LARGE, meshes.two()) is None
  assert shards.mesh_for(shards.LARGE + 1, meshes.two()) is not None
  assert shards.mesh_for(60_000, mesh.row(jax.devices()[:1])) is None
