"""Checkpoints: atomic, checksummed, bit-exact.

A checkpoint is `checkpoint/<step>.npz`, the leaves of a pytree by their paths,
and `checkpoint/<step>.json`, its manifest, which is renamed last and thereby
makes it exist. The manifest holds the SHA-256 of the arrays, of rows.jsonl up
to there and of its own text, the tree of paths, dtypes and shapes, and the
configuration. The newest sound one is found by listing and verifying.
"""

import contextlib
import re
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import NamedTuple

import jax

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
  'rows_size': int,
  'rows_sha256': str,
  'tree': str,
  'leaves': dict,
  'config': dict,
  'extra': dict,
}


class Checkpoint(NamedTuple):
  """What `newest` found."""

  step: int
  state: Any  # the template's tree, its leaves np.ndarray
  rows_size: int  # bytes of rows.jsonl that belong to it
  extra: dict[str, Any]
  skipped: tuple[str, ...]  # why each newer one is unsound, a sentence each


def save(
  run_path: str | Path,
  *,
  step: int,
  state: Any,
  config: Mapping[str, Any],
  extra: Mapping[str, Any],
  passing: bool = False,
) -> None:
  """Saves a pytree of arrays with all of rows.jsonl as it stands.

  `extra` is what JSON holds exactly: numbers that may not be finite belong
  into `state`. Checkpoints of later steps (of a future that a resume left) and
  all but the one before this are removed, once this one is on the disk. One
  that is `passing` stands where an unbroken run has none: the next one does not
  keep it beside itself.

  Raises:
    UserError: it could not be written; the earlier ones are as they were.
  """
  folder = Path(run_path) / 'checkpoint'
  files.make_folder(folder)
  rows = files.read_file(folder.parent / 'rows.jsonl')
  data = arrays.packed(state)
  manifest = {
    'format': FORMAT,
    'step': step,
    'arrays_size': len(data),
    'arrays_sha256': seals.sha256(data),
    'rows_size': len(rows),
    'rows_sha256': seals.sha256(rows),
    **_identity(state, config),
    'extra': dict(extra),
    **({'passing': True} if passing else {}),
  }
  files.write_file(folder / f'{step}.npz', data)
  files.write_file(folder / f'{step}.json', seals.sealed(manifest))
  _prune(folder, {step, *_before(folder, step)})


def sweep(run_path: str | Path, step: int) -> None:
  """Removes what a kill at the end of the save of `step` left to be removed.

  Raises:
    UserError: it cannot be removed.
  """
  folder = Path(run_path) / 'checkpoint'
  later = {other for other in _steps(folder, '(json|npz)') if other >= step}
  _prune(folder, later.union(_before(folder, step)))


def newest(
  run_path: str | Path,
  template: Any,
  config: Mapping[str, Any],
  *,
  may_differ: Collection[str] = (),
) -> Checkpoint | None:
  """The newest sound checkpoint of a run, None if it never saved one.

  `template` is the tree that is expected, of arrays or ShapeDtypeStructs.

  Raises:
    UserError: a checkpoint is of another format, configuration, tree, shape or
      dtype (with the lines that differ); or there are some and none is sound.
  """
  wanted = _identity(template, config)

  def read(folder, manifest):
    _refuse_other(folder, manifest, wanted, may_differ)
    return arrays.unpacked(_data(folder, manifest), template)

  return _newest(Path(run_path) / 'checkpoint', read)


def newest_leaves(run_path: str | Path) -> Checkpoint | None:
  """The same of a run that nothing is known of, and that may go on meanwhile.

  Its state is {path: np.ndarray}, such as 'state.state.params[0].w'.

  Raises:
    UserError: there are checkpoints, and none is sound.
  """
  folder = Path(run_path) / 'checkpoint'

  def read(folder, manifest):
    return arrays.by_path(_data(folder, manifest), manifest['leaves'])

  while True:
    listed = _steps(folder, 'json')
    try:
      return _newest(folder, read)
    except UserError:
      # Those that were listed may be gone: the run saved newer ones.
      if listed == _steps(folder, 'json'):
        raise


def _newest(
  folder: Path, read: Callable[[Path, dict[str, Any]], Any]
) -> Checkpoint | None:
  """The newest sound one; `read(folder, manifest)` gives its state."""
  skipped = []
  for step in _steps(folder, 'json'):
    try:
      manifest = _manifest(folder, step)
      state = read(folder, manifest)
    except (OSError, ValueError, RecursionError) as error:
      why = files.shown(error)
      skipped.append(f'{files.shown(folder)}/{step} is damaged: {why}')
    else:
      return Checkpoint(
        step=step,
        state=state,
        rows_size=manifest['rows_size'],
        extra=manifest['extra'],
        skipped=tuple(skipped),
      )
  if skipped:
    raise UserError(
      f'{"; ".join(skipped)}; no sound checkpoint is left, so bring back a '
      'copy or run again under another --name.'
    )
  return None


def newest_config(run_path: str | Path) -> dict[str, Any] | None:
  """The configuration in the newest sound manifest, None where none is."""
  folder = Path(run_path) / 'checkpoint'
  for step in _steps(folder, 'json'):
    with contextlib.suppress(OSError, ValueError, UserError):
      return _manifest(folder, step)['config']
  return None


def _identity(state: Any, config: Mapping[str, Any]) -> dict[str, Any]:
  """What a checkpoint and the run that resumes it have to agree on."""
  # Some nodes print the address of a function.
  tree = re.sub(r' at 0x[0-9a-f]+', '', str(jax.tree.structure(state)))
  return {
    'tree': tree,
    'leaves': arrays.outline(state),
    'config': dict(config),
  }


def _steps(folder: Path, suffix: str) -> list[int]:
  """Steps of the files <step>.<suffix>, the newest first."""
  try:
    names = [entry.name for entry in folder.iterdir()]
  except FileNotFoundError:
    return []
  except OSError as error:
    raise files.cannot_read(folder, error) from error
  found = (re.fullmatch(rf'(0|[1-9][0-9]*)\.{suffix}', name) for name in names)
  return sorted((int(match[1]) for match in found if match), reverse=True)


def _before(folder: Path, step: int) -> list[int]:
  """The step of the checkpoint before this one, if there is one.

  One that is passing only where there is no other.
  """
  earlier = [other for other in _steps(folder, 'json') if other < step]
  return sorted(earlier, key=lambda one: _is_passing(folder, one))[:1]


def _is_passing(folder: Path, step: int) -> bool:
  """Whether it says so; what cannot be read is no more than that."""
  with contextlib.suppress(OSError, ValueError, RecursionError, UserError):
    return bool(_manifest(folder, step).get('passing'))
  return True


def _prune(folder: Path, kept: set[int]) -> None:
  """Removes other steps, manifests first: none may lack its arrays."""
  for suffix in ('json', 'npz'):
    for step in set(_steps(folder, suffix)) - kept:
      file = folder / f'{step}.{suffix}'
      try:
        file.unlink(missing_ok=True)
      except OSError as error:
        raise files.cannot_write(file, 0, error) from error


def _manifest(folder: Path, step: int) -> dict[str, Any]:
  """The manifest, once its seal holds; ValueError says what is wrong."""
  body = seals.opened(folder / f'{step}.json')
  version = body.get('format')
  if version != FORMAT:
    raise UserError(
      f'{files.shown(folder)}/{step} has format {version!a} where this version '
      f'of gd_jax reads format {FORMAT}: resume with the version that wrote it '
      'or run again under another --name.'
    )
  found = {name: type(value) for name, value in body.items()}
  if found not in (_FIELDS, _FIELDS | {'passing': bool}):
    raise ValueError('its manifest has other entries than its format has')
  if body['step'] != step:
    raise ValueError(f'its manifest is that of step {body["step"]}')
  return body


def _refuse_other(
  folder: Path,
  manifest: dict[str, Any],
  wanted: dict[str, Any],
  may_differ: Collection[str],
) -> None:
  """Refuses a checkpoint of another run with the lines that differ."""
  lines = files.differing_lines(
    manifest['config'], wanted['config'], may_differ
  ) + files.differing_lines(manifest['leaves'], wanted['leaves'])
  # Equal leaves can hang in unequal trees: an optimizer without state.
  if not lines and manifest['tree'] != wanted['tree']:
    lines = [f'  tree: {manifest["tree"]} there, {wanted["tree"]} now']
  if lines:
    raise UserError(
      f'{files.shown(folder)}/{manifest["step"]} is of another run: resume it '
      'with the same settings on the same machine, or choose another --name:\n'
      + ';\n'.join(lines)
    )


def _data(folder: Path, manifest: dict[str, Any]) -> bytes:
  """The arrays' bytes, once they and the rows are those of the manifest."""
  _check_rows(folder.parent / 'rows.jsonl', manifest)
  return seals.arrays(folder / f'{manifest["step"]}.npz', manifest)


def _check_rows(file: Path, manifest: dict[str, Any]) -> None:
  """ValueError unless rows.jsonl begins with the rows that were saved."""
  rows, size = files.read_bytes(file), manifest['rows_size']
  if len(rows) < size or seals.sha256(rows[:size]) != manifest['rows_sha256']:
    raise ValueError(
      f'the first {size} bytes of rows.jsonl are not as they were written'
    )
