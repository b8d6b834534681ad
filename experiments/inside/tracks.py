"""Runs as `inspect_run` reads them: their problem and their descents."""

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

import jax

from experiments import flags
from experiments import problem as problems
from experiments import start
from experiments.inside import sources
from gd_jax.types import UserError
from gd_jax.world import arrays
from gd_jax.world import files
from gd_jax.world import rundir
from gd_jax.world import snapshots

# What two runs have to agree on to lie on one cost surface.
SAME = ('dataset', 'validation_size', 'activation', 'cost', 'problem')


class Track(NamedTuple):
  """One descent, from its start to its end."""

  label: str
  entry: str
  learning_rate: float
  seed: int
  batch_size: int
  schedule: str
  steps: list[int]  # updates made
  params: list[Any]  # at those


class Subject(NamedTuple):
  """What is looked into: one cost surface and the descents on it."""

  problem: problems.Problem
  values: Mapping[str, Any]  # the flags of the first run
  tracks: list[Track]
  notes: list[str]  # what is unlike a finished run, a sentence each


def read(context: start.Context) -> Subject:
  """The runs that the command line names, or the newest with snapshots.

  Raises:
    UserError: a run is none, keeps no snapshots, or lies on another surface.
  """
  values = context.values
  paths = [
    sources.located(name, values['workdir']) for name in context.arguments
  ]
  paths = paths or [sources.newest(values['workdir'])]
  first, tracks, notes = paths[0], [], []
  configs = [sources.config_of(path) for path in paths]
  refuse_other_dtype(first, configs[0], context)
  problem, merged = problem_of(configs[0], context)
  if problem.fingerprint != configs[0]['data']:
    raise UserError(
      f'{files.shown(first)} was trained on data {configs[0]["data"][:12]} and '
      f'{merged["dataset"]} is {problem.fingerprint[:12]} now: bring the old '
      'data back, or train again.'
    )
  template = jax.eval_shape(problem.init, jax.random.key(0))
  for path, config in zip(paths, configs, strict=True):
    refuse_other_surface(first, configs[0], path, config)
    refuse_other_dtype(path, config, context)
    if config['flags']['layer_sizes'] != configs[0]['flags']['layer_sizes']:
      other, _ = problem_of(config, context)
      refuse_other_shape(first, problem, path, other)
    found = snapshots.load(path, template)
    if not found or max(len(track.steps) for track in found) < 2:
      raise UserError(without_snapshots(path, config, found))
    status = rundir.read_status(path)
    if status.status != 'COMPLETED':
      notes.append(
        f'{files.shown(path)} is {status.status}: it is seen up to its last '
        f'snapshot, after {max(t.steps[-1] for t in found):,} updates.'
      )
    several = path.name if len(paths) > 1 else ''
    tracks += [track_of(track, several, config) for track in found]
  return Subject(problem, merged, distinct(tracks), notes)


def problem_of(
  config: Mapping[str, Any], context: start.Context
) -> tuple[problems.Problem, dict[str, Any]]:
  """The problem that a run was trained on, and its flags."""
  values = {
    **config['flags'],
    'data_dir': context.values['data_dir'],
    'manual_dir': context.values['manual_dir'],
  }
  made = problems.by_kind(values, context.dtype)
  return next(iter(made.values())), values


def refuse_other_dtype(
  path: Path, config: Mapping[str, Any], context: start.Context
) -> None:
  """Refuses to read float64 as float32."""
  precision = config['flags']['precision']
  if flags.PRECISIONS[precision][0] != context.dtype:
    raise UserError(
      f'{files.shown(path)} was trained in {precision} and this would look in '
      f'{context.values["precision"]}: give --precision={precision}.'
    )


def typed(value: Any) -> Any:
  """A flag's value as it is typed."""
  return ','.join(map(str, value)) if isinstance(value, list) else value


def refuse_other_surface(
  first: Path, one: Mapping[str, Any], path: Path, other: Mapping[str, Any]
) -> None:
  """Refuses runs whose costs are not one function of the parameters."""
  for name in SAME:
    there, here = (run['flags'].get(name) for run in (one, other))
    if there != here:
      raise UserError(
        f'{files.shown(path)} has --{name}={typed(here)} and '
        f'{files.shown(first)} has --{name}={typed(there)}: look into them one '
        'at a time.'
      )
  if one['data'] != other['data']:
    raise UserError(
      f'{files.shown(path)} and {files.shown(first)} were trained on different '
      'data: look into them one at a time.'
    )


def refuse_other_shape(
  first: Path, one: problems.Problem, path: Path, other: problems.Problem
) -> None:
  """Refuses a run of other layers than the first's."""
  outlines = [
    arrays.outline(jax.eval_shape(made.init, jax.random.key(0)))
    for made in (one, other)
  ]
  if outlines[0] != outlines[1]:
    raise UserError(
      f'{files.shown(path)} ({other.words}) has other layers than '
      f'{files.shown(first)} ({one.words}): runs on one picture need one '
      'shape, so look into them one at a time.'
    )


def without_snapshots(
  path: Path, config: Mapping[str, Any], found: Sequence[Any]
) -> str:
  """Why there is nothing to look into, and how to get it."""
  if config['flags'].get('snapshots'):
    status = rundir.read_status(path).status
    return (
      f'{files.shown(path)} is half written ({status}) and keeps '
      f'{"its start alone" if found else "no snapshot yet"}: go on with it by '
      f'--resume --name={path.name} and its other flags.'
    )
  return (
    f'{files.shown(path)} keeps no snapshots: run {config["experiment"]} again '
    'with --snapshots=21, its other flags as they were.'
  )


def track_of(
  track: snapshots.Track, run: str, config: Mapping[str, Any]
) -> Track:
  """A track as the pictures name it."""
  about = track.about
  return Track(
    label=f'{run}: {about["entry"]}' if run else about['entry'],
    entry=about['entry'],
    learning_rate=about['learning_rate'],
    seed=about['seed'],
    batch_size=about['batch_size'],
    schedule=config['flags'].get('schedule', 'constant'),
    steps=track.steps,
    params=track.params,
  )


def distinct(tracks: Sequence[Track]) -> list[Track]:
  """The tracks under names that differ."""
  seen: dict[str, int] = {}
  named = []
  for track in tracks:
    seen[track.label] = seen.get(track.label, 0) + 1
    again = seen[track.label]
    label = track.label if again == 1 else f'{track.label} ({again})'
    named.append(track._replace(label=label))
  return named
