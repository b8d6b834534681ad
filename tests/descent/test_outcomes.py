"""What became of a descent: every sentence whole, from walks made by hand."""

import numpy as np
import pytest

from gd_jax.descent import outcomes

# Two minima of unlike curvature; the wider side of the domain is 12.5.
LOW, HIGH = [1.0, 4.0], [2.0, 16.0]
TERRAIN = outcomes.Terrain(
  domain=((-2.0, 2.0), (-1.0, 11.5)),
  minima={'A': (0.0, 1.0), 'B': (0.0, 9.0)},
  curvatures=lambda w: np.array(LOW if w[1] < 5 else HIGH),
)
NEAR_A, NEAR_B, BETWEEN = (0.1, 2.0), (0.2, 8.5), (0.5, 4.0)
LIMIT_A = ' (the limit for plain descent is 2/lambda_max = 0.5)'
LIMIT_B = ' (the limit for plain descent is 2/lambda_max = 0.125)'


def tell(walk, costs, slopes, terrain=TERRAIN, **more):
  """Of a walk whose gradients point along y; `slopes` are signed."""
  gradients = np.array([(0.0, slope) for slope in slopes])
  given = {'tolerance': 1e-3, 'noisy': False} | more
  return outcomes.tell(
    np.array(walk, float), np.array(costs, float), gradients, terrain, **given
  )


def flat(curvatures):
  return TERRAIN._replace(curvatures=lambda w: np.array(curvatures))


def test_divergence_names_the_limit_where_it_began():
  found = tell([NEAR_A, NEAR_B, NEAR_B], [1, 2, 30.004], [1, -2, 3])
  assert found == outcomes.Outcome(
    'diverged',
    2,
    'diverges: the cost grows from 1 to 30 in 2 steps' + LIMIT_A,
  )
  nameless = TERRAIN._replace(minima={})
  bare = tell([NEAR_A, NEAR_B], [1, 30], [1, 3], nameless)
  assert bare.sentence == 'diverges: the cost grows from 1 to 30 in 1 step'


@pytest.mark.parametrize(
  ('costs', 'slopes'),
  [
    ([1, 9, 5], [1, 2, 3]),  # it was higher
    ([5, 1, 5], [1, 2, 3]),  # it began as high
    ([1, 2, 9], [3, 4, 3]),  # it began as steep
  ],
)
def test_what_comes_down_again_does_not_diverge(costs, slopes):
  assert tell([NEAR_A] * 3, costs, slopes).word != 'diverged'


def test_a_cost_as_high_as_ever_is_the_highest():
  assert tell([NEAR_A] * 3, [1, 9, 9], [1, 2, 3]).word == 'diverged'


@pytest.mark.parametrize('what', ['cost', 'gradient', 'position'])
def test_beyond_the_finite_numbers(what):
  walk = [NEAR_A, NEAR_B, BETWEEN, BETWEEN]
  costs, slopes = [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]
  if what == 'cost':
    costs[2] = np.inf
  elif what == 'gradient':
    slopes[2] = 1e200  # its square is no finite number
  else:
    walk[2] = (np.nan, 1.0)
  assert tell(walk, costs, slopes) == outcomes.Outcome(
    'diverged',
    1,
    'diverges: the cost grows from 1 beyond the finite numbers in 2 steps'
    + LIMIT_A,
  )


def test_no_finite_number_where_the_cost_never_rose():
  found = tell([NEAR_A, BETWEEN, NEAR_B], [1, 1, np.nan], [1, 1, 1])
  assert found == outcomes.Outcome(
    'not a number',
    1,
    'the surface gives no finite number after 2 steps, at (0.2, 8.5)',
  )
  # Where no place can be named, it is the last that can.
  walk = [NEAR_A, BETWEEN, (np.inf, 1)]
  assert tell(walk, [1, 0.5, 3], [1, 1, 1]).sentence.endswith('at (0.5, 4)')
  # From the first step on there is none before.
  assert tell([NEAR_A], [np.nan], [1]) == outcomes.Outcome(
    'not a number',
    0,
    'the surface gives no finite number after 0 steps, at (0.1, 2)',
  )
  walk = [NEAR_A, BETWEEN]
  assert tell(walk, [1, np.nan], [1, 1]).steps == 0


def test_convergence_is_where_the_gradient_first_is_small():
  walk = [NEAR_A, (0.01, 1.02), (0, 1)]
  found = tell(walk, [3, 0.123456, 0], [1, 1e-3, 0])
  assert found == outcomes.Outcome(
    'converged',
    1,
    'converges to A in 1 step: (0.01, 1.02), cost 0.12346',
  )
  # The nearest that has a name lies further than a fiftieth of the width.
  for there, name in (((0, 9.25), 'B'), ((0, 9.26), 'a minimum')):
    found = tell([NEAR_A, there], [3, 1], [1, 0])
    assert found.sentence.startswith(f'converges to {name} in 1 step: (0, 9.2')


def test_what_never_stops_does_not_converge():
  walk = [NEAR_A, (0, 1)]
  assert tell(walk, [3, 0], [1, 0], tolerance=0).word == 'on its way'
  assert tell(walk, [3, 0], [1, 0], noisy=True).word == 'hovers'


def test_a_saddle_has_its_curvatures_and_a_plateau_its_gradient():
  walk = [NEAR_A, (0, 3)]
  found = tell(walk, [3, 2.000049], [1, 1e-3], flat([-1.2345, 4]))
  assert found == outcomes.Outcome(
    'saddle',
    1,
    'stuck at a saddle after 1 step: at (0, 3), cost 2, curvatures -1.23, 4',
  )
  # The Newton step |g| / |lambda| to a minimum is at most 0.25 here.
  assert tell(walk, [3, 2], [1, 1e-3], flat([0.0041, 4])).word == 'converged'
  assert tell(walk, [3, 2], [1, 1e-3], flat([-0.0039, 4])).word == 'plateau'
  found = tell(walk, [3, 2], [1, 1e-3], flat([0.0039, 4]))
  assert found == outcomes.Outcome(
    'plateau',
    1,
    'stuck on a plateau after 1 step: at (0, 3), cost 2, gradient 0.001, and '
    'no minimum',
  )
  for least, word in ((0.9e-7, 'plateau'), (1e-7, 'converged')):
    assert tell(walk, [3, 2], [1, 0], flat([least, 4])).word == word
  assert tell(walk, [3, 2], [1, 0], flat([0, 4])).word == 'plateau'


def test_noise_is_where_the_last_half_was():
  # The last three stand at 1, 2 and 1.
  walk = [NEAR_B, NEAR_B, (0, 1), (0, 2), (0, 1), (0, 2)]
  found = tell(walk[1:], [9, 2, 1, 2, 1], [1] * 5, noisy=True)
  assert found.steps == 4
  assert found.sentence == (
    'hovers about A, standard deviation 0.471 over the last half of 4 steps'
  )
  # Three standard deviations and a tenth of the width: 1.25 here.
  for there, about in (((0, 2.25), 'A'), ((0, 2.26), '(0, 2.26)')):
    found = tell([there] * 4, [3] * 4, [1] * 4, noisy=True)
    assert found.sentence == (
      f'hovers about {about}, standard deviation 0 over the last half of '
      '3 steps'
    )
  for share, about in ((0.7, 'A'), (0.55, '(0, 4)')):
    wide = [(0, 4 + share * (-1) ** k) for k in range(10)]
    assert (
      f'about {about}' in tell(wide, [3] * 10, [1] * 10, noisy=True).sentence
    )


def test_to_and_fro_and_no_lower_is_oscillation():
  walk = [NEAR_A, BETWEEN] * 6 + [NEAR_B]
  slopes = [(-1) ** k for k in range(13)]
  costs = [9, 8, 2] + [3] * 9 + [2.00004]
  assert tell(walk, costs, slopes) == outcomes.Outcome(
    'oscillates',
    12,
    'oscillates: no lower after 12 steps (cost 2), each step overshoots'
    + LIMIT_B,
  )
  # Ten steps before it was at 2; where it was higher then, it still falls.
  costs[2] = 2.1
  found = tell(walk, costs, slopes)
  assert found == outcomes.Outcome(
    'on its way',
    12,
    'still on its way, zig-zagging, after 12 steps: at (0.2, 8.5), cost 2, '
    'gradient 1',
  )
  # Of nine turns five are more than half.
  straight = [1, 1, 1] + [1, 1, 1, 1, 1] + [-1, 1, -1, 1, -1]
  assert tell(walk, costs, straight).sentence.startswith(
    'still on its way, zig-zagging, after'
  )
  straight = [1, 1, 1] + [1, 1, 1, 1, 1, 1] + [-1, 1, -1, 1]
  assert tell(walk, costs, straight).sentence.startswith(
    'still on its way after 12 steps'
  )


def test_a_short_walk_is_looked_at_whole():
  walk, slopes = [NEAR_A, BETWEEN, NEAR_A], [2, -1, 1]
  assert tell(walk, [3, 4, 3], slopes).word == 'oscillates'
  assert tell(walk, [3, 4, 2], slopes).word == 'on its way'
  # Of two turns one is not more than half, and no step turns nowhere.
  assert tell(walk, [3, 4, 3], [2, 1, -1]).word == 'on its way'
  assert tell([NEAR_A], [3], [2]).sentence == (
    'still on its way after 0 steps: at (0.1, 2), cost 3, gradient 2'
  )
  # A gradient that vanishes has no side.
  found = tell(walk, [3, 4, 3], [2, 0, -1], tolerance=0)
  assert found.word == 'on its way'


def test_the_commonest_fate_comes_first():
  some = [
    outcomes.Outcome(word, 1, word)
    for word in (
      *('saddle', 'plateau', 'plateau', 'diverged', 'not a number'),
      *('oscillates', 'hovers', 'on its way'),
    )
  ]
  assert outcomes.summary(some) == (
    '2 of 8 stick on a plateau; 1 of 8 stick at a saddle; 1 of 8 diverge; '
    '1 of 8 meet no finite number; 1 of 8 oscillate; 1 of 8 hover under the '
    'noise; 1 of 8 are still on their way'
  )


def test_the_nearest_minimum_and_how_far():
  assert outcomes.nearest(np.array([3, 5]), TERRAIN.minima) == ('A', 5.0)
  assert outcomes.nearest(np.array([0, 5.1]), TERRAIN.minima)[0] == 'B'
  assert outcomes.nearest(np.array([0.0]), {}) == ('', np.inf)


def test_a_place_is_written_as_people_do():
  assert outcomes.place([1, 0.77777]) == '(1, 0.7778)'
  assert outcomes.place(np.array([-0.0])) == '0'


def test_in_one_dimension_there_is_one_curvature():
  terrain = outcomes.Terrain(
    ((0.0, 12.5),), {'A': (1.0,)}, lambda w: np.array([8.0])
  )
  found = outcomes.tell(
    np.array([[1.5], [2.0]]),
    np.array([1.0, 9.0]),
    np.array([[1.0], [3.0]]),
    terrain,
    tolerance=1e-3,
    noisy=False,
  )
  assert found.sentence.endswith('2/lambda_max = 0.25)')
