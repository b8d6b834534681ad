"""The one sentence, in every situation that a study can end in."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from gd_jax.judge import verdicts
from gd_jax.judge.records import Target
from gd_jax.judge.sentence import sentence
from tests.judge.studies import study

SPREAD = np.array([-2, -1, -1, 0, 0, 0, 0, 1, 1, 2]) / 300
CLOSE = np.array([1, -1, 1, -1, 1, -1, 1, -1, 1, 0]) / 300


def say(strips, metric='test_cost', null=None, target=None) -> str:
  rows = study({name: list(strip) for name, strip in strips.items()})
  if null is not None:
    rows += study({'sgd': list(null)}, phase='null', first_seed=90)
  return sentence(
    verdicts.judge_rows(rows, metric=metric, images=300, target=target)
  )


def test_a_winner_by_cost_and_by_accuracy():
  strips = {'sgd': 0.3 + SPREAD, 'adam': 0.2 + CLOSE}
  # scipy.stats.t.interval of the differences: 0.0957004, 0.1036329.
  assert say(strips) == (
    'adam won against sgd; adam has a mean test cost of 0.2 over 10 seeds, '
    '0.0997 lower than sgd (unadjusted 95 % interval 0.0957 to 0.104); the '
    'risk of even one false better or worse is held to 5 %; no pair is '
    'undecided.'
  )
  assert say(strips, 'test_accuracy') == (
    'adam won against sgd; adam has a mean test accuracy of 79.97 % over 10 '
    'seeds, 9.97 points higher than sgd (unadjusted 95 % interval 9.57 to '
    '10.36 points); the risk of even one false better or worse is held to '
    '5 %; no pair is undecided.'
  )


def test_an_equivalence_shares_the_win():
  strips = {
    'sgd': 0.2 + SPREAD / 10,
    'adam': 0.2 + CLOSE / 10,
    'lion': 0.4 + SPREAD,
  }
  said = say(strips)
  assert said.startswith(
    'sgd and adam share the win, sgd is equivalent to adam within 0.01, and '
    'better than lion; sgd has a mean'
  )
  assert said.endswith(
    'the risk of even one false better or worse is held to 5 %, and so is '
    'that of a false equivalent; no pair is undecided.'
  )


def test_the_undecided_are_named_and_told_their_seeds():
  wide = {'sgd': 0.2 + 10 * SPREAD, 'adam': 0.2 + 10 * CLOSE}
  said = say(wide | {'lion': 0.4 + SPREAD})
  assert said.startswith(
    'No winner yet: sgd is ahead but not told apart from adam, and better '
    'than lion; '
  )
  seeds = re.search(
    r'; 1 of 3 pairs undecided, and about (\S+) seeds would probably settle '
    r'it\.$',
    said,
  )
  assert seeds is not None
  rows = study({name: strip.tolist() for name, strip in wide.items()})
  wanted = verdicts.judge_rows(
    rows + study({'lion': (0.4 + SPREAD).tolist()}),
    metric='test_cost',
    images=300,
  ).pairs[0]
  assert seeds[1] == f'{wanted.seeds_to_resolve:,}'


def test_the_most_undecided_pair_sets_the_number_of_seeds():
  strips = {
    'sgd': (0.2 + 10 * SPREAD).tolist(),
    'adam': (0.21 + 10 * CLOSE).tolist(),
    'lion': (0.25 + 10 * CLOSE[::-1]).tolist(),
  }
  judged = verdicts.judge_rows(study(strips), metric='test_cost', images=300)
  seeds = {pair.seeds_to_resolve or 0 for pair in judged.pairs}
  assert len(seeds) == 3
  assert (
    f'2 of 3 pairs undecided, and about {max(seeds):,} seeds would probably '
    'settle them.'
  ) in sentence(judged)


def test_no_difference_has_no_sign():
  strips = {'sgd': [0.25] * 6, 'adam': [0.25] * 6}
  assert (
    '0.00 points higher than sgd (unadjusted 95 % interval 0.00 to 0.00 points)'
  ) in say(strips, 'test_accuracy')


def test_too_few_seeds():
  said = say({'sgd': [0.3, 0.31, 0.3], 'adam': [0.2, 0.2, 0.2]})
  assert said.startswith(
    'Nobody has won yet: 3 seeds cannot decide 1 pair, which takes 6 at '
    'least, but adam is ahead; adam has a mean test cost of 0.2 over 3 seeds'
  )
  assert said.endswith(
    '1 of 1 pair undecided, and about 6 seeds would probably settle it.'
  )
  assert say({'sgd': [0.5], 'adam': [0.25]}) == (
    'Nobody has won yet: 1 seed cannot decide 1 pair, which takes 6 at '
    'least, but adam is ahead; adam has a mean test cost of 0.25 over 1 seed, '
    '0.25 lower than sgd; 1 of 1 pair undecided.'
  )


def test_as_many_seeds_as_the_pair_needs_decide():
  said = say({'sgd': [0.3] * 6, 'adam': [0.2] * 6})
  assert said.startswith('adam won against sgd; adam has a mean')


def test_two_that_nothing_tells_apart():
  strips = {'sgd': 0.2 + 10 * SPREAD, 'adam': 0.2 + 10 * CLOSE}
  assert say(strips).startswith(
    'No winner yet: sgd is ahead but not told apart from adam; sgd has a mean'
  )


def test_two_seeds_are_enough_for_an_estimate():
  assert say({'sgd': [0.3, 0.32], 'adam': [0.2, 0.21]}).endswith(
    '1 of 1 pair undecided, and about 6 seeds would probably settle it.'
  )


def test_some_of_the_undecided_are_beyond_any_number_of_seeds():
  # Nothing tells adam from lion, each lost on seeds of its own.
  strips = {
    'sgd': (0.2 + 10 * SPREAD).tolist(),
    'adam': [None, *(0.23 + 10 * CLOSE[1:]).tolist()],
    'lion': [*(0.23 + 10 * CLOSE[1:]).tolist(), None],
  }
  judged = verdicts.judge_rows(study(strips), metric='test_cost', images=300)
  seeds = [pair.seeds_to_resolve for pair in judged.pairs]
  assert seeds.count(None) == 1
  assert sentence(judged).endswith(
    f'; 3 of 3 pairs undecided, and about {max(filter(None, seeds)):,} seeds '
    'would probably settle 2 of them, 1 being beyond any number of seeds.'
  )


def test_an_equivalence_without_a_cost_is_within_nothing():
  said = say({'sgd': [0.0] * 6, 'adam': [0.0] * 6})
  assert said.startswith(
    'adam and sgd share the win, and adam is equivalent to sgd within 0; adam '
    'has a mean test cost of 0 over 6 seeds, 0 higher than sgd (unadjusted '
    '95 % interval 0 to 0); '
  )


def test_a_pair_that_nobody_judged_is_an_error():
  rows = study({'sgd': [0.3] * 6, 'adam': [0.2] * 6})
  judged = verdicts.judge_rows(rows, metric='test_cost', images=300)
  with pytest.raises(ValueError, match='adam and sgd are no pair of this'):
    sentence(judged._replace(pairs=[]))


def test_failures():
  lost, good = [None] * 10, [0.1] * 10
  assert say({'sgd': lost, 'adam': lost}) == (
    'Nobody won: every seed of every entry diverged.'
  )
  assert say({'sgd': lost, 'adam': good}).startswith(
    'adam won against sgd; adam is ahead of sgd on 10 and behind on 0 of 10 '
    'seeds; '
  )
  assert say({'sgd': [None, *good[1:]], 'adam': 0.2 + SPREAD}).startswith(
    'No clear winner: adam is the best that never failed, and worse than sgd '
    'on most seeds; adam is ahead of sgd on 1 and behind on 9 of 10 seeds; '
  )
  half = {'sgd': [None, 0.1] * 5, 'adam': [0.1, None] * 5}
  assert say(half).endswith(
    '1 of 1 pair undecided, 1 being beyond any number of seeds.'
  )


def test_saturated_everywhere_is_no_win():
  rows = study({'sgd': [4.5] * 6, 'adam': [4.6] * 6}, failed='saturated')
  judged = verdicts.judge_rows(rows, metric='test_cost', images=300)
  assert sentence(judged) == ('Nobody won: every seed of every entry failed.')


def test_updates_to_target():
  strips = {'sgd': 0.3 + SPREAD, 'adam': 0.2 + SPREAD}

  def to(cost):
    target = Target('validation_cost', cost)
    return say(strips, 'updates_to_target', target=target)

  assert to(0.25).startswith('adam won against sgd; adam is ahead of sgd on 10')
  assert to(0.01) == (
    'Nobody won: no seed of any entry stayed finite and hit the target.'
  )
  assert to(0.5).startswith(
    'adam and sgd share the win, and adam is equivalent to sgd within 6 '
    'updates; adam has a mean number of updates to target of 120 over 10 '
    'seeds, 0 updates higher than sgd'
  )


def test_a_false_word_of_the_null_pair_is_said():
  strips = {'sgd': 0.3 + SPREAD, 'adam': 0.2 + SPREAD}
  warning = '; beware, the null pair got a false word, as one honest study'
  assert warning in say(strips, null=0.5 + CLOSE)
  said = say(strips, null=0.3 + SPREAD)
  assert warning not in said
  # The null pair is equivalent; no pair of entries is.
  assert 'false equivalent' not in said


def test_nothing_to_compare():
  assert say({'sgd': [0.1]}) == 'Nothing to compare: sgd ran alone.'
  assert say({}) == 'Nothing to compare: no entry has run.'


VALUE = st.none() | st.integers(0, 12).map(lambda k: k / 12)


@given(
  st.integers(1, 8).flatmap(
    lambda n: st.dictionaries(
      st.sampled_from(['sgd', 'adam', 'lion', 'muon']),
      st.lists(VALUE, min_size=n, max_size=n),
    )
  ),
  st.sampled_from(verdicts.METRICS),
)
@settings(derandomize=True, deadline=None, max_examples=80)
def test_it_is_one_ascii_sentence(strips, metric):
  said = say(strips, metric, target=Target('validation_cost', 0.5))
  assert re.fullmatch(r'[A-Za-z][ -~]*[^.]\.', said)
  assert not re.search(r'\. |nan|inf\b|None|-0\.0*\b(?!\.)', said)
