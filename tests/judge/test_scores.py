"""Scores of an entry against enumeration and small cases by hand."""

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from gd_jax.judge import records
from gd_jax.judge import scores
from tests.judge.studies import lane

MAYBE = st.none() | st.floats(-1e6, 1e6, allow_subnormal=False)
derandomized = settings(derandomize=True, deadline=None, max_examples=60)


@given(st.lists(MAYBE, min_size=1, max_size=7), st.booleans())
@derandomized
def test_best_of_k_is_enumeration(values, higher):
  best = max if higher else min
  got = scores.best_of_k(values, higher=higher)
  chances = scores.chance_of_failing(values)
  for k in range(1, len(values) + 1):
    trials = list(itertools.combinations(values, k))
    ran = [[v for v in trial if v is not None] for trial in trials]
    assert chances[k - 1] == ran.count([]) / len(trials)
    if [] in ran:
      assert got[k - 1] is None
    else:
      wanted = math.fsum(best(trial) for trial in ran) / len(trials)
      assert got[k - 1] == pytest.approx(wanted, rel=1e-9, abs=1e-6)


def test_best_of_k_by_hand():
  # E_2 of 1, 2, 4: (2 + 4 + 4) / 3; E_3 is the best.
  assert scores.best_of_k([4, 1, 2], higher=True) == pytest.approx(
    [7 / 3, 10 / 3, 4]
  )
  assert scores.best_of_k([4, 1, 2], higher=False) == pytest.approx(
    [7 / 3, 4 / 3, 1]
  )
  assert scores.best_of_k([None, 1, 2], higher=True) == [
    None,
    pytest.approx((1 + 2 + 2) / 3),
    2,
  ]
  assert scores.best_of_k([None, None], higher=True) == [None, None]


@given(st.lists(MAYBE, min_size=1, max_size=9), st.booleans())
@derandomized
def test_median_counts_no_number_as_the_worst(values, higher):
  worst = -1e9 if higher else 1e9
  filled = [worst if value is None else value for value in values]
  wanted = statistics.median(filled)
  got = scores.median(values, higher=higher)
  assert got == (None if abs(wanted) > 1e8 else pytest.approx(wanted))


def test_summary_of_an_entry():
  summary = scores.summarize({3: 1.0, 4: 2.0, 5: 6.0}, higher=False)
  assert summary.seeds == [3, 4, 5]
  assert summary.values == [1.0, 2.0, 6.0]
  assert (summary.numbers, summary.mean, summary.median) == (3, 3.0, 2.0)
  # t_2(0.975) = 4.302653, s = sqrt(7).
  half = 4.3026527297 * math.sqrt(7 / 3)
  assert (summary.low, summary.high) == pytest.approx((3 - half, 3 + half))


def test_a_seed_without_a_number_takes_the_mean_but_not_the_median():
  values = {3: 1.0, 4: None, 5: 6.0}
  lower = scores.summarize(values, higher=False)
  assert (lower.numbers, lower.mean, lower.low, lower.high) == (
    2,
    None,
    None,
    None,
  )
  assert lower.median == 6.0
  assert scores.summarize(values, higher=True).median == 1.0
  nothing = scores.summarize({3: None, 4: None}, higher=True)
  assert (nothing.numbers, nothing.mean, nothing.median) == (0, None, None)


def test_a_drift_needs_both_numbers_of_a_common_seed():
  a = {0: 1.0, 1: 3.0, 2: None}
  b = {0: 0.0, 1: 1.0, 2: 5.0, 7: 5.0}
  assert scores.paired_differences(a, b) == {0: 1.0, 1: 2.0, 2: None}


def test_failures_are_counted_apart():
  rows = [
    *lane('sgd', 0, None),
    *lane('sgd', 1, None, diverged_at=3),
    *lane('sgd', 2, 0.9, failed='saturated', dead_outputs=9),
    *lane('sgd', 3, 0.2, dead_outputs=1),
  ]
  for seed in range(4, 20):
    rows += lane('sgd', seed, 0.1)
  failures = scores.count_failures(records.lanes(rows, 'report')['sgd'])
  counts = (failures.diverged, failures.saturated, failures.dead_outputs)
  assert counts == (2, 1, 2)
  assert (failures.lanes, failures.failed) == (20, 4)
  assert failures.diverged_at == [3, 7]
  # Newcombe (1998) and scipy: 4 of 20 is up to 0.416, 1 of 20 up to 0.236.
  assert failures.failed_up_to == pytest.approx(0.4160, abs=5e-5)
  assert failures.saturated_up_to == pytest.approx(0.2361, abs=5e-5)


def test_failures_of_tuning_lanes_have_no_dead_outputs():
  rows = lane('sgd', 0, 0.1, phase='tuning')
  for row in rows:
    row.pop('dead_outputs', None)
  failures = scores.count_failures(records.lanes(rows, 'tuning')['sgd'])
  assert (failures.failed, failures.dead_outputs) == (0, 0)


def test_a_lane_is_judged_by_its_last_row_of_many():
  rows = lane('sgd', 0, 0.1, phase='tuning', failed='saturated')
  rows[0] |= {'failed': None}
  rows += [rows[-1] | {'epoch': k, 'step': 120 * k} for k in (3, 4)]
  rows[1:] = [row | {'dead_outputs': 0} for row in rows[1:]]
  rows[-1] |= {'failed': None, 'dead_outputs': 2, 'validation_cost': 0.3}
  lanes = records.lanes(rows, 'tuning')['sgd']
  failures = scores.count_failures(lanes)
  assert (failures.saturated, failures.dead_outputs) == (0, 1)
  (score,) = scores.sensitivity(lanes, 'validation_cost')
  assert (score.mean, score.saturated, score.failed_share) == (0.3, 0, 0.0)


def tuning(costs: dict[float, list[float | None]]) -> list[records.Lane]:
  rows = [
    row
    for rate, of_rate in costs.items()
    for seed, cost in enumerate(of_rate)
    for row in lane('sgd', seed, cost, phase='tuning', learning_rate=rate)
  ]
  return records.lanes(rows, 'tuning')['sgd']


def test_sensitivity_rate_by_rate():
  lanes = tuning({1.0: [0.25, None], 0.1: [0.5, 0.75]})
  small, large = scores.sensitivity(lanes, 'validation_cost')
  assert small[:5] == (0.1, 2, 0.625, 0.5, 0.75)
  assert (small.diverged, small.failed_share) == (0, 0.0)
  assert large[:5] == (1.0, 2, None, 0.25, 0.25)
  assert (large.diverged, large.saturated, large.failed_share) == (1, 0, 0.5)
  assert large.failed_up_to == pytest.approx(0.9055, abs=5e-5)


@pytest.mark.parametrize(
  ('accuracies', 'wanted'),
  [
    # The second 0.95 is beyond a gap and belongs to another region.
    ([0.95, 0.90, 0.955, 0.952, 0.951], (1.0, 100.0, False, True)),
    ([0.95, 0.951, 0.953, 0.90, None], (0.01, 1.0, True, False)),
    # Exactly 0.5 points below the best is inside, also when in float32.
    (
      [None, 0.70, *np.array([0.78, 0.785], np.float32).tolist(), 0.70],
      (1.0, 10.0, False, False),
    ),
    ([0.90, 0.95, 0.955, 0.90, 0.90], (0.1, 1.0, False, False)),
    ([None, None, 0.2, None, None], (1.0, 1.0, False, False)),
    # The grid does not close to a ring.
    ([0.955, 0.90, 0.90, 0.90, 0.952], (0.01, 0.01, True, False)),
    ([0.952, 0.90, 0.90, 0.90, 0.955], (100.0, 100.0, False, True)),
  ],
)
def test_region_within_half_a_point_of_the_best(accuracies, wanted):
  costs = {
    10.0 ** (i - 2): [None if a is None else 1 - a]
    for i, a in enumerate(accuracies)
  }
  found = scores.region(
    scores.sensitivity(tuning(costs), 'validation_accuracy')
  )
  assert found is not None
  assert (found.low, found.high, found.open_below, found.open_above) == wanted
  decades = math.log10(wanted[1] / wanted[0])
  assert found.decades == pytest.approx(decades)
  assert found.rates == round(decades) + 1


def test_region_of_costs_and_of_nothing():
  costs = scores.sensitivity(
    tuning({0.1: [0.3], 1.0: [0.2], 10.0: [0.21]}), 'validation_cost'
  )
  found = scores.region(costs, higher=False, within=0.02)
  assert found is not None
  assert (found.low, found.high) == (1.0, 10.0)
  near = scores.sensitivity(
    tuning({0.1: [0.03125], 1.0: [0.0], 10.0: [0.032]}), 'validation_cost'
  )
  found = scores.region(near, higher=False, within=0.03125)
  assert found is not None
  assert (found.low, found.high, found.decades) == (0.1, 1.0, 1.0)
  none = scores.sensitivity(tuning({0.1: [None]}), 'validation_cost')
  assert scores.region(none) is None
