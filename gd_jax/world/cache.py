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
from typing import NamedTuple

import numpy as np

from gd_jax.types import UserError
from gd_jax.world import files

FORMAT = 1


class Splits(NamedTuple):
  """What a source gives: all of its training examples, and its test set."""

  x_train: np.ndarray  # [n, *shape] uint8
  y_train: np.ndarray  # [n] uint8, a label in [0, classes)
  x_test: np.ndarray
  y_test: np.ndarray
  classes: int


# File names to size in bytes and hex SHA-256.
Sources = Mapping[str, tuple[int, str]]


def arrays_of(splits: Splits) -> dict[str, np.ndarray]:
  """The four arrays by their names in an .npz."""
  arrays = splits._asdict()
  del arrays['classes']
  return arrays


def verified(
  what: str,
  arrays: Mapping[str, Any],
  *,
  classes: int | None = None,
  mend: str,
) -> Splits:
  """Arrays that are what `Splits` says; `classes` defaults to max(y) + 1.

  Raises:
    UserError: the first thing that is not as it should be, and the mend.
  """

  def refuse(expected: str, found: str) -> UserError:
    return UserError(f'{what}: expected {expected}, found {found}; {mend}.')

  for part in ('train', 'test'):
    x, y = arrays[f'x_{part}'], arrays[f'y_{part}']
    if x.dtype != np.uint8 or x.ndim < 2 or x.size == 0:
      expected = f'x_{part} to be uint8 images [n, ...]'
      raise refuse(expected, f'{x.dtype} {list(x.shape)}')
    if y.dtype.kind not in 'iu' or y.shape != x.shape[:1]:
      expected = f'y_{part} to be integer labels [{len(x)}], one an image'
      raise refuse(expected, f'{y.dtype} {list(y.shape)}')
  shape, test_shape = arrays['x_train'].shape[1:], arrays['x_test'].shape[1:]
  if shape != test_shape:
    expected = f'images of x_test to be {list(shape)} as those of x_train'
    raise refuse(expected, str(list(test_shape)))
  labels = [arrays['y_train'], arrays['y_test']]
  least = min(int(y.min()) for y in labels)
  greatest = max(int(y.max()) for y in labels)
  last = 255 if classes is None else classes - 1
  if least < 0 or greatest > min(last, 255):
    expected = f'labels from 0 to {min(last, 255)}'
    raise refuse(expected, f'labels from {least} to {greatest}')
  if greatest == 0:
    raise refuse('two classes or more', 'label 0 alone')
  uint8 = {k: np.ascontiguousarray(v, np.uint8) for k, v in arrays.items()}
  return Splits(**uint8, classes=classes or greatest + 1)


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
    raise cannot_write(data_dir, error) from error
  try:
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    # What a kill left, for it is written under this lock alone.
    for stray in path.parent.glob(f'.{path.stem}.*.tmp'):
      stray.unlink()
    yield
  finally:
    os.close(descriptor)


def write(
  name: str,
  data_dir: Path,
  splits: Splits,
  *,
  origin: str,
  sources: Sources,
) -> None:
  """Keeps a set; the caller holds its lock and has seen no manifest.

  Raises:
    UserError: it could not be written, and does not exist.
  """
  arrays = arrays_of(splits)
  stream = io.BytesIO()
  np.savez(stream, **arrays)
  data = stream.getvalue()
  manifest = {
    'format': FORMAT,
    'name': name,
    'origin': origin,
    'classes': splits.classes,
    'size': len(data),
    'arrays_sha256': sha256(data),
    'arrays': {key: _outline(array) for key, array in arrays.items()},
    'sources': {key: list(value) for key, value in sources.items()},
  }
  text = files.json_bytes(_sealed(manifest), 'a manifest')
  path = manifest_path(name, data_dir)
  try:
    files.write_file(path.with_suffix('.npz'), data)
    files.write_file(path, text)
  except UserError as error:
    raise cannot_write(data_dir, error.__cause__) from error


def read(name: str, data_dir: Path) -> tuple[Splits, dict[str, str], Sources]:
  """A set that exists, the SHA-256 of its arrays, and what it was made from.

  Raises:
    UserError: any bit of the manifest or the .npz is not as it was written.
  """
  path = manifest_path(name, data_dir)
  manifest = _manifest(path)
  arrays_path = path.with_suffix('.npz')
  data = _bytes(arrays_path, path)
  found = sha256(data)
  if found != manifest['arrays_sha256']:
    expected = f'{manifest["size"]} bytes with SHA-256 '
    raise _damaged(
      arrays_path,
      expected + manifest['arrays_sha256'],
      f'{len(data)} bytes with SHA-256 {found}',
      path,
    )
  with np.load(io.BytesIO(data), allow_pickle=False) as archive:
    arrays = {key: archive[key] for key in manifest['arrays']}
  for key, array in arrays.items():
    expected, found = manifest['arrays'][key], _outline(array)
    if expected != found:
      raise _damaged(arrays_path, f'{key} {expected}', f'{found}', path)
  splits = verified(
    str(arrays_path),
    arrays,
    classes=manifest['classes'],
    mend=f'delete {path} and run again',
  )
  digests = {key: value['sha256'] for key, value in manifest['arrays'].items()}
  return splits, digests, manifest['sources']


def check_sources(name: str, manual_dir: Path, sources: Sources) -> None:
  """Refuses a folder whose files are not those that a set is made from.

  A file may be missing, for TFDS can fetch it; all of them may not.
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
    path = manual_dir / file
    try:
      with open(path, 'rb') as stream:
        found = hashlib.file_digest(stream, 'sha256').hexdigest()
      found_size = path.stat().st_size
    except OSError as error:
      raise UserError(
        f'{path} cannot be read ({error.strerror}): expected an original file '
        f'of {name}; make it readable, or leave out --manual_dir.'
      ) from error
    size, digest = sources[file]
    if found != digest:
      raise UserError(
        f'{path} is altered or truncated: expected {size} bytes with SHA-256 '
        f'{digest}, found {found_size} bytes with SHA-256 {found}; fetch it '
        'again, or leave out --manual_dir.'
      )


def sha256(data: Any) -> str:
  """Hex SHA-256 of bytes, or of the bytes of a contiguous array."""
  return hashlib.sha256(data).hexdigest()


def cannot_write(data_dir: Path, error: BaseException | None) -> UserError:
  """One sentence for a data_dir that refuses what is written to it."""
  return UserError(
    f'--data_dir={data_dir} cannot be written ({error}): expected a directory '
    'with room for the data; mend that, or choose another --data_dir.'
  )


def _manifest(path: Path) -> dict[str, Any]:
  data = _bytes(path, path)
  manifest = files.parsed(data)
  sealed = isinstance(manifest, dict) and 'sha256' in manifest
  body = {k: v for k, v in manifest.items() if k != 'sha256'} if sealed else {}
  # Written anew it is the same text: no byte of it escapes the comparison.
  if not sealed or files.json_bytes(_sealed(body), 'a manifest') != data:
    found = f'{len(data)} bytes with another one'
    raise _damaged(path, 'a manifest with its own SHA-256', found, path)
  if body['format'] != FORMAT:
    raise _damaged(path, f'format {FORMAT}', f'format {body["format"]}', path)
  return body


def _sealed(body: dict[str, Any]) -> dict[str, Any]:
  return {**body, 'sha256': sha256(files.json_bytes(body, 'a manifest'))}


def _bytes(path: Path, manifest: Path) -> bytes:
  try:
    return path.read_bytes()
  except OSError as error:
    found = error.strerror or str(error)
    raise _damaged(path, 'a readable file', found, manifest) from error


def _outline(array: np.ndarray) -> dict[str, Any]:
  shape = list(array.shape)
  return {'dtype': str(array.dtype), 'shape': shape, 'sha256': sha256(array)}


def _damaged(path: Path, expected: str, found: str, manifest: Path) -> UserError:
  return UserError(
    f'{path} is damaged: expected {expected}, found {found}; delete {manifest} '
    'and run again.'
  )
