"""A text names an optimizer: ours, any of Optax, or anyone's own.

    NAME              ours, such as adam
    MODULE:ATTRIBUTE  anything else: optax:lion, optax:contrib.muon,
                      my.module:factory
    +key=value        hyperparameters, Python literals
    @RATE             the centre of its grid of learning rates

such as `optax:sgd+momentum=0.95+nesterov=True@0.1`. Importing the module is the
only code that reading an entry runs. `build` then calls the factory, inside the
traced program, with the learning rate and the hyperparameters as keywords; it
returns Optax's (init, update).
"""

import math
import re
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import jax
import optax

from gd_jax.descent import factories
from gd_jax.descent import schedules
from gd_jax.descent import specs
from gd_jax.descent import twins
from gd_jax.types import Optimizer
from gd_jax.types import Schedule
from gd_jax.types import UserError
from gd_jax.types import named

_UNKNOWN_CENTRE = 0.01
_KEY_BEFORE = re.compile(r'\+[A-Za-z_]\w*$', re.ASCII)


class Entry(NamedTuple):
  """An optimizer as the user names it, before its learning rate is known."""

  text: str  # as typed; every table shows it
  implementation: str  # 'ours', 'optax' or 'module'
  name: str  # 'adam', 'contrib.muon' of Optax, 'my.module:factory'
  factory: Callable[..., Any]
  rate_argument: str  # the factory's keyword for the learning rate
  hyperparameters: dict[str, Any]
  centre: float  # learning rate in the middle of the grid
  centre_source: str  # 'entry', 'table', 'factory' (its default) or 'unknown'


def parse(text: str) -> Entry:
  """The entry that `text` spells; UserError says what else was expected."""
  text = text.strip(' ')
  head, at, rate = text.rpartition('@')
  if not at or not set(rate).isdisjoint('\'"'):
    head, at, rate = text, '', ''
  spelled, hyperparameters = specs.parse(head, 'optimizer')
  implementation, name, factory = factories.find(spelled)
  reason = ''
  if implementation == 'optax':
    reason = twins.refusal(name, hyperparameters)
  rate_argument, default, misfit = factories.fit(factory, hyperparameters)
  if reason or misfit:
    raise UserError(
      f'The optimizer {specs.quoted(text)} is refused: {reason or misfit}'
    )
  centre, source = _UNKNOWN_CENTRE, 'unknown'
  if at:
    centre, source = _rate(rate, text), 'entry'
  elif known := _table_centre(implementation, name, hyperparameters):
    centre, source = known, 'table'
  elif isinstance(default, int | float) and 0 < default < math.inf:
    centre, source = float(default), 'factory'
  return Entry(
    text,
    implementation,
    name,
    factory,
    rate_argument,
    hyperparameters,
    centre,
    source,
  )


def parse_pair(text: str) -> tuple[Entry, Entry]:
  """The two entries of A=B, such as `my.module:adam=optax:adam`.

  Raises:
    UserError: not two are named, or one is no entry.
  """
  cuts = [
    found.start()
    for found in re.finditer('=', text)
    if not _KEY_BEFORE.search(text[: found.start()])
  ]
  if len(cuts) != 1:
    raise UserError(
      f'The pair {specs.quoted(text)} names {len(cuts) + 1} optimizers:'
      ' expected A=B, such as adam=optax:adam.'
    )
  return parse(text[: cuts[0]]), parse(text[cuts[0] + 1 :])


def twin(entry: Entry) -> Entry:
  """Optax's optimizer of the same equation as one of ours, at its centre."""
  name, hyperparameters = twins.theirs(entry.name, entry.hyperparameters)
  keys = ''.join(f'+{key}={value!r}' for key, value in hyperparameters.items())
  rate = f'@{entry.centre!r}' if entry.centre_source == 'entry' else ''
  return parse(f'optax:{name}{keys}{rate}')


def build(
  entry: Entry, learning_rate: Any, schedule: Schedule | None = None
) -> Optimizer:
  """The optimizer at a learning rate, a number or a traced array.

  `schedule` is the shape that multiplies the rate. Raises UserError where the
  factory fails or returns no (init, update).
  """
  rate = learning_rate
  if schedule is not None:
    rate = schedules.scale(schedule, learning_rate)
  arguments = {entry.rate_argument: rate, **entry.hyperparameters}
  try:
    made = entry.factory(**arguments)
  except Exception as error:
    raise UserError(
      f'The optimizer {entry.text} cannot be made, its factory fails with'
      f' {named(error)}: check the values of its hyperparameters.'
    ) from error
  plain = type(made) is tuple and len(made) == 2
  optimizer: Any = Optimizer(*made) if plain else made
  parts = [getattr(optimizer, part, None) for part in ('init', 'update')]
  if not all(callable(part) for part in parts):
    raise UserError(
      f'The optimizer {entry.text} is no optimizer: expected a factory that'
      ' returns (init, update) as an optax.GradientTransformation does, found'
      f' one that returns a {type(made).__name__}.'
    )
  return optimizer


def check(entry: Entry, params: Any, schedule: Schedule | None = None) -> None:
  """Refuses an entry that cannot train `params`, arrays or their shapes.

  Traces one update and computes nothing. Raises UserError with what was
  expected; where only the schedule is in the way, it says that.
  """
  _trace(entry, params, None)
  if schedule is not None:
    try:
      _trace(entry, params, schedule)
    except UserError as error:
      raise UserError(
        f'The optimizer {entry.text} takes no schedule, only a number as its'
        f' {entry.rate_argument}: use --schedule=constant or leave it out.'
      ) from error


def _trace(entry: Entry, params: Any, schedule: Schedule | None) -> None:
  number = jax.ShapeDtypeStruct((), jax.tree.leaves(params)[0].dtype)

  def update(params, grad, rate, cost):
    optimizer = build(entry, rate, schedule)
    state = optimizer.init(params)
    return state, *optax.with_extra_args_support(optimizer).update(
      grad, state, params, value=cost, grad=grad
    )

  reason = ''
  try:
    state, change, new = jax.eval_shape(update, params, params, number, number)
    if _form(change) != _form(params):
      reason = 'its update is unlike the parameters in structure or dtype'
    elif _form(new) != _form(state):
      reason = 'an update changes the structure or the dtype of its state'
  except UserError:
    raise
  except Exception as error:
    reason = f'one update fails with {named(error)}'
  if reason:
    raise UserError(
      f'The optimizer {entry.text} cannot train here: expected init(params)'
      f' and update(gradients, state, params), but {reason}.'
    )


def _form(tree: Any) -> Any:
  leaves, structure = jax.tree.flatten(tree)
  return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]


def _table_centre(
  implementation: str, name: str, hyperparameters: dict[str, Any]
) -> float | None:
  if implementation == 'ours':
    return twins.TWINS[name].centre
  if implementation == 'optax':
    return twins.centre(name, hyperparameters)
  return None


def _rate(text: str, entry: str) -> float:
  try:
    rate = float(text)
  except ValueError:
    rate = math.nan
  if not 0 < rate < math.inf:
    raise UserError(
      f'The optimizer {specs.quoted(entry)} has {specs.quoted("@" + text)}:'
      ' expected @ and a positive finite learning rate, such as @0.1.'
    )
  return rate
