"""Intervals and tests against scipy, hand-computed tables and enumeration."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from scipy import stats

from gd_jax.judge import intervals

# Student (1908), hours of sleep gained: R's t.test gives 0.7001142 2.4598858.
SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
# Darwin's maize in Fisher (1935), section 21: 863 of 32,768 on one side.
MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]

NUMBERS = st.floats(-1e9, 1e9, allow_subnormal=False)
derandomized = settings(derandomize=True, deadline=None, max_examples=60)


def flip_p(differences) -> float:
  return float(intervals.sign_flip_p(np.array([differences], dtype=float))[0])


def test_t_interval_of_students_sleep_data():
  mean, low, high = intervals.t_interval(SLEEP)
  assert mean == pytest.approx(1.58, rel=1e-14)
  assert low == pytest.approx(0.7001142, abs=5e-8)
  assert high == pytest.approx(2.4598858, abs=5e-8)


@pytest.mark.parametrize('n', [2, 3, 6, 10, 20, 50])
def test_t_interval_is_scipys(n):
  values = np.random.default_rng(n).normal(0.9, 0.01, n)
  got = intervals.t_interval(values)
  low, high = stats.t.interval(
    0.95, n - 1, loc=values.mean(), scale=stats.sem(values)
  )
  assert got == pytest.approx((values.mean(), low, high), rel=1e-9)


def test_an_interval_of_few_or_equal_values_is_defined():
  assert intervals.t_interval([]) == (None, None, None)
  assert intervals.t_interval([0.0]) == (0.0, None, None)
  assert intervals.t_interval([0.1] * 3) == pytest.approx((0.1, 0.1, 0.1))
  assert intervals.spread([0.1] * 3) == 0.0


@pytest.mark.parametrize('scale', [1e-200, 1e-3, 1.0, 1e200])
def test_spread_neither_overflows_nor_vanishes(scale):
  values = [scale * value for value in SLEEP]
  wanted = np.std(SLEEP, ddof=1)
  assert intervals.spread(values) / scale == pytest.approx(wanted, rel=1e-12)


def coverage(draw, mean: float, seeds: int, studies: int = 4000) -> float:
  """The share of studies whose interval holds the true mean."""
  held = 0
  for _ in range(studies):
    _, low, high = intervals.t_interval(draw(seeds).tolist())
    assert low is not None
    assert high is not None
    held += low <= mean <= high
  return held / studies


@pytest.mark.parametrize('seeds', [6, 10, 20])
def test_the_interval_covers_normal_draws(seeds):
  draws = np.random.default_rng(seeds)
  covered = coverage(lambda n: draws.normal(95.69, 0.17, n), 95.69, seeds)
  assert 0.93 <= covered <= 0.97


@pytest.mark.claims
@pytest.mark.parametrize('seeds', [6, 10, 20])
def test_stuck_seeds_ruin_the_coverage(seeds, record_testsuite_property):
  """Why failures are counted apart: 2 % of seeds stuck at 84 %."""
  draws = np.random.default_rng(seeds)
  share, stuck, mean, sd = 0.02, 84.0, 95.69, 0.17

  def draw(n):
    return np.where(draws.random(n) < share, stuck, draws.normal(mean, sd, n))

  sound = coverage(lambda n: draws.normal(mean, sd, n), mean, seeds, 20_000)
  covered = coverage(draw, share * stuck + (1 - share) * mean, seeds, 20_000)
  record_testsuite_property(f'coverage, {seeds} seeds, normal', sound)
  record_testsuite_property(f'coverage, {seeds} seeds, 2 % stuck', covered)
  assert 0.94 <= sound <= 0.96
  assert 0.1 <= covered <= 0.7


@pytest.mark.parametrize('margin', [0.001, 0.3, 1.0])
@pytest.mark.parametrize('mean', [-0.5, 0.0, 0.2])
def test_tost_is_two_of_scipys_t_tests(margin, mean):
  d = np.random.default_rng(3).normal(mean, 0.4, 12)
  above = stats.ttest_1samp(d, -margin, alternative='greater')
  below = stats.ttest_1samp(d, margin, alternative='less')
  wanted = max(np.array(above)[1], np.array(below)[1])
  got = intervals.tost_p(d.tolist(), margin)
  assert got == pytest.approx(wanted, rel=1e-9)


def test_tost_by_hand():
  # Mean 0.2 and s = 0.2, so se = 0.1 at n = 4: t = (0.5 - 0.2) / 0.1 = 3,
  # and P(T_3 >= 3) = 1/2 - (sqrt(3)/4 + pi/3) / pi.
  d = [0.2 + 0.2 * x for x in (-math.sqrt(1.5), 0.0, 0.0, math.sqrt(1.5))]
  wanted = 0.5 - (math.sqrt(3) / 4 + math.pi / 3) / math.pi
  assert intervals.tost_p(d, 0.5) == pytest.approx(wanted, rel=1e-12)


def test_tost_of_differences_that_are_all_one_number():
  assert intervals.tost_p([0.2] * 5, 0.3) == 0.0
  assert intervals.tost_p([-0.2] * 5, 0.3) == 0.0
  assert intervals.tost_p([0.3] * 5, 0.3) == 1.0
  assert intervals.tost_p([-0.4] * 5, 0.3) == 1.0
  assert intervals.tost_p([0.0] * 5, 0.0) == 0.0
  assert intervals.tost_p([0.0], 0.3) == 1.0


def test_holm_by_hand():
  # Sorted .005 .01 .03 .04 times 4 3 2 1: .02 .03 .06 .04, then never falling.
  got = intervals.holm([0.01, 0.04, 0.03, 0.005])
  np.testing.assert_allclose(got, [0.03, 0.06, 0.06, 0.02], rtol=1e-15)
  np.testing.assert_allclose(intervals.holm([0.7, 0.9, 0.2]), [1, 1, 0.6])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
@derandomized
def test_holm_is_the_closure_of_bonferroni(p):
  """Each hypothesis falls with the worst Bonferroni test that contains it."""
  subsets = [
    subset
    for size in range(1, len(p) + 1)
    for subset in itertools.combinations(range(len(p)), size)
  ]
  wanted = [
    max(
      min(1.0, len(subset) * min(p[j] for j in subset))
      for subset in subsets
      if i in subset
    )
    for i in range(len(p))
  ]
  np.testing.assert_allclose(intervals.holm(p), wanted, rtol=1e-12, atol=0)


def test_sign_flip_of_darwins_maize():
  assert flip_p(MAIZE) == 2 * 863 / 2**15


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=9))
@derandomized
def test_sign_flip_is_enumeration(d):
  flips = itertools.product((-1, 1), repeat=len(d))
  sums = [
    abs(sum(s * x for s, x in zip(flip, d, strict=True))) for flip in flips
  ]
  wanted = sum(total >= abs(sum(d)) for total in sums) / 2 ** len(d)
  # A tenth is not a binary fraction: ties must survive rounding.
  assert flip_p([x / 10 for x in d]) == wanted
  assert flip_p(d) == wanted


def polynomial_p(d: list[int]) -> float:
  """The same share from the coefficients of prod (x^-d + x^d)."""
  counts = np.ones(1)
  for size in np.abs(d):
    factor = np.zeros(2 * size + 1)
    factor[0] += 1
    factor[-1] += 1
    counts = np.convolve(counts, factor)
  sums = np.arange(len(counts)) - len(counts) // 2
  return counts[np.abs(sums) >= abs(sum(d))].sum() / 2.0 ** len(d)


@pytest.mark.parametrize('n', [11, 19, 20])
def test_sign_flip_is_exact_up_to_twenty_seeds(n):
  d = np.random.default_rng(n).integers(-20, 40, (8, n))
  got = intervals.sign_flip_p(d / 300)
  assert got.tolist() == [polynomial_p(row) for row in d]


def test_sign_flip_beyond_twenty_seeds():
  d = np.random.default_rng(1).integers(-30, 40, (5, 25))
  d[0] = 3
  got = intervals.sign_flip_p(d / 300)
  hits = got * 100_001 - 1
  np.testing.assert_allclose(hits, np.round(hits), atol=1e-6)
  wanted = np.array([polynomial_p(row) for row in d])
  np.testing.assert_allclose(
    got, wanted, atol=2e-5 + 4 * np.sqrt(wanted.max() / 100_000)
  )
  assert got[0] == 1 / 100_001
  again = intervals.sign_flip_p(-d[:, ::-1] / 300)
  np.testing.assert_array_equal(got, again)


def test_sign_flip_knows_its_floor_and_its_zeros():
  for n in range(1, 25):
    p = intervals.sign_flip_p(np.array([[0.5] * n, [0.0] * n]))
    wanted = 2 / 2**n if n <= 20 else 1 / 100_001
    assert p.tolist() == [wanted, 1.0]


@given(st.lists(st.lists(NUMBERS, min_size=7, max_size=7), min_size=1))
@derandomized
def test_sign_flip_is_a_probability_and_has_no_direction(d):
  p = intervals.sign_flip_p(np.array(d))
  assert np.all((p >= 2 / 2**7) & (p <= 1))
  np.testing.assert_array_equal(p, intervals.sign_flip_p(-np.array(d)))
  turned = np.array(d)[::-1, ::-1]
  np.testing.assert_array_equal(p[::-1], intervals.sign_flip_p(turned))


@pytest.mark.parametrize(
  ('wins', 'losses'), [(0, 1), (6, 0), (9, 1), (1, 9), (5, 5), (14, 6)]
)
def test_sign_test_is_scipys(wins, losses):
  wanted = stats.binomtest(wins, wins + losses).pvalue
  got = intervals.sign_test_p(wins, losses)
  assert got == pytest.approx(wanted, rel=1e-12)


def test_a_sign_test_of_ties_proves_nothing():
  assert intervals.sign_test_p(0, 0) == 1.0


@pytest.mark.parametrize(('count', 'n'), [(0, 20), (3, 20), (20, 20), (1, 3)])
def test_wilson_is_scipys(count, n):
  wanted = stats.binomtest(count, n).proportion_ci(method='wilson')
  assert intervals.wilson(count, n) == pytest.approx(tuple(wanted), rel=1e-9)


def test_none_of_twenty_is_up_to_sixteen_percent():
  low, high = intervals.wilson(0, 20)
  assert (low, f'{high:.0%}') == (0.0, '16%')
  assert intervals.wilson(0, 0) == (0.0, 1.0)
