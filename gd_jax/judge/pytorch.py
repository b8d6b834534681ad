"""The other library: torch.optim on the same given gradients.

PyTorch is imported where it is used; nothing else of the package needs it.
"""

import inspect
from typing import Any

import numpy as np

from gd_jax.descent import twins
from gd_jax.descent.entries import Entry
from gd_jax.judge import certificates
from gd_jax.judge import courses
from gd_jax.judge.certificates import Certificate
from gd_jax.judge.courses import Evidence
from gd_jax.types import UserError

# Our method -> its class in torch.optim.
CLASSES = {
  'sgd': 'SGD',
  'momentum': 'SGD',
  'nesterov': 'SGD',
  'adagrad': 'Adagrad',
  'rmsprop': 'RMSprop',
  'adam': 'Adam',
  'adamw': 'AdamW',
}
_KEYS = {'mu': 'momentum', 'decay': 'alpha'}


def keywords(method: str, hyperparameters: dict[str, Any]) -> dict[str, Any]:
  """Our hyperparameters as PyTorch spells them; its defaults for the others.

  RMSprop may be given its `momentum` too. Raises UserError for what PyTorch
  does not have.
  """
  import torch  # pyright: ignore[reportMissingImports]

  has = inspect.signature(getattr(torch.optim, CLASSES[method])).parameters
  given = dict(hyperparameters)
  given.pop('eps_in_sqrt', None)  # PyTorch adds eps outside the root, always
  if method in ('momentum', 'nesterov'):
    mu = inspect.signature(twins.TWINS[method].ours).parameters['mu']
    given = {'mu': mu.default, **given}
  found: dict[str, Any] = {'nesterov': True} if method == 'nesterov' else {}
  if 'b1' in given or 'b2' in given:
    b1, b2 = has['betas'].default
    found['betas'] = given.pop('b1', b1), given.pop('b2', b2)
  found |= {_KEYS.get(key, key): value for key, value in given.items()}
  for key in found:
    if key not in has:
      raise UserError(
        f'torch.optim.{CLASSES[method]} has no {key}: leave {key} out of the'
        f' hyperparameters of {method}, or certify it against Optax.'
      )
  return found


def trajectory(
  method: str,
  hyperparameters: dict[str, Any],
  given: Evidence,
  rates: np.ndarray,
) -> np.ndarray:
  """The parameters after each update by torch.optim, [T, n] float64.

  `rates` are the learning rates of the updates, at least [T].
  """
  import torch  # pyright: ignore[reportMissingImports]

  params = [torch.tensor(leaf, dtype=torch.float64) for leaf in given.start]
  make = getattr(torch.optim, CLASSES[method])
  optimizer = make(params, lr=1.0, **keywords(method, hyperparameters))
  positions = []
  for k in range(courses.UPDATES):
    for group in optimizer.param_groups:
      group['lr'] = float(rates[k])
    for leaf, gradient in zip(params, given.gradients, strict=True):
      leaf.grad = torch.from_numpy(gradient[k].copy())
    optimizer.step()
    positions.append(np.concatenate([leaf.numpy().ravel() for leaf in params]))
  return np.stack(positions)


def certify(entry: Entry) -> Certificate:
  """One of ours against torch.optim with the same hyperparameters.

  Hyperparameters that are not typed keep each library's own default. Raises
  UserError for what torch.optim has no partner of.
  """
  if entry.implementation != 'ours' or entry.name not in CLASSES:
    raise UserError(
      f'The optimizer {entry.text} has no partner in torch.optim: expected one'
      f' of ours, {", ".join(CLASSES)}.'
    )
  given = courses.evidence()
  return certificates.certify(
    courses.side_of(entry, given),
    side(entry.name, entry.hyperparameters, given),
    tolerance=certificates.TORCH_TOLERANCE,
  )


def side(
  method: str, hyperparameters: dict[str, Any], given: Evidence
) -> courses.Side:
  """Where torch.optim's optimizer of our `method` goes."""
  told = keywords(method, hyperparameters)
  spelled = ''.join(f'+{key}={value}' for key, value in told.items())
  positions = [
    trajectory(method, hyperparameters, given, rates)
    for rates in courses.rates_of_courses()
  ]
  name = f'torch:{CLASSES[method]}{spelled}'
  return courses.side(name, positions, given)
