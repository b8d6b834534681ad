"""The family of update rules, and the edits of it, in NumPy alone."""

import numpy as np
import pytest

from gd_jax.descent import entries
from gd_jax.judge import certificates
from gd_jax.judge import conventions
from gd_jax.judge import courses
from gd_jax.judge import edits
from gd_jax.judge.conventions import Course
from gd_jax.judge.conventions import Rule

T = 16  # updates of made-up courses; the rate drops half-way
ADAM = Rule(
  b1=0.75,
  m_gain=0.25,
  m_corrected=True,
  b2=0.875,
  s_gain=0.125,
  s_corrected=True,
  divides=True,
  eps=1e-5,
  decay=0.03,
)
RMSPROP = Rule(b2=0.75, s_gain=0.25, s_start=0.3, divides=True, eps_root=1e-5)
ADAGRAD = Rule(b2=1.0, s_gain=1.0, s_start=0.1, divides=True, eps_root=1e-7)
NESTEROV = Rule(mu=0.75, look_ahead=True)


def went(rule, coordinates=6):
  """Two courses of a rule, their coordinates from 1e-6 to 10."""
  rng = np.random.default_rng(0)
  scale = 10 ** np.linspace(-6, 1, coordinates)
  start = scale * rng.normal(size=coordinates)
  gradients = scale * rng.normal(size=(T, coordinates))
  constant = np.full(T + 1, 0.1)
  dropping = np.where(np.arange(T + 1) < T // 2, 0.1, 0.01)
  return [
    Course(
      *(start, gradients, rates),
      np.concatenate(list(conventions.follow([rule], start, gradients, rates))),
    )
    for rates in (constant, dropping)
  ]


def a_side(name, rule, claimed=None):
  return courses.Side(name, tuple(went(rule, 30)), claimed)


@pytest.mark.parametrize(
  ('method', 'given', 'rule'),
  [
    ('sgd', {}, Rule()),
    ('momentum', {}, Rule(mu=0.9)),
    ('nesterov', {'mu': 0.75}, NESTEROV),
    (
      'adagrad',
      {'initial_accumulator_value': 0.2, 'eps': 1e-3},
      ADAGRAD._replace(s_start=0.2, eps_root=1e-3),
    ),
    (
      'rmsprop',
      {'decay': 0.75, 'eps': 1e-5, 'initial_scale': 0.3},
      RMSPROP,
    ),
    (
      'rmsprop',
      {'decay': 0.75, 'eps': 1e-5, 'eps_in_sqrt': False},
      RMSPROP._replace(s_start=0.0, eps=1e-5, eps_root=0.0),
    ),
    (
      'adam',
      {'b1': 0.75, 'b2': 0.875, 'eps': 1e-5, 'eps_root': 1e-3},
      ADAM._replace(eps_root=1e-3, decay=0.0),
    ),
    (
      'adamw',
      {'b1': 0.75, 'b2': 0.875, 'eps': 1e-5, 'weight_decay': 0.03},
      ADAM,
    ),
    ('adam', {'nesterov': True}, None),
  ],
)
def test_methods_as_members_of_the_family(method, given, rule):
  assert conventions.rule_of(method, given) == rule


@pytest.mark.parametrize(
  ('text', 'rule'),
  [
    ('nesterov+mu=0.75', NESTEROV),
    ('optax:sgd', Rule()),
    ('optax:sgd+momentum=0.75+nesterov=True', NESTEROV),
    (
      'optax:rmsprop+decay=0.75+eps=1e-5+initial_scale=0.3+momentum=0.5',
      RMSPROP._replace(mu=0.5, rate_inside=True),
    ),
    (
      'optax:rmsprop+decay=0.75+eps=1e-5+initial_scale=0.3'
      '+momentum=0.5+nesterov=True',
      RMSPROP._replace(mu=0.5, rate_inside=True, look_ahead=True),
    ),
    ('optax:rmsprop+momentum=0.5+centered=True', None),
    ('optax:lion', None),
    ('tests.plugin:heavy_ball', None),
  ],
)
def test_an_entry_claims_to_be_a_member(text, rule):
  assert courses.claim(entries.parse(text)) == rule


def test_a_distance_is_relative_to_how_far_a_coordinate_moved():
  course = Course(
    np.array([1.0, 2.0]),
    np.array([[1.0, 0.5], [1.0, 0.5]]),
    np.array([1.0, 1.0, 1.0]),
    # Plain descent goes to (0, 1.5), then to (-1, 1).
    np.array([[0.0, 1.5], [-1.0, 1.25]]),
  )
  rules = [Rule(), Rule(sign=-1.0), Rule(sign=np.nan)]
  found = conventions.distances(rules, [course])
  # Apart by 0.25 of 0.75; upwards by 4 of 2 and by 1.75 of 0.75.
  np.testing.assert_allclose(found, [1 / 3, 7 / 3, np.inf])
  first = course._replace(positions=course.positions[:1])
  assert conventions.distances([Rule()], [first, first]).tolist() == [0.0]
  assert conventions.distances([Rule()], [first, course]) == found[0]


def told(rule):
  return {(one.group, one.words): one.fields for one in edits.edits(rule)}


PLAIN = {
  ('sign', 'adds where it should subtract'): {'sign': -1.0},
  ('count', 'has its schedule count from 1'): {'counted_from': 1},
  ('decay', 'has a weight decay of 0.0001'): {'decay': 1e-4},
  ('decay', 'has a weight decay of 0.01'): {'decay': 1e-2},
}
STARTS = {
  ('start', 'starts its squares at 0'): {'s_start': 0.0},
  ('start', 'starts its squares at 0.1'): {'s_start': 0.1},
  ('start', 'starts its squares at 1'): {'s_start': 1.0},
}
AVERAGES = {
  ('betas', f'has a decay of {b2:g}'): {'b2': b2, 's_gain': 1 - b2}
  for b2 in (0.9, 0.99, 0.999)
}


def placed(own, hat):
  """Every place of every eps; `hat` where something is corrected."""
  found = {}
  for eps in (own, 1e-8, 1e-7, 1e-10, 1e-16):
    value = '' if eps == own else f' = {eps:g}'
    places = {
      'inside the root': {'eps': 0.0, 'eps_root': eps, 'eps_hat': False},
      'outside the root': {'eps': eps, 'eps_root': 0.0, 'eps_hat': False},
    }
    before = 'outside the root, before the correction'
    if hat:
      places[before] = {'eps': eps, 'eps_root': 0.0, 'eps_hat': True}
    found |= {
      ('eps', f'has eps{value} {where}'): fields
      for where, fields in places.items()
    }
  return found


def without(table, *words):
  return {key: fields for key, fields in table.items() if key[1] not in words}


def test_all_that_plain_descent_and_momentum_may_do_otherwise():
  assert told(Rule()) == PLAIN
  inside = 'has the rate inside the momentum buffer'
  mean = 'averages where the other sums (1 - mu)'
  found = PLAIN | {
    ('rate', inside): {'rate_inside': True},
    ('gain', mean): {'v_gain': 0.25},
    ('look', 'does not look ahead'): {'look_ahead': False},
  }
  assert told(NESTEROV) == found
  turned = told(NESTEROV._replace(look_ahead=False, rate_inside=True))
  outside = 'has the rate outside the momentum buffer'
  assert turned['rate', outside] == {'rate_inside': False}
  assert turned['look', 'looks ahead'] == {'look_ahead': True}


def test_all_that_adagrad_and_rmsprop_may_do_otherwise():
  own = 'has eps inside the root'
  assert told(ADAGRAD) == {
    **PLAIN,
    **without(placed(1e-7, hat=False), own),
    **without(STARTS, 'starts its squares at 0.1'),
  }
  corrected = 'corrects its averages for their start at 0'
  assert told(RMSPROP) == {
    **PLAIN,
    **without(placed(1e-5, hat=False), own),
    **STARTS,
    **AVERAGES,
    ('correction', corrected): {'s_corrected': True},
  }
  found = told(RMSPROP._replace(b2=0.99))
  assert ('betas', 'has a decay of 0.99') not in found
  assert ('betas', 'has a decay of 0.9') in found


def test_all_that_adam_and_adamw_may_do_otherwise():
  neither = {'m_corrected': False, 's_corrected': False}
  swapped = {'b1': 0.875, 'b2': 0.75, 'm_gain': 0.125, 's_gain': 0.25}
  bare = 'decays the weights without the rate'
  coupled = 'couples its weight decay to the gradient'
  assert told(ADAM) == {
    **PLAIN,
    ('decay', 'has a weight decay of 0'): {'decay': 0.0},
    ('decay', coupled): {'coupled': True},
    ('decay', bare): {'decay_by_rate': False},
    **without(placed(1e-5, hat=True), 'has eps outside the root'),
    **without(STARTS, 'starts its squares at 0'),
    **AVERAGES,
    ('correction', 'has no bias correction'): neither,
    ('correction', 'does not correct m'): {'m_corrected': False},
    ('correction', 'does not correct v'): {'s_corrected': False},
    ('correction', 'has its bias correction count from 2'): {'first': 2},
    ('betas', 'has b1 and b2 swapped'): swapped,
  }
  assert told(ADAM._replace(decay=0.0)).keys() == told(ADAM).keys() - {
    ('decay', 'has a weight decay of 0'),
    ('decay', coupled),
    ('decay', bare),
  }


@pytest.mark.parametrize(
  ('rule', 'words'),
  [
    (NESTEROV, ['does not look ahead']),
    (ADAGRAD, ['has eps = 1e-10 outside the root', 'starts its squares at 0']),
    (RMSPROP, ['has a decay of 0.999', 'corrects its']),
    (ADAM, ['couples its weight decay to', 'has eps inside the root']),
    (
      ADAM,
      [
        'has its schedule count from 1',
        'decays the weights without the rate',
        'does not correct m',
      ],
    ),
  ],
)
def test_the_fewest_edits_that_lead_there_are_told(rule, words):
  edited = rule
  whole = []
  for some in words:
    (found,) = [e for e in edits.edits(rule) if e.words.startswith(some)]
    edited = edited._replace(**found.fields)
    whole.append(found.words)
  assert edits.explain(rule, went(edited), 1e-9) == whole


def test_what_no_three_edits_explain_is_not_explained():
  other = NESTEROV._replace(
    sign=-1.0, counted_from=1, decay=1e-2, look_ahead=False
  )
  assert edits.explain(NESTEROV, went(other), 1e-9) == []
  assert edits.explain(NESTEROV, went(NESTEROV._replace(mu=0.7)), 1e-9) == []
  # As near as a tolerance asks is near enough.
  almost = went(NESTEROV._replace(sign=-1.0))
  almost[1].positions[-1, 3] *= 1 + 1e-6
  assert edits.explain(NESTEROV, almost, 1e-9) == []
  sign = ['adds where it should subtract']
  assert edits.explain(NESTEROV, almost, 1e-5) == sign


def test_a_certificate_names_what_the_first_does_otherwise():
  bare = ADAM._replace(decay_by_rate=False)
  told = 'decays the weights without the rate, from update 1 on'
  a, b = a_side('mine', bare), a_side('adamw', ADAM, ADAM)
  for pair in ((a, b), (b, a)):
    found = certificates.certify(*pair)
    assert found.verdict == f'differs because mine {told}'
  # Of two that are known, the first is held to the second.
  found = certificates.certify(a_side('mine', bare, bare), b)
  assert found.verdict == f'differs because mine {told}'
  assert (found.update, found.updates, found.scheduled) == (1, 200, True)


def test_a_certificate_believes_no_claim_that_is_not_so():
  liar = a_side('liar', RMSPROP, ADAM)
  found = certificates.certify(liar, a_side('adam', ADAM, ADAM))
  assert found.verdict == 'differs from update 1 on, by no convention tried'


def test_a_certificate_falls_back_on_the_numbers_of_both():
  other = ADAM._replace(b1=0.5, m_gain=0.5)
  found = certificates.certify(
    a_side('one', ADAM, ADAM), a_side('two', other, other)
  )
  assert found.verdict == (
    'differs because b1 is 0.75 in one and 0.5 in two, m_gain is 0.25 in one'
    ' and 0.5 in two, from update 2 on'
  )


def test_a_certificate_says_where_only_the_drop_shows():
  a, b = a_side('one', NESTEROV, NESTEROV), a_side('two', NESTEROV)
  assert certificates.certify(a, b).verdict == 'identical'
  later = NESTEROV._replace(counted_from=1)
  b = a_side('two', later)
  assert certificates.certify(a, b).verdict == (
    'differs because two has its schedule count from 1, from update 8 on, equal'
    ' while the rate is constant'
  )
  # Where one of them takes no schedule, the constant rate is all there is.
  found = certificates.certify(a._replace(courses=a.courses[:1]), b)
  assert (found.verdict, found.scheduled) == ('identical', False)


def ends_at(*ends):
  """A side whose courses start at 4, go to 4.5 and end at each of these."""
  given = np.array([4.0]), np.array([[-0.5], [0.0]]), np.ones(3)
  return courses.Side(
    'side',
    tuple(Course(*given, np.array([[4.5], [end]])) for end in ends),
    None,
  )


def test_a_difference_of_just_the_tolerance_is_none():
  # An eighth, of the half that it moved.
  one, two = ends_at(4.5), ends_at(4.375)
  for pair in ((one, two), (two, one)):
    assert certificates.certify(*pair, tolerance=0.25).identical
    found = certificates.certify(*pair, tolerance=0.125)
    assert (found.identical, found.largest, found.update) == (False, 0.25, 2)
    told = 'differs from update 2 on, by no convention tried'
    assert found.verdict == told
  # The larger movement of the two counts.
  found = certificates.certify(one, ends_at(5.0))
  assert found.largest == 0.5
  one, two = ends_at(4.5, 4.5), ends_at(4.375, 4.0)
  found = certificates.certify(one, two, tolerance=0.25)
  assert (found.largest, found.update) == (1.0, 2)
  assert found.verdict == f'{told}, equal while the rate is constant'


ADAM_TRIAL = '+b1=0.8+b2=0.95+eps=1e-05+eps_root=1e-09'


@pytest.mark.parametrize(
  ('pair', 'far'),
  [
    ('adam=optax:adam', ADAM_TRIAL),
    # What both take, of the first that is known.
    ('optax:lion=adam', '+b1=0.8+b2=0.95'),
    ('tests.plugin:heavy_ball=momentum', '+mu=0.7'),
    ('momentum=optax:sgd', None),
    ('sgd=optax:sgd', None),
    ('optax:lion=optax:lion', None),
    ('tests.plugin:labelled=tests.plugin:labelled', None),
    ('adam+b1=0.9=optax:adam', None),
    ('adam=optax:adam+b1=0.9', None),
  ],
)
def test_bare_entries_are_tried_far_from_their_defaults(monkeypatch, pair, far):
  asked = []

  def sides_of(several, given):
    asked.append([(entry.text, entry.hyperparameters) for entry in several])
    return [a_side(entry.text, NESTEROV) for entry in several]

  monkeypatch.setattr(courses, 'sides_of', sides_of)
  several = entries.parse_pair(pair)
  found = certificates.certify_entries(*several)
  typed = [(entry.text, entry.hyperparameters) for entry in several]
  assert asked[0] == typed
  if far is None:
    assert len(asked) == 1
    assert (found.a, found.b) == (several[0].text, several[1].text)
    return
  assert [text for text, _ in asked[1]] == [e.text + far for e in several]
  assert (found.a, found.b) == (several[0].text + far, several[1].text + far)
  given = entries.parse(several[1].text + far).hyperparameters
  assert [hyperparameters for _, hyperparameters in asked[1]] == [given] * 2


def test_entries_that_differ_bare_are_tried_no_further(monkeypatch):
  asked = []

  def sides_of(several, given):
    asked.append(several)
    return [a_side('one', NESTEROV), a_side('two', ADAM)]

  monkeypatch.setattr(courses, 'sides_of', sides_of)
  pair = entries.parse_pair('adam=optax:adam')
  assert not certificates.certify_entries(*pair).identical
  assert len(asked) == 1


@pytest.mark.parametrize(
  ('scheduled', 'rates'),
  [(True, 'a constant rate and one that drops'), (False, 'a constant rate')],
)
def test_a_certificate_in_one_line(scheduled, rates):
  found = certificates.Certificate(
    *('adam', 'optax:adam', True, 1.25e-15, 0, 200, scheduled, 'identical')
  )
  assert certificates.sentence(found) == (
    'adam = optax:adam: identical; largest difference 1.2e-15 of the movement'
    f' in 200 updates at {rates}'
  )


def test_the_evidence_is_the_same_every_time():
  given = courses.evidence()
  assert [leaf.shape for leaf in given.start] == [(6, 5), (6,)]
  assert [leaf.shape for leaf in given.gradients] == [(200, 6, 5), (200, 6)]
  assert given.costs.shape == (200,)
  found = [given.start[0][0, :2], given.start[1][-1:]]
  found += [given.gradients[0][0, 0, :1], given.gradients[1][-1, -1:]]
  found += [given.costs[:2]]
  wanted = [
    *(-0.0188016399, -1.00266922e-05, 0.000101519609, 0.0288701409),
    *(-0.000146024372, 0.761747758, 0.632462911),
  ]
  np.testing.assert_allclose(np.concatenate(found), wanted, rtol=1e-8)
  other = courses.evidence(1)
  assert not np.any(other.start[0] == given.start[0])


def test_the_rate_is_constant_and_then_drops_half_way():
  constant, dropping = courses.rates_of_courses()
  assert constant.tolist() == [0.1] * 201
  assert dropping[[0, 99]].tolist() == [0.1, 0.1]
  np.testing.assert_allclose(dropping[[100, 199, 200]], [0.01, 0.01, 0.001])
  assert dropping.shape == (201,)


def test_a_side_has_as_many_courses_as_it_went():
  given = courses.evidence()
  places = np.ones((200, 36))
  found = courses.side('still', [places], given, Rule())
  (course,) = found.courses
  assert course.start.tolist() == [
    *given.start[0].ravel(),
    *given.start[1],
  ]
  assert course.gradients[7].tolist() == [
    *given.gradients[0][7].ravel(),
    *given.gradients[1][7],
  ]
  assert (course.rates == 0.1).all()
  assert course.positions is places
  assert (found.name, found.rule) == ('still', Rule())
  both = courses.side('still', [places, places], given).courses
  assert both[1].rates[-2] == pytest.approx(0.01)
