"""A fair study as data: grids, seeds, the choice of a rate, who trains next."""

import json

import pytest

from gd_jax.judge import study
from gd_jax.judge.study import Unit
from tests.judge.studies import lane


def protocol(**changed) -> study.Protocol:
  names = [
    ('sgd', 'ours', 1.0, 'table'),
    ('optax:lion', 'optax', 3e-4, 'table'),
  ]
  plain = study.Protocol(
    contestants=study.contestants(names, [10], ['scaled'], ['quadratic']),
    rates=3,
    tuning_seeds=[0, 1],
    report_seeds=[2, 3, 4],
    null_seeds=[5, 6, 7],
    epochs=2,
    metric='test_cost',
    target=None,
  )
  return plain._replace(**changed)


def tuned(name, of_rates, **fields):
  """Tuning rows of an entry: {rate: the validation cost of each seed}."""
  return [
    row
    for rate, values in of_rates.items()
    for seed, value in enumerate(values)
    for row in lane(
      name, seed, value, phase='tuning', learning_rate=rate, **fields
    )
  ]


def chosen(of_rates, metric='test_cost', more=()):
  rows = [*tuned('sgd', of_rates), *more]
  return study.choose(protocol(metric=metric), rows, 'sgd')


@pytest.mark.parametrize('target', [None, ('validation_cost', 0.1)])
def test_a_protocol_survives_json(target):
  kept = protocol(target=target, resplit=True)
  record = json.loads(json.dumps(study.record_of(kept)))
  assert record['contestants'][0]['batch_size'] == 10
  assert record['target'] == (list(target) if target else None)
  assert study.protocol_from(record) == kept


def test_contestants_are_crossed_and_named_by_what_varies():
  entries = [('sgd', 'ours', 1.0, 'table'), ('a:b', 'module', 0.5, 'factory')]
  (first, second) = study.contestants(entries, [20], ['normal'], ['quadratic'])
  assert first == study.Contestant(
    *('sgd', 'sgd', 'ours', 20, 'normal', 'quadratic', 1.0, 'table')
  )
  assert second[:3] == ('a:b', 'a:b', 'module')
  crossed = study.contestants(
    entries, [1, 20], ['normal', 'scaled'], ['quadratic', 'cross_entropy']
  )
  assert len({one.name for one in crossed}) == len(crossed) == 16
  assert crossed[5].name == 'sgd m=20 normal cross_entropy'
  assert crossed[5][1:6] == ('sgd', 'ours', 20, 'normal', 'cross_entropy')
  (_, costs) = study.contestants(entries[:1], [1], ['normal'], ['a', 'b'])
  assert costs.name == 'sgd b'
  (_, starts) = study.contestants(entries[:1], [1], ['a', 'b'], ['quadratic'])
  assert starts.name == 'sgd b'
  (_, sizes) = study.contestants(entries[:1], [1, 2], ['a'], ['quadratic'])
  assert sizes.name == 'sgd m=2'


def test_seeds_of_tuning_report_and_null_pair_follow_each_other():
  assert study.split_seeds(5, 3, 2) == ([5, 6, 7], [8, 9], [10, 11])


def test_a_grid_has_its_centre_in_the_upper_middle():
  wide = (0.01, 0.0316228, 0.1, 0.316228, 1.0, 3.16228, 10.0, 31.6228)
  assert study.grid(1.0, 8) == wide
  assert study.grid(0.0003, 3) == (9.48683e-05, 0.0003, 0.000948683)
  assert study.grid(0.5, 1) == (0.5,)


def test_tuning_comes_to_two_decades_beyond_the_grid():
  # Twice, two trials of half a decade each.
  assert study.ends_of_grid(1.0, 8) == (1e-4, 3162.28)
  assert study.ends_of_grid(1.0, 3) == (0.00316228, 316.228)


def test_everybody_tunes_a_whole_grid_on_all_tuning_seeds():
  given = protocol()
  sgd, lion = given.contestants
  assert study.tuning_units(given) == [
    Unit('tuning', sgd, (0.316228, 1.0, 3.16228), (0, 1)),
    Unit('tuning', lion, (9.48683e-05, 0.0003, 0.000948683), (0, 1)),
  ]


def test_a_unit_is_known_by_phase_entry_rates_and_seeds():
  sgd = protocol().contestants[0]
  unit = Unit('twin', sgd, (0.5,), (3, 4), 1.5)
  assert study.key_of(unit) == ('twin', 'sgd', (0.5,), (3, 4))


def test_the_best_mean_on_the_validation_split_is_chosen():
  found = chosen({0.1: [0.3, 0.3], 1.0: [0.1, 0.4], 10.0: [0.2, 0.4]})
  assert found == (1.0, False, False)
  # Accuracies of these rows are 1 - cost; updates are chosen by cost.
  for metric in ('test_accuracy', 'updates_to_target'):
    again = chosen({0.1: [0.3, 0.3], 1.0: [0.1, 0.4], 10.0: [0.2, 0.4]}, metric)
    assert again == found


def test_among_equals_the_smaller_rate_wins():
  found = chosen({0.1: [0.9], 1.0: [0.2], 10.0: [0.2], 99.0: [0.3]})
  assert found == (1.0, False, False)


@pytest.mark.parametrize('rate', [0.1, 10.0])
def test_a_choice_at_either_end_is_at_the_edge(rate):
  costs = {0.1: [0.5], 1.0: [0.4], 10.0: [0.5]} | {rate: [0.3]}
  assert chosen(costs) == (rate, True, False)


def test_a_rate_that_failed_on_a_seed_is_worse_than_all_that_did_not():
  saturated = tuned('sgd', {0.3: [0.01, 0.01]}, failed='saturated')
  found = chosen(
    {0.1: [0.9, 0.9], 1.0: [0.8, 0.8], 3.0: [0.01, None]}, more=saturated
  )
  assert found == (1.0, False, False)
  # Of those that failed, one with a mean is better than one without.
  found = chosen({0.1: [None, 0.01], 1.0: [None, 0.01]}, more=saturated)
  assert found == (0.3, False, True)
  assert chosen({0.1: [None, None], 1.0: [None, 0.2]}) == (0.1, True, True)


SGD_INSIDE = {0.5: [0.3, 0.3], 1.0: [0.2, 0.2], 2.0: [0.3, 0.3]}


def widened(of_sgd, of_lion, done=0):
  rows = tuned('sgd', of_sgd) + tuned('optax:lion', of_lion)
  rows += lane('sgd', 2, 0.1, learning_rate=99.0)
  units = study.widening_units(protocol(), rows, done)
  assert {unit.phase for unit in units} <= {'tuning'}
  assert {unit.seeds for unit in units} <= {(0, 1)}
  return {unit.contestant.name: unit.rates for unit in units}


def test_nobody_goes_on_where_every_optimum_is_inside():
  assert widened(SGD_INSIDE, {1.0: [0.3], 2.0: [0.1], 4.0: [0.3]}) == {}


def test_one_optimum_at_an_edge_sends_everybody_on_at_their_best_side():
  rising = {1.0: [0.1], 10.0: [0.2], 100.0: [0.3]}
  falling = {1.0: [0.3], 10.0: [0.2], 100.0: [0.1]}
  # In the very middle the larger rates are tried.
  beside = {'sgd': (6.32456, 20.0)}
  assert widened(SGD_INSIDE, rising) == beside | {
    'optax:lion': (0.1, 0.316228),
  }
  assert widened(SGD_INSIDE, falling, done=1) == beside | {
    'optax:lion': (316.228, 1000.0),
  }
  left = {0.1: [0.3], 1.0: [0.2], 100.0: [0.3]}
  right = {0.1: [0.3], 10.0: [0.2], 100.0: [0.3]}
  assert widened(rising, left)['optax:lion'] == (0.01, 0.0316228)
  assert widened(rising, right)['optax:lion'] == (316.228, 1000.0)


def test_a_grid_is_widened_twice_at_most():
  rising = {1.0: [0.1], 10.0: [0.2]}
  assert set(widened(SGD_INSIDE, rising, done=1)) == {'sgd', 'optax:lion'}
  assert widened(SGD_INSIDE, rising, done=2) == {}


def test_the_chosen_rate_is_reported_beside_a_null_pair_and_twins():
  given = protocol()
  sgd, lion = given.contestants
  rows = tuned('sgd', SGD_INSIDE)
  rows += tuned('optax:lion', {3e-5: [0.2], 3e-4: [0.3]})
  assert study.report_units(given, rows) == [
    Unit('report', sgd, (1.0,), (2, 3, 4)),
    Unit('report', lion, (3e-5,), (2, 3, 4)),
    Unit('null', sgd, (1.0,), (5, 6, 7)),
    # As many seeds as tuning has, from a start a millionth longer.
    Unit('twin', sgd, (1.0,), (2, 3), 1.000001),
    Unit('twin', lion, (3e-5,), (2, 3), 1.000001),
  ]
