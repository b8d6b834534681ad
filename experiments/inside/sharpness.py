"""Curvature along the descents of a run, seen by `inspect_run`."""

import functools
import re

import jax
import numpy as np

from experiments.inside import workbench
from experiments.inside.workbench import Bench
from gd_jax.descent import entries
from gd_jax.insight import curvature
from gd_jax.insight import landscape
from gd_jax.model import mlp
from gd_jax.pictures import polls as polling
from gd_jax.pictures.insights import Sight
from gd_jax.world import snapshots

# What a study adds to an entry's text where sizes or starts vary.
CROSSED = re.compile(rf'( m=\d+)?( ({"|".join(mlp.SCALES)}))?$')
SHARPEST = 21  # snapshots whose curvature is looked at, of all descents


def sharpness(made: Bench) -> Sight:
  """lambda_max along every descent, against 2/eta (T02, T23)."""
  lanczos = curvature.lanczos(made.multiply, made.lanczos_steps)
  found, words, facts = [], [], []
  each = max(4, SHARPEST // len(made.subject.tracks))
  for track in made.subject.tracks:
    vector = landscape.random_direction(
      jax.random.key(workbench.SEED), track.params[0]
    )
    values, errors = [], []
    some = snapshots.spread(len(track.params) - 1, each)
    points = [track.params[place] for place in some]
    for params in points:
      ritz = workbench.run(made, lanczos, params, vector, made.train)
      values.append(float(ritz.values[0]))
      errors.append(float(ritz.errors[0]))
    one = polling.Sharp(
      entry=track.entry,
      label=f'{track.label} at {track.learning_rate:.3g}',
      steps=np.array([track.steps[place] for place in some]),
      values=np.array(values),
      errors=np.array(errors),
      costs=workbench.costs(made, points),
      limit=2 / track.learning_rate,
    )
    found.append(one)
    facts.append((track.label, what_happened(one)))
  ratio, gradient = product_cost(made)
  weights = mlp.count(made.subject.tracks[0].params[0])
  words = [f'{label}: {text}' for label, text in facts[:4]]
  if len(facts) > 4:
    words.append(f'and {len(facts) - 4} more in the report')
  words += notes_on_limits(made)
  words.append(
    f'a Hessian-vector product takes {ratio:.2f} gradients here '
    f'({ratio * gradient:.3g} s against {gradient:.3g} s); the '
    f'{weights:,} weights have {curvature.distinct_entries(weights):.3g} '
    f'second derivatives; {made.lanczos_steps} Lanczos steps a point'
  )
  return workbench.sight(
    made,
    'sharpness',
    'Curvature and the learning rate',
    functools.partial(
      polling.sharpness,
      found,
      f'{made.subject.problem.words}: sharpness along the run',
    ),
    '\n'.join(words),
    [*facts, ('Hessian-vector product', f'{ratio:.2f} gradients')],
  )


def product_cost(made: Bench) -> tuple[float, float]:
  """Seconds of a Hessian-vector product over a gradient's, and the latter.

  The least of seven each, in turn: the machine has other things to do.
  """
  params = made.subject.tracks[0].params[-1]
  kept = list(made.spent)
  times = {made.mean: [], made.multiply: []}
  for _ in range(8):
    for function, more in ((made.mean, ()), (made.multiply, (params,))):
      workbench.run(made, function, params, *more, made.train)
      times[function].append(made.spent[-1])
  made.spent[:] = kept
  gradient, product = (min(spans[1:]) for spans in times.values())
  return product / gradient, gradient


def what_happened(one: polling.Sharp) -> str:
  """Lambda_max against 2/eta along a run, in words."""
  first, last, top = one.values[0], one.values[-1], one.values.max()
  above = int(np.sum(one.values > one.limit))
  rises = int(np.sum(np.diff(one.costs) > 0))
  if above == 0:
    where = f'stays below 2/eta = {one.limit:.3g}'
  elif above == len(one.values):
    where = f'is above 2/eta = {one.limit:.3g} at every snapshot'
  else:
    where = (
      f'is above 2/eta = {one.limit:.3g} at {above} of {len(one.values)} '
      'snapshots'
    )
  ended = (
    'ends nearer to it'
    if abs(np.log(max(last, 1e-30) / one.limit))
    < abs(np.log(max(first, 1e-30) / one.limit))
    else 'ends further from it'
  )
  return (
    f'lambda_max goes from {first:.3g} to {last:.3g} (highest {top:.3g}), '
    f'{where} and {ended}; the cost rises between {rises} of '
    f'{len(one.costs) - 1} snapshots'
  )


def method_of(entry: str) -> str:
  """The optimizer's name in a contestant's, `adam+b1=0.8 m=10 normal`."""
  return entries.parse(CROSSED.sub('', entry)).name


def notes_on_limits(made: Bench) -> list[str]:
  """Where 2/eta is not the limit of what was run."""
  n, said = workbench.size(made), []
  named = {method_of(track.entry) for track in made.subject.tracks}
  others = sorted(named - {'sgd'})
  if others:
    said.append(
      f'2/eta is the limit of plain descent, and not of {", ".join(others)}'
    )
  if any(track.batch_size < n for track in made.subject.tracks):
    said.append('mini-batches see other curvatures than that of the whole cost')
  if any(track.schedule != 'constant' for track in made.subject.tracks):
    said.append('eta is that before the schedule')
  return said
