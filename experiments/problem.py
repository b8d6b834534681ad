"""What is minimised, put together from the flags: data, network, cost."""

import functools
import itertools
import sys
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jax
import numpy as np

from experiments import brought
from experiments import flags
from experiments import speech
from gd_jax.insight import landscape
from gd_jax.model import costs
from gd_jax.model import mlp
from gd_jax.types import Examples
from gd_jax.types import UserError
from gd_jax.world import data
from gd_jax.world import machine

FLAGS = (
  flags.DATASET,
  flags.DATA_DIR,
  flags.MANUAL_DIR,
  flags.VALIDATION_SIZE,
  flags.LAYER_SIZES,
  flags.INIT,
  flags.ACTIVATION,
  flags.COST,
)


class Problem(NamedTuple):
  """Something with parameters and examples; a network on images, or other."""

  init: Callable[[jax.Array], Any]  # key -> parameters
  cost_of: Callable[[Any, Any], jax.Array]  # (params, example) -> cost
  scores_of: Callable[[Any, Any], costs.Scores]  # (params, example)
  train: Examples  # leaves [n, ...] on the host
  validation: Examples
  test: Examples
  commonest: float  # share of the validation split's commonest class
  fingerprint: str
  words: str  # one line for people
  split: Any = None  # scores_of in two, a `landscape.Split` of our network
  image: tuple[int, ...] = ()  # shape of one input, such as (28, 28, 1)


def size_of(examples: Examples) -> int:
  """How many examples a split has."""
  return jax.tree.leaves(examples)[0].shape[0]


class Kind(NamedTuple):
  """What of a problem --init and --cost may name several of."""

  init: str
  cost: str


def by_kind(values: Mapping[str, Any], dtype: str) -> dict[Kind, Problem]:
  """The problem of the flags for each start and cost that they name.

  Raises:
    UserError: for data that cannot be had and sizes that do not fit it.
  """
  if not values['init']:
    raise UserError('--init names no start: give normal, scaled or both.')
  if not values['cost']:
    raise UserError(
      '--cost names no cost: give quadratic, cross_entropy or both.'
    )
  kinds = list(
    itertools.starmap(Kind, itertools.product(values['init'], values['cost']))
  )
  if values.get('problem'):
    return dict.fromkeys(kinds, from_factory(values['problem']))
  words = (
    f'{" and ".join(values["cost"])} cost, {" and ".join(values["init"])} start'
  )
  return {kind: from_flags(values, dtype, kind, words) for kind in kinds}


def from_factory(text: str) -> Problem:
  """Anyone's own problem, `package.module:factory`, as `brought` wants it.

  Raises:
    UserError: for flags that --problem replaces, and for another shape.
  """
  given = [
    holder.name
    for holder in FLAGS
    if holder.present and holder.name not in ('data_dir', 'manual_dir')
  ]
  if given:
    raise UserError(
      f'--{given[0]} has no meaning with --problem={text}, which brings '
      'its own data and network: leave it out.'
    )
  init, cost_of, dataset, scores_of = brought.problem(text)
  return Problem(
    init,
    cost_of,
    scores_of,
    dataset.train,
    dataset.validation,
    dataset.test,
    commonest=commonest(dataset.validation.y),
    fingerprint=dataset.fingerprint,
    words=in_a_table(text),
  )


def single(values: Mapping[str, Any], dtype: str) -> Problem:
  """The problem of the flags, which name one start and one cost.

  Raises:
    UserError: they name several, or what `by_kind` raises.
  """
  for flag, what in (('init', 'kind of start'), ('cost', 'cost')):
    if len(values[flag]) > 1:
      raise UserError(
        f'--{flag}={",".join(values[flag])} should name one {what} here: '
        f'give {" or ".join(values[flag])}.'
      )
  return next(iter(by_kind(values, dtype).values()))


def from_flags(
  values: Mapping[str, Any], dtype: str, kind: Kind, words: str
) -> Problem:
  """The network of the flags on the images of the flags.

  Raises:
    UserError: for data that cannot be had and sizes that do not fit it.
  """
  ready = data.is_ready(values['dataset'], data_dir=values['data_dir'])
  waiting = not ready and not values.get('quiet')
  if waiting and sys.stderr.isatty():
    speech.warn(f'preparing {values["dataset"]} through TFDS, once ...')
  dataset = data.load(
    values['dataset'],
    data_dir=values['data_dir'],
    manual_dir=values['manual_dir'],
    validation_size=values['validation_size'],
  )
  inputs = dataset.train.x.shape[1]
  sizes = values['layer_sizes'] or [inputs, 30, dataset.classes]
  if len(sizes) < 2 or sizes[0] != inputs or sizes[-1] != dataset.classes:
    raise UserError(
      f'--layer_sizes={",".join(map(str, sizes))} does not fit '
      f'{dataset.name}: begin with its {inputs} inputs and end with its '
      f'{dataset.classes} classes, such as {inputs},30,{dataset.classes}.'
    )
  check_memory(
    weights_of(sizes) * np.dtype(dtype).itemsize,
    f'--layer_sizes={",".join(map(str, sizes))}',
  )
  decode = costs.decode_image(dataset.scale, dataset.classes)
  network = functools.partial(
    mlp.weighted_input, activation=values['activation']
  )
  cost = costs.COSTS[kind.cost]
  shape = '-'.join(map(str, sizes))
  named = in_a_table(dataset.name)
  return Problem(
    init=functools.partial(
      mlp.init, sizes=tuple(sizes), scale=kind.init, dtype=dtype
    ),
    cost_of=costs.example_cost(network, cost, decode),
    scores_of=costs.example_scores(network, cost, decode),
    train=dataset.train,
    validation=dataset.validation,
    test=dataset.test,
    commonest=commonest(dataset.validation.y),
    fingerprint=dataset.fingerprint,
    words=f'{named}, {shape}, {words}',
    split=landscape.Split(
      *costs.split_scores(
        functools.partial(mlp.above, activation=values['activation']),
        cost,
        decode,
      )
    ),
    image=dataset.shape,
  )


def in_a_table(text: str) -> str:
  """A name as ASCII on one line; other characters stand escaped."""
  return ascii(text)[1:-1]


def weights_of(sizes: Sequence[int]) -> int:
  """How many weights such layers have."""
  return sum(a * b for a, b in itertools.pairwise(sizes))


def check_memory(
  weights: int, what: str, lanes: int = 1, flag: str = 'lane_block'
) -> None:
  """Refuses what this machine cannot hold, of so many bytes of weights a lane.

  A smaller value of the flag makes the lanes fewer.

  Raises:
    UserError: with what parameters and an optimizer's memory would take.
  """
  needed = 4 * lanes * weights  # parameters, gradient and two moments
  there = machine.memory()
  if needed > there:
    fewer = f' or a smaller --{flag}' if lanes > 1 else ''
    raise UserError(
      f'{what} takes {needed / 2**30:,.0f} GiB to train'
      f'{f" {lanes} lanes at once" if lanes > 1 else ""} and there are '
      f'{there / 2**30:,.0f}: give smaller layers{fewer}.'
    )


def check_rate(rate: float, dtype: str) -> None:
  """Refuses a learning rate that is 0 or infinite in the dtype.

  Raises:
    UserError: naming the rate and the bounds.
  """
  bounds = np.finfo(dtype)
  if not float(bounds.tiny) <= rate <= float(bounds.max):
    raise UserError(
      f'the learning rate {rate:g} is no {dtype} number above 0: give one '
      f'from {bounds.tiny:.2g} to {bounds.max:.2g}.'
    )


def commonest(labels: Any) -> float:
  """The share of the commonest label: what naming it always would score."""
  return np.bincount(labels).max() / len(labels) if len(labels) else 0.0


def batch_size(
  value: int | str, problem: Problem, flag: str = 'batch_size'
) -> int:
  """Examples an update: the number itself, or all of them for 'full'.

  Raises:
    UserError: for a mini-batch larger than the train split.
  """
  examples = size_of(problem.train)
  if value == flags.FULL:
    return examples
  if int(value) > examples:
    raise UserError(
      f'--{flag}={value} is larger than the {examples} training '
      f'examples: give at most that, or --{flag}={flags.FULL}.'
    )
  return int(value)
