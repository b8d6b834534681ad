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
  found = scores(
    dataset, sizes, init=init, eta=eta, seeds=seeds, epochs=epochs, m=m
  )
  return np.array([of_test.accuracy for _, of_test in found])


def costs_along(dataset, sizes, *, eta, m, seeds, epochs):
  """Training and test cost after each epoch, [epochs, seeds] each."""
  found = scores(
    dataset, sizes, init='scaled', eta=eta, seeds=seeds, epochs=epochs, m=m
  )
  return {
    'train': np.array([of_train.cost for of_train, _ in found]),
    'test': np.array([of_test.cost for _, of_test in found]),
  }


def scores(dataset, sizes, *, init, eta, seeds, epochs, m):
  """(of train, of test) after each epoch, leaves [seeds]: plain descent."""
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
    found.append(
      tuple(
        jax.tree.map(
          lambda leaf: np.asarray(leaf)[dealt.real],
          evaluate(fleet.state.params, split),
        )
        for split in (dataset.train, dataset.test)
      )
    )
  return found
