"""Peaks do the work they are counted for; roofs are read as drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gd_jax.descent import batches
from gd_jax.descent import lanes
from gd_jax.descent import optimizers
from gd_jax.descent import shards
from gd_jax.descent import train
from gd_jax.judge import gate
from gd_jax.model import mlp
from gd_jax.types import UserError
from gd_jax.world import peaks
from gd_jax.world import roofline
from tests import meshes

SIZES, M, STEPS = (20, 6, 3), 10, 7
MACHINE = roofline.Machine(
  peak=100.0, fastest=120.0, cache=50.0, memory=5.0, cache_bytes=1000
)


@pytest.fixture
def brief(monkeypatch):
  monkeypatch.setattr(peaks, '_SAMPLE', 1e-3)


def test_a_product_is_as_many_products_as_are_counted(brief):
  run = peaks._product(meshes.two(), 32, 'float64')
  rng = np.random.default_rng(0)
  one = rng.standard_normal((32, 32)) / np.sqrt(32)
  expected = one @ np.linalg.matrix_power(one.T, 5)
  found = run(5)
  assert found.shape == (2, 32, 32)
  np.testing.assert_allclose(found[1], expected, rtol=0, atol=1e-12)
  probe = peaks._swept('product', 32, run, 2.0 * 32**3 * 2)
  assert probe.work % (2.0 * 32**3 * 2) == 0
  assert len(probe.speeds) == 3


def test_a_triad_donates_and_adds(brief):
  run = peaks._triad(meshes.two(), 16)
  first = run(1)
  again = run(3)
  np.testing.assert_allclose(again, np.full((2, 16), 4e-6), rtol=1e-5)
  assert first.is_deleted()


def test_the_cache_ends_where_half_the_speed_is_gone():
  probes = [
    peaks.Probe('triad', size, 1.0, None, [speed])
    for size, speed in ((8, 90.0), (64, 100.0), (512, 51.0), (4096, 20.0))
  ]
  assert peaks.best(probes).size == 64
  assert peaks.cache_bytes(probes) == 512


def programs():
  """(name, what the formula says of a call, its jaxpr) of all that is timed."""
  data = gate.images(2400, SIZES[0], SIZES[-1])
  cost_of = gate.cost_of(SIZES[-1])
  sgd = optimizers.sgd(0.1)
  params = mlp.init(jax.random.key(0), SIZES)
  state = train.start(params, sgd)
  for m, steps, row in ((M, STEPS, None), (2400, 1, meshes.two())):
    step = train.make_step(cost_of, sgd, axis=shards.axis_of(row))
    order = batches.epoch_order(
      0, 0, m * steps, m, shards=1 if row is None else 2
    )
    batch = batches.gather(data, order)
    program = shards.epoch_program(step, row, unroll=4)
    traced = program.trace(state, batch)
    yield f'm={m}', steps * mlp.flop(SIZES, m), traced.jaxpr.jaxpr
  made = lanes.programs(
    cost_of=cost_of, optimizer_of=optimizers.sgd, mesh=meshes.two()
  )
  rate = jnp.ones((4, 3), jnp.float32)
  fleet = made.launch(rate, gate.stack([params] * 4))
  order = gate.stack([batches.epoch_order(0, 0, M * STEPS, M)] * 4)
  traced = made.epoch.trace(fleet, rate, order, data)
  yield 'lanes', 12 * STEPS * mlp.flop(SIZES, M), traced.jaxpr.jaxpr


def test_the_formula_is_what_the_programs_multiply():
  assert mlp.flop((784, 30, 10), 10) == 958_800
  for name, claimed, jaxpr in programs():
    assert roofline.products_in(jaxpr) == claimed, name
    assert roofline.check_flop(name, claimed, jaxpr) == claimed


@pytest.mark.parametrize('wrong', [STEPS, 1 / STEPS, 12, 1 / 12])
def test_a_count_off_by_the_scan_length_or_the_lanes_is_refused(wrong):
  _, _, (name, claimed, jaxpr) = programs()
  with pytest.raises(UserError, match='counted wrongly'):
    roofline.check_flop(name, claimed * wrong, jaxpr)


def work(**changed):
  plain = roofline.Work(
    flop=1000.0, state_bytes=200.0, example_bytes=10.0, footprint=500.0
  )
  return plain._replace(**changed)


def test_a_reading_by_hand():
  found = roofline.read('row', work(), MACHINE, seconds=20.0, launch=1.0)
  assert found.flops == 50.0
  assert found.of_peak == 0.5
  # 10 s of arithmetic; 200 / 50 + 10 / 5 = 6 s of traffic
  assert found.compute_seconds == 10.0
  assert found.memory_seconds == 6.0
  assert found.of_roof == 0.5
  assert found.bound == 'compute'
  assert found.intensity == pytest.approx(1000 / 210)


def test_what_does_not_fit_the_cache_is_read_from_memory():
  found = roofline.read(
    'row', work(footprint=1001.0), MACHINE, seconds=60.0, launch=1.0
  )
  assert found.memory_seconds == 200 / 5 + 10 / 5
  assert found.bound == 'memory'
  assert found.of_roof == pytest.approx(42 / 60)


def test_launching_that_takes_longest_is_named():
  found = roofline.read('row', work(), MACHINE, seconds=20.0, launch=11.0)
  assert found.bound == 'launch'


@pytest.mark.parametrize('seconds', [1000 / 121, 1e-9])
def test_faster_than_the_machine_is_refused(seconds):
  with pytest.raises(UserError, match=r'row seems .* at most'):
    roofline.read('row', work(), MACHINE, seconds=seconds, launch=1.0)
