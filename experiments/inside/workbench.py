"""What every sight of `inspect_run` needs: programs, examples, their cost."""

import functools
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jax
import numpy as np

from experiments import problem as problems
from experiments.inside import tracks
from gd_jax.insight import curvature
from gd_jax.insight import gradients
from gd_jax.insight import landscape
from gd_jax.insight import mistakes
from gd_jax.insight import noise
from gd_jax.insight import totals
from gd_jax.model import costs as model_costs
from gd_jax.pictures import insights
from gd_jax.pictures import plots
from gd_jax.types import Layer
from gd_jax.world import clock

SEED = 0  # of the draws and directions of every sight


class Bench(NamedTuple):
  """One cost surface on the devices, and what was spent on it."""

  subject: tracks.Subject
  mesh: jax.sharding.Mesh
  train: Any  # dealt to the devices
  everywhere: Any  # the training examples on every device
  mean: Callable[..., gradients.Mean]
  multiply: curvature.Product
  slices: Callable[..., Any]
  costs: Callable[..., jax.Array]
  compiled: dict[Any, Any]  # (function, shapes) -> program
  spent: list[float]  # seconds of programs since the last sight
  unit: float  # seconds of one gradient of all training examples
  points: int  # of a grid, along each axis
  lanczos_steps: int


def bench(
  subject: tracks.Subject,
  mesh: jax.sharding.Mesh,
  *,
  points: int,
  lanczos_steps: int,
) -> Bench:
  """Deals the examples and measures the gradient that is the unit of cost."""
  problem = subject.problem
  split = problem.split or landscape.whole(problem.scores_of)
  everywhere = jax.sharding.NamedSharding(mesh, jax.P())
  made = Bench(
    subject=subject,
    mesh=mesh,
    train=totals.deal(problem.train, mesh),
    everywhere=jax.device_put(problem.train, everywhere),
    mean=gradients.mean_of(problem.cost_of, mesh),
    multiply=curvature.product(problem.cost_of, mesh),
    slices=landscape.slice_of(split, mesh),
    costs=landscape.costs_at(problem.cost_of, mesh),
    compiled={},
    spent=[],
    unit=0.0,
    points=points,
    lanczos_steps=lanczos_steps,
  )
  end = subject.tracks[0].params[-1]
  for _ in range(5):
    run(made, made.mean, end, made.train)
  unit = min(made.spent)
  made.spent.clear()
  return made._replace(unit=unit)


def run(made: Bench, function: Callable[..., Any], *arguments: Any) -> Any:
  """function(*arguments), compiled; only its own seconds are counted."""
  shapes = jax.tree.map(lambda leaf: jax.typeof(leaf), arguments)
  key = function, jax.tree.structure(arguments), *jax.tree.leaves(shapes)
  if key not in made.compiled:
    made.compiled[key] = jax.jit(function).lower(*arguments).compile()
  result, span = clock.timed(made.compiled[key], *arguments)
  made.spent.append(clock.seconds(span))
  return result


def sight(
  made: Bench,
  name: str,
  heading: str,
  draw: Callable[[str], Any],
  words: str,
  facts: Sequence[tuple[str, str]],
) -> insights.Sight:
  """A picture with its words, and under them what it cost."""
  seconds = sum(made.spent)
  made.spent.clear()
  units = seconds / made.unit
  counted = f'{units:,.0f}' if units >= 100 else f'{units:.2g}'
  cost = (
    f'cost: {seconds:.3g} s, as long as {counted} gradients '
    f'of all {size(made):,} training examples'
  )
  png = plots.png(draw(f'{words}\n{cost}'))
  return insights.Sight(name, heading, png, words, [*facts, ('cost', cost[6:])])


def host(made: Bench, function: Callable[..., Any], *arguments: Any) -> Any:
  """function(*arguments) in NumPy; its seconds are counted as `run` does."""
  result, span = clock.timed(function, *arguments)
  made.spent.append(clock.seconds(span))
  return result


def pictured(made: Bench, rows: np.ndarray) -> np.ndarray:
  """Rows of pixels as grey images, [n, height, width]; none for no image."""
  shape = made.subject.problem.image
  if len(shape) not in (2, 3):
    return np.zeros((0, 1, 1))
  height, width, *channels = shape
  return rows.reshape(-1, height, width, *(channels or [1])).mean(axis=3)


def size(made: Bench) -> int:
  """How many training examples there are."""
  return problems.size_of(made.subject.problem.train)


def title(made: Bench, track: tracks.Track, step: int | None = None) -> str:
  """What is seen, in a line."""
  at = track.steps[-1] if step is None else step
  return (
    f'{made.subject.problem.words}; {track.label} at '
    f'{track.learning_rate:g}, after {at:,} updates'
  )


def best(made: Bench) -> tracks.Track:
  """The descent that ends lowest: the one that is looked into."""
  ends = costs(made, [track.params[-1] for track in made.subject.tracks])
  made.spent.clear()
  place = int(np.nanargmin(ends)) if np.isfinite(ends).any() else 0
  return made.subject.tracks[place]


def costs(made: Bench, points: Sequence[Any]) -> np.ndarray:
  """The true cost at each of some parameters, [p]."""
  found = run(made, made.costs, landscape.stacked(*points), made.train)
  return np.asarray(found, np.float64)


def on_slice(
  made: Bench, origin: Any, directions: Any, where: np.ndarray
) -> Any:
  """The mean `costs.Scores` at coordinates [p, d] of a slice, float64."""
  dtype = model_costs.dtype_of(origin)
  found = run(
    made, made.slices, origin, directions, where.astype(dtype), made.train
  )
  return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), found)


@functools.cache
def polls(cost_of, mesh):
  """Polls as one program a size."""
  return noise.polls_of(cost_of, mesh)


@functools.cache
def each(cost_of, mesh):
  """Per-example gradients as one program."""
  return gradients.each_of(cost_of, mesh)


@functools.cache
def answers(scores_of, mesh):
  """Answers as one program."""
  return mistakes.answers_of(scores_of, mesh)


def is_network(made: Bench) -> bool:
  """Whether the parameters are layers on images, which have pictures."""
  params = made.subject.tracks[0].params[0]
  first = params[0] if isinstance(params, tuple) and params else None
  return isinstance(first, Layer) and made.subject.problem.split is not None
