"""Image sets of TFDS: prepared once, decoded once, then read from the cache.

TFDS needs TensorFlow to prepare a set (it unpacks through tf.io), and both
talk a lot. So a process of its own prepares it: neither is ever imported
where JAX trains, and a GPU is not taken by TensorFlow. Records that lie in
data_dir already, in any format of TFDS, are decoded instead of prepared again.
"""

import difflib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gd_jax.types import UserError
from gd_jax.world import cache

WELL_KNOWN = ('mnist', 'fashion_mnist', 'kmnist', 'emnist/letters', 'cifar10')

# Training images, test images, shape: TFDS takes prepared files by their names.
_KNOWN_SIZES = {'mnist': (60_000, 10_000, (28, 28, 1))}


def images(
  name: str, data_dir: Path, manual_dir: Path | None
) -> tuple[cache.Splits, dict[str, str]]:
  """A TFDS image set and the SHA-256 of its arrays, prepared if need be.

  Raises:
    UserError: there is no such set, or it cannot be prepared, or what lies on
      the disk is not what was put there.
  """
  # The name becomes a path: NAME, NAME/CONFIG, and :VERSION after either.
  part = r'[A-Za-z0-9_][A-Za-z0-9_.+-]*'
  if not re.fullmatch(rf'{part}(/{part})?(:[0-9]+\.[0-9]+\.[0-9]+)?', name):
    raise _unknown(name, ())
  if not cache.manifest_path(name, data_dir).exists():
    _prepare_apart(name, data_dir, manual_dir)
  splits, digests, sources = cache.read(name, data_dir)
  if manual_dir:
    cache.check_sources(name, manual_dir, sources)
  return splits, digests


def prepare(name: str, data_dir: Path, manual_dir: Path | None) -> None:
  """Prepares a set and puts it into the cache; imports TensorFlow.

  Raises:
    UserError: as `images`.
  """
  # What TFDS and the sets' own code raise has no common type.
  builder = _attempt(name, 'is no set that TFDS can give', _builder, name, data_dir)
