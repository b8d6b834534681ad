"""Rows to lanes to values: what is no number, what is refused."""

import math
import random

import pytest

from gd_jax.judge import records
from gd_jax.judge.records import Target
from gd_jax.types import UserError
from tests.judge.studies import lane
from tests.judge.studies import study

AT_HALF = Target('validation_accuracy', 0.5)


def curve(seed: int, accuracies: list[float | None], **fields):
  """A report lane of `fast`, evaluated every ten updates."""
  return [
    lane('fast', seed, 0.1, **fields)[-1]
    | {'epoch': i, 'step': 10 * i, 'validation_accuracy': accuracy}
    for i, accuracy in enumerate(accuracies, start=1)
  ]


def test_values_are_of_the_last_row_whatever_the_order_of_rows():
  rows = study({'sgd': [0.3, 0.0], 'adam': [0.2, 0.1]})
  random.Random(1).shuffle(rows)
  values = records.values(rows, 'test_cost')
  assert values == {'sgd': {0: 0.3, 1: 0.0}, 'adam': {0: 0.2, 1: 0.1}}
  assert list(values['adam']) == [0, 1]


def test_only_lanes_of_the_phase_are_read():
  rows = study({'sgd': [0.3]}) + study({'sgd': [0.4]}, phase='null')
  assert records.values(rows, 'test_cost') == {'sgd': {0: 0.3}}
  assert records.values(rows, 'test_cost', phase='null') == {'sgd': {0: 0.4}}
  assert records.values(rows, 'test_cost', phase='twin') == {}


def test_a_lane_is_an_entry_a_rate_and_a_seed():
  rows = [
    row
    for rate in (1.0, 0.1)
    for seed in (1, 0)
    for row in lane('sgd', seed, 0.1, phase='tuning', learning_rate=rate)
  ]
  found = [
    (l.learning_rate, l.seed) for l in records.lanes(rows, 'tuning')['sgd']
  ]
  assert found == [(0.1, 0), (0.1, 1), (1.0, 0), (1.0, 1)]


@pytest.mark.parametrize('value', [None, math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_no_number(value):
  rows = lane('sgd', 0, 0.5, test_cost=value)
  assert records.values(rows, 'test_cost') == {'sgd': {0: None}}


def test_a_diverged_lane_has_no_number_whatever_stands_there():
  rows = lane('sgd', 0, 0.5, failed='diverged', diverged_at=7)
  assert records.values(rows, 'test_cost') == {'sgd': {0: None}}
  rows = lane('sgd', 0, 0.5, failed='saturated')
  assert records.values(rows, 'test_cost') == {'sgd': {0: 0.5}}


def test_unfinished_and_unpaired_lanes_are_refused():
  unfinished = study({'sgd': [0.3, 0.2]})[:-1]
  with pytest.raises(UserError, match=r'sgd, seed 1, should hold test_cost'):
    records.values(unfinished, 'test_cost')
  unpaired = study({'sgd': [0.3, 0.2], 'adam': [0.3]})
  with pytest.raises(UserError, match=r'adam .* 2 seeds of sgd but has \[0\]'):
    records.values(unpaired, 'test_cost')
  twice = lane('sgd', 0, 0.3) + lane('sgd', 0, 0.3, learning_rate=1.0)
  with pytest.raises(UserError, match=r'sgd .* but has \[0, 0\]'):
    records.values(twice, 'test_cost')


def test_updates_to_target_is_the_first_arrival():
  rows = [
    *curve(0, [0.4, 0.5, 0.4, 0.9]),
    *curve(1, [None, 0.4, math.nan, 0.49]),
    *curve(2, [0.6, 0.7, 0.8, 0.9], failed='diverged', diverged_at=33),
  ]
  got = records.values(rows, 'updates_to_target', target=AT_HALF)
  assert got == {'fast': {0: 20, 1: None, 2: None}}
  rows[-1] |= {'failed': 'diverged'}
  rows[-4:-1] = [row | {'failed': None} for row in rows[-4:-1]]
  got = records.values(rows, 'updates_to_target', target=AT_HALF)
  assert got['fast'][2] is None
  cost = Target('validation_cost', 0.1)
  got = records.values(rows, 'updates_to_target', target=cost)
  assert got == {'fast': {0: 10, 1: 10, 2: None}}
  with pytest.raises(UserError, match='--target'):
    records.values(rows, 'updates_to_target')


def test_updates_to_target_are_looked_for_at_a_common_cadence():
  fast = curve(0, [0.6, 0.7, 0.8, 0.9])
  slow = [row | {'entry': 'slow'} for row in fast if row['step'] in (20, 40)]
  null = [row | {'phase': 'null', 'seed': 9} for row in fast]
  rows = fast + slow + null
  got = records.values(rows, 'updates_to_target', target=AT_HALF)
  assert got == {'fast': {0: 20}, 'slow': {0: 20}}
  got = records.values(rows, 'updates_to_target', target=AT_HALF, phase='null')
  assert got == {'fast': {9: 20}}
  full_batch = [row | {'step': 21} for row in slow]
  with pytest.raises(UserError, match='fast, slow share none'):
    records.values(fast + full_batch, 'updates_to_target', target=AT_HALF)
