"""Ground to walk on, and walks: what pictures of descent are tested with."""

import numpy as np

from gd_jax.pictures import curves
from gd_jax.pictures import terrain
from gd_jax.pictures import traces

X = np.linspace(-2, 2, 31)


def ground(dimensions=2):
  """The bowl x^2 + 2 y^2, or the curve x^2."""
  if dimensions == 1:
    return terrain.Ground('f(x) = x^2', ('x',), (X,), X**2, {'it': (0.0,)})
  x, y = np.meshgrid(X, X)
  height = x**2 + 2 * y**2
  return terrain.Ground(
    'x^2 + 2 y^2', ('x', 'y'), (X, X), height, {'it': (0, 0)}
  )


def oblong():
  """A bowl on a hill, wider than high and with a hole; no two sides alike."""
  x, y = np.linspace(-2, 2.5, 29), np.linspace(-1.2, 2, 23)
  across, up = np.meshgrid(x, y)
  height = 0.5 + across**2 + 2 * up**2
  height[:2, :3] = np.inf
  floor = np.array([[-2.0, -0.4], [2.5, 0.6]])
  return terrain.Ground(
    '1/2 + x^2 + 2 y^2', ('x', 'y'), (x, y), height, {'it': (0, 0)}, [floor]
  )


def path(eta=0.1, steps=20, entry='sgd', start=(1.5, 1.0)):
  points = [np.array(start, float)]
  bends = np.array([2.0, 4.0])[: len(start)]
  with np.errstate(over='ignore', invalid='ignore'):
    for _ in range(steps):
      points.append(points[-1] * (1 - eta * bends))
    points = np.array(points)
    heights = 0.5 * (bends * points**2).sum(axis=1)
    slopes = bends * points
  label = f'{entry}, rate {eta}'
  return terrain.Path(entry, label, 'west', 0, points, heights, slopes)


def swept():
  """Rates to choose from, of which the last ends outside the numbers."""
  rates = np.geomspace(0.01, 5, 9)
  costs = rates * np.array([1.0] * 8 + [np.inf])
  return curves.Rates(rates, costs, 3.0, 12, 0.5)


def basins():
  """Two minima, and starts that have found neither."""
  kind = np.zeros((16, 16), int)
  kind[:4] = 1
  kind[:, :2] = -1
  return traces.Basins((-2, 2, -2, 2), kind, ('here', 'there'))
