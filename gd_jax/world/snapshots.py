"""Snapshots: the parameters at some updates of a run, kept to look inside it.

`snapshots/<track>/<step>.npz` with a sealed manifest `<step>.json`, which is
renamed last and thereby makes the snapshot exist. A track is one descent: a
run of `train` has one, a study one for each entry.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import NamedTuple

from gd_jax.types import UserError
from gd_jax.world import arrays
from gd_jax.world import files
from gd_jax.world import seals

FORMAT = 1

_FIELDS = {
  'format': int,
  'step': int,
  'arrays_size': int,
  'arrays_sha256': str,
  'leaves': dict,
  'about': dict,
}


class Track(NamedTuple):
  """The snapshots of one descent."""

  about: dict[str, Any]  # what its manifests say: entry, rate, seed
  outline: dict[str, str]  # paths of the leaves to dtype and shape
  steps: list[int]  # updates made, rising
  params: list[Any]  # the template's tree, one a step


def spread(total: int, count: int) -> list[int]:
  """`count` of the marks 0 to `total`, both ends among them, evenly."""
  if count < 2:
    return [total]
  return sorted({round(k * total / (count - 1)) for k in range(count)})


def save(
  run_path: str | Path,
  track: int,
  step: int,
  params: Any,
  about: Mapping[str, Any],
) -> None:
  """Keeps the parameters after `step` updates; the same again changes nothing.

  Raises:
    UserError: it could not be written.
  """
  folder = Path(run_path) / 'snapshots'
  files.make_folder(folder)
  folder = folder / f'{track:02d}'
  files.make_folder(folder)
  data = arrays.packed(params)
  manifest = {
    'format': FORMAT,
    'step': step,
    'arrays_size': len(data),
    'arrays_sha256': seals.sha256(data),
    'leaves': arrays.outline(params),
    'about': dict(about),
  }
  files.write_file(folder / f'{step}.npz', data)
  files.write_file(folder / f'{step}.json', seals.sealed(manifest))


def load(run_path: str | Path, template: Any) -> list[Track]:
  """The tracks of a run, in their order; none where it kept no snapshots.

  Raises:
    UserError: a snapshot is damaged, or not of the template's tree.
  """
  folder = Path(run_path) / 'snapshots'
  if not folder.is_dir():
    return []
  names = sorted(entry for entry in folder.iterdir() if entry.is_dir())
  found = [_track(name, template) for name in names]
  return [track for track in found if track is not None]


def _track(folder: Path, template: Any) -> Track | None:
  numbers = (
    re.fullmatch(r'(0|[1-9][0-9]*)\.json', entry.name)
    for entry in folder.iterdir()
  )
  steps = sorted(int(match[1]) for match in numbers if match)
  params, manifest = [], None
  for step in steps:
    try:
      manifest = seals.opened(folder / f'{step}.json')
      if {name: type(value) for name, value in manifest.items()} != _FIELDS:
        raise ValueError('its manifest has other entries than its format has')
      if manifest['step'] != step:
        raise ValueError(f'its manifest is that of step {manifest["step"]}')
      if manifest['leaves'] != arrays.outline(template):
        raise UserError(
          f'{files.shown(folder)}/{step} holds {_shapes(manifest["leaves"])} '
          f'where its run has {_shapes(arrays.outline(template))}: it is of '
          'another run, so bring back the right one or train again.'
        )
      data = seals.arrays(folder / f'{step}.npz', manifest)
      params.append(arrays.unpacked(data, template))
    except (OSError, ValueError, TypeError) as error:
      raise UserError(
        f'{files.shown(folder)}/{step} is damaged ({files.shown(error)}): '
        'bring back a copy of it, or remove it to look at the others.'
      ) from error
  if manifest is None:
    return None
  return Track(manifest['about'], manifest['leaves'], steps, params)


def _shapes(leaves: Mapping[str, str]) -> str:
  return ', '.join(leaves.values())
