"""Whole trainings for the tests: seeds as lanes, float32 as it is shipped."""

import jax
import numpy as np

from gd_jax.descent import batches
from gd_jax.descent import lanes
from gd_jax.descent import optimizers
from gd_jax.model import costs
from gd_jax.model import mlp
from gd_jax.world import mesh


def stack(parts):
  return jax.tree.map(lambda *leaves: np.stack(leaves), *parts)


def accuracies(dataset, sizes, *, init, eta, seeds, epochs, m=10):
  """Test accuracy after each epoch, [epochs, seeds]: plain descent."""
  decode = costs.decode_image(dataset.scale, dataset.classes)
  parts = (mlp.weighted_input, costs.quadratic_of_z, decode)
  devices = mesh.row(jax.devices())
  made = lanes.programs(
    cost_of=costs.example_cost(*parts),
    optimizer_of=optimizers.sgd,
    mesh=devices,
  )
  evaluate = lanes.evaluator(costs.example_scores(*parts), devices)
  dealt = lanes.deal([eta], len(seeds), width=1, multiple=devices.size)
  start = stack(
    [mlp.init(jax.random.key(seeds[s]), sizes, init) for s in dealt.seed]
  )
  fleet = made.launch(dealt.rate, start)
  n, found = len(dataset.train.y), []
  for epoch in range(epochs):
    orders = [batches.epoch_order(seeds[s], epoch, n, m) for s in dealt.seed]
    fleet, _ = lanes.run_epoch(
      made, fleet, dealt.rate, stack(orders), dataset.train
    )
    scores = evaluate(fleet.state.params, dataset.test)
    found.append(np.asarray(scores.accuracy)[dealt.real])
  return np.array(found)
