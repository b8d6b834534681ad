"""Hyperparameters as PyTorch spells them; `test_torch.py` has PyTorch."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from gd_jax.descent import entries
from gd_jax.judge import conventions
from gd_jax.judge import courses
from gd_jax.judge import pytorch
from gd_jax.judge.conventions import Rule
from gd_jax.types import UserError


class Tensor:
  """As much of a tensor as is used here."""

  def __init__(self, values, dtype=None):
    self.values, self.grad = np.array(values), None
    assert dtype in (None, 'float64')

  def numpy(self):
    return self.values


class SGD:
  """Plain descent and momentum, as PyTorch spells and does them."""

  def __init__(self, params, lr=1e-3, momentum=0, nesterov=False):
    self.param_groups = [
      {'params': params[:1], 'lr': lr},
      {'params': params[1:], 'lr': lr},
    ]
    self.mu, self.look_ahead = momentum, nesterov
    self.buffers = [0.0] * len(params)

  def step(self):
    k = 0
    for group in self.param_groups:
      for leaf in group['params']:
        g = leaf.grad.numpy()
        self.buffers[k] = v = self.mu * self.buffers[k] + g
        step = g + self.mu * v if self.look_ahead else v
        leaf.values = leaf.values - group['lr'] * step
        k += 1


class RMSprop:
  def __init__(self, params, lr=1e-2, alpha=0.99, eps=1e-8, momentum=0):
    pass


class Adam:
  def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    pass


@pytest.fixture(autouse=True)
def signatures(monkeypatch):
  """What is read of torch.optim, which no other test of the day installs."""
  optim = SimpleNamespace(SGD=SGD, RMSprop=RMSprop, Adam=Adam)
  torch = SimpleNamespace(
    optim=optim, tensor=Tensor, from_numpy=Tensor, float64='float64'
  )
  monkeypatch.setitem(sys.modules, 'torch', torch)


@pytest.mark.parametrize(
  ('method', 'ours', 'theirs'),
  [
    ('sgd', {}, {}),
    ('momentum', {}, {'momentum': 0.9}),
    ('nesterov', {'mu': 0.5}, {'nesterov': True, 'momentum': 0.5}),
    ('rmsprop', {'decay': 0.8, 'eps_in_sqrt': False}, {'alpha': 0.8}),
    ('adam', {'b1': 0.8, 'eps': 1e-5}, {'betas': (0.8, 0.999), 'eps': 1e-5}),
    ('adam', {'b2': 0.5}, {'betas': (0.9, 0.5)}),
  ],
)
def test_ours_in_their_words(method, ours, theirs):
  assert pytorch.keywords(method, ours) == theirs


def test_what_they_have_not_is_one_sentence():
  with pytest.raises(UserError) as error:
    pytorch.keywords('adam', {'eps_root': 1e-9})
  assert str(error.value) == (
    'torch.optim.Adam has no eps_root: leave eps_root out of the '
    'hyperparameters of adam, or certify it against Optax.'
  )


@pytest.mark.parametrize(
  ('method', 'given', 'name', 'rule'),
  [
    ('sgd', {}, 'torch:SGD', Rule()),
    ('sgd', {'momentum': 0.5}, 'torch:SGD+momentum=0.5', Rule(mu=0.5)),
    (
      *('nesterov', {'mu': 0.5}, 'torch:SGD+nesterov=True+momentum=0.5'),
      Rule(mu=0.5, look_ahead=True),
    ),
  ],
)
def test_theirs_goes_both_courses_on_the_given_gradients(
  method, given, name, rule
):
  evidence = courses.evidence()
  before = [leaf.copy() for leaf in evidence.start]
  found = pytorch.side(method, given, evidence)
  assert (found.name, len(found.courses), found.rule) == (name, 2, None)
  assert found.courses[0].positions.shape == (200, 36)
  assert conventions.distances([rule], found.courses) < 1e-12
  for leaf, kept in zip(evidence.start, before, strict=True):
    np.testing.assert_array_equal(leaf, kept)


def test_ours_is_certified_against_theirs(monkeypatch):
  def by_its_rule(entry, given):
    theirs = pytorch.side('momentum', {'mu': 0.5}, given)
    return theirs._replace(name=entry.text, rule=Rule(mu=0.5))

  monkeypatch.setattr(courses, 'side_of', by_its_rule)
  found = pytorch.certify(entries.parse('momentum+mu=0.5'))
  assert (found.a, found.b) == (*('momentum+mu=0.5', 'torch:SGD+momentum=0.5'),)
  assert (found.identical, found.scheduled) == (True, True)
  found = pytorch.certify(entries.parse('nesterov+mu=0.5'))
  told = 'torch:SGD+nesterov=True+momentum=0.5 looks ahead'
  assert found.verdict.startswith(f'differs because {told}')


@pytest.mark.parametrize(
  'text', ['optax:sgd', 'optax:lion', 'tests.plugin:fails']
)
def test_what_has_no_partner_there_is_one_sentence(text):
  with pytest.raises(UserError) as error:
    pytorch.certify(entries.parse(text))
  assert str(error.value) == (
    f'The optimizer {text} has no partner in torch.optim: expected one of ours,'
    ' sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw.'
  )


def test_one_of_ours_that_they_never_had_is_refused():
  entry = entries.parse('sgd')._replace(name='damped', text='damped')
  with pytest.raises(UserError, match='The optimizer damped has no partner'):
    pytorch.certify(entry)
