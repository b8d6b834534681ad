"""Independent programs that must give the same answers: NumPy, by hand.

Nothing here uses gd_jax or JAX. One example at a time, as the book's loop.
"""

import numpy as np


def sigmoid(z):
  return 1.0 / (1.0 + np.exp(-z))


def backprop(layers, x, y, cost='quadratic'):
  """Cost and gradient of one example; layers are (w [out, in], b [out])."""
  activations = [x]
  for w, b in layers:
    activations.append(sigmoid(w @ activations[-1] + b))
  a = activations[-1]
  if cost == 'quadratic':
    value = 0.5 * np.sum((y - a) ** 2)
    delta = (a - y) * a * (1 - a)
  else:
    value = -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a))
    delta = a - y
  gradient = []
  for place in reversed(range(len(layers))):
    gradient.insert(0, (np.outer(delta, activations[place]), delta))
    a = activations[place]
    delta = (layers[place][0].T @ delta) * a * (1 - a)
  return value, gradient


def descend(layers, xs, ys, order, eta):
  """Plain gradient descent over mini-batches, one example at a time.

  order: a list of index arrays, one an update. Returns the layers after it.
  """
  layers = [(w.copy(), b.copy()) for w, b in layers]
  for batch in order:
    sums = [(np.zeros_like(w), np.zeros_like(b)) for w, b in layers]
    for i in batch:
      _, gradient = backprop(layers, xs[i], ys[i])
      for (sw, sb), (gw, gb) in zip(sums, gradient, strict=True):
        sw += gw
        sb += gb
    for (w, b), (gw, gb) in zip(layers, sums, strict=True):
      w -= eta / len(batch) * gw
      b -= eta / len(batch) * gb
  return layers
