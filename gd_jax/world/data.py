"""Labelled images: digits, every image set of TFDS, and one's own FILE.npz.

Each source gives training examples and a test set; the last part of the
training examples, in their order, is kept for validation.
"""

import gzip
import hashlib
import io
import json
import os
from pathlib import Path

import numpy as np

from gd_jax.types import Dataset
from gd_jax.types import Images
from gd_jax.types import UserError
from gd_jax.world import cache
from gd_jax.world import prepare

_DIGITS = Path(__file__).with_name('digits') / 'digits.csv.gz'
_DIGITS_SHA256 = (
  '09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22'
)
_KEYS = ('x_train', 'y_train', 'x_test', 'y_test')


def names() -> tuple[str, ...]:
  """The sets to name where one is asked for; TFDS has more of them."""
  return ('digits', *prepare.WELL_KNOWN)


def is_ready(name: str, *, data_dir: str | Path | None = None) -> bool:
  """Whether `load` will find the set, and need not prepare it for a minute."""
  if name == 'digits' or name.endswith('.npz'):
    return True
  return cache.manifest_path(name, _folder(data_dir)).exists()


def load(
  name: str,
  *,
  data_dir: str | Path | None = None,
  manual_dir: str | Path | None = None,
  validation_size: int | None = None,
) -> Dataset:
  """The set `name`, verified and split, as NumPy arrays.

  `digits` is permuted once, for in the order of its file the last images are
  by other writers: 1,197 to train, 300 to validate and 300 to test. A TFDS
  set keeps TFDS's order and its test split; splits other than train and test
  are left alone. `FILE.npz` holds x_train, y_train, x_test and y_test.

  Args:
    name: `digits`, a TFDS name such as `mnist` or `emnist/letters`, or a path
      that ends with .npz.
    data_dir: where TFDS keeps its data; its own default is $TFDS_DATA_DIR,
      else ~/tensorflow_datasets.
    manual_dir: where the original files of a TFDS set lie, unless they are to
      come through the network; verified whenever it is named.
    validation_size: how many of the last training examples are kept for
      validation; 300 of digits and a sixth of other sets (10,000 of MNIST).

  Raises:
    UserError: the data are not there or not sound, and how to mend that.
  """
  scale = 255.0
  if name == 'digits':
    splits, scale, default = _digits(), 16.0, 300
    digests = None
  elif name.endswith('.npz'):
    splits = _own(Path(name))
    digests, default = None, len(splits.x_train) // 6
  else:
    splits, digests = prepare.images(
      name, _folder(data_dir), Path(manual_dir) if manual_dir else None
    )
    default = len(splits.x_train) // 6
  if validation_size is None:
    validation_size = default
  n = len(splits.x_train)
  if not 0 <= validation_size < n:
    raise UserError(
      f'--validation_size={validation_size} does not fit {name}: expected 0 to '
      f'{n - 1}, for the training examples, of which it takes the last, are '
      f'{n}; give a smaller one.'
    )
  border = n - validation_size
  x, y = splits.x_train.reshape(n, -1), splits.y_train
  return Dataset(
    name=Path(name).name if name.endswith('.npz') else name,
    train=Images(x[:border], y[:border]),
    validation=Images(x[border:], y[border:]),
    test=Images(splits.x_test.reshape(len(splits.x_test), -1), splits.y_test),
    scale=scale,
    classes=splits.classes,
    shape=splits.x_train.shape[1:],
    fingerprint=_fingerprint(splits, digests, scale, validation_size),
  )


def _fingerprint(
  splits: cache.Splits,
  digests: dict[str, str] | None,
  scale: float,
  validation_size: int,
) -> str:
  """Hex SHA-256 of the arrays (bytes, dtypes, shapes) and of the split."""
  outline = {
    key: [
      str(array.dtype),
      list(array.shape),
      digests[key] if digests else cache.sha256(array),
    ]
    for key, array in cache.arrays_of(splits).items()
  }
  matter = [outline, scale, splits.classes, validation_size]
  text = json.dumps(matter, sort_keys=True)
  return hashlib.sha256(text.encode('ascii')).hexdigest()


def _folder(data_dir: str | Path | None) -> Path:
  """TFDS's own rule, without importing it."""
  folder = data_dir or os.environ.get('TFDS_DATA_DIR') or '~/tensorflow_datasets'
  if '://' in str(folder):
    raise UserError(
      f'--data_dir={folder} is an address: expected a directory of this '
      'machine; name one with --data_dir.'
    )
  return Path(folder).expanduser()


def _digits() -> cache.Splits:
  try:
    data = _DIGITS.read_bytes()
    found = f'{len(data)} bytes with SHA-256 {cache.sha256(data)}'
  except OSError as error:
    data, found = b'', error.strerror
  if cache.sha256(data) != _DIGITS_SHA256:
    raise UserError(
      f'{_DIGITS} is damaged: expected SHA-256 {_DIGITS_SHA256}, found {found}; '
      'install gd_jax again.'
    )
  text = io.StringIO(gzip.decompress(data).decode('ascii'))
  table = np.loadtxt(text, dtype=np.uint8, delimiter=',')
  order = np.random.Generator(np.random.Philox(0)).permutation(len(table))
  x, y = table[order, :-1].reshape(-1, 8, 8), table[order, -1]
  y = np.ascontiguousarray(y)
  return cache.Splits(x[:-300], y[:-300], x[-300:], y[-300:], 10)


def _own(path: Path) -> cache.Splits:
  try:
    # A file may say anything of itself, and zipfile and NumPy raise errors of
    # all sorts on it; nothing in it is unpickled.
    with open(path, 'rb') as file:
      archive = np.load(file, allow_pickle=False)
      missing = [f'no {key}' for key in _KEYS if key not in archive]
      arrays = {} if missing else {key: archive[key] for key in _KEYS}
      found = ', '.join(missing)
  except Exception as error:
    arrays, found = {}, ' '.join(f'{error} ({type(error).__name__})'.split())
  if not arrays:
    raise UserError(
      f'{path} cannot be used: expected an .npz file with plain arrays '
      f'{", ".join(_KEYS)}, found {found}; write it with numpy.savez.'
    )
  return cache.verified(
    str(path),
    arrays,
    mend='save it again with pixels as np.round(255 * x).astype(np.uint8) '
    'where they lie in [0, 1], and labels as y.astype(np.uint8)',
  )
