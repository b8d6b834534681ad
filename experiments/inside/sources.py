"""Which run directories `inspect_run` looks into: named, or the newest."""

from pathlib import Path
from typing import Any

from gd_jax.types import UserError
from gd_jax.world import files
from gd_jax.world import rundir

MAKERS = ('train', 'compare')


def located(name: str, workdir: str) -> Path:
  """The directory of a run that is named by its path or by its name.

  Raises:
    UserError: there is none.
  """
  for path in (Path(name), Path(workdir) / name):
    if path.is_dir():
      return path
  raise UserError(
    f'there is no run {files.shown(name)}, here or in {files.shown(workdir)}: '
    f'{present(workdir)}.'
  )


def present(workdir: str) -> str:
  """Which runs could be looked into, in words."""
  found = [path.name for path in with_snapshots(workdir)]
  if found:
    return f'there are {", ".join(found[:5])}' + ', ...' * (len(found) > 5)
  return (
    'no run there keeps snapshots, so make one with `python -m '
    'experiments.train --snapshots=21`'
  )


def with_snapshots(workdir: str) -> list[Path]:
  """The runs that keep snapshots, the newest first."""
  found = [path.parent for path in Path(workdir).glob('*/snapshots')]
  found = [path for path in found if (path / 'config.json').exists()]
  return sorted(
    found, key=lambda path: (path / 'config.json').stat().st_mtime, reverse=True
  )


def newest(workdir: str) -> Path:
  """The newest run with snapshots, where none is named.

  Raises:
    UserError: there is none.
  """
  found = with_snapshots(workdir)
  if not found:
    raise UserError(f'no RUN is named: in {workdir}, {present(workdir)}.')
  return found[0]


def config_of(path: Path) -> dict[str, Any]:
  """The configuration of a run of `train` or `compare`.

  Raises:
    UserError: it is something else.
  """
  if not (path / 'config.json').exists():
    raise UserError(
      f'{files.shown(path)} is no run, or was stopped before it began: it has '
      'no config.json, so name another.'
    )
  config = rundir.read_config(path)
  if config.get('experiment') not in MAKERS:
    raise UserError(
      f'{files.shown(path)} is a run of {files.shown(config.get("experiment"))}'
      ', which trains no network: name one of train or compare.'
    )
  return config
