"""How lanes are cut into calls: a CPU's rule, and an accelerator's."""

import pytest

from experiments.contest import waves

MNIST = {'weights': 784 * 30 + 30 * 10, 'examples': 500_000}
DIGITS = {'weights': 64 * 30 + 30 * 10, 'examples': 6_000}
STUDY = {'tuning_lanes': 24, 'most_lanes': 24}


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
  small = shape(
    'gpu', rates, seeds, devices=1, lane_block=1, least=24, epoch_bytes=2**31
  )
  assert small == (4, 1)


def test_what_is_launched_longer_than_it_computes_trains_lane_by_lane():
  def on(platform, m, about):
    return waves.lane_by_lane(platform, batch_size=m, **about, **STUDY)

  assert on('gpu', 10, MNIST)
  assert on('gpu', 100, MNIST)
  assert not on('gpu', 1000, MNIST)
  assert on('gpu', 1000, DIGITS)
  assert not on('gpu', 100, MNIST | {'weights': 10**6})
  assert on('cpu', 10, DIGITS)
  assert not on('cpu', 10, MNIST)
