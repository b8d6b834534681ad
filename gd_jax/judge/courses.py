"""Where optimizers go when they are given the gradients, in float64.

Gradients are given, not taken at the parameters, so that rounding cannot grow
by itself; weight decay sees the parameters. They change at every update, and
their coordinates span seven orders of magnitude, so that eps shows wherever it
stands. One course has a constant rate, another a rate that drops.
"""

import contextlib
import functools
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jax
import numpy as np
import optax

from gd_jax.descent import entries
from gd_jax.descent import schedules
from gd_jax.descent import twins
from gd_jax.descent.entries import Entry
from gd_jax.judge import conventions
from gd_jax.judge.conventions import Course
from gd_jax.judge.conventions import Rule
from gd_jax.types import Schedule
from gd_jax.types import UserError

UPDATES = 200
# Weights and biases, for those that tell a matrix from a vector.
SHAPES = ((6, 5), (6,))
# One course at a constant rate, one at a rate that drops half-way.
RATE = 0.1
DROP = schedules.step(every=UPDATES // 2, factor=0.1)
DROPPING = schedules.scale(DROP, RATE)


class Evidence(NamedTuple):
  """What every side is given, all float64; T = UPDATES."""

  start: tuple[np.ndarray, ...]  # parameters of SHAPES
  gradients: tuple[np.ndarray, ...]  # [T, ...] each
  costs: np.ndarray  # [T], for those that want the cost


class Side(NamedTuple):
  """An optimizer, where it went, and what it claims to be."""

  name: str
  courses: tuple[Course, ...]  # at the constant rate, and at DROP if it can
  rule: Rule | None  # None where the family of conventions has no such rule


def evidence(seed: int = 0) -> Evidence:
  """Normal gradients, each coordinate on its own scale from 1e-6 to 10."""
  rng = np.random.default_rng(seed)
  scales = [10 ** rng.uniform(-6, 1, shape) for shape in SHAPES]
  return Evidence(
    start=tuple(s * rng.normal(size=s.shape) for s in scales),
    gradients=tuple(s * rng.normal(size=(UPDATES, *s.shape)) for s in scales),
    costs=rng.uniform(0.5, 1.0, UPDATES),
  )


def positions(
  walks: Sequence[tuple[Callable[[Any], Any], float | Schedule]],
  given: Evidence,
) -> list[np.ndarray]:
  """The parameters after each update of factory(rate), [T, n] float64 each.

  One program for all (factory, rate): four loops in one compile in half the
  time of four.
  """

  def run(start, rows):
    return [_walk(factory(rate), start, rows) for factory, rate in walks]

  with jax.enable_x64(True):
    found = jax.jit(run)(given.start, (given.gradients, given.costs))
    return [_flat(places) for places in found]


def _walk(optimizer: Any, start: Any, rows: Any) -> Any:
  update = optax.with_extra_args_support(optimizer).update

  def step(carry, row):
    w, state = carry
    g, cost = row
    change, state = update(g, state, w, value=cost, grad=g)
    w = optax.apply_updates(w, change)
    return (w, state), w

  return jax.lax.scan(step, (start, optimizer.init(start)), rows)[1]


def side(
  name: str,
  positions: Sequence[np.ndarray],
  given: Evidence,
  rule: Rule | None = None,
) -> Side:
  """Positions [T, n] at the constant rate, and at DROP, as courses."""
  start = np.concatenate([leaf.ravel() for leaf in given.start])
  gradients = _flat(given.gradients)
  courses = [
    Course(start, gradients, rates, places)
    for rates, places in zip(rates_of_courses(), positions, strict=False)
  ]
  return Side(name, tuple(courses), rule)


def _flat(leaves: Sequence[Any]) -> np.ndarray:
  """Leaves [T, ...] side by side, [T, n]."""
  rows = [np.asarray(leaf).reshape(UPDATES, -1) for leaf in leaves]
  return np.concatenate(rows, axis=1)


def rates_of_courses() -> tuple[np.ndarray, np.ndarray]:
  """The learning rates of the two courses, [T + 1] each."""
  with jax.enable_x64(True):
    dropping = np.asarray(schedules.rates(DROPPING, UPDATES + 1))
  return np.full(UPDATES + 1, RATE), dropping


def sides_of(several: Sequence[Entry], given: Evidence) -> list[Side]:
  """Where entries go; UserError for one that cannot train at all."""
  params = [jax.ShapeDtypeStruct(shape, np.float32) for shape in SHAPES]
  rates: list[list[float | Schedule]] = []
  for entry in several:
    entries.check(entry, params)
    rates.append([RATE])
    with contextlib.suppress(UserError):
      entries.check(entry, params, DROP)
      rates[-1].append(DROPPING)
  walks = [
    (functools.partial(entries.build, entry), rate)
    for entry, own in zip(several, rates, strict=True)
    for rate in own
  ]
  gone = iter(positions(walks, given))
  return [
    side(entry.text, [next(gone) for _ in own], given, claim(entry))
    for entry, own in zip(several, rates, strict=True)
  ]


def side_of(entry: Entry, given: Evidence) -> Side:
  """Where one entry goes, as `sides_of`."""
  return sides_of([entry], given)[0]


def claim(entry: Entry) -> Rule | None:
  """The rule that an entry says it is, for ours and their Optax twins."""
  known = entry.name, entry.hyperparameters
  if entry.implementation == 'optax':
    known = twins.ours(*known)
  if entry.implementation == 'module' or known is None:
    return None
  method, given = known[0], dict(known[1])
  # Optax's rmsprop lets its momentum gather steps, the rate already in them.
  mu = given.pop('momentum', None) if method == 'rmsprop' else None
  look_ahead = given.pop('nesterov', False) if mu else False
  rule = conventions.rule_of(method, given)
  if rule and mu:
    return rule._replace(mu=mu, rate_inside=True, look_ahead=look_ahead)
  return rule
