"""Gradient descent in NumPy, float64, by hand: what a device has to reproduce.

    delta_L = (a_L - y) a_L (1 - a_L)
    delta_l = (w_(l+1)^T delta_(l+1)) a_l (1 - a_l)
    dC/dw_l = mean over x of delta_l a_(l-1)^T,   dC/db_l = mean of delta_l

Quadratic cost, sigmoid neurons (Nielsen, chapter 2). Nothing here is JAX, so
that no fault of a compiler or a kernel can stand on both sides.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

Layers = list[tuple[np.ndarray, np.ndarray]]
Memory = dict[str, np.ndarray]

# Examples worked through at once: products so small stay on one thread of BLAS,
# which on cores that are shared is many times faster.
_CHUNK = 10


def sigmoid(z: np.ndarray) -> np.ndarray:
  """1 / (1 + exp(-z)), without overflow."""
  return 0.5 * (1 + np.tanh(0.5 * z))


def gradient_sum(layers: Layers, x: np.ndarray, y: np.ndarray) -> Layers:
  """The sum of dC_x/dw and dC_x/db over examples x [m, n_in], y [m, k]."""
  activations = [x]
  for w, b in layers:
    activations.append(sigmoid(activations[-1] @ w.T + b))
  a = activations.pop()
  delta = (a - y) * a * (1 - a)
  sums = []
  for (w, _), a in zip(reversed(layers), reversed(activations), strict=True):
    sums.insert(0, (delta.T @ a, delta.sum(0)))
    delta = (delta @ w) * a * (1 - a)
  return sums


def mean_gradient(
  layers: Layers, x: np.ndarray, labels: np.ndarray, scale: float
) -> Layers:
  """The gradient of C for stored images x [m, n_in] and labels [m]."""
  targets = np.eye(len(layers[-1][1]))
  total = [(np.zeros_like(w), np.zeros_like(b)) for w, b in layers]
  for first in range(0, len(x), _CHUNK):
    part = slice(first, first + _CHUNK)
    sums = gradient_sum(
      layers, x[part].astype(np.float64) / scale, targets[labels[part]]
    )
    for (w, b), (dw, db) in zip(total, sums, strict=True):
      w += dw
      b += db
  return [(w / len(x), b / len(x)) for w, b in total]


def descend(
  layers: Layers,
  x: np.ndarray,
  labels: np.ndarray,
  order: Sequence[np.ndarray],
  *,
  scale: float,
  method: str,
  rate: float,
  hyperparameters: Mapping[str, Any],
) -> Layers:
  """The layers after one update for each index array of `order`.

  Args:
    layers: (w [n_out, n_in], b [n_out]), copied.
    x: [n, n_in] stored pixels.
    labels: [n].
    order: who is in each mini-batch.
    scale: a pixel's largest value.
    method: one of METHODS.
    rate: eta.
    hyperparameters: all that the method knows, none of them by default.
  """
  direction = METHODS[method]
  parameters = [
    np.array(leaf, np.float64) for layer in layers for leaf in layer
  ]
  memories: list[Memory] = [{} for _ in parameters]
  for t, batch in enumerate(order, 1):
    paired = list(zip(parameters[::2], parameters[1::2], strict=True))
    gradient = mean_gradient(paired, x[batch], labels[batch], scale)
    flat = [leaf for layer in gradient for leaf in layer]
    for w, g, memory in zip(parameters, flat, memories, strict=True):
      w -= rate * direction(g, w, memory, t, hyperparameters)
  return list(zip(parameters[::2], parameters[1::2], strict=True))


def _kept(memory: Memory, name: str, g: np.ndarray, start: float = 0.0):
  return memory.setdefault(name, np.full_like(g, start))


def _sgd(g, _w, _memory, _t, _h):
  return g


def _momentum(g, _w, memory, _t, h):
  memory['v'] = h['mu'] * _kept(memory, 'v', g) + g
  return memory['v']


def _nesterov(g, w, memory, t, h):
  return g + h['mu'] * _momentum(g, w, memory, t, h)


def _adagrad(g, _w, memory, _t, h):
  s = _kept(memory, 's', g, h['initial_accumulator_value']) + g**2
  memory['s'] = s
  return np.where(s > 0, g / np.sqrt(s + h['eps']), 0)


def _rmsprop(g, _w, memory, _t, h):
  s = _kept(memory, 's', g, h['initial_scale'])
  memory['s'] = s = h['decay'] * s + (1 - h['decay']) * g**2
  if h['eps_in_sqrt']:
    return g / np.sqrt(s + h['eps'])
  return g / (np.sqrt(s) + h['eps'])


def _adam(g, _w, memory, t, h):
  m = h['b1'] * _kept(memory, 'm', g) + (1 - h['b1']) * g
  v = h['b2'] * _kept(memory, 'v', g) + (1 - h['b2']) * g**2
  memory.update(m=m, v=v)
  root = np.sqrt(v / (1 - h['b2'] ** t) + h['eps_root'])
  return m / (1 - h['b1'] ** t) / (root + h['eps'])


def _adamw(g, w, memory, t, h):
  return _adam(g, w, memory, t, h) + h['weight_decay'] * w


METHODS: dict[str, Callable[..., np.ndarray]] = {
  'sgd': _sgd,
  'momentum': _momentum,
  'nesterov': _nesterov,
  'adagrad': _adagrad,
  'rmsprop': _rmsprop,
  'adam': _adam,
  'adamw': _adamw,
}
