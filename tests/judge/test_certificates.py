"""The certificate itself: it must name what it is shown, and miss nothing."""

import functools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gd_jax.descent import entries
from gd_jax.descent import optimizers
from gd_jax.descent import twins
from gd_jax.judge import certificates
from gd_jax.judge import conventions
from gd_jax.judge import courses
from gd_jax.types import Optimizer

B1, B2, EPS, MU, DECAY = 0.8, 0.95, 1e-5, 0.7, 0.03
REFERENCES = {
  'sgd': 'sgd',
  'momentum': f'momentum+mu={MU}',
  'nesterov': f'nesterov+mu={MU}',
  'adagrad': f'adagrad+initial_accumulator_value=0.02+eps={EPS}',
  'rmsprop': f'rmsprop+decay={B2}+eps={EPS}',
  'adam': f'adam+b1={B1}+b2={B2}+eps={EPS}',
  'adamw': f'adamw+b1={B1}+b2={B2}+eps={EPS}+weight_decay={DECAY}',
}


def wrong_adam(rate, *, m_scale=True, v_scale=True, first=1, hat=False):
  """Adam with its corrections left out, or counted or placed otherwise."""

  def init(params):
    zeros = jax.tree.map(jnp.zeros_like, params)
    return jnp.asarray(first - 1), zeros, zeros

  def update(updates, state, params=None):
    t, m, v = state[0] + 1, *state[1:]
    m = jax.tree.map(lambda g, m: B1 * m + (1 - B1) * g, updates, m)
    v = jax.tree.map(lambda g, v: B2 * v + (1 - B2) * g * g, updates, v)
    m_part = 1 - B1**t if m_scale else 1.0
    v_part = 1 - B2**t if v_scale else 1.0
    eta: Any = rate(t - first) if callable(rate) else rate
    eps = EPS / jnp.sqrt(v_part) if hat else EPS
    change = jax.tree.map(
      lambda m, v: -eta * m / m_part / (jnp.sqrt(v / v_part) + eps), m, v
    )
    return change, (t, m, v)

  return Optimizer(init, update)


def adam(rate, **changed):
  given: dict[str, Any] = {'b1': B1, 'b2': B2, 'eps': EPS, **changed}
  return optimizers.adam(rate, **given)


def later(rate):
  return (lambda t: rate(t + 1)) if callable(rate) else rate


def bare_decay(rate):
  """Adam whose weights decay by lambda w, whatever the rate."""
  inner = adam(rate)

  def update(updates, state, params=None):
    change, state = inner.update(updates, state, params)
    return jax.tree.map(lambda c, w: c - DECAY * w, change, params), state

  return Optimizer(inner.init, update)


MUTANTS = {
  'swap the betas': (
    'adam',
    lambda rate: adam(rate, b1=B2, b2=B1),
    'has b1 and b2 swapped',
  ),
  'drop the bias correction': (
    'adam',
    functools.partial(wrong_adam, m_scale=False, v_scale=False),
    'has no bias correction',
  ),
  'drop the correction of m': (
    'adam',
    functools.partial(wrong_adam, m_scale=False),
    'does not correct m',
  ),
  'drop the correction of v': (
    'adam',
    functools.partial(wrong_adam, v_scale=False),
    'does not correct v',
  ),
  'move eps inside the root': (
    'adam',
    lambda rate: adam(rate, eps=0.0, eps_root=EPS),
    'has eps inside the root',
  ),
  'add eps before the correction': (
    'adam',
    functools.partial(wrong_adam, hat=True),
    'has eps outside the root, before the correction',
  ),
  'count the correction from 2': (
    'adam',
    functools.partial(wrong_adam, first=2),
    'has its bias correction count from 2',
  ),
  'count the schedule from 1': (
    'adam',
    lambda rate: adam(later(rate)),
    'has its schedule count from 1, from update 100 on, equal while',
  ),
  'climb': (
    'adam',
    lambda rate: optax.chain(adam(rate), optax.scale(-1.0)),
    'adds where it should subtract',
  ),
  'put the rate inside the momentum buffer': (
    'momentum',
    lambda rate: optax.chain(
      optax.scale_by_learning_rate(rate), optax.trace(MU)
    ),
    'has the rate inside the momentum buffer, from update 101 on, equal while',
  ),
  'average the momentum': (
    'momentum',
    lambda rate: optax.chain(
      optax.ema(MU, debias=False), optax.scale_by_learning_rate(rate)
    ),
    r'averages where the other sums',
  ),
  'look ahead': (
    'momentum',
    lambda rate: optimizers.nesterov(rate, mu=MU),
    'looks ahead',
  ),
  'do not look ahead': (
    'nesterov',
    lambda rate: optimizers.momentum(rate, mu=MU),
    'does not look ahead',
  ),
  'couple the decay to the gradient': (
    'adamw',
    lambda rate: optax.chain(optax.add_decayed_weights(DECAY), adam(rate)),
    'couples its weight decay to the gradient',
  ),
  'decay without the rate': (
    'adamw',
    bare_decay,
    'decays the weights without the rate',
  ),
  'forget the decay': ('adamw', adam, 'has a weight decay of 0'),
  'start the sum at 0': (
    'adagrad',
    lambda rate: optax.adagrad(rate, 0.0, eps=EPS),
    'starts its squares at 0',
  ),
  'take eps out of the root, of another size': (
    'rmsprop',
    lambda rate: optax.rmsprop(rate, B2, 1e-10, eps_in_sqrt=False),
    'has eps = 1e-10 outside the root',
  ),
  'correct the average': (
    'rmsprop',
    lambda rate: optax.rmsprop(rate, B2, EPS, bias_correction=True),
    'corrects its averages for their start at 0',
  ),
  'three at once': (
    'adamw',
    lambda rate: optax.chain(
      optax.add_decayed_weights(DECAY),
      adam(later(rate), eps=0.0, eps_root=EPS),
    ),
    'from 1 and couples its weight decay .* and has eps inside the root',
  ),
}


@functools.cache
def given():
  return courses.evidence()


@functools.cache
def reference(method):
  return courses.side_of(entries.parse(REFERENCES[method]), given())


def stranger(name, factory):
  """A side of which nothing is known but where it went."""
  rates = (courses.RATE, courses.DROPPING)
  runs = courses.positions([(factory, rate) for rate in rates], given())
  return courses.side(name, runs, given())


@pytest.mark.parametrize('mutant', MUTANTS)
def test_a_wrong_version_is_caught_and_named(mutant):
  method, factory, reason = MUTANTS[mutant]
  certificate = certificates.certify(
    stranger('mutant', factory), reference(method)
  )
  assert not certificate.identical
  assert certificate.largest > 1e-3
  told = f'^differs because mutant .*{reason}'
  assert re.search(told, certificate.verdict), certificate.verdict


@pytest.mark.parametrize('method', REFERENCES)
def test_each_of_ours_follows_its_rule_in_numpy(method):
  # Programs that share no line: JAX by method, NumPy by convention.
  side = reference(method)
  assert side.rule is not None
  assert conventions.distances([side.rule], side.courses) <= 1e-11
  other = side.rule._replace(sign=-1.0)
  assert conventions.distances([other], side.courses) > 0.1


def test_the_evidence_spans_seven_orders_and_changes_every_update():
  gradients = np.concatenate(
    [leaf.reshape(len(leaf), -1) for leaf in given().gradients], axis=1
  )
  sizes = np.median(np.abs(gradients), axis=0)
  assert np.log10(sizes.max() / sizes.min()) > 6
  assert np.all(np.diff(gradients, axis=0) != 0)
  assert gradients.dtype == np.float64
  assert len(gradients) == courses.UPDATES == 200


def test_a_certificate_is_in_float64_where_the_flag_is_off():
  with jax.enable_x64(False):
    certificate = certificates.certify_entries(
      *entries.parse_pair('adam=optax:adam')
    )
    assert jnp.ones(()).dtype == np.float32
  # Bare entries are tried at the hyperparameters that both take.
  assert certificate.b.startswith('optax:adam+b1=0.8+b2=0.95+eps=1e-05')
  assert certificate.verdict == 'identical'
  assert certificate.largest < 1e-14


@pytest.mark.parametrize(
  ('pair', 'verdict'),
  [
    (
      'tests.plugin:heavy_ball+mu=0.7=optax:sgd+momentum=0.7',
      'identical',  # at the constant rate that it can take
    ),
    ('sgd=momentum+mu=0.7', 'because mu is 0 in sgd and 0.7 in momentum'),
    ('rmsprop=optax:rmsprop+eps_in_sqrt=False', 'rmsprop has eps inside'),
    ('adam=optax:lion', 'from update 1 on, by no convention tried'),
    (
      'optax:rmsprop+momentum=0.9=rmsprop',
      'mu is 0.9 in optax:rmsprop.momentum=0.9 and 0 in rmsprop',
    ),
  ],
)
def test_any_two_entries_can_be_certified(pair, verdict):
  certificate = certificates.certify_entries(*entries.parse_pair(pair))
  assert re.search(verdict, certificate.verdict), certificate.verdict
  assert certificate.scheduled == ('plugin' not in pair)
  line = certificates.sentence(certificate)
  assert certificate.verdict in line
  assert line.isascii()


def test_a_side_that_leaves_the_finite_numbers_is_another():
  broken = [
    course._replace(
      positions=np.where(np.arange(200)[:, None] < 150, p, np.nan)
    )
    for course in reference('adam').courses
    for p in [course.positions]
  ]
  lost = courses.Side('lost', tuple(broken), None)
  for pair in ((lost, reference('adam')), (reference('adam'), lost)):
    certificate = certificates.certify(*pair)
    assert not certificate.identical
    assert certificate.largest == np.inf
    assert certificate.update == 151


def test_the_smallest_coordinate_is_held_to_its_own_movement():
  nearly = [
    course._replace(positions=course.positions.copy())
    for course in reference('sgd').courses
  ]
  moved = np.max(np.abs(nearly[1].positions - nearly[1].start), axis=0)
  least = np.argmin(moved)
  nearly[1].positions[42, least] += 3e-13 * moved[least]
  other = courses.Side('nearly', tuple(nearly), None)
  certificate = certificates.certify(other, reference('sgd'))
  assert (certificate.identical, certificate.update) == (False, 43)
  assert certificate.verdict.endswith('equal while the rate is constant')
  assert certificates.certify(
    other, reference('sgd'), tolerance=1e-12
  ).identical


def test_a_method_that_is_no_member_of_the_family_claims_no_rule(monkeypatch):
  def damped(learning_rate, *, by=0.5):
    return optimizers.sgd(by * learning_rate)

  made = twins.Twin(damped, 'sgd', {}, {}, 1.0)
  monkeypatch.setitem(twins.TWINS, 'damped', made)
  entry = entries.parse('damped')
  assert courses.claim(entry) is None
  found = certificates.certify_entries(entry, entries.parse('sgd'))
  assert found.verdict == 'differs from update 1 on, by no convention tried'


def test_a_coordinate_that_neither_moves_is_no_difference():
  start = np.array([1.0, 2.0])
  still = conventions.Course(
    start, np.zeros((200, 2)), np.ones(201), np.tile(start, (200, 1))
  )
  side = courses.Side('still', (still,), None)
  assert certificates.certify(side, side).identical
