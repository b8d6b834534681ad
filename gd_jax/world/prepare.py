"""Preparing an image set of TFDS: a program of its own.

TFDS needs TensorFlow to prepare a set (it unpacks through tf.io), and both
talk a lot. Run apart as `python -m gd_jax.world.prepare NAME DATA_DIR
MANUAL_DIR`, neither is ever imported where JAX trains. What lies in data_dir
prepared, in whichever format, is decoded instead of prepared again.
"""

import contextlib
import difflib
import json
import shutil
import sys
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gd_jax.types import UserError
from gd_jax.world import cache
from gd_jax.world import splits
from gd_jax.world.splits import Splits

# Training images, test images, shape. TFDS takes prepared and unpacked files
# by their names, and reads no header of theirs.
WELL_KNOWN = {
  'mnist': (60_000, 10_000, (28, 28, 1)),
  'fashion_mnist': (60_000, 10_000, (28, 28, 1)),
  'kmnist': (60_000, 10_000, (28, 28, 1)),
  'emnist/letters': (88_800, 14_800, (28, 28, 1)),
  'cifar10': (50_000, 10_000, (32, 32, 3)),
}


def prepare(name: str, data_dir: Path, manual_dir: Path | None) -> None:
  """Puts a set into the cache; imports TFDS, and TensorFlow if it must.

  Raises:
    UserError: there is no such set, or why it cannot be prepared, and the mend.
  """
  import tensorflow_datasets as tfds

  builder = _builder(name, data_dir)
  classes = _checked_features(name, builder.info.features)
  infos = builder.url_infos or {}
  sources = {
    info.filename: (int(info.size), info.checksum)
    for info in infos.values()
    if info.filename
  }
  if manual_dir:
    cache.check_sources(name, manual_dir, sources)
  with cache.lock(name, data_dir):
    if cache.manifest_path(name, data_dir).exists():
      return
    # Another process may have prepared it while this one waited.
    builder = _builder(name, data_dir)
    if not builder.is_prepared():
      _download(name, builder, data_dir, manual_dir, sources)
    folder = builder.data_dir
    mend = f'delete {folder} and run again'
    with _explained(f'{name} in {folder} cannot be decoded', mend):
      content = _decoded(name, builder, classes, mend)
    cache.write(
      name,
      data_dir,
      content,
      origin=f'{builder.info.full_name} of TFDS {tfds.__version__}',
      sources=sources,
    )


def unknown(name: str, more: Iterable[str]) -> UserError:
  """The sentence for a name that no source of images has."""
  known = ['digits', *WELL_KNOWN]
  near = difflib.get_close_matches(name, [*known, *more], n=1)
  mend = f'the nearest name is {near[0]}' if near else 'name one of these'
  return UserError(
    f'dataset {name!r} is unknown: expected {", ".join(known)}, another image '
    f'set of TFDS, or a path that ends with .npz; {mend}.'
  )


def _builder(name: str, data_dir: Path) -> Any:
  """TFDS's builder of a set, which has written nothing yet."""
  import tensorflow_datasets as tfds

  base, _, config = name.split(':')[0].partition('/')
  mend = 'name another, or another version of it'
  with _explained(f'dataset {name!r} is none that TFDS offers', mend):
    try:
      return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
      known = tfds.list_builders(with_community_datasets=False)
      raise unknown(name, known) from error
    except ValueError as error:
      configs = tfds.builder_cls(base).builder_configs
      if config in configs:
        raise
      raise unknown(name, (f'{base}/{key}' for key in configs)) from error


def _download(
  name: str,
  builder: Any,
  data_dir: Path,
  manual_dir: Path | None,
  sources: cache.Sources,
) -> None:
  """Lets TFDS fetch, verify, unpack and store the records of a set."""
  import tensorflow_datasets as tfds
  from tensorflow_datasets.core.download import downloader

  _import_tensorflow(name)
  # Its fifteen retries would take over three minutes without a network.
  downloader.MAX_RETRIES = 3
  # It takes unpacked files by their names, and MNIST's are Fashion-MNIST's.
  unpacked = cache.manifest_path(name, data_dir).with_suffix('.unpacked')
  shutil.rmtree(unpacked, ignore_errors=True)
  mend = f'give it a network and room in {data_dir}'
  absent = [
    file
    for file in sources or ['its original files']
    if not (manual_dir and (manual_dir / file).exists())
  ]
  if absent:
    mend += f', or a --manual_dir that holds {", ".join(absent)}'
  try:
    with _explained(f'{name} cannot be prepared', mend):
      _check_downloads(data_dir / 'downloads', builder.url_infos or {})
      builder.download_and_prepare(
        file_format='array_record',
        download_config=tfds.download.DownloadConfig(
          manual_dir=manual_dir, extract_dir=unpacked, try_download_gcs=False
        ),
      )
  finally:
    shutil.rmtree(unpacked, ignore_errors=True)


def _check_downloads(folder: Path, infos: Mapping[str, Any]) -> None:
  """Verifies what TFDS has downloaded before, for it goes by the names."""
  for note in folder.rglob('*.INFO'):
    file, urls = note.with_suffix(''), json.loads(note.read_bytes())['urls']
    for url in set(urls) & set(infos):
      if file.exists():
        expected = int(infos[url].size), infos[url].checksum
        cache.check_file(file, expected, f'delete {file} and run again')


def _import_tensorflow(name: str) -> None:
  with _explained(
    f'{name} needs TensorFlow to be prepared, once, and it cannot be imported',
    "install it with `pip install '.[tfds]'` in the checkout of gd_jax",
  ):
    # Only whether it can be imported is asked.
    import tensorflow  # noqa: F401


def _checked_features(name: str, features: Any) -> int | None:
  """The number of classes, if TFDS knows it, of a set that can be used."""
  named = dict(features) if hasattr(features, 'keys') else {}
  image, label = named.get('image'), named.get('label')
  classes = getattr(label, 'num_classes', None)
  if (
    image is None
    or label is None
    or image.np_dtype != np.uint8
    or None in image.shape
    or label.shape != ()
    or not np.issubdtype(label.np_dtype, np.integer)
    or (classes or 0) > 256
  ):
    raise UserError(
      f'dataset {name} cannot be used: expected uint8 images of one shape and '
      f'integer labels of at most 256 classes, found image {image} and label '
      f'{label}; choose another, or write a FILE.npz from it.'
    )
  return classes


def _decoded(name: str, builder: Any, classes: int | None, mend: str) -> Splits:
  """All images and labels of a prepared set, in TFDS's order."""
  there = sorted(builder.info.splits)
  if not {'train', 'test'} <= set(there):
    raise UserError(
      f'dataset {name} has no split of its own to test on: expected train and '
      f'test, found {", ".join(there) or "none"}; choose another, or write a '
      'FILE.npz from it.'
    )
  arrays = {}
  for part in ('train', 'test'):
    rows = list(_rows(builder, part))
    arrays[f'x_{part}'] = np.stack([row['image'] for row in rows])
    arrays[f'y_{part}'] = np.asarray([row['label'] for row in rows])
    del rows
  content = splits.verified(name, arrays, classes=classes, mend=mend)
  found = len(content.x_train), len(content.x_test), content.x_train.shape[1:]
  expected = WELL_KNOWN.get(builder.info.full_name.rpartition('/')[0], found)
  if found != expected:
    raise UserError(
      f'{name} in {builder.data_dir} is another set of that name: expected '
      f'{expected} for its training images, test images and their shape, found '
      f'{found}; {mend}.'
    )
  return content


def _rows(builder: Any, part: str) -> Iterator[Any]:
  """Examples of a split, in the order in which TFDS stored them."""
  import tensorflow_datasets as tfds

  if builder.info.file_format.value == 'tfrecord':
    _import_tensorflow(builder.name)
    one_by_one = tfds.ReadConfig(interleave_cycle_length=1)  # shards
    yield from tfds.as_numpy(
      builder.as_dataset(
        split=part, shuffle_files=False, read_config=one_by_one
      )
    )
    return
  source = builder.as_data_source(split=part)
  for start in range(0, len(source), 1000):
    # Three times faster than one example at a time.
    rows = range(start, min(start + 1000, len(source)))
    yield from source.__getitems__(list(rows))


@contextlib.contextmanager
def _explained(what: str, mend: str) -> Iterator[None]:
  """One sentence for whatever TFDS and a set's own code raise."""
  try:
    yield
  except UserError:
    raise
  except Exception as error:
    text = ' '.join(f'{type(error).__name__}: {error}'.split())
    text = text if len(text) <= 300 else f'{text[:300]}...'
    raise UserError(f'{what} ({text}); {mend}.') from error


if __name__ == '__main__':
  _name, _data_dir, _manual_dir = sys.argv[1:]
  try:
    prepare(_name, Path(_data_dir), Path(_manual_dir) if _manual_dir else None)
  except UserError as _error:
    sys.stdout.write(f'\n{_error}\n')
    sys.exit(2)
