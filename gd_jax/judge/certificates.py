"""Is this optimizer that one? A certificate, or the convention that parts them.

    largest = max over updates k and coordinates i of
              |a_ki - b_ki| / max over k of |a_ki - start_i|, |b_ki - start_i|

on the gradients of `courses`: every coordinate is held to its own movement.
"""

import inspect
from typing import NamedTuple

import numpy as np

from gd_jax.descent import entries
from gd_jax.descent.entries import Entry
from gd_jax.judge import conventions
from gd_jax.judge import courses
from gd_jax.judge import edits
from gd_jax.judge.conventions import Course
from gd_jax.judge.conventions import Rule
from gd_jax.judge.courses import Side

TOLERANCE = 1e-13  # between two programs in JAX
TORCH_TOLERANCE = 1e-12  # between JAX and PyTorch
# Between a program and its rule in NumPy: decay that is coupled to a gradient
# of 1e-6 makes rounding grow a millionfold in 200 updates.
_LOOSE = 1e-7

# Far from the defaults, so that a hyperparameter that is ignored shows.
TRIALS = {
  'sgd': 'sgd',
  'momentum': 'momentum+mu=0.7',
  'nesterov': 'nesterov+mu=0.7',
  'adagrad': 'adagrad+initial_accumulator_value=0.02+eps=1e-05',
  'rmsprop': 'rmsprop+decay=0.8+eps=1e-05+initial_scale=0.3',
  'adam': 'adam+b1=0.8+b2=0.95+eps=1e-05+eps_root=1e-09',
  'adamw': 'adamw+b1=0.8+b2=0.95+eps=1e-05+weight_decay=0.03',
}


class Certificate(NamedTuple):
  """Whether two optimizers are one."""

  a: str
  b: str
  identical: bool
  largest: float  # difference relative to the movement, inf if not finite
  update: int  # the first, from 1, that is beyond the tolerance; 0 if none
  updates: int
  scheduled: bool  # also under a rate that drops
  verdict: str  # 'identical' or 'differs because ...'


def certify(a: Side, b: Side, *, tolerance: float = TOLERANCE) -> Certificate:
  """Compares two sides on every course that both went."""
  runs = list(zip(a.courses, b.courses, strict=False))
  apart = np.stack([_apart(x, y) for x, y in runs])
  beyond = np.any(apart > tolerance, axis=0)
  update = int(np.argmax(beyond)) + 1 if beyond.any() else 0
  verdict = 'identical'
  if update:
    reason = _reason(a, b)
    verdict = f'differs from update {update} on, by no convention tried'
    if reason:
      verdict = f'differs because {reason}, from update {update} on'
    if len(runs) > 1 and np.max(apart[0]) <= tolerance:
      verdict += ', equal while the rate is constant'
  return Certificate(
    a=a.name,
    b=b.name,
    identical=not update,
    largest=float(np.max(apart)),
    update=update,
    updates=courses.UPDATES,
    scheduled=len(runs) > 1,
    verdict=verdict,
  )


def _apart(x: Course, y: Course) -> np.ndarray:
  """The largest difference after each update, [T], inf where not finite."""
  moved = np.maximum(
    np.max(np.abs(x.positions - x.start), axis=0),
    np.max(np.abs(y.positions - y.start), axis=0),
  )
  relative = np.abs(x.positions - y.positions) / np.where(moved > 0, moved, 1)
  return np.max(np.where(np.isfinite(relative), relative, np.inf), axis=1)


def _reason(a: Side, b: Side) -> str:
  """What one side does and the other does not; '' where it is not found."""
  known = [
    (here, here.rule, there)
    for here, there in ((b, a), (a, b))
    if here.rule and conventions.distances([here.rule], _some(here)) <= _LOOSE
  ]
  for _, rule, there in known:
    if words := edits.explain(rule, _some(there), _LOOSE):
      return f'{there.name} {" and ".join(words)}'
  if len(known) < 2:
    return ''
  (_, theirs, _), (_, ours, _) = known
  told = [
    f'{key} is {x:g} in {a.name} and {y:g} in {b.name}'
    for key, x, y in zip(Rule._fields, ours, theirs, strict=True)
    if x != y
  ]
  return ', '.join(told)


def _some(side: Side) -> list[Course]:
  """Its courses on a fifth of the coordinates: enough to tell, and faster."""
  return [
    Course(c.start[::5], c.gradients[:, ::5], c.rates, c.positions[:, ::5])
    for c in side.courses
  ]


def certify_entries(a: Entry, b: Entry) -> Certificate:
  """Whether two entries are one optimizer, as typed.

  Where no hyperparameter was typed, also at those of TRIALS that both take, so
  that it is not the defaults alone that agree.
  """
  given = courses.evidence()
  typed = certify(*courses.sides_of([a, b], given))
  trial = _trial(a, b)
  if not (typed.identical and trial):
    return typed
  return certify(*courses.sides_of(trial, given))


def certify_twins() -> list[Certificate]:
  """Each of ours against its Optax twin, far from the defaults."""
  given = courses.evidence()
  return [
    certify(*courses.sides_of([ours, entries.twin(ours)], given))
    for ours in map(entries.parse, TRIALS.values())
  ]


def _trial(a: Entry, b: Entry) -> list[Entry]:
  """Both, given the hyperparameters of TRIALS that both take; [] for none."""
  names = [entry.name for entry in (a, b) if entry.implementation != 'module']
  method = next((name for name in names if name in TRIALS), None)
  if method is None or a.hyperparameters or b.hyperparameters:
    return []
  given = entries.parse(TRIALS[method]).hyperparameters
  for entry in (a, b):
    keys = inspect.signature(entry.factory).parameters
    given = {key: value for key, value in given.items() if key in keys}
  spelled = ''.join(f'+{key}={value}' for key, value in given.items())
  if not given:
    return []
  return [
    e._replace(text=e.text + spelled, hyperparameters=given) for e in (a, b)
  ]


def sentence(certificate: Certificate) -> str:
  """The certificate in one line of ASCII."""
  c = certificate
  rates = 'a constant rate'
  rates += ' and one that drops' if c.scheduled else ''
  return (
    f'{c.a} = {c.b}: {c.verdict}; largest difference {c.largest:.1e} of the'
    f' movement in {c.updates} updates at {rates}'
  )
