"""A study's answers and its checklist, from rows that nobody trained."""

import json
from typing import Any

import pytest

from gd_jax.judge import results
from gd_jax.judge import study
from tests.judge.studies import lane

LOW = [0.1, 0.11, 0.12, 0.11, 0.1, 0.12, 0.11]
HIGH = [0.5, 0.51, 0.52, 0.51, 0.5, 0.52, 0.51]
SEEDS = range(2, 9)


def protocol(**changed) -> study.Protocol:
  plain = study.Protocol(
    contestants=study.contestants(
      [('sgd', 'ours', 1.0, 'table'), ('adam', 'ours', 0.01, 'table')],
      [10],
      ['scaled'],
      ['quadratic'],
    ),
    rates=3,
    tuning_seeds=[0, 1],
    report_seeds=list(SEEDS),
    null_seeds=list(range(9, 16)),
    epochs=2,
    metric='test_cost',
    target=None,
  )
  return plain._replace(**changed)


def tuning(name, of_rates):
  return [
    row
    for rate, values in of_rates.items()
    for seed, value in enumerate(values)
    for row in lane(name, seed, value, phase='tuning', learning_rate=rate)
  ]


def strip(name, values, phase='report', first=2, **fields):
  return [
    row
    for seed, value in enumerate(values, start=first)
    for row in lane(name, seed, value, phase=phase, **fields)
  ]


def rows_of() -> list[dict[str, Any]]:
  return [
    *tuning('sgd', {0.1: [0.4, 0.4], 1.0: [0.2, 0.4], 10.0: [0.1, None]}),
    *tuning('adam', {0.1: [0.4, 0.4], 1.0: [0.2, 0.2], 10.0: [0.3, 0.3]}),
    *strip('sgd', HIGH),
    *strip('adam', LOW[:6]),
    *lane('adam', 8, LOW[6], dead_outputs=1),
    *strip('sgd', HIGH[1:] + HIGH[:1], 'null', first=9),
    *strip('sgd', [HIGH[0] + 0.25, None], 'twin'),
    *strip('adam', LOW[:2], 'twin'),
  ]


ROWS = rows_of()
CERTIFICATES = [{'a': 'sgd', 'b': 'optax:sgd', 'verdict': 'identical'}]
ORDERS = {'sgd': '0123456789', 'adam': '0123456789'}


def answers(rows=ROWS, **changed) -> dict[str, Any]:
  return results.assemble(protocol(**changed), rows, images=300)


def checked(rows=ROWS, found=None, certificates=(), orders=ORDERS, **changed):
  checks = results.checklist(
    protocol(**changed),
    rows,
    found or answers(rows, **changed),
    certificates=[*CERTIFICATES, *certificates],
    orders=orders,
  )
  return {asked: (holds, told) for asked, holds, told in checks}


def test_a_study_in_answers():
  found = answers()
  assert found['sentence'].startswith('adam won against sgd; ')
  assert (found['metric'], found['chosen_by']) == (
    'test_cost',
    'validation_cost',
  )
  assert found['ranking'] == ['adam', 'sgd']
  assert found['matrix'] == {
    'sgd': {'adam': 'worse'},
    'adam': {'sgd': 'better'},
  }
  assert [pair['null'] for pair in found['pairs']] == [False, True]
  assert (found['seeds'], found['seeds_needed']) == (7, 7)
  assert found['intervals_cover'] == 'start and order on one fixed split'
  split = answers(resplit=True)['intervals_cover']
  assert split == 'start, order and split'


def test_an_entry_in_answers():
  found = answers()['entries']
  assert list(found) == ['sgd', 'adam']
  sgd, adam = found['sgd'], found['adam']
  assert (sgd['batch_size'], sgd['centre']) == (10, 1.0)
  assert (sgd['learning_rate'], sgd['edge']) == (1.0, False)
  assert set(sgd['figures']) == {'test_cost', 'test_accuracy'}
  assert sgd['figures']['test_cost']['values'] == HIGH
  assert sgd['figures']['test_accuracy']['median'] == 1 - 0.51
  # Of the twin, the drift on the seeds that it has.
  assert sgd['twin'] == {2: 0.25, 3: None}
  assert adam['twin'] == {2: 0, 3: 0}
  assert (adam['failures']['failed'], adam['failures']['lanes']) == (1, 7)
  assert sgd['failures']['failed'] == 0


def test_what_tuning_says_of_an_entry():
  found = answers()['entries']
  sgd = found['sgd']
  assert [s['learning_rate'] for s in sgd['sensitivity']] == [0.1, 1.0, 10.0]
  means = [s['mean'] for s in sgd['sensitivity']]
  assert means == [0.4, pytest.approx(0.3), None]
  accuracies = [s['mean'] for s in sgd['sensitivity_accuracy']]
  assert accuracies == [0.6, pytest.approx(0.7), None]
  assert (sgd['region']['low'], sgd['region']['high']) == (1.0, 1.0)
  # One of three rates failed: one trial may find nothing, two cannot.
  assert sgd['best_of_k'] == [None, *map(pytest.approx, (1 / 3, 0.3))]
  assert sgd['chance_of_failing'] == [1 / 3, 0, 0]
  by_accuracy = answers(metric='test_accuracy')
  assert by_accuracy['chosen_by'] == 'validation_accuracy'
  adam = by_accuracy['entries']['adam']
  assert adam['best_of_k'] == pytest.approx([0.7, 2.3 / 3, 0.8])


def test_a_saturated_rate_is_no_trial_that_succeeded():
  rows = [row for row in ROWS if row['phase'] != 'tuning']
  rows += tuning('adam', {1.0: [0.2], 10.0: [0.3]})
  rows += tuning('sgd', {1.0: [0.2]})
  rows += lane(
    'sgd', 0, 0.1, phase='tuning', learning_rate=10.0, failed='saturated'
  )
  sgd = answers(rows)['entries']['sgd']
  assert [s['mean'] for s in sgd['sensitivity']] == [0.2, 0.1]
  assert sgd['best_of_k'] == [None, 0.2]
  assert sgd['chance_of_failing'] == [0.5, 0]


def test_where_no_rate_ran_there_is_no_region():
  rows = [row for row in ROWS if row['phase'] != 'tuning']
  rows += tuning('adam', {1.0: [0.2]}) + tuning('sgd', {1.0: [None]})
  assert answers(rows)['entries']['sgd']['region'] is None


def test_updates_to_target_are_a_figure_beside_the_others():
  found = answers(metric='updates_to_target', target=('validation_cost', 0.51))
  figures = found['entries']['sgd']['figures']
  assert set(figures) == {'test_cost', 'test_accuracy', 'updates_to_target'}
  # Rows of 120 and 240 updates; the first epoch ends at 0.5.
  assert figures['updates_to_target']['values'] == [120] * 7
  assert found['entries']['sgd']['twin'] == {2: 0, 3: None}
  assert found['chosen_by'] == 'validation_cost'


def test_answers_are_ready_for_json():
  assert json.loads(json.dumps(answers()))['ranking'] == ['adam', 'sgd']


def test_the_checklist_of_a_sound_study():
  assert checked() == {
    'equal budget': (True, '3 rates x 2 seeds each'),
    'optimum inside the grid': (True, 'of every entry'),
    'seeds disjoint': (True, '2 to tune, 14 to report'),
    'batches identical': (True, 'm = 10: 01234567'),
    'certificates pass': (True, '1 of 1 pairs identical'),
    'test set read once': (True, 'at epoch 2 of 2, never chosen by'),
    'failed lanes kept': (True, '14 lanes reported, 1 failed'),
    'enough seeds': (True, '7, and 7 needed'),
    'null pair without a false word': (True, 'equivalent'),
  }


def test_one_trial_more_is_no_equal_budget_and_may_lie_at_the_edge():
  found = checked([*ROWS, *tuning('adam', {100.0: [0.1, 0.1]})])
  assert found['equal budget'] == (False, '4 rates x 2 seeds each')
  assert found['optimum inside the grid'] == (False, 'at the edge: adam')


def test_a_tuning_seed_that_is_reported_too_is_seen():
  more = lane('adam', 2, 0.3, phase='tuning', learning_rate=10.0)
  found = checked([*ROWS, *more])
  assert found['seeds disjoint'] == (False, '3 to tune, 14 to report')


def test_entries_of_one_batch_size_have_one_order():
  other = ORDERS | {'adam': '9876543210'}
  told = 'm = 10: 01234567, m = 10: 98765432'
  assert checked(orders=other)['batches identical'] == (False, told)
  assert checked(orders={})['batches identical'] == (False, '')
  sgd, adam = protocol().contestants
  found = checked(orders=other, contestants=[sgd, adam._replace(batch_size=1)])
  told = 'm = 1: 98765432, m = 10: 01234567'
  assert found['batches identical'] == (True, told)


def test_a_certificate_that_differs_is_counted():
  other = {'a': 'adam', 'b': 'optax:adam', 'verdict': 'differs because ...'}
  found = checked(certificates=[other])
  assert found['certificates pass'] == (False, '1 of 2 pairs identical')


def test_a_test_set_read_at_another_epoch_is_seen():
  early = [
    row | {'test_cost': 0.1} if row['phase'] == 'twin' else row for row in ROWS
  ]
  told = 'at epoch 2 of 2, never chosen by'
  assert checked(early)['test set read once'] == (False, told)


def test_a_lane_that_was_dropped_and_failures_are_counted():
  found = checked([row for row in ROWS if row['seed'] != 8], answers())
  assert found['failed lanes kept'] == (False, '12 lanes reported, 1 failed')


def test_fewer_seeds_than_needed_are_not_enough():
  few = answers() | {'seeds': 6}
  assert checked(found=few)['enough seeds'] == (False, '6, and 7 needed')


@pytest.mark.parametrize('word', ['better', 'worse'])
def test_a_null_pair_with_a_word_is_seen(word):
  found = answers()
  real, null = found['pairs']
  asked = 'null pair without a false word'
  told = found | {'pairs': [real, null | {'word': word}]}
  assert checked(found=told)[asked] == (False, word)
  told = found | {'pairs': [real, null | {'word': 'unresolved'}]}
  assert checked(found=told)[asked] == (True, 'unresolved')
