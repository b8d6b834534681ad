"""Decoded image sets on the disk, verified whenever they are read.

A set is `<data_dir>/gd_jax/<name>.npz`, four uint8 arrays, and `<name>.json`,
its manifest, which is renamed last and thereby makes the set exist. The
manifest holds the SHA-256 of the .npz, of every array, of the files that the
set was made from and of its own text, so that no bit of it can change unseen.
A set is never rewritten: one that is damaged is refused until it is deleted.
"""

import contextlib
import fcntl
import hashlib
import io
import os
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gd_jax.types import UserError
from gd_jax.world import files
from gd_jax.world import splits
from gd_jax.world.splits import Splits

FORMAT = 1

# File names to size in bytes and hex SHA-256.
Sources = Mapping[str, tuple[int, str]]


def manifest_path(name: str, data_dir: Path) -> Path:
  """The file whose being there means that the set `name` is."""
  return data_dir / 'gd_jax' / f'{name}.json'


@contextlib.contextmanager
def lock(name: str, data_dir: Path) -> Iterator[None]:
  """Waits until no other process prepares `name` here, and keeps them out.

  It dies with its process, however that ends.
  """
  path = data_dir / 'gd_jax' / f'{name}.lock'
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
  except OSError as error:
    raise _cannot_write(data_dir, error) from error
  try:
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    # What a kill left: these files are written under this lock alone.
    for kind in ('npz', 'json'):
      for stray in path.parent.glob(f'.{path.stem}.{kind}.*.tmp'):
        stray.unlink()
    yield
  finally:
    os.close(descriptor)


def write(
  name: str,
  data_dir: Path,
  content: Splits,
  *,
  origin: str,
  sources: Sources,
) -> None:
  """Keeps a set; the caller holds its lock and has seen no manifest.

  Raises:
    UserError: it could not be written, and does not exist.
  """
  stream = io.BytesIO()
  np.savez(
    stream,
    x_train=content.x_train,
    y_train=content.y_train,
    x_test=content.x_test,
    y_test=content.y_test,
  )
  data = stream.getvalue()
  arrays = splits.arrays_of(content)
  manifest = {
    'format': FORMAT,
    'name': name,
    'origin': origin,
    'classes': content.classes,
    'arrays_size': len(data),
    'arrays_sha256': splits.sha256(data),
    'arrays': {key: _outline(array) for key, array in arrays.items()},
    'sources': {key: list(value) for key, value in sources.items()},
  }
  text = files.json_bytes(_sealed(manifest), 'a manifest')
  path = manifest_path(name, data_dir)
  try:
    files.write_file(path.with_suffix('.npz'), data)
    files.write_file(path, text)
  except UserError as error:
    raise _cannot_write(data_dir, error.__cause__) from error


def read(name: str, data_dir: Path) -> tuple[Splits, dict[str, str], Sources]:
  """A set that exists, the SHA-256 of its arrays, and what it was made from.

  Raises:
    UserError: any bit of the manifest or the .npz is not as it was written.
  """
  path = manifest_path(name, data_dir)
  manifest = _manifest(path)
  if manifest['name'] != name:
    raise _damaged(path, f'the set {name}', manifest['name'], path)
  arrays_path = path.with_suffix('.npz')
  data = _bytes(arrays_path, path)
  expected, found = manifest['arrays_sha256'], splits.sha256(data)
  if found != expected:
    expected = f'{manifest["arrays_size"]} bytes with SHA-256 {expected}'
    found = f'{len(data)} bytes with SHA-256 {found}'
    raise _damaged(arrays_path, expected, found, path)
  with np.load(io.BytesIO(data), allow_pickle=False) as archive:
    arrays = {key: archive[key] for key in manifest['arrays']}
  for key, array in arrays.items():
    expected, found = manifest['arrays'][key], _outline(array)
    if found != expected:
      raise _damaged(arrays_path, f'{key} {expected}', str(found), path)
  content = splits.verified(
    str(arrays_path),
    arrays,
    classes=manifest['classes'],
    mend=_mend(path),
  )
  digests = {key: value['sha256'] for key, value in manifest['arrays'].items()}
  return content, digests, manifest['sources']


def check_sources(name: str, manual_dir: Path, sources: Sources) -> None:
  """Refuses a folder whose files are not those that a set is made from.

  A file may be missing, for TFDS can fetch it; all of them may not.

  Raises:
    UserError: the file, its SHA-256 as expected and as found, and the mend.
  """
  if not manual_dir.is_dir():
    raise UserError(
      f'--manual_dir={manual_dir} is no directory: expected one with the '
      f'original files of {name}; name it, or leave out --manual_dir.'
    )
  there = [file for file in sources if (manual_dir / file).exists()]
  if sources and not there:
    raise UserError(
      f'--manual_dir={manual_dir} holds no file of {name}: expected '
      f'{", ".join(sources)}; put them there, or leave out --manual_dir.'
    )
  for file in there:
    mend = 'fetch it again, or leave out --manual_dir'
    check_file(manual_dir / file, sources[file], mend)


def check_file(path: Path, expected: tuple[int, str], mend: str) -> None:
  """Refuses a file that has not the size and the SHA-256 that it should."""
  size, digest = expected
  wanted = f'expected {size} bytes with SHA-256 {digest}'
  try:
    with files.open_file(path) as file:
      found = hashlib.file_digest(file, 'sha256').hexdigest()
    found_size = path.stat().st_size
  except OSError as error:
    found = f'that it cannot be read ({error.strerror})'
    raise UserError(f'{path}: {wanted}, {found}; {mend}.') from error
  if found != digest:
    raise UserError(
      f'{path} is altered or truncated: {wanted}, found {found_size} bytes '
      f'with SHA-256 {found}; {mend}.'
    )


def _manifest(path: Path) -> dict[str, Any]:
  data = _bytes(path, path)
  manifest = files.parsed(data)
  sealed = isinstance(manifest, dict) and 'sha256' in manifest
  body = {k: v for k, v in manifest.items() if k != 'sha256'} if sealed else {}
  # Written anew it is the same text: no byte of it escapes the comparison.
  if not sealed or files.json_bytes(_sealed(body), 'a manifest') != data:
    found = f'{len(data)} bytes with another'
    raise _damaged(path, 'text with its own SHA-256', found, path)
  if body['format'] != FORMAT:
    raise _damaged(path, f'format {FORMAT}', f'format {body["format"]}', path)
  return body


def _sealed(body: dict[str, Any]) -> dict[str, Any]:
  text = files.json_bytes(body, 'a manifest')
  return {**body, 'sha256': splits.sha256(text)}


def _bytes(path: Path, manifest: Path) -> bytes:
  try:
    return files.read_bytes(path)
  except OSError as error:
    found = error.strerror or str(error)
    raise _damaged(path, 'a readable file', found, manifest) from error


def _outline(array: np.ndarray) -> dict[str, Any]:
  return {
    'dtype': str(array.dtype),
    'shape': list(array.shape),
    'sha256': splits.sha256(array),
  }


def _damaged(
  path: Path, expected: str, found: str, manifest: Path
) -> UserError:
  return UserError(
    f'{path} is damaged: expected {expected}, found {found}; {_mend(manifest)}.'
  )


def _mend(manifest: Path) -> str:
  return f'delete {manifest} and run again'


def _cannot_write(data_dir: Path, error: BaseException | None) -> UserError:
  return UserError(
    f'--data_dir={data_dir} cannot be written ({error}): expected a directory '
    'with room for the data; mend that, or choose another --data_dir.'
  )
