"""Which examples a seed has: the same for all, or dealt anew for each."""

import jax
import numpy as np
import pytest

from experiments import problem as problems
from experiments.contest import divisions
from gd_jax.descent import train
from gd_jax.model import costs
from gd_jax.model import mlp
from gd_jax.types import Images
from gd_jax.world import mesh
from tests import scripts

SIZES = {'train': 40, 'validation': 12, 'test': 9}


def images(n, first):
  """Images that each know their own number."""
  numbers = np.arange(first, first + n)
  x = np.stack([numbers, numbers % 7], 1).astype(np.uint8)
  return Images(x, (numbers % 3).astype(np.uint8))


@pytest.fixture(scope='module')
def problem():
  parts, first = {}, 0
  for name, n in SIZES.items():
    parts[name] = images(n, first)
    first += n
  decode = costs.decode_image(61, 3)
  scores = costs.example_scores(
    mlp.weighted_input, costs.quadratic_of_z, decode
  )
  return problems.Problem(
    init=lambda key: mlp.init(key, (2, 4, 3)),
    cost_of=costs.example_cost(
      mlp.weighted_input, costs.quadratic_of_z, decode
    ),
    scores_of=scores,
    **parts,
    commonest=0.5,
    fingerprint='',
    words='',
  )


def members(division, seed):
  """The examples that an epoch of a seed trains on."""
  order = division.order(seed, 0, 8)
  return set(order.index[order.weights > 0].tolist())


def test_fixed_orders_are_those_of_the_train_split(problem):
  division = divisions.fixed(
    problem, {'quadratic': problem.scores_of}, mesh.row(jax.devices()[:1])
  )
  assert members(division, 3) == members(division, 4) == set(range(40))
  assert division.commonest(3) == problem.commonest


def test_resplit_deals_every_example_once_and_anew_for_each_seed(problem):
  division = divisions.resplit(
    problem, {'quadratic': problem.scores_of}, mesh.row(jax.devices()[:1])
  )
  assert len(members(division, 3)) == len(members(division, 4)) == 40
  assert members(division, 3) != members(division, 4)
  assert members(division, 3) == members(
    divisions.resplit(
      problem, {'quadratic': problem.scores_of}, mesh.row(jax.devices()[:1])
    ),
    3,
  )
  again = division.order(3, 1, 8)
  assert set(again.index[again.weights > 0].tolist()) == members(division, 3)


def test_resplit_scores_what_a_seed_was_not_trained_on(problem):
  devices = mesh.row(jax.devices()[:2])
  division = divisions.resplit(
    problem, {'quadratic': problem.scores_of}, devices
  )
  params = mlp.init(jax.random.key(0), (2, 4, 3))
  fleet = jax.tree.map(lambda leaf: np.stack([leaf[None]] * 2), params)
  splits = problem.train, problem.validation, problem.test
  pool = jax.tree.map(lambda *parts: np.concatenate(parts), *splits)
  rest = [sorted(set(range(61)) - members(division, seed)) for seed in (3, 4)]
  found = {
    split: division.evaluate(fleet, (3, 4), split, 'quadratic')
    for split in ('validation', 'test')
  }
  for block in range(2):
    part = Images(pool.x[rest[block]], pool.y[rest[block]])
    expected = train.evaluate(problem.scores_of, params, part)
    both = (
      12 * found['validation'].cost[block, 0] + 9 * found['test'].cost[block, 0]
    )
    np.testing.assert_allclose(both / 21, expected.cost, rtol=1e-6)
  assert found['test'].cost[0, 0] != found['test'].cost[1, 0]


def test_a_study_with_resplit_says_what_its_intervals_cover(tmp_path):
  flags = ['--optimizers=optax:sgd', '--rates=2', '--tuning_seeds=1']
  flags += ['--report_seeds=3', '--epochs=1', '--resplit', '--snapshots=2']
  found = scripts.run('compare', *scripts.named(tmp_path, 'study'), *flags)
  assert 'cover start, order and split' in ' '.join(found.stdout.split())
  assert scripts.json_of(tmp_path / 'study', 'study.json')['protocol'][
    'resplit'
  ]
  again = scripts.run('compare', f'--rescore={tmp_path / "study"}')
  assert again.stdout in found.stdout
