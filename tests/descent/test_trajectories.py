"""Where descent goes: the textbook's numbers, on its functions."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gd_jax.descent import added_noise
from gd_jax.descent import backtracking
from gd_jax.descent import batches
from gd_jax.descent import optimizers
from gd_jax.descent import outcomes
from gd_jax.descent import schedules
from gd_jax.descent import trajectories
from gd_jax.model import mlp
from gd_jax.model import neurons
from gd_jax.model import surfaces

SURFACES = surfaces.SURFACES


def follow(
  name,
  starts,
  rates,
  steps,
  factory: Any = optimizers.sgd,
  *,
  m=None,
  seeds=None,
  dtype=np.float64,
  noise_sd=0.0,
):
  """The trajectories of lanes: one start and one rate each."""
  surface = SURFACES[name]
  n = len(jax.tree.leaves(surface.examples)[0])
  seeds = seeds or [0] * len(starts)
  lanes = trajectories.Lanes(
    jnp.asarray(starts, dtype),
    jnp.asarray(rates, dtype),
    jax.vmap(jax.random.key)(jnp.asarray(seeds)),
    trajectories.orders(seeds, steps=steps, n=n, m=m or n),
  )

  def optimizer_of(rate, key):
    made = factory(rate)
    return added_noise.noisy(made, sd=noise_sd, key=key) if noise_sd else made

  examples = jax.tree.map(lambda x: x.astype(dtype), surface.examples)
  program = functools.partial(
    trajectories.follow, surface.cost_of, optimizer_of, examples
  )
  return jax.tree.map(np.asarray, jax.jit(program)(lanes))


def test_T01_steps_on_the_parabola():
  gone = follow('parabola', [[-0.9]], [0.03], 20)
  x = gone.positions[0, :, 0]
  np.testing.assert_allclose(x[1:4], [-0.216, 0.22176, 0.5019264], rtol=1e-14)
  np.testing.assert_allclose(x, 1 - 1.9 * 0.64 ** np.arange(21), rtol=1e-13)
  assert gone.gradients[0, 0, 0] == pytest.approx(-22.8)
  np.testing.assert_allclose(gone.costs[0], 6 * x**2 - 12 * x + 3, rtol=1e-13)


def test_T01_in_float32_as_shipped():
  gone = follow('parabola', [[-0.9]], [0.03], 3, dtype=np.float32)
  assert gone.positions.dtype == np.float32
  np.testing.assert_allclose(
    gone.positions[0, 1:, 0], [-0.216, 0.22176, 0.5019264], rtol=1e-5
  )


def test_T02_goldilocks():
  rates = [0.01, 0.08, 1 / 12, 0.09, 0.16, 0.17]
  gone = follow('parabola', [[-0.9]] * 6, rates, 60)
  gaps = gone.positions[..., 0] - 1
  assert (np.diff(np.abs(gaps[:2, :10])) < 0).all()
  assert (gaps[:2] <= 0).all()  # never overshoots
  np.testing.assert_allclose(gaps[2, 1:], 0, atol=1e-15)  # one step
  early = gaps[3:, :10]
  assert (early[:, 1:] * early[:, :-1] < 0).all()  # zig-zag
  assert (np.diff(np.abs(early[:2])) < 0).all()
  assert (np.diff(np.abs(gaps[5])) > 0).all()
  assert (np.diff(gone.costs[5]) > 0).all()  # higher on the other side


@pytest.mark.parametrize('name', ['parabola', 'bowl', 'ravine', 'neuron'])
def test_T02_the_limit_of_any_bowl_is_two_over_lambda_max(name):
  surface = SURFACES[name]
  (centre,) = surface.minima.values()
  top = float(surfaces.curvatures(surface, jnp.array(centre))[-1])
  begin = next(iter(surface.starts.values()))
  gone = follow(name, [begin] * 2, [0.99 * 2 / top, 1.01 * 2 / top], 600)
  away = np.linalg.norm(gone.positions - np.array(centre), axis=-1)
  assert away[0, -1] < 0.5 * away[0, 0]
  assert away[1, -1] > 100 * away[1, 0]


def test_T03_three_starts_one_minimum():
  starts = list(SURFACES['bowl'].starts.values())
  gone = follow('bowl', starts, [0.03] * 3, 200)
  np.testing.assert_allclose(
    gone.positions[:, -1], [[1, 7 / 9]] * 3, atol=1e-12
  )
  np.testing.assert_allclose(gone.costs[:, -1], -76 / 9, rtol=1e-14)


def test_T04_the_start_decides_the_end():
  axis = np.linspace(-4, 4, 64)
  starts = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
  surface = SURFACES['two_minima']
  ends = np.asarray(
    trajectories.ends(
      surface.cost_of,
      optimizers.sgd(0.1),
      surface.examples,
      jnp.asarray(starts),
      steps=200,
    )
  )
  shares = [
    np.mean(np.linalg.norm(ends - np.array(where), axis=1) < 0.32)
    for where in surface.minima.values()
  ]
  # 0.456 and 0.323 on the map of 512 x 512.
  np.testing.assert_allclose(shares, [0.456, 0.323], atol=0.015)
  few = follow('two_minima', starts[:5], [0.1] * 5, 200)
  np.testing.assert_allclose(few.positions[:, -1], ends[:5], rtol=1e-12)


def test_T05_full_batch_stays_in_the_saddle_and_single_examples_leave():
  batch = follow('saddle', [[1.0, 0.0]], [0.05], 300)
  assert (batch.positions[..., 1] == 0).all()
  assert abs(batch.positions[0, -1, 0]) < 1e-12
  online = follow(
    'saddle', [[1.0, 0.0]] * 8, [0.05] * 8, 300, m=1, seeds=list(range(8))
  )
  y = online.positions[..., 1]
  np.testing.assert_allclose(np.abs(y[:, 1]), 0.05, rtol=1e-14)
  np.testing.assert_allclose(np.abs(y[:, -50:]), 1, atol=0.15)
  assert len(set(np.sign(y[:, -1]))) == 2  # chance decides which
  assert online.costs[:, -50:].mean() == pytest.approx(-0.5, abs=0.02)


def test_T09_descent_ends_at_the_least_squares_solution():
  gone = follow('neuron', [[-1.0, 1.5]], [0.5], 400)
  np.testing.assert_allclose(
    gone.positions[0, -1], neurons.solve(neurons.PAIRS), rtol=1e-12
  )
  # Cost and gradient are those of the mean of the four.
  error = neurons.PAIRS.x @ [-1.0, 1.5] - neurons.PAIRS.t
  assert gone.costs[0, 0] == pytest.approx(0.5 * np.mean(error**2))
  np.testing.assert_allclose(
    gone.gradients[0, 0], neurons.PAIRS.x.T @ error / 4, rtol=1e-13
  )
  # A single example moves straight to the floor of its own valley.
  online = follow('neuron', [[-1.0, 1.5]], [0.5], 12, m=1)
  order = trajectories.orders([0], steps=12, n=4, m=1).index[0, :, 0]
  moves = np.diff(online.positions[0], axis=0)
  for move, example in zip(moves, order, strict=True):
    x = neurons.PAIRS.x[example]
    assert abs(move[0] * x[1] - move[1] * x[0]) < 1e-14
  assert (np.diff(online.costs[0]) > 0).any()  # zig-zags


def test_T24_a_rate_that_shrinks_gets_closer():
  lanes, steps = 500, 400
  starts, rates = [[1.0]] * lanes, [0.03] * lanes
  spread = []
  for shape in (schedules.constant(), schedules.inverse_time(steps=10)):
    gone = follow(
      'noisy_parabola',
      starts,
      rates,
      steps,
      lambda rate, shape=shape: optimizers.sgd(schedules.scale(shape, rate)),
      m=1,
      seeds=list(range(lanes)),
    )
    spread.append(np.mean((gone.positions[..., 0] - 1) ** 2, axis=0))
  expected = 0.03 / (12 * (2 - 0.03 * 12))
  assert expected == pytest.approx(0.001524, abs=5e-7)
  # 500 lanes x 300 steps that remember about three: 1 % is three sd.
  assert spread[0][100:].mean() == pytest.approx(expected, rel=0.03)
  assert spread[1][-1] < 0.05 * expected
  assert spread[1][-1] < 0.6 * spread[1][steps // 2]


def test_T37_noise_escapes_the_shallow_minimum():
  deep = np.array(SURFACES['two_minima'].minima['the deep minimum'])
  lanes, steps = 200, 400
  for sd, low, high in (
    (0.0, 0, 0),
    (0.5, 0, 0.06),
    (1.0, 0.42, 0.68),
    (2.0, 0.82, 0.97),
  ):
    sd_of = None if not sd else (lambda t, sd=sd: jnp.where(t < 300, sd, 0.0))
    gone = follow(
      'two_minima',
      [[0.89, -0.89]] * lanes,
      [0.1] * lanes,
      steps,
      seeds=list(range(lanes)),
      noise_sd=sd_of,
    )
    ends = np.linalg.norm(gone.positions[:, -1] - deep, axis=1)
    share = float((ends < 0.5).mean())
    assert low <= share <= high, (sd, share)
    # A second way to be anywhere: the shallow one, or a plateau.
    if sd:
      assert len(np.unique(gone.positions[:, 1, 0])) == lanes


def test_T37_noise_has_the_sd_it_is_given_and_ceases():
  params = {'w': jnp.zeros((200, 50)), 'b': jnp.zeros(50)}
  optimizer = added_noise.noisy(
    optimizers.sgd(1.0),
    sd=lambda t: jnp.where(t < 2, 0.5, 0.0),
    key=jax.random.key(3),
  )
  state, changes = optimizer.init(params), []
  for _ in range(3):
    change, state = optimizer.update(params, state, params)
    changes.append(change)
  for change in changes[:2]:
    assert float(change['w'].std()) == pytest.approx(0.5, rel=0.03)
  assert not np.array_equal(changes[0]['b'], changes[1]['b'])
  assert not np.array_equal(changes[0]['b'], changes[0]['w'][0])
  assert not jnp.any(changes[2]['w'])


FIRSTS = [10.0**k for k in range(-3, 4)]


def search(name, factory, steps, starts=None):
  surface = SURFACES[name]
  begin = next(iter(surface.starts.values()))
  value_of = functools.partial(surfaces.mean_cost, surface)
  return follow(
    name,
    starts or [begin] * len(FIRSTS),
    FIRSTS,
    steps,
    functools.partial(factory, value_of=value_of),
  )


@pytest.mark.parametrize('name', ['parabola', 'bowl', 'rosenbrock'])
def test_T38_backtracking_never_rises_from_any_first_rate(name):
  gone = search(name, backtracking.backtracking, 100)
  assert (np.diff(gone.costs) <= 0).all()
  moves = -np.diff(gone.positions, axis=1)
  g = gone.gradients[:, :-1]
  squares = np.sum(g**2, axis=-1)
  etas = np.sum(moves * g, axis=-1) / np.where(squares, squares, 1)
  # Armijo's condition, where rounding lets one see it.
  seen = squares > 1e-8
  promised = 0.5 * etas * squares
  assert (-np.diff(gone.costs) >= promised * (1 - 1e-6))[seen].all()
  # The first is its first rate, halved until it is good enough.
  halvings = np.log2(np.array(FIRSTS) / etas[:, 0])
  np.testing.assert_allclose(halvings, np.round(halvings), atol=1e-9)
  assert (halvings >= -1e-9).all()
  # Not too slow: a rate that was good is doubled before it is halved again.
  both = seen[:, 1:] & seen[:, :-1]
  again = np.log2(etas[:, 1:][both] / etas[:, :-1][both])
  assert again.max() == pytest.approx(1)
  if name != 'rosenbrock':
    least = surfaces.mean_cost(
      SURFACES[name], jnp.array(*SURFACES[name].minima.values())
    )
    np.testing.assert_allclose(gone.costs[:, -1], least, rtol=1e-12)


@pytest.mark.parametrize('name', ['bowl', 'rosenbrock'])
def test_T38_it_is_optax_s_line_search_step_by_step(name):
  steps = 8
  ours = search(name, backtracking.backtracking, steps)
  theirs = search(name, backtracking.optax_backtracking, steps)
  assert np.ptp(ours.positions, axis=1).min() > 0.01
  np.testing.assert_allclose(ours.positions, theirs.positions, rtol=1e-9)


def test_T38_it_stays_where_no_step_is_good():
  # Minus the square root is finite at 0 alone on its left side.
  optimizer: Any = backtracking.backtracking(
    1.0, value_of=lambda w: jnp.where(w > 0, jnp.nan, 5.0 - w)
  )
  w = jnp.array(0.0)
  change, state = optimizer.update(
    jnp.array(-1.0), optimizer.init(w), w, value=jnp.array(5.0)
  )
  assert change == 0
  assert state.eta > 0


def test_T39_descent_never_rises_and_a_heavy_ball_does():
  begin = [next(iter(SURFACES['bowl'].starts.values()))]
  for rate in (0.02, 0.05, 0.11):
    plain = follow('bowl', begin, [rate], 80)
    ball = follow('bowl', begin, [rate], 80, optimizers.momentum)
    assert (np.diff(plain.costs) <= 1e-12).all()
    assert np.diff(ball.costs).max() > 0.01


def test_T40_momentum_in_the_ravine():
  begin = [[-1.0, 0.4]]
  plain = follow('ravine', begin, [2 / 101], 300)
  sizes = np.abs(plain.positions[0])
  np.testing.assert_allclose(sizes[1:] / sizes[:-1], 99 / 101, rtol=1e-9)
  ball = follow(
    'ravine',
    begin,
    [4 / 121],
    60,
    functools.partial(optimizers.momentum, mu=(9 / 11) ** 2),
  )
  # Both eigenvalues have the double root +-9/11: x_k = (a + b k) r^k.
  root = np.array([1, -1]) * 9 / 11
  lines = ball.positions[0] / root ** np.arange(61)[:, None]
  np.testing.assert_allclose(
    np.diff(lines, n=2, axis=0), 0, atol=1e-9 * np.abs(lines).max()
  )


def test_T41_a_network_of_sigmoids_learns_xor_from_some_starts():
  lanes, steps = 100, 3000
  keys = jax.random.split(jax.random.key(0), lanes)
  start = jax.vmap(lambda k: mlp.init(k, (2, 2, 1), 'normal', dtype='float64'))
  order = trajectories.orders([0], steps=steps, n=4, m=4)
  packed = trajectories.Lanes(
    start(keys),
    jnp.full(lanes, 8.0),
    keys,
    jax.tree.map(lambda x: np.repeat(x, lanes, axis=0), order),
  )
  costs = jax.jit(
    lambda packed: (
      trajectories.follow(
        neurons.sigmoid_cost,
        lambda rate, _key: optimizers.sgd(rate),
        neurons.XOR,
        packed,
      ).costs
    )
  )(packed)
  error = 4 * np.asarray(costs)
  arrived = error[:, -1] < 0.01
  # 0.66 of 100 starts; binomial 99.9 % limits.
  assert 0.5 < arrived.mean() < 0.82
  assert error[~arrived, -1].min() > 0.2  # the rest stick, they do not crawl
  assert error[:, 0].min() > 0.3


def test_lanes_of_one_seed_see_the_same_examples():
  order = trajectories.orders([3, 3, 4], steps=11, n=4, m=1)
  assert order.index.shape == (3, 11, 1)
  np.testing.assert_array_equal(order.index[0], order.index[1])
  assert (order.index[0] != order.index[2]).any()
  whole = batches.epoch_order(3, 1, 4, 1).index
  np.testing.assert_array_equal(order.index[0, 4:8], whole)


def test_follow_is_traced_once_for_all_lanes():
  traces = []
  surface = SURFACES['bowl']

  def cost_of(w, example):
    traces.append(1)
    return surface.cost_of(w, example)

  @jax.jit
  def program(lanes):
    return trajectories.follow(
      cost_of, lambda rate, _: optimizers.sgd(rate), surface.examples, lanes
    )

  seen = []
  for count in (0, 1):
    lanes = trajectories.Lanes(
      jnp.full((5, 2), float(count)),
      jnp.full(5, 0.01),
      jax.random.split(jax.random.key(0), 5),
      trajectories.orders([0] * 5, steps=3, n=1, m=1),
    )
    program(lanes)
    seen = [*seen, len(traces)]
  assert seen[0] == seen[1] > 0


def told(name, start, rate, steps, tolerance=1e-6, noisy=False, **other):
  surface = SURFACES[name]
  gone = follow(name, [start], [rate], steps, **other)
  terrain = outcomes.Terrain(
    surface.domain,
    surface.minima,
    lambda w: np.asarray(surfaces.curvatures(surface, jnp.asarray(w))),
  )
  return outcomes.tell(
    gone.positions[0],
    gone.costs[0],
    gone.gradients[0],
    terrain,
    tolerance=tolerance,
    noisy=noisy,
  )


@pytest.mark.parametrize(
  ('name', 'start', 'rate', 'word', 'sentence'),
  [
    # |g| of x is 12 * 0.64^k, and 12 * 0.64^37 < 1e-6 < 12 * 0.64^36.
    ('bowl', (0, 0), 0.03, 'converged', 'converges to the minimum in 37 steps'),
    ('two_minima', (2.2, 0.2), 0.5, 'converged', 'the shallow minimum'),
    ('saddle', (1, 0), 0.1, 'saddle', 'stuck at a saddle'),
    ('plateau', (25.0,), 1.0, 'plateau', 'stuck on a plateau after 0 steps'),
    ('parabola', (0.0,), 0.17, 'diverged', '2/lambda_max = 0.1667'),
    ('parabola', (0.0,), 1e6, 'diverged', 'beyond the finite numbers'),
    ('two_minima', (0.4, 2.4), 1.1, 'oscillates', 'overshoots'),
    ('rosenbrock', (-1.2, 1), 1e-4, 'on its way', 'still on its way'),
  ],
)
def test_what_happened_is_said_in_words(name, start, rate, word, sentence):
  outcome = told(name, start, rate, 60 if word != 'saddle' else 200)
  assert outcome.word == word, outcome.sentence
  assert sentence in outcome.sentence


def test_what_is_on_its_way_says_where_it_is_now():
  gone = follow('rosenbrock', [(-1.2, 1)], [1e-4], 3)
  x, y = gone.positions[0, -1]
  slope = np.hypot(*gone.gradients[0, -1])
  outcome = told('rosenbrock', (-1.2, 1), 1e-4, 3)
  assert outcome.steps == 3
  assert outcome.sentence.endswith(
    f'after 3 steps: at ({x:.4g}, {y:.4g}), cost {gone.costs[0, -1]:.4g}, '
    f'gradient {slope:.2g}'
  )
  assert f'{slope:.2g}' != f'{np.hypot(*gone.gradients[0, -2]):.2g}'


def test_noise_hovers_and_stops_nowhere():
  outcome = told(
    'noisy_parabola', (1.0,), 0.03, 200, tolerance=10.0, noisy=True, m=1
  )
  assert outcome.word == 'hovers'
  assert outcome.steps == 200
  assert 'about the minimum' in outcome.sentence


def test_many_lanes_are_summed_up():
  made = [
    outcomes.Outcome('converged', k, f'converges to A in {k} steps: (0)')
    for k in (3, 5, 7)
  ]
  made.append(outcomes.Outcome('diverged', 9, 'diverges'))
  assert outcomes.summary(made) == (
    '3 of 4 come to A (median 5 steps); 1 of 4 diverge'
  )
