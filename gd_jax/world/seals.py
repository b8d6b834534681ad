"""What was written is what is read: digests, and manifests that hold their own.

A manifest is ASCII JSON that ends in the SHA-256 of the same text without that
entry.
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


def sealed(body: Mapping[str, Any]) -> bytes:
  """The manifest's bytes: ASCII JSON that ends in the SHA-256 of itself."""
  text = json.dumps(body, indent=1, allow_nan=False)
  seal = sha256(text.encode('ascii'))
  return f'{text[:-2]},\n "sha256": "{seal}"\n}}\n'.encode('ascii')


def opened(file: Path) -> dict[str, Any]:
  """What a sealed manifest says, its format too.

  Raises:
    ValueError: it is no JSON, or not as it was written.
  """
  data = file.read_bytes()
  body = files.parsed(data)
  if not isinstance(body, dict):
    raise ValueError('its manifest is no JSON')
  body.pop('sha256', None)
  version = body.get('format')
  if sealed(body) != data:
    raise ValueError(
      f'its manifest (format {version!a}) is not as it was written'
    )
  return body


def arrays(file: Path, manifest: Mapping[str, Any]) -> bytes:
  """The bytes of the .npz, once they are those that the manifest names.

  Raises:
    ValueError: they are not.
  """
  size, found = manifest['arrays_size'], file.stat().st_size
  if found != size:
    raise ValueError(f'its arrays have {found} bytes in place of {size}')
  data = file.read_bytes()
  if sha256(data) != manifest['arrays_sha256']:
    raise ValueError('its arrays are not as they were written')
  return data
