"""Peaks do the work they are counted for; roofs are read as drawn."""

import types

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
from gd_jax.world import clock
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
  probes[2].speeds[0] = 50.0
  assert peaks.cache_bytes(probes) == 512
  probes[2].speeds[0] = 49.0
  assert peaks.cache_bytes(probes) == 64


@pytest.fixture
def sweeps(monkeypatch):
  """Makes a probe of what its sweep was asked; [how fast it is]."""
  speed = [1.0]

  def swept(name, size, run, work):
    return peaks.Probe(name, size, work, run, [speed[0] / 2, speed[0]])

  monkeypatch.setattr(peaks, '_swept', swept)
  monkeypatch.setattr(peaks, '_product', lambda *asked: asked)
  monkeypatch.setattr(peaks, '_triad', lambda *asked: asked)
  return speed


@pytest.mark.parametrize('devices', [1, 8])
@pytest.mark.parametrize(
  ('seconds', 'largest'),
  [(0.031, 1024), (0.029, 2048), (1e-9, 16384)],
)
def test_products_grow_until_one_takes_thirty_milliseconds(
  sweeps, devices, seconds, largest
):
  row = types.SimpleNamespace(size=devices)
  sweeps[0] = 2 * 1024**3 * devices / seconds
  found = peaks.products(row, 'bfloat16')
  sizes = [256, 512, 1024, 2048, 4096, 8192, 16384]
  sizes = sizes[: sizes.index(largest) + 1]
  assert [probe.size for probe in found] == sizes
  for probe, n in zip(found, sizes, strict=True):
    assert probe.name == 'product'
    assert probe.work == 2 * n**3 * devices
    assert probe.clocked == (row, n, 'bfloat16')


@pytest.mark.parametrize(
  ('platform', 'exponents'),
  [('cpu', (16, 19, 22, 25)), ('gpu', (19, 22, 25, 28))],
)
def test_triads_go_from_the_cache_to_the_memory(sweeps, platform, exponents):
  devices = np.array([types.SimpleNamespace(platform=platform)] * 2)
  row = types.SimpleNamespace(size=2, devices=devices)
  found = peaks.triads(row)
  assert [probe.clocked for probe in found] == [(row, 2**e) for e in exponents]
  for probe, e in zip(found, exponents, strict=True):
    assert probe.name == 'triad'
    assert probe.size == 2 * 4 * 2**e  # two arrays of float32
    assert probe.work == 2 * 3 * 4 * 2**e  # three numbers on each device


@pytest.mark.parametrize(
  ('first', 'fixed', 'each', 'repeats'),
  [
    (0.0, 0.0, 1e-3, 50),
    (0.5, 0.0, 1e-3, 50),  # a first call that compiles says nothing
    (0.0, 0.0, 0.2, 1),
    (0.0, 0.01, 1e-5, 2560),  # doubled until calling costs little
    (0.0, 0.02499, 1e-5, 2),
  ],
)
def test_work_is_repeated_until_a_sample_is_filled(
  monkeypatch, first, fixed, each, repeats
):
  now, calls = [0.0], []

  def run(count):
    now[0] += fixed + each * count + first * (len(calls) < 2)
    calls.append(count)
    assert len(calls) < 100

  read = types.SimpleNamespace(perf_counter=lambda: now[0])
  monkeypatch.setattr(clock, 'time', read)
  found = peaks._swept('name', 7, run, 3.0)
  assert calls[:3] == [1, 1, 1]
  assert calls[-3:] == [repeats] * 3
  assert (found.name, found.size) == ('name', 7)
  assert found.work == 3.0 * repeats
  speed = found.work / (fixed + each * repeats)
  assert found.speeds == pytest.approx([speed] * 3)
  found.clocked.run()
  assert calls[-1] == repeats
  assert found.clocked.calls == 1


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


def test_the_sentence_has_both_speeds():
  with pytest.raises(UserError) as error:
    roofline.read(
      'row',
      work(flop=4e12),
      MACHINE._replace(fastest=1.23456e9),
      seconds=2.0,
      launch=1.0,
    )
  assert str(error.value) == (
    'row seems to make 2000 GFLOP/s where matrix products reach 1.235 at most: '
    'the clock or the count of FLOP is wrong, so nothing of it is reported.'
  )


def test_the_fastest_and_the_cache_are_reached_themselves():
  found = roofline.read(
    'row',
    work(flop=1200.0, footprint=1000.0),
    MACHINE,
    seconds=10.0,
    launch=0.0,
  )
  assert found.flops == 120.0
  assert found.memory_seconds == 6.0
  assert found.launch_seconds == 0.0
  slow = roofline.read('row', work(flop=1.0), MACHINE, seconds=2.0, launch=0.0)
  assert slow.flops == 0.5
  with pytest.raises(UserError, match='seems to make 0 GFLOP'):
    roofline.read('row', work(flop=0.0), MACHINE, seconds=1.0, launch=0.0)


@pytest.mark.parametrize(
  ('counted', 'sound'),
  [(0.989, False), (0.99, True), (1.5, True), (2.01, True), (2.011, False)],
)
def test_a_count_may_be_half_of_the_products_and_a_hundredth_more(
  monkeypatch, counted, sound
):
  monkeypatch.setattr(roofline, 'products_in', lambda jaxpr: counted)
  if sound:
    assert roofline.check_flop('row', 1.0, None) == counted
    return
  with pytest.raises(UserError) as error:
    roofline.check_flop('row', 1.0, None)
  assert str(error.value) == (
    f'row is said to make 1 FLOP a call and its program has {counted} in '
    'matrix products: one of them is counted wrongly, so nothing is timed.'
  )


def test_products_count_with_their_axes_and_as_often_as_they_repeat():
  each = jax.P('lanes')
  apart = jax.shard_map(
    lambda x, c: x @ c,
    mesh=meshes.two(),
    in_specs=(each, jax.P()),
    out_specs=each,
  )

  def program(a, b, c):
    once = jnp.einsum('bij,bjk->bik', a, b)  # 2 * (2 3 4) * 5

    def body(x, _):
      return jax.jit(lambda x: x @ c)(x), None  # 2 * 4 * 4

    last, _ = jax.lax.scan(body, once[0, 0], None, length=6)
    last += apart(jnp.ones((2, 4), jnp.float32), c)[0]  # 2 * (1 4) * 4 each
    # Of a choice, all that stands there counts.
    return jax.lax.cond(last[0] > 0, lambda x: x @ c, lambda x: x @ c, last)

  shapes = ((2, 3, 5), (2, 5, 4), (4, 4))
  arrays = [jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes]
  found = roofline.products_in(jax.make_jaxpr(program)(*arrays).jaxpr)
  assert found == 2 * 2 * 3 * 4 * 5 + 6 * 2 * 16 + 2 * 2 * 16 + 2 * 2 * 16
