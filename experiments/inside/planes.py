"""The cost surface round a run: slices and projections."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import flatten_util

from experiments.inside import tracks
from experiments.inside import workbench
from experiments.inside.workbench import Bench
from gd_jax.insight import landscape
from gd_jax.insight import principal
from gd_jax.pictures import answers
from gd_jax.pictures import landscapes
from gd_jax.pictures.insights import Sight


def surroundings(made: Bench, track: tracks.Track) -> Sight:
  """Two random directions through the end, filter-normalised."""
  params = track.params[-1]
  keys = jax.random.split(jax.random.key(workbench.SEED), 2)
  directions = landscape.stacked(
    *(
      landscape.filter_normalised(
        landscape.random_direction(key, params), params
      )
      for key in keys
    )
  )
  axis = np.linspace(-1, 1, made.points)
  where = landscape.grid(axis, axis)
  fine = np.linspace(-1, 1, 2 * made.points - 1)
  lines = np.concatenate(
    [np.stack([fine, 0 * fine], 1), np.stack([0 * fine, fine], 1)]
  )
  shown = np.concatenate([where, lines])
  costs = workbench.on_slice(made, params, directions, shown).cost
  names = 'first random direction', 'second random direction'
  section = landscapes.Section(
    axis, axis, costs[: len(where)].reshape(made.points, -1), names
  )
  along = costs[len(where) :].reshape(2, -1)
  end = along[0][made.points - 1]
  words = (
    f'{made.points} x {made.points} points, each the mean over all '
    f'{workbench.size(made):,} training examples; the star is the trained '
    f'network, C = {end:.4g}. Directions are filter-normalised: at 1 every '
    "neuron's weights have moved by their own length; biases stay."
  )
  return workbench.sight(
    made,
    'surroundings',
    'Round the end',
    functools.partial(
      landscapes.surroundings,
      section,
      {name: (fine, cost) for name, cost in zip(names, along, strict=True)},
      workbench.title(made, track),
    ),
    words,
    [
      ('cost at the end', f'{end:.4g}'),
      ('lowest on the plane', f'{section.cost.min():.4g}'),
      ('highest on the plane', f'{section.cost.max():.4g}'),
    ],
  )


def trajectories(made: Bench) -> Sight:
  """Every descent on the plane of their principal directions (T10)."""
  everything = made.subject.tracks
  _, unravel = flatten_util.ravel_pytree(everything[0].params[0])
  vectors = [
    np.stack([flatten_util.ravel_pytree(p)[0] for p in track.params])
    for track in everything
  ]
  found = principal.of_points(np.concatenate(vectors))
  points = [principal.coordinates(found, each) for each in vectors]
  (left, right), (low, high) = principal.frame(points)
  first = np.linspace(left, right, made.points)
  second = np.linspace(low, high, made.points)
  dtype = vectors[0].dtype
  origin = unravel(jnp.asarray(found.mean, dtype))
  directions = jax.vmap(unravel)(jnp.asarray(found.directions, dtype))
  grid = landscape.grid(first, second)
  shown = np.concatenate([grid, *points])
  costs = workbench.on_slice(made, origin, directions, shown).cost
  section = landscapes.Section(
    first,
    second,
    costs[: len(grid)].reshape(len(second), len(first)),
    named(found),
  )
  at, paths, gaps = len(grid), [], []
  for track, each in zip(everything, points, strict=True):
    true = workbench.costs(made, track.params)
    below = costs[at : at + len(each)]
    at += len(each)
    gaps.append(np.abs(np.log(below / true)))
    label = f'{track.label} at {track.learning_rate:.3g}, C = {true[-1]:.3g}'
    paths.append(landscapes.Path(track.entry, label, each, true, below))
  gap = np.exp(np.median(np.concatenate(gaps)))
  counted = 'one descent' if len(paths) == 1 else f'{len(paths)} descents'
  words = (
    f'Snapshots of {counted} on the plane that explains '
    f'{100 * found.share.sum():.1f} % of their variance; circles are starts, '
    'squares ends. A projection lies: right, the true cost of every snapshot '
    f'against the contour under it, apart by a factor of {gap:.2f} in the '
    'median.'
  )
  facts = [
    ('variance explained', f'{100 * found.share.sum():.2f} %'),
    ('true cost against contour, median factor', f'{gap:.3f}'),
    *((path.label, f'contour {path.shown[-1]:.4g}') for path in paths),
  ]
  return workbench.sight(
    made,
    'trajectories',
    'Where the descents went',
    functools.partial(
      landscapes.plane, section, paths, made.subject.problem.words
    ),
    words,
    facts,
  )


def named(found: principal.Principal) -> tuple[str, str]:
  """The names of the two axes, with what they explain."""
  first, second = 100 * found.share
  return (
    f'principal direction 1: {first:.2f} % of the variance',
    f'principal direction 2: {second:.2f} % of the variance',
  )


class Line(NamedTuple):
  """The cost on the line between two ends, and a little beyond."""

  t: np.ndarray  # the first end at 0, the other at 1
  cost: np.ndarray
  ends: tuple[float, float]
  barrier: float  # how far the cost rises above the higher end
  apart: float  # in lengths of the first


def line(made: Bench, first: tracks.Track, other: tracks.Track) -> Line:
  """The line from the end of one descent to that of another."""
  t = np.linspace(-0.25, 1.25, 2 * made.points - 1)
  start = flatten_util.ravel_pytree(first.params[-1])[0]
  direction = jax.tree.map(
    lambda b, a: b - a, other.params[-1], first.params[-1]
  )
  cost = workbench.on_slice(
    made, first.params[-1], landscape.stacked(direction), t[:, None]
  ).cost
  low, high = np.interp([0, 1], t, cost)
  barrier = max(0.0, cost[(t >= 0) & (t <= 1)].max() - max(low, high))
  length = np.linalg.norm(flatten_util.ravel_pytree(direction)[0])
  apart = float(length / np.linalg.norm(start))
  return Line(t, cost, (float(low), float(high)), float(barrier), apart)


def between(made: Bench) -> Sight:
  """The cost on the lines from the first end to the others (T36)."""
  first, *others = made.subject.tracks
  lines, facts = {}, []
  for other in others:
    found = line(made, first, other)
    name = f'{first.label} to {other.label}'
    lines[name] = found.t, found.cost
    facts.append(
      (
        name,
        f'{found.ends[0]:.3g} and {found.ends[1]:.3g} at the ends, barrier '
        f'{found.barrier:.3g}, {found.apart:.2f} lengths of the first apart',
      )
    )
  said = [f'{name}: {fact}' for name, fact in facts]
  if len(said) > 4:
    said = [*said[:4], f'and {len(said) - 4} more in the report']
  return workbench.sight(
    made,
    'between',
    'Between the ends',
    functools.partial(landscapes.between, lines, made.subject.problem.words),
    '\n'.join(said),
    facts,
  )


def cloud(made: Bench) -> Sight:
  """The data on their own first two principal directions (T42)."""
  images = made.subject.problem.train
  x = np.asarray(images.x)
  found = workbench.host(made, principal.of_rows, x)
  share = 100 * found.share
  words = (
    f'{len(x):,} training images on the two directions of pixels that vary '
    f'most: {share[0]:.2f} + {share[1]:.2f} = {share.sum():.1f} % of the '
    'variance. Clusters that overlap here may lie apart in the rest.'
  )
  return workbench.sight(
    made,
    'data',
    'The data',
    functools.partial(
      answers.cloud,
      principal.coordinates(found, x),
      np.asarray(images.y),
      named(found),
      made.subject.problem.words.split(',')[0],
    ),
    words,
    [('variance explained', f'{share.sum():.2f} %')],
  )
