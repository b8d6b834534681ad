"""Ours against PyTorch; `make torch` installs it."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gd_jax.descent import entries
from gd_jax.descent import optimizers
from gd_jax.descent import train
from gd_jax.judge import certificates
from gd_jax.judge import courses
from gd_jax.judge import pytorch
from gd_jax.model import mlp
from gd_jax.types import Batch
from gd_jax.types import UserError

pytestmark = pytest.mark.torch
torch: Any = pytest.importorskip(
  'torch', reason='PyTorch is not installed; `make torch` does that'
)

# Where ours and PyTorch's can agree, far from the defaults of both.
AGREEING = (
  'sgd',
  'momentum+mu=0.7',
  'nesterov+mu=0.7',
  'adagrad+initial_accumulator_value=0.0+eps=0.0',
  'rmsprop+decay=0.8+eps=1e-05+eps_in_sqrt=False',
  'adam+b1=0.8+b2=0.95+eps=1e-05',
  'adamw+b1=0.8+b2=0.95+eps=1e-05+weight_decay=0.03',
)


@pytest.mark.parametrize('text', AGREEING)
def test_T25_ours_is_torch_optim_s_where_the_two_can_agree(text):
  certificate = pytorch.certify(entries.parse(text))
  assert certificate.scheduled
  assert certificate.largest <= 1e-12, certificate.verdict
  assert certificate.verdict == 'identical'


@pytest.mark.parametrize(
  ('text', 'reason'),
  [
    ('adagrad', 'has eps = 1e-10 outside the root and starts its squares at 0'),
    ('adagrad+initial_accumulator_value=0.0+eps=1e-10', 'eps outside the root'),
    ('rmsprop', 'has eps outside the root and has a decay of 0.99'),
    ('rmsprop+decay=0.99', 'has eps outside the root'),
    ('adamw', 'has a weight decay of 0.01'),
  ],
)
def test_T25_elsewhere_the_certificate_names_the_convention(text, reason):
  certificate = pytorch.certify(entries.parse(text))
  assert not certificate.identical
  assert 'differs because torch:' in certificate.verdict
  assert reason in certificate.verdict


def test_T25_rmsprop_s_momentum_holds_the_rate_in_optax_alone():
  given = courses.evidence()
  entry = entries.parse('optax:rmsprop+momentum=0.8+eps_in_sqrt=False')
  certificate = certificates.certify(
    courses.side_of(entry, given),
    pytorch.side('rmsprop', {'momentum': 0.8, 'decay': 0.9}, given),
    tolerance=certificates.TORCH_TOLERANCE,
  )
  told = 'has the rate outside the momentum buffer, from update 101 on, equal'
  assert told in certificate.verdict


def test_what_pytorch_lacks_is_refused():
  with pytest.raises(UserError, match=r'torch\.optim\.Adam has no eps_root'):
    pytorch.certify(entries.parse('adam+eps_root=1e-9'))
  with pytest.raises(UserError, match=r'no partner in torch\.optim'):
    pytorch.certify(entries.parse('optax:lion'))


def test_pytorch_s_defaults_stay_where_nothing_is_typed():
  assert pytorch.keywords('adamw', {}) == {}
  assert pytorch.keywords('adam', {'b2': 0.5}) == {'betas': (0.9, 0.5)}
  ours = inspect.signature(optimizers.nesterov).parameters['mu'].default
  assert pytorch.keywords('nesterov', {}) == {
    'nesterov': True,
    'momentum': ours,
  }


def network():
  with jax.enable_x64(True):
    return mlp.init(jax.random.key(1), (6, 5, 3), dtype=np.float64)


def torch_network(params):
  """The same network, layer by layer, in PyTorch."""
  parts = []
  for layer in params:
    n_out, n_in = layer.w.shape
    linear = torch.nn.Linear(n_in, n_out, dtype=torch.float64)
    with torch.no_grad():
      linear.weight.copy_(torch.tensor(np.array(layer.w)))
      linear.bias.copy_(torch.tensor(np.array(layer.b)))
    parts += [linear, torch.nn.Sigmoid()]
  return torch.nn.Sequential(*parts)


def cost_of(params, example):
  x, y = example
  return 0.5 * jnp.sum(jnp.square(y - mlp.predict(params, x)))


def descent_of(loader: Any) -> str:
  """'batch', 'mini-batch' or 'online': what a DataLoader makes of SGD.

  torch.optim.SGD follows whatever gradient it is given; the number of examples
  that the loader averages over decides.
  """
  examples = len(loader.dataset)
  batch = loader.batch_size or getattr(loader.batch_sampler, 'batch_size', 1)
  if batch >= examples:
    return 'batch'
  return 'online' if batch == 1 else 'mini-batch'


@pytest.mark.parametrize(
  ('batch_size', 'kind', 'updates'),
  [(32, 'mini-batch', 4), (1, 'online', 100), (100, 'batch', 1)],
)
def test_T26_the_loader_decides_which_descent_torch_s_sgd_is(
  batch_size, kind, updates
):
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(100, 6)), rng.uniform(size=(100, 3))
  dataset = torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y))
  loader = torch.utils.data.DataLoader(
    dataset,
    batch_size=batch_size,
    shuffle=True,
    generator=torch.Generator().manual_seed(7),
  )
  assert descent_of(loader) == kind

  params = network()
  model = torch_network(params)
  torch_sgd = torch.optim.SGD(model.parameters(), lr=0.01)
  optimizer = optimizers.sgd(0.01)
  step = jax.jit(train.make_step(cost_of, optimizer))
  state = train.start(params, optimizer)
  seen = 0
  for _ in range(2):
    for x, y in loader:
      # The mean over the mini-batch, the last one of 4 included.
      cost = 0.5 * torch.sum((y - model(x)) ** 2) / len(x)
      torch_sgd.zero_grad()
      cost.backward()
      torch_sgd.step()
      examples = jnp.asarray(x.numpy()), jnp.asarray(y.numpy())
      state, _ = step(state, Batch(examples, jnp.ones(len(x))))
      seen += 1
  assert seen == 2 * updates
  linears = model[::2]
  for layer, start, linear in zip(state.params, params, linears, strict=True):
    w, b = linear.weight.detach().numpy(), linear.bias.detach().numpy()
    for ours, theirs, old in ((layer.w, w, start.w), (layer.b, b, start.b)):
      moved = np.max(np.abs(theirs - old))
      assert moved > 1e-5
      assert np.max(np.abs(ours - theirs)) <= 1e-10 * moved


def test_T26_a_sampler_of_batches_decides_as_well():
  dataset = torch.utils.data.TensorDataset(torch.zeros(10, 2))
  load = torch.utils.data.DataLoader
  plain = torch.utils.data.SequentialSampler(dataset)
  fives = torch.utils.data.BatchSampler(plain, 5, drop_last=False)
  assert descent_of(load(dataset, batch_sampler=fives)) == 'mini-batch'
  assert descent_of(load(dataset, batch_size=None)) == 'online'
  assert descent_of(load(dataset, batch_size=64)) == 'batch'
