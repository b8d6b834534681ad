"""Hyperparameters as PyTorch spells them; `test_torch.py` has PyTorch."""

import sys
from types import SimpleNamespace

import pytest

from gd_jax.judge import pytorch
from gd_jax.types import UserError


class SGD:
  def __init__(self, params, lr=1e-3, momentum=0, nesterov=False):
    pass


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
  monkeypatch.setitem(sys.modules, 'torch', SimpleNamespace(optim=optim))


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
  assert str(error.value).startswith('torch.optim.Adam has no eps_root: ')
