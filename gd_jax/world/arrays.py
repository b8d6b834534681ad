"""A pytree of arrays as the bytes of an .npz, and back bit for bit.

Dtypes that .npy does not know (bfloat16) are stored as unsigned integers of
the same bits. `np.load` reads the result; reading it back here trusts nothing
that it says about itself.
"""

import io
import json
import math
import zipfile
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def outline(state: Any) -> dict[str, str]:
  """Paths of the leaves to dtype and shape, as in 'float32 [30, 784]'."""
  return {
    path: f'{np.dtype(leaf.dtype).name} {list(leaf.shape)}'
    for path, leaf in _named(state).items()
  }


def packed(state: Any) -> bytes:
  """The bytes of an .npz; equal states give equal bytes.

  Raises:
    TypeError: a leaf is no array of numbers (a typed PRNG key: save its
      `jax.random.key_data`).
  """
  stream = io.BytesIO()
  with zipfile.ZipFile(stream, 'w', zipfile.ZIP_STORED) as archive:
    for path, leaf in _named(state).items():
      # A ZipInfo's date is fixed, where a mere name gets the clock's.
      info = zipfile.ZipInfo(f'{path}.npy')
      archive.writestr(info, _header(leaf) + np.asarray(leaf).tobytes())
  return stream.getvalue()


def unpacked(data: bytes, template: Any) -> Any:
  """The template's tree with the leaves of an .npz.

  Nothing is allocated, unpickled or decompressed on the word of the file: an
  entry has the header and the size that the template's leaf has, or is none.

  Raises:
    ValueError: the data are not what `packed` makes of such a tree.
  """
  leaves = _leaves(data, _named(template))
  return jax.tree.unflatten(jax.tree.structure(template), leaves.values())


def by_path(data: bytes, outlined: Mapping[str, str]) -> dict[str, np.ndarray]:
  """The leaves of an .npz that has this outline, by their paths.

  Raises:
    ValueError: it has another, or `outlined` is no outline.
  """
  try:
    return _leaves(data, {path: _leaf(text) for path, text in outlined.items()})
  except TypeError as error:
    raise ValueError(f'its leaves are no arrays ({error})') from error


def _leaf(text: object) -> jax.ShapeDtypeStruct:
  """Shape and dtype of a line of an outline, which a forger may write."""
  name, _, shape = str(text).partition(' ')
  return jax.ShapeDtypeStruct(json.loads(shape), np.dtype(name))


def _leaves(data: bytes, named: Mapping[str, Any]) -> dict[str, np.ndarray]:
  """The leaves of an .npz by path, each as its template is."""
  names = [f'{path}.npy' for path in named]
  entries = _entries(data, names)
  leaves = {}
  for path, leaf in named.items():
    name = f'{path}.npy'
    entry, header = entries[name], _header(leaf)
    stored = _stored(leaf.dtype)
    size = len(header) + math.prod(leaf.shape) * stored.itemsize
    if len(entry) != size or not entry.startswith(header):
      raise ValueError(f'{name} is not of the shape and dtype of its leaf')
    array = np.ndarray(leaf.shape, stored, entry, len(header)).copy()
    leaves[path] = array.view(leaf.dtype)
  return leaves


def _entries(data: bytes, names: list[str]) -> dict[str, bytes]:
  """The entries of an archive that has to hold these and no others."""
  try:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
      infos = archive.infolist()
      plain = all(info.compress_type == zipfile.ZIP_STORED for info in infos)
      if not plain or [info.filename for info in infos] != names:
        raise ValueError('its arrays are not those of its manifest')
      return {info.filename: archive.read(info) for info in infos}
  except (zipfile.BadZipFile, EOFError, RuntimeError) as error:
    raise ValueError(f'its archive is broken {error}'.rstrip()) from error


def _named(state: Any) -> dict[str, Any]:
  """Leaves by path, such as state.params[0].w."""
  pairs, _ = jax.tree_util.tree_flatten_with_path(state)
  named = {'state' + jax.tree_util.keystr(path): leaf for path, leaf in pairs}
  if len(named) < len(pairs):
    raise ValueError('two leaves of the state print the same path')
  return named


def _stored(dtype: Any) -> np.dtype:
  """The dtype under which .npy keeps an array of `dtype`, bit for bit."""
  dtype = np.dtype(dtype)
  if dtype.kind in 'biufc' and dtype.isbuiltin == 1:
    return dtype
  if dtype.isbuiltin == 2:  # registered by ml_dtypes
    return np.dtype(f'u{dtype.itemsize}')
  raise TypeError(f'a checkpoint keeps numbers in native order, not {dtype}')


def _header(leaf: Any) -> bytes:
  """The .npy header of a leaf; it is compared when read, never parsed."""
  fields = {
    'descr': np.lib.format.dtype_to_descr(_stored(leaf.dtype)),
    'fortran_order': False,
    'shape': tuple(leaf.shape),
  }
  stream = io.BytesIO()
  np.lib.format.write_array_header_1_0(stream, fields)
  return stream.getvalue()
