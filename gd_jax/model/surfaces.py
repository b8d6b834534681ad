"""Functions to descend on, with what a picture of them needs to know.

A surface has the form of a network: `cost_of(w, example)` is the cost of ONE
example at the point w [d], d = 1 or 2, and the surface is the mean over its
examples. So batch descent walks on the surface itself, and descent on single
examples sees each example's own. One that has nothing to average has a single
example, 0, which its cost does not read. `descent.train` drives them all.
"""

from collections.abc import Callable
from statistics import NormalDist
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gd_jax.model import neurons
from gd_jax.types import Examples

Point = tuple[float, ...]
CostOf = Callable[[jax.Array, Any], jax.Array]


class Surface(NamedTuple):
  """A function of one or two variables and how to look at it."""

  name: str
  formula: str  # ASCII
  cost_of: CostOf  # (w [d], one example) -> ()
  variables: tuple[str, ...]  # d names, such as ('x', 'y')
  domain: tuple[tuple[float, float], ...]  # d pairs, what a picture shows
  minima: dict[str, Point]  # name -> where; empty where none is known
  starts: dict[str, Point]  # three, named
  rate: float  # a learning rate that suits
  steps: int
  examples: Examples = np.zeros(1)  # leaves [n, ...]
  batch_size: int | None = None  # examples an update; None means all of them


_NOISE = 1024  # draws of the noisy parabola


def _parabola(w: jax.Array, _example: Any) -> jax.Array:
  return 6 * w[0] ** 2 - 12 * w[0] + 3


def _noisy_parabola(w: jax.Array, s: jax.Array) -> jax.Array:
  return _parabola(w, s) + s.astype(w.dtype) * w[0]


def _bowl(w: jax.Array, _example: Any) -> jax.Array:
  x, y = w
  return 6 * x**2 + 9 * y**2 - 12 * x - 14 * y + 3


def _two_minima(w: jax.Array, _example: Any) -> jax.Array:
  x, y = w
  deep = jnp.exp(-0.5 * ((x + 1) ** 2 + (y - 1) ** 2))
  shallow = jnp.exp(-0.5 * ((x - 1) ** 2 + (y + 1) ** 2))
  return -2 * deep - shallow


def _saddle(w: jax.Array, s: jax.Array) -> jax.Array:
  x, y = w
  return x**2 - y**2 + 0.5 * y**4 + s.astype(w.dtype) * y


def _plateau(w: jax.Array, _example: Any) -> jax.Array:
  return 0.5 * (jax.nn.sigmoid(w[0]) - 0.1) ** 2


def _ravine(w: jax.Array, _example: Any) -> jax.Array:
  x, y = w
  return 0.5 * (x**2 + 100 * y**2)


def _rosenbrock(w: jax.Array, _example: Any) -> jax.Array:
  x, y = w
  return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def _normal_draws(n: int) -> np.ndarray:
  """N numbers spread as N(0, 1) whose mean is 0 and whose variance is 1."""
  draws = np.array([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)])
  return draws / draws.std()


def _all() -> dict[str, Surface]:
  curve = {'left': (-0.9,), 'right': (2.6,), 'near': (0.6,)}
  solved = neurons.solve(neurons.PAIRS)
  neuron = (float(solved[0]), float(solved[1]))
  several = [
    Surface(
      name='parabola',
      formula='f(x) = 6 x^2 - 12 x + 3',
      cost_of=_parabola,
      variables=('x',),
      domain=((-1.5, 3.5),),
      minima={'the minimum': (1.0,)},
      starts=curve,
      rate=0.03,
      steps=30,
    ),
    Surface(
      name='noisy_parabola',
      formula='f_s(x) = 6 x^2 - 12 x + 3 + s x, s ~ N(0, 1)',
      cost_of=_noisy_parabola,
      variables=('x',),
      domain=((-1.5, 3.5),),
      minima={'the minimum': (1.0,)},
      starts=curve,
      rate=0.03,
      steps=200,
      examples=_normal_draws(_NOISE),
      batch_size=1,
    ),
    Surface(
      name='bowl',
      formula='f(x, y) = 6 x^2 + 9 y^2 - 12 x - 14 y + 3',
      cost_of=_bowl,
      variables=('x', 'y'),
      domain=((-1.5, 3.5), (-1.5, 3.0)),
      minima={'the minimum': (1.0, 7 / 9)},
      starts={'west': (-1.0, 2.2), 'south': (0.4, -1.2), 'east': (3.0, 0.2)},
      rate=0.03,
      steps=40,
    ),
    Surface(
      name='two_minima',
      formula=(
        'f(x, y) = -2 exp(-((x+1)^2 + (y-1)^2)/2) - exp(-((x-1)^2 + (y+1)^2)/2)'
      ),
      cost_of=_two_minima,
      variables=('x', 'y'),
      domain=((-4.0, 4.0), (-4.0, 4.0)),
      minima={
        'the deep minimum': (-0.980383635578, 0.980383635578),
        'the shallow minimum': (0.893974104101, -0.893974104101),
      },
      starts={'north': (0.4, 2.4), 'south': (0.4, -2.5), 'ridge': (2.2, 0.2)},
      rate=0.1,
      steps=200,
    ),
    Surface(
      name='saddle',
      formula='f_s(x, y) = x^2 - y^2 + y^4/2 + s y, s = -1 or 1',
      cost_of=_saddle,
      variables=('x', 'y'),
      domain=((-1.6, 1.6), (-1.6, 1.6)),
      minima={
        'the north minimum': (0.0, 1.0),
        'the south minimum': (0.0, -1.0),
      },
      starts={'axis': (1.0, 0.0), 'beside': (-1.0, 0.02), 'edge': (1.3, -0.3)},
      rate=0.05,
      steps=150,
      examples=np.array([-1.0, 1.0]),
    ),
    Surface(
      name='plateau',
      formula='C(w) = (sigmoid(w) - 0.1)^2 / 2, input 1, target 0.1',
      cost_of=_plateau,
      variables=('w',),
      domain=((-8.0, 12.0),),
      minima={'the minimum': (-float(np.log(9.0)),)},
      starts={'saturated': (10.0,), 'slope': (3.0,), 'near': (0.0,)},
      rate=4.0,
      steps=60,
    ),
    Surface(
      name='ravine',
      formula='f(x, y) = (x^2 + 100 y^2) / 2',
      cost_of=_ravine,
      variables=('x', 'y'),
      domain=((-1.2, 1.2), (-0.6, 0.6)),
      minima={'the minimum': (0.0, 0.0)},
      starts={'west': (-1.0, 0.4), 'east': (1.0, 0.3), 'floor': (-1.1, 0.0)},
      rate=2 / 101,
      steps=100,
    ),
    Surface(
      name='rosenbrock',
      formula='f(x, y) = (1 - x)^2 + 100 (y - x^2)^2',
      cost_of=_rosenbrock,
      variables=('x', 'y'),
      domain=((-2.0, 2.0), (-1.0, 3.0)),
      minima={'the minimum': (1.0, 1.0)},
      starts={'west': (-1.2, 1.0), 'south': (0.2, -0.8), 'north': (0.0, 2.5)},
      rate=0.001,
      steps=2000,
    ),
    Surface(
      name='neuron',
      formula='E/n, E = sum (t - w_1 x_1 - w_2 x_2)^2 / 2 over n pairs',
      cost_of=neurons.linear_cost,
      variables=('w_1', 'w_2'),
      domain=((-1.5, 3.0), (-2.5, 2.0)),
      minima={'the least-squares solution': neuron},
      starts={'west': (-1.0, 1.5), 'south': (0.0, -2.0), 'east': (2.6, 1.4)},
      rate=0.3,
      steps=60,
      examples=neurons.PAIRS,
    ),
  ]
  return {surface.name: surface for surface in several}


SURFACES = _all()


def mean_cost(surface: Surface, w: jax.Array) -> jax.Array:
  """The surface itself at w [d]: the mean over its examples, ()."""
  costs = jax.vmap(surface.cost_of, (None, 0))(w, surface.examples)
  return jnp.mean(costs)


def curvatures(surface: Surface, w: jax.Array) -> jax.Array:
  """Eigenvalues of the Hessian at w, rising, [d].

  A bowl is descended stably below the learning rate 2 / the last of them. All
  are positive at a minimum, and one is negative at a saddle.
  """
  return jnp.linalg.eigvalsh(jax.hessian(mean_cost, argnums=1)(surface, w))
