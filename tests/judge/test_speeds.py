"""FASTER, SLOWER, SAME, UNSURE: what the intervals cover, and the words."""

import itertools
import math

import numpy as np
import pytest

from gd_jax.judge import speeds


@pytest.mark.parametrize('n', [7, 8, 10, 11, 15])
def test_the_interval_of_a_median_covers_it_as_often_as_it_says(n):
  # Of n values each is above the true median or not: 2^n equal cases.
  interval = speeds.median_interval(list(range(n)))
  assert interval is not None
  low, high = interval
  assert low + high == n - 1
  inside = sum(
    low < sum(signs) <= high for signs in itertools.product((0, 1), repeat=n)
  )
  assert inside / 2**n >= speeds.COVERAGE
  k = low + 1  # the next narrower one would not do
  narrower = 1 - 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n
  assert narrower < speeds.COVERAGE


def test_too_few_samples_say_nothing():
  assert speeds.median_interval([1.0] * 6) is None
  found = speeds.against([1.0] * 6, [2.0] * 10)
  assert found == (2.0, None, None, 'UNSURE')


def test_a_ratio_by_hand():
  new = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
  old = [30.0 + x for x in new]
  found = speeds.against(new, old)
  assert found.ratio == 35.5 / 5.5
  assert (found.low, found.high) == (32 / 9, 39 / 2)
  assert found.word == 'FASTER'


@pytest.mark.parametrize(
  ('factor', 'word'),
  [
    (0.8, 'FASTER'),
    (1.25, 'SLOWER'),
    (1.0, 'SAME'),
    (1.01, 'SAME'),
    (1.03, 'UNSURE'),
  ],
)
def test_words(factor, word):
  old = np.linspace(0.995, 1.005, 10)
  found = speeds.against(factor * old, old)
  assert found.word == word
  back = speeds.against(old, factor * old)
  swap = {'FASTER': 'SLOWER', 'SLOWER': 'FASTER'}
  assert back.word == swap.get(word, word)
  assert found.high is not None
  assert back.low == pytest.approx(1 / found.high)


def test_at_the_bound_it_is_still_the_same():
  plain, slower = [1.0] * 7, [1 + speeds.BAND] * 7
  assert speeds.against(plain, slower) == (1.03, 1.03, 1.03, 'SAME')
  back = 1 / (1 + speeds.BAND)
  assert speeds.against(slower, plain) == (back, back, back, 'SAME')


def test_a_machine_that_changed_explains_as_much():
  old = np.linspace(0.995, 1.005, 10)
  twice = speeds.against(0.5 * old, old)
  assert twice.word == 'FASTER'
  assert speeds.against(0.5 * old, old, twice).word == 'UNSURE'
  assert speeds.against(0.3 * old, old, twice).word == 'FASTER'
  assert speeds.against(old, old, twice).word == 'SAME'
  half = speeds.against(2 * old, old)
  assert speeds.against(2 * old, old, half).word == 'UNSURE'
  assert speeds.against(3 * old, old, half).word == 'SLOWER'
  unknown = speeds.against([1.0], [1.0])
  assert speeds.against(0.5 * old, old, unknown).word == 'UNSURE'


def row(m, lanes, samples, launch=1e-5):
  return {
    'batch_size': m,
    'lanes': lanes,
    'samples_per_second': samples,
    'launch_seconds': launch,
  }


def test_where_one_device_overtakes_another():
  here = [row(10, 1, 5.0), row(10, 24, 90.0), row(10, 512, 900.0)]
  here += [row(100, 1, 50.0), row(7, 1, 1.0)]
  there = [row(10, 1, 40.0), row(10, 24, 80.0), row(100, 1, 60.0)]
  assert speeds.overtakes(here, there) == {10: 24, 100: None}
  # To be as fast is not to overtake.
  here = [row(10, 1, 80.0), row(10, 24, 81.0)]
  assert speeds.overtakes(here, there) == {10: 24}


def test_the_half_length():
  rows = [row(10, 1, 1e6, 2e-5), row(100, 1, 4e6, 1e-5)]
  assert speeds.half_length(rows) == pytest.approx(40)
