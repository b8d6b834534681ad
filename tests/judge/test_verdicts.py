"""Rows to words, ranking and matrix."""

import pytest

from gd_jax.judge import verdicts
from gd_jax.judge.records import Target
from gd_jax.judge.verdicts import Verdicts
from gd_jax.types import UserError
from tests.judge.studies import lane
from tests.judge.studies import study

WIGGLE = [0.001 * ((7 * i) % 10) for i in range(10)]


def around(mean: float) -> list[float | None]:
  return [mean + wiggle for wiggle in WIGGLE]


def read(rows, metric='test_cost', **options) -> Verdicts:
  return verdicts.judge_rows(rows, metric=metric, images=300, **options)


def test_rows_to_words():
  rows = study({'slow': around(0.3), 'fast': around(0.1)})
  rows += study({'slow': around(0.3)}, phase='null', first_seed=50)
  rows += study({'slow': around(9.0)}, phase='twin')
  found = read(rows)
  assert (found.seeds, found.seeds_needed) == (10, 7)
  assert found.ranking == ['fast', 'slow']
  assert found.values['fast'] == around(0.1)
  words = [(p.a, p.b, p.null, p.word) for p in found.pairs]
  assert words == [
    ('slow', 'fast', False, 'worse'),
    ('slow', 'slow', True, 'equivalent'),
  ]
  assert verdicts.matrix(found.pairs) == {
    'slow': {'fast': 'worse'},
    'fast': {'slow': 'better'},
  }
  # Accuracies of these rows are 1 - cost.
  assert read(rows, 'test_accuracy').ranking == ['fast', 'slow']


def test_the_matrix_of_an_equivalence_has_it_twice():
  found = read(study({'one': around(0.3), 'two': around(0.3)}))
  assert verdicts.matrix(found.pairs) == {
    'one': {'two': 'equivalent'},
    'two': {'one': 'equivalent'},
  }


def test_one_entry_alone_has_no_pairs():
  found = read(study({'sgd': around(0.3)}))
  assert (found.pairs, found.ranking) == ([], ['sgd'])
  assert verdicts.matrix(found.pairs) == {}
  assert read([]).ranking == []


def test_updates_to_target_end_to_end():
  target = Target('validation_cost', 0.5)
  rows = study({'sgd': [0.9] * 6, 'adam': [0.5] * 6})
  for row in rows:
    if row['epoch'] == 1:
      row['validation_cost'] = 0.6 if row['entry'] == 'sgd' else 0.5
  found = read(rows, 'updates_to_target', target=target)
  assert found.values == {'sgd': [None] * 6, 'adam': [120] * 6}
  assert found.ranking == ['adam', 'sgd']
  assert verdicts.matrix(found.pairs)['adam'] == {'sgd': 'better'}


def test_ranking_is_by_mean_with_failed_last():
  values = {
    'lost all': [None] * 4,
    'lost one': [None, 0.1, 0.1, 0.1],
    'lost three': [None, None, None, 0.1],
    'saturated': [4.5] * 4,
    'plain': [0.3, 0.3, 0.3, 0.3],
    'skewed': [0.1, 0.1, 0.1, 0.8],
  }
  wanted = [
    'skewed',
    'plain',
    'lost one',
    'saturated',
    'lost three',
    'lost all',
  ]
  for names in (list(values), sorted(values), sorted(values, reverse=True)):
    ranking = verdicts.rank(
      {name: values[name] for name in names},
      metric='test_cost',
      hopeless=['saturated', 'lost all'],
    )
    assert ranking == wanted


def test_ranking_of_accuracies_is_the_other_way():
  values = {'a': [0.1, 0.2], 'b': [0.9, None], 'c': [0.3, 0.2]}
  assert verdicts.rank(values, metric='test_accuracy') == ['c', 'a', 'b']
  assert verdicts.rank(values, metric='test_cost') == ['a', 'c', 'b']


def test_equal_ones_stand_by_fewer_failures_and_then_by_name():
  strips = {
    'z': [0.3, 0.3, 0.3],
    'one': [0.3, 0.3, None],
    'hopeless': [0.3, 0.3, 0.3],
    'a': [0.3, 0.3, 0.3],
  }
  found = verdicts.rank(strips, metric='test_cost', hopeless=['hopeless'])
  assert found == ['a', 'z', 'hopeless', 'one']


def test_who_has_no_seed_at_all_is_last():
  strips = {'none': [], 'lost': [None], 'sgd': [0.3]}
  assert verdicts.rank(strips, metric='test_cost') == ['sgd', 'none', 'lost']


def test_hopeless_is_who_failed_on_every_seed():
  rows = [
    *lane('sgd', 0, 0.9, failed='saturated'),
    *lane('sgd', 1, None),
    *lane('adam', 0, 0.9, failed='saturated'),
    *lane('adam', 1, 0.9),
  ]
  assert read(rows).hopeless == ['sgd']


def test_studies_that_cannot_be_judged_are_refused():
  rows = study({'sgd': around(0.3), 'adam': around(0.1)})
  with pytest.raises(UserError, match=r"test_accuracy.*'train_cost'"):
    read(rows, 'train_cost')
  null = study({'sgd': around(0.3)[:4]}, phase='null', first_seed=50)
  with pytest.raises(UserError, match=r'null pair of sgd .* 10, but has 4'):
    read(rows + null)
