"""What was written is what is read: digests, and JSON that holds its own.

Sealed text is ASCII JSON that ends in the SHA-256 of the same text without that
entry: manifests, config.json and study.json.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gd_jax.world import files


def sha256(data: bytes) -> str:
  """The digest in hexadecimal."""
  return hashlib.sha256(data).hexdigest()


def seal(text: bytes) -> bytes:
  """The text of a JSON object, and the SHA-256 of it as its last entry."""
  text = text.removesuffix(b'\n')
  return text[:-2] + f',\n "sha256": "{sha256(text)}"\n}}\n'.encode('ascii')


def sealed(body: Mapping[str, Any]) -> bytes:
  """The body as ASCII JSON that ends in the SHA-256 of itself.

  Raises:
    ValueError: JSON cannot hold a number of the body.
  """
  return seal(json.dumps(body, indent=1, allow_nan=False).encode('ascii'))


def unsealed(data: bytes) -> dict[str, Any]:
  """What sealed text says.

  Raises:
    ValueError: it is no JSON, or not as it was written.
  """
  body = files.parsed(data)
  if not isinstance(body, dict):
    raise ValueError('it is no JSON object')
  body.pop('sha256', None)
  try:
    same = sealed(body) == data
  except (ValueError, RecursionError):  # what `sealed` never wrote
    same = False
  if not same:
    version = body.get('format')
    known = f' (format {version})' if isinstance(version, int) else ''
    raise ValueError(f'it is not as it was written{known}')
  return body


def opened(file: Path) -> dict[str, Any]:
  """What a sealed manifest says, its format too.

  Raises:
    ValueError: it is no JSON, or not as it was written.
  """
  try:
    return unsealed(files.read_bytes(file))
  except ValueError as error:
    raise ValueError(f'its manifest is damaged: {error}') from error


def arrays(file: Path, manifest: Mapping[str, Any]) -> bytes:
  """The bytes of the .npz, once they are those that the manifest names.

  Raises:
    ValueError: they are not.
  """
  size, found = manifest['arrays_size'], file.stat().st_size
  if found != size:
    raise ValueError(f'its arrays have {found} bytes in place of {size}')
  data = files.read_bytes(file)
  if sha256(data) != manifest['arrays_sha256']:
    raise ValueError('its arrays are not as they were written')
  return data
