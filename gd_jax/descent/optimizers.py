"""Seven ways down a slope, each as its equation, in Optax's exact contract.

    w <- w - eta d,   d made of the gradient g,   t = 1, 2, 3, ... the update

A factory takes the learning rate eta, a number, a traced array or a schedule of
the updates already made (0 for the first), and hyperparameters, which may be
traced too. State and updates follow the parameters' dtype whatever the dtype of
the rate. Every operation is elementwise over the leaves of any pytree. The
defaults, and where eps stands, are Optax's; `twins` names them in Optax.
"""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gd_jax.types import Optimizer
from gd_jax.types import Schedule

Rate = float | jax.Array | Schedule
Number = float | jax.Array

# (gradient, memory, params, t) -> (d, memory); trees like the parameters.
Direction = Callable[[Any, Any, Any, jax.Array], tuple[Any, Any]]


class State(NamedTuple):
  """What an optimizer carries from one update to the next."""

  count: jax.Array  # [] int32, updates already made
  memory: Any  # the method's own: Velocity, Squares, Moments, or nothing


def _descend(
  learning_rate: Rate,
  remember: Callable[[Any], Any],
  direction: Direction,
) -> Optimizer:
  """The change -eta d: the one minus sign, the one rate and the one count.

  `remember(params)` is the memory at the start.
  """

  def init(params):
    return State(jnp.zeros((), jnp.int32), remember(params))

  def update(updates, state, params=None):
    count = state.count
    eta = learning_rate(count) if callable(learning_rate) else learning_rate
    t = jnp.asarray(optax.safe_increment(count))
    d, memory = direction(updates, state.memory, params, t)
    change = jax.tree.map(lambda d: _as(-eta, d) * d, d)
    return change, State(t, memory)

  return Optimizer(init, update)


def _as(number: Number, leaf: jax.Array) -> jax.Array:
  return jnp.asarray(number, leaf.dtype)


def _full_like(params: Any, number: Number) -> Any:
  return jax.tree.map(lambda w: jnp.full_like(w, _as(number, w)), params)


def sgd(learning_rate: Rate) -> Optimizer:
  """Gradient descent: d = g. Robbins and Monro, 1951.

  Stochastic only through the mini-batch that g is the mean gradient of. PyTorch
  and Optax agree.
  """

  def direction(g, memory, _params, _t):
    return g, memory

  return _descend(learning_rate, lambda _params: (), direction)


class Velocity(NamedTuple):
  """Memory of momentum and nesterov."""

  v: Any  # as the parameters


def momentum(learning_rate: Rate, *, mu: Number = 0.9) -> Optimizer:
  """Heavy ball: v <- mu v + g, d = v. Polyak, 1964.

  eta stands outside the velocity, as in Optax's `trace` and in PyTorch with
  dampening 0 (with dampening, PyTorch leaves the first gradient undamped).
  Papers write v <- mu v - eta g: the same at a constant rate only; after a drop
  of the rate theirs rolls on at the old one.
  """

  def direction(g, memory, _params, _t):
    v = jax.tree.map(lambda g, v: _as(mu, g) * v + g, g, memory.v)
    return v, Velocity(v)

  return _descend(learning_rate, _at_rest, direction)


def nesterov(learning_rate: Rate, *, mu: Number = 0.9) -> Optimizer:
  """Nesterov, 1983: v <- mu v + g, d = g + mu v.

  w is the point looked ahead to, where g was taken, as Sutskever et al. (2013)
  rewrite it, and as PyTorch and Optax do; the paper's own iterate is
  w + eta mu v. mu = 0 is sgd.
  """

  def direction(g, memory, _params, _t):
    v = jax.tree.map(lambda g, v: _as(mu, g) * v + g, g, memory.v)
    return jax.tree.map(lambda g, v: g + _as(mu, g) * v, g, v), Velocity(v)

  return _descend(learning_rate, _at_rest, direction)


def _at_rest(params: Any) -> Velocity:
  return Velocity(_full_like(params, 0))


class Squares(NamedTuple):
  """Memory of adagrad and rmsprop."""

  s: Any  # as the parameters: sum or average of squared gradients


def adagrad(
  learning_rate: Rate,
  *,
  initial_accumulator_value: Number = 0.1,
  eps: Number = 1e-7,
) -> Optimizer:
  """Sum of squares: s <- s + g^2, d = g / sqrt(s + eps). Duchi et al., 2011.

  s starts at 0.1, and a coordinate with s = 0 stays. PyTorch starts at 0 and
  divides by sqrt(s) + eps, eps = 1e-10, as the paper does with its delta: equal
  to ours only where start and eps are 0.
  """

  def remember(params):
    return Squares(_full_like(params, initial_accumulator_value))

  def scaled(g, s):
    return jnp.where(s > 0, jax.lax.rsqrt(s + _as(eps, s)), _as(0, s)) * g

  def direction(g, memory, _params, _t):
    s = jax.tree.map(lambda g, s: s + g * g, g, memory.s)
    return jax.tree.map(scaled, g, s), Squares(s)

  return _descend(learning_rate, remember, direction)


def rmsprop(
  learning_rate: Rate,
  *,
  decay: Number = 0.9,
  eps: Number = 1e-8,
  initial_scale: Number = 0.0,
  eps_in_sqrt: bool = True,
) -> Optimizer:
  """Their average: s <- decay s + (1 - decay) g^2, d = g / sqrt(s + eps).

  Hinton's lecture 6e, 2012; s starts at 0 and nothing corrects for that. With
  `eps_in_sqrt=False` the divisor is sqrt(s) + eps, which is PyTorch's, whose
  decay is 0.99 by default.
  """

  def remember(params):
    return Squares(_full_like(params, initial_scale))

  def average(g, s):
    return _as(decay, g) * s + _as(1 - decay, g) * (g * g)

  def scaled(g, s):
    if eps_in_sqrt:
      return jax.lax.rsqrt(s + _as(eps, s)) * g
    return g / (jnp.sqrt(s) + _as(eps, s))

  def direction(g, memory, _params, _t):
    s = jax.tree.map(average, g, memory.s)
    return jax.tree.map(scaled, g, s), Squares(s)

  return _descend(learning_rate, remember, direction)


class Moments(NamedTuple):
  """Memory of adam and adamw."""

  m: Any  # as the parameters: average of gradients
  v: Any  # as the parameters: average of squared gradients


def adam(
  learning_rate: Rate,
  *,
  b1: Number = 0.9,
  b2: Number = 0.999,
  eps: Number = 1e-8,
  eps_root: Number = 0.0,
) -> Optimizer:
  """Averages of g and g^2, corrected for their start at 0. Kingma and Ba, 2015.

      m <- b1 m + (1 - b1) g         m' = m / (1 - b1^t)
      v <- b2 v + (1 - b2) g^2       v' = v / (1 - b2^t)
      d = m' / (sqrt(v' + eps_root) + eps)

  As the paper's algorithm 1 and PyTorch at eps_root = 0. TensorFlow follows the
  paper's remark instead (eps-hat): eps is added to sqrt(v), not to sqrt(v').
  b1 = 0 is rmsprop with the correction.
  """
  direction = _adaptive(b1=b1, b2=b2, eps=eps, eps_root=eps_root)
  return _descend(learning_rate, _no_moments, direction)


def adamw(
  learning_rate: Rate,
  *,
  b1: Number = 0.9,
  b2: Number = 0.999,
  eps: Number = 1e-8,
  eps_root: Number = 0.0,
  weight_decay: Number = 1e-4,
) -> Optimizer:
  """Adam's d + lambda w: decay of the weights. Loshchilov and Hutter, 2019.

  lambda never enters the averages, as it does in PyTorch's
  `Adam(weight_decay=...)`. The rate multiplies lambda, as in Optax and PyTorch
  (whose default is 1e-2); in the paper only the schedule does. Raises
  ValueError where `update` is given no parameters.
  """
  adaptive = _adaptive(b1=b1, b2=b2, eps=eps, eps_root=eps_root)

  def direction(g, memory, params, t):
    if params is None:
      raise ValueError('adamw decays the weights: give update the params.')
    d, memory = adaptive(g, memory, params, t)
    d = jax.tree.map(lambda d, w: d + _as(weight_decay, w) * w, d, params)
    return d, memory

  return _descend(learning_rate, _no_moments, direction)


def _no_moments(params: Any) -> Moments:
  return Moments(_full_like(params, 0), _full_like(params, 0))


def _adaptive(
  *, b1: Number, b2: Number, eps: Number, eps_root: Number
) -> Direction:
  """The direction of adam, which adamw shares."""

  def first(g, m):
    return _as(b1, g) * m + _as(1 - b1, g) * g

  def second(g, v):
    return _as(b2, g) * v + _as(1 - b2, g) * (g * g)

  def direction(g, memory, _params, t):
    # Scalars, once an update: products with them are cheaper than divisions.
    m_scale, v_scale = 1 / (1 - b1**t), 1 / (1 - b2**t)

    def scaled(m, v):
      root = jnp.sqrt(v * _as(v_scale, v) + _as(eps_root, v))
      return m * _as(m_scale, m) / (root + _as(eps, v))

    m = jax.tree.map(first, g, memory.m)
    v = jax.tree.map(second, g, memory.v)
    return jax.tree.map(scaled, m, v), Moments(m, v)

  return direction
