"""Numbers of seeds: the protocol's table, and estimates against simulation."""

import numpy as np
import pytest
from scipy import stats

from gd_jax.judge import intervals
from gd_jax.judge import power


def with_moments(mean: float, sd: float, n: int) -> list[float]:
  """Differences whose sample mean and spread are exactly these."""
  z = np.random.default_rng(n).normal(size=n)
  return (mean + sd * (z - z.mean()) / z.std(ddof=1)).tolist()


def test_seeds_that_a_family_needs():
  table = {1: 6, 15: 10, 16: 10, 28: 11, 45: 11, 51: 11, 52: 12}
  assert {m: power.seeds_for_family(m) for m in table} == table
  for pairs, n in table.items():
    assert pairs * 2 / 2**n < 0.05 <= pairs * 2 / 2 ** (n - 1)
  assert power.seeds_for_family(0) == 1  # an entry that ran alone


@pytest.mark.parametrize('pairs', [1, 16])
def test_seeds_to_resolve_a_difference_have_their_power(pairs):
  n = power.seeds_to_resolve(with_moments(0.5, 1.0, 8), margin=0.0, pairs=pairs)
  assert n is not None
  d = np.random.default_rng(pairs).normal(0.5, 1.0, (600, n))
  seen = np.mean(intervals.sign_flip_p(d) < 0.05 / pairs)
  assert 0.74 <= seen <= 0.88


@pytest.mark.parametrize('mean', [0.0, 0.4])
def test_seeds_to_resolve_an_equivalence_have_their_power(mean):
  n = power.seeds_to_resolve(with_moments(mean, 1.0, 8), margin=1, pairs=16)
  assert n is not None
  draws = np.random.default_rng(5).normal(mean, 1.0, (4000, n))
  p = [intervals.tost_p(d, 1.0) for d in draws.tolist()]
  assert 0.77 <= np.mean(np.array(p) < 0.05 / 16) <= 0.93


def test_seeds_to_resolve_is_the_least_that_satisfies_the_formula():
  def reach(n):
    t = stats.t(n - 1)
    return (t.ppf(1 - 0.05 / 32) + t.ppf(0.8)) / np.sqrt(n)

  n = power.seeds_to_resolve(with_moments(0.3, 1.0, 9), margin=0, pairs=16)
  assert n is not None
  assert reach(n) <= 0.3 < reach(n - 1)


def test_seeds_to_resolve_takes_the_cheaper_word():
  few = power.seeds_to_resolve(with_moments(0.1, 1.0, 9), margin=2, pairs=1)
  many = power.seeds_to_resolve(with_moments(0.1, 1.0, 9), margin=0, pairs=1)
  assert few is not None
  assert many is not None
  assert 9 < few < 20
  assert many > 700


def test_seeds_to_resolve_where_there_is_little_to_go_by():
  assert power.seeds_to_resolve([0.1], margin=1, pairs=15) == 10
  assert power.seeds_to_resolve([0.1] * 3, margin=0, pairs=15) == 10
  assert power.seeds_to_resolve([0.1] * 12, margin=0, pairs=15) == 13
  assert power.seeds_to_resolve([0.0] * 12, margin=0, pairs=15) is None
  assert power.seeds_to_resolve([-1.0, 1.0], margin=1e-9, pairs=1) is None


def test_seeds_to_resolve_signs():
  n = power.seeds_to_resolve_signs(14, 6, seeds=20, pairs=1)
  assert n is not None
  tails = np.arange(n + 1)
  p = np.array([intervals.sign_test_p(k, n - k) for k in tails.tolist()])
  seen = stats.binom.pmf(tails, n, 0.7)[p < 0.05].sum()
  assert 0.72 <= seen <= 0.85
  # The same record, but only every second seed decides.
  doubled = power.seeds_to_resolve_signs(14, 6, seeds=40, pairs=1)
  assert doubled is not None
  assert abs(doubled - 2 * n) <= 1
  # By hand: f = 0.7, z = 1.959964 / 2 + 0.841621 sqrt(0.21) = 1.365658, and
  # (z / 0.2)^2 = 46.63 deciding seeds, of which 20 have 20 and 40 have 20.
  assert (n, doubled) == (47, 94)
  assert power.seeds_to_resolve_signs(6, 14, seeds=20, pairs=1) == n
  # As many as there are would have said so: one more at least.
  assert power.seeds_to_resolve_signs(0, 30, seeds=30, pairs=15) == 31
  assert power.seeds_to_resolve_signs(3, 3, seeds=9, pairs=1) is None
  assert power.seeds_to_resolve_signs(0, 0, seeds=9, pairs=1) is None
  assert power.seeds_to_resolve_signs(0, 4, seeds=4, pairs=15) == 10
