"""How lanes are cut into calls: a CPU's rule, and an accelerator's."""

import types

import numpy as np
import pytest

from experiments import problem as problems
from experiments.contest import arena as arenas
from experiments.contest import waves
from gd_jax.judge import study

MNIST = {'weights': 784 * 30 + 30 * 10, 'examples': 500_000}
DIGITS = {'weights': 64 * 30 + 30 * 10, 'examples': 6_000}
STUDY = {'tuning_lanes': 24, 'most_lanes': 24, 'fit': 100}


def shape(platform, rates, seeds, **more):
  settings = {'devices': 2, 'lane_block': None, 'epoch_bytes': 10**7} | more
  return waves.wave_shape(platform, rates=rates, seeds=seeds, **settings)


def test_a_cpu_has_one_block_a_device():
  assert shape('cpu', 8, 3) == (2, 4)
  assert shape('cpu', 1, 20) == (2, 1)
  assert shape('cpu', 8, 3, lane_block=1, least=24) == (2, 1)


def test_an_accelerator_has_all_blocks_that_fit():
  assert shape('gpu', 8, 3, devices=1) == (3, 8)
  assert shape('gpu', 8, 3, devices=2, lane_block=1) == (24, 1)
  assert shape('gpu', 1, 20, devices=1) == (20, 1)
  # Two epochs fit, then none, and there has to be one.
  assert shape('gpu', 1, 20, devices=1, epoch_bytes=2**32) == (2, 1)
  assert shape('gpu', 1, 20, devices=2, epoch_bytes=2**40) == (2, 1)


@pytest.mark.parametrize(
  ('rates', 'seeds'), [(8, 3), (1, 20), (1, 3), (2, 3)], ids=str
)
def test_units_of_every_size_have_one_shape_on_an_accelerator(rates, seeds):
  found = shape('gpu', rates, seeds, devices=1, lane_block=1, least=24)
  assert found == (24, 1)


def test_what_is_launched_longer_than_it_computes_trains_lane_by_lane():
  def on(platform, m, about):
    return waves.lane_by_lane(platform, batch_size=m, **STUDY | about)

  assert on('gpu', 10, MNIST)
  assert on('gpu', 100, MNIST)
  assert not on('gpu', 1000, MNIST)
  assert on('gpu', 1000, DIGITS)
  assert not on('gpu', 100, MNIST | {'weights': 10**6})
  assert on('gpu', 10, MNIST | {'fit': 24})
  assert not on('gpu', 10, MNIST | {'fit': 23})
  assert on('cpu', 10, DIGITS)
  assert not on('cpu', 10, MNIST)


def an_arena(platform, **changed):
  """As much of an arena as its shapes follow from."""
  problem = types.SimpleNamespace(
    split=object(),
    init=lambda key: np.zeros((30, 784), np.float32),
    train=np.zeros((50_000, 785), np.uint8),
  )
  device = types.SimpleNamespace(platform=platform)
  about = {
    'mesh': types.SimpleNamespace(devices=np.array([device], object)),
    'share': types.SimpleNamespace(devices=1),
    'problems': {problems.Kind('scaled', 'quadratic'): problem},
    'lane_block': None,
    'epochs': 10,
    'tuning_lanes': 24,
    'most_lanes': 24,
  }
  return types.SimpleNamespace(**about | changed)


def shapes(arena, m):
  """Of the units of tuning, report, twins and a widened grid."""
  one = study.Contestant(
    name='sgd',
    optimizer='sgd',
    implementation='ours',
    batch_size=m,
    init='scaled',
    cost='quadratic',
    centre=1.0,
    centre_source='',
  )
  sizes = ((8, 3), (1, 20), (1, 3), (2, 3))
  units = [
    study.Unit('tuning', one, tuple(range(rates)), tuple(range(seeds)), 1.0)
    for rates, seeds in sizes
  ]
  return [arenas.shape_of(arena, unit) for unit in units]


def test_an_entry_is_one_program_on_an_accelerator_and_two_on_a_cpu():
  assert shapes(an_arena('gpu'), 10) == [(24, 1)] * 4
  assert shapes(an_arena('gpu'), 1000) == [(3, 8), (20, 1), (3, 1), (3, 2)]
  wide = an_arena('gpu', lane_block=8)
  assert shapes(wide, 10) == [(3, 8), (20, 1), (3, 1), (3, 2)]
  assert shapes(an_arena('cpu'), 10) == [(1, 8), (1, 1), (1, 1), (1, 2)]
  # Where memory holds fewer lanes than there are, wide blocks gather less.
  crowded = an_arena('gpu', tuning_lanes=999, most_lanes=999)
  assert shapes(crowded, 10) == [(3, 8), (20, 1), (3, 1), (3, 2)]
