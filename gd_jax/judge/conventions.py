"""The conventions that update rules differ in, as one family in NumPy.

    g <- g + decay w                      where the decay is coupled
    m <- b1 m + m_gain g                  m' = m / (1 - b1^t)   where corrected
    s <- b2 s + s_gain g^2                s' = s / (1 - b2^t)   where corrected
    d = m' / (sqrt(s' + eps_root) + eps)  d = m' where nothing divides
    v <- mu v + v_gain d                  eta d where the rate is inside
    w <- w - eta (v + decay w)            d + mu v for v where it looks ahead

Every method of `descent.optimizers` is a member, and so is each of the ways in
which the libraries and the papers disagree: to name a difference is to find the
member that does the same.
"""

import inspect
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from gd_jax.descent import twins


class Rule(NamedTuple):
  """A member of the family; in `follow` each field is an array [rules, 1]."""

  b1: Any = 0.0
  m_gain: Any = 1.0
  m_corrected: Any = False
  b2: Any = 0.0
  s_gain: Any = 0.0
  s_start: Any = 0.0
  s_corrected: Any = False
  divides: Any = False
  eps: Any = 0.0
  eps_root: Any = 0.0
  eps_hat: Any = False  # eps is added to sqrt(s), not to sqrt(s')
  mu: Any = 0.0
  v_gain: Any = 1.0
  look_ahead: Any = False
  rate_inside: Any = False
  decay: Any = 0.0
  coupled: Any = False
  decay_by_rate: Any = True
  first: Any = 1  # t of the first update
  counted_from: Any = 0  # what the schedule is told at the first update
  sign: Any = 1.0


def rule_of(method: str, hyperparameters: dict[str, Any]) -> Rule | None:
  """The member that our `method` is; None for one that no member is.

  None too for hyperparameters that are not ours.
  """
  keys = inspect.signature(twins.TWINS[method].ours).parameters
  given = {
    key: parameter.default
    for key, parameter in keys.items()
    if parameter.kind == parameter.KEYWORD_ONLY
  } | hyperparameters
  if not set(given) <= set(keys):
    return None
  mu = given.get('mu', 0.0)
  if method in ('sgd', 'momentum', 'nesterov'):
    return Rule(mu=mu, look_ahead=method == 'nesterov')
  if method not in ('adagrad', 'rmsprop', 'adam', 'adamw'):
    return None
  rule = Rule(divides=True, eps=given['eps'])
  if method == 'adagrad':
    start = given['initial_accumulator_value']
    rule = rule._replace(b2=1.0, s_gain=1.0, s_start=start)
    return rule._replace(eps_root=given['eps'], eps=0.0)
  if method == 'rmsprop':
    decay, start = given['decay'], given['initial_scale']
    rule = rule._replace(b2=decay, s_gain=1 - decay, s_start=start)
    inside = {'eps_root': given['eps'], 'eps': 0.0}
    return rule._replace(**inside) if given['eps_in_sqrt'] else rule
  b1, b2 = given['b1'], given['b2']
  rule = rule._replace(b1=b1, m_gain=1 - b1, b2=b2, s_gain=1 - b2)
  rule = rule._replace(m_corrected=True, s_corrected=True)
  decay = given.get('weight_decay', 0.0)
  return rule._replace(eps_root=given['eps_root'], decay=decay)


def follow(
  rules: Sequence[Rule],
  start: np.ndarray,
  gradients: np.ndarray,
  rates: np.ndarray,
) -> Iterator[np.ndarray]:
  """W [rules, n] after each update, from `start` [n] by `gradients` [T, n].

  `rates` [T + 1] are the schedule's values; the last is for those that count
  from 1.
  """
  c = Rule(*(np.array(field)[:, None] for field in zip(*rules, strict=True)))
  w = np.tile(start, (len(rules), 1))
  m, v = np.zeros_like(w), np.zeros_like(w)
  s = np.zeros_like(w) + c.s_start
  for k, gradient in enumerate(gradients):
    eta = c.sign * rates[k + c.counted_from]
    t = k + c.first
    g = gradient + np.where(c.coupled, c.decay, 0.0) * w
    m = c.b1 * m + c.m_gain * g
    s = c.b2 * s + c.s_gain * g * g
    m_scale = np.where(c.m_corrected, 1 - c.b1**t, 1.0)
    s_scale = np.where(c.s_corrected, 1 - c.b2**t, 1.0)
    eps = np.where(c.eps_hat, c.eps / np.sqrt(s_scale), c.eps)
    divisor = np.where(c.divides, np.sqrt(s / s_scale + c.eps_root) + eps, 1.0)
    d = np.where(c.rate_inside, eta, 1.0) * m / m_scale / divisor
    v = c.mu * v + c.v_gain * d
    step = np.where(c.look_ahead, d + c.mu * v, v)
    step = np.where(c.rate_inside, 1.0, eta) * step
    pull = np.where(c.decay_by_rate, eta, 1.0) * c.decay
    w = w - step - np.where(c.coupled, 0.0, pull) * w
    yield w


class Course(NamedTuple):
  """Where an optimizer went under one schedule, and what drove it."""

  start: np.ndarray  # [n]
  gradients: np.ndarray  # [T, n]
  rates: np.ndarray  # [T + 1] of the schedule
  positions: np.ndarray  # [up to T, n] after each update


def distances(rules: Sequence[Rule], courses: Sequence[Course]) -> np.ndarray:
  """How far each rule strays from the courses, relative to their movement."""
  worst = np.zeros(len(rules))
  for start, gradients, rates, positions in courses:
    movement = np.max(np.abs(positions - start), axis=0)
    steps = follow(rules, start, gradients[: len(positions)], rates)
    with np.errstate(all='ignore'):
      for w, wanted in zip(steps, positions, strict=True):
        apart = np.max(np.abs(w - wanted) / movement, axis=1)
        worst = np.maximum(worst, np.nan_to_num(apart, nan=np.inf))
  return worst
