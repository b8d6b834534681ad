"""Labelled images: digits, every image set of TFDS, and one's own FILE.npz.

Each source gives training examples and a test set; the last part of the
training examples, in their order, is kept for validation.
"""

import gzip
import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from gd_jax.types import Dataset
from gd_jax.types import Images
from gd_jax.types import UserError
from gd_jax.world import cache
from gd_jax.world import files
from gd_jax.world import machine
from gd_jax.world import prepare
from gd_jax.world import splits
from gd_jax.world.splits import Splits

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
  digests = None
  if name == 'digits':
    content = _digits()
  elif name.endswith('.npz'):
    content = _own(Path(name).expanduser())
  else:
    manual = Path(manual_dir).expanduser() if manual_dir else None
    content, digests = _images(name, _folder(data_dir), manual)
  n = len(content.x_train)
  if validation_size is None:
    validation_size = 300 if name == 'digits' else n // 6
  if not 0 <= validation_size < n:
    raise UserError(
      f'--validation_size={validation_size} does not fit {name}: expected 0 to '
      f'{n - 1}, for the training examples, of which it takes the last, are '
      f'{n}; give a smaller one.'
    )
  scale = 16.0 if name == 'digits' else 255.0
  border = n - validation_size
  x, y = content.x_train.reshape(n, -1), content.y_train
  x_test = content.x_test.reshape(len(content.x_test), -1)
  return Dataset(
    name=Path(name).name if name.endswith('.npz') else name,
    train=Images(x[:border], y[:border]),
    validation=Images(x[border:], y[border:]),
    test=Images(x_test, content.y_test),
    scale=scale,
    classes=content.classes,
    shape=content.x_train.shape[1:],
    fingerprint=splits.fingerprint(content, digests, scale, validation_size),
  )


def _images(
  name: str, data_dir: Path, manual_dir: Path | None
) -> tuple[Splits, dict[str, str]]:
  """A TFDS image set and the SHA-256 of its arrays, prepared if need be."""
  # The name becomes a path: NAME, NAME/CONFIG, and :VERSION after either.
  part = '[A-Za-z0-9_][A-Za-z0-9_.+-]*'
  if not re.fullmatch(rf'{part}(/{part})?(:[0-9]+\.[0-9]+\.[0-9]+)?', name):
    raise prepare.unknown(name, ())
  if not cache.manifest_path(name, data_dir).exists():
    _prepare_apart(name, data_dir, manual_dir)
  content, digests, sources = cache.read(name, data_dir)
  if manual_dir:
    cache.check_sources(name, manual_dir, sources)
  return content, digests


def _prepare_apart(name: str, data_dir: Path, manual_dir: Path | None) -> None:
  """Runs `prepare` in a process of its own, whose talk goes nowhere."""
  done = subprocess.run(
    [sys.executable, '-P', '-m', prepare.__name__]
    + [name, str(data_dir), str(manual_dir or '')],
    env={
      **os.environ,
      'PYTHONPATH': os.pathsep.join(path or os.getcwd() for path in sys.path),
      'PYTHONIOENCODING': 'utf-8',
      'CUDA_VISIBLE_DEVICES': '-1',  # TensorFlow would take all of a GPU
    },
    stdin=subprocess.DEVNULL,
    capture_output=True,
    encoding='utf-8',
    errors='replace',
    check=False,
  )
  if done.returncode == 2 and done.stdout:
    raise UserError(done.stdout.splitlines()[-1])
  if done.returncode:
    last = done.stderr.strip().splitlines()[-1:] or ['no word']
    raise UserError(
      f'{name} cannot be prepared: expected its process to end with 0, found '
      f'{done.returncode} ({last[0]}); mend that, or choose another dataset.'
    )


def _folder(data_dir: str | Path | None) -> Path:
  """TFDS's own rule, without importing it."""
  folder = (
    data_dir or os.environ.get('TFDS_DATA_DIR') or '~/tensorflow_datasets'
  )
  if '://' in str(folder):
    raise UserError(
      f'--data_dir={folder} is an address: expected a directory of this '
      'machine; name one with --data_dir.'
    )
  return Path(folder).expanduser()


def _digits() -> Splits:
  try:
    data = _DIGITS.read_bytes()
    found = f'{len(data)} bytes with SHA-256 {splits.sha256(data)}'
  except OSError as error:
    data, found = b'', error.strerror
  if splits.sha256(data) != _DIGITS_SHA256:
    raise UserError(
      f'{_DIGITS} is damaged: expected SHA-256 {_DIGITS_SHA256}, found '
      f'{found}; install gd_jax again.'
    )
  text = io.StringIO(gzip.decompress(data).decode('ascii'))
  table = np.loadtxt(text, dtype=np.uint8, delimiter=',')
  order = np.random.Generator(np.random.Philox(0)).permutation(len(table))
  x, y = table[order, :-1].reshape(-1, 8, 8), table[order, -1]
  y = np.ascontiguousarray(y)
  return Splits(x[:-300], y[:-300], x[-300:], y[-300:], 10)


def _own(path: Path) -> Splits:
  if not path.exists():
    raise UserError(
      f'{files.shown(path)} cannot be used: there is no such file, expected '
      f'an .npz file with {", ".join(_KEYS)}; mend the path.'
    )
  try:
    # A file may say anything of itself, and zipfile and NumPy raise errors of
    # all sorts on it; nothing in it is unpickled.
    with files.open_file(path) as file:
      archive = np.load(file, allow_pickle=False)
      missing = [f'no {key}' for key in _KEYS if key not in archive]
      if not missing:
        _check_room(file)
      arrays = {} if missing else {key: archive[key] for key in _KEYS}
      found = ', '.join(missing)
  except Exception as error:
    arrays, found = {}, ' '.join(f'{error} ({type(error).__name__})'.split())
    if 'pickle' in found:  # NumPy would have the user load it unsafely
      pickled = 'Object arrays, which only pickle could read'
      found = pickled if 'Object' in found else 'no arrays'
  if not arrays:
    raise UserError(
      f'{files.shown(path)} cannot be used: expected an .npz file with plain '
      f'arrays {", ".join(_KEYS)}, found {found}; write it with numpy.savez.'
    )
  return splits.verified(
    files.shown(path),
    arrays,
    mend='save it again with pixels as np.round(255 * x).astype(np.uint8) '
    'where they lie in [0, 1], and labels as y.astype(np.uint8)',
  )


def _check_room(file: IO[bytes]) -> None:
  """ValueError for arrays that unpack to more than this machine holds."""
  with zipfile.ZipFile(file) as archive:
    size = sum(info.file_size for info in archive.infolist())
  if size > machine.memory():
    raise ValueError(f'{size} bytes of arrays, more than there is memory')
