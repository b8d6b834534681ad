"""Preparing a set, where a fake stands in for TFDS."""

import json
import runpy
import sys
import types

import numpy as np
import pytest

from gd_jax.types import UserError
from gd_jax.world import cache
from gd_jax.world import prepare

URL = 'http://images/a.gz'


class DatasetNotFoundError(ValueError):
  """TFDS's own."""


class Source(list):
  """What is asked of it is noted in `asked`."""

  def __init__(self, rows):
    super().__init__(rows)
    self.asked = []

  def __getitems__(self, places):
    self.asked.append(places)
    return [self[place] for place in places]


def rows(n, classes=3):
  return [
    {'image': np.full((2, 2, 1), i % 256, np.uint8), 'label': i % classes}
    for i in range(n)
  ]


def feature(dtype=np.uint8, shape=(2, 2, 1), **more):
  return types.SimpleNamespace(np_dtype=dtype, shape=shape, **more)


def features(**changed):
  label = feature(np.int64, (), num_classes=3)
  return {'image': feature(), 'label': label} | changed


@pytest.fixture
def tfds(monkeypatch):
  """TFDS with one set; what is asked of its builder stands in `.done`."""
  done = []
  parts = {'train': Source(rows(2001)), 'test': Source(rows(5))}

  def download_and_prepare(**named):
    done.append(('download_and_prepare', named))
    builder.prepared = True

  def as_dataset(**named):
    done.append(('as_dataset', named))
    return parts[named['split']]

  builder = types.SimpleNamespace(
    name='tiny',
    prepared=True,
    data_dir='/data/tiny/1.0.0',
    info=types.SimpleNamespace(
      features=features(),
      splits=parts,
      full_name='tiny/1.0.0',
      file_format=types.SimpleNamespace(value='array_record'),
    ),
    url_infos={
      URL: types.SimpleNamespace(filename='a.gz', size=3, checksum='c'),
      'more': types.SimpleNamespace(filename=None, size=1, checksum='d'),
    },
    is_prepared=lambda: builder.prepared,
    download_and_prepare=download_and_prepare,
    as_data_source=lambda split: parts[split],
    as_dataset=as_dataset,
  )
  downloader = types.ModuleType('downloader')
  fake = types.SimpleNamespace(
    __version__='9.8',
    builder=lambda name, data_dir: builder,
    builder_cls=lambda base: types.SimpleNamespace(
      builder_configs={'letters': 1, 'digits': 2}
    ),
    list_builders=lambda with_community_datasets: (
      ['zebras'] if with_community_datasets else ['horses']
    ),
    core=types.SimpleNamespace(DatasetNotFoundError=DatasetNotFoundError),
    download=types.SimpleNamespace(DownloadConfig=dict),
    ReadConfig=dict,
    as_numpy=lambda dataset: iter(dataset),
    # For the tests alone.
    made=builder,
    done=done,
    parts=parts,
    downloader=downloader,
  )
  path = 'tensorflow_datasets'
  monkeypatch.setitem(sys.modules, path, fake)
  monkeypatch.setitem(sys.modules, f'{path}.core', types.ModuleType('core'))
  package = types.ModuleType('download')
  package.downloader = downloader
  monkeypatch.setitem(sys.modules, f'{path}.core.download', package)
  monkeypatch.setitem(sys.modules, 'tensorflow', types.ModuleType('tf'))
  return fake


def refused(call, *arguments):
  with pytest.raises(UserError) as error:
    call(*arguments)
  assert '\n' not in str(error.value)
  return str(error.value)


def test_a_set_is_kept_in_the_order_in_which_tfds_has_it(tfds, tmp_path):
  prepare.prepare('tiny', tmp_path, None)
  content, _, sources = cache.read('tiny', tmp_path)
  x = [row['image'] for row in tfds.parts['train']]
  np.testing.assert_array_equal(content.x_train, np.stack(x))
  assert content.y_train.tolist() == [i % 3 for i in range(2001)]
  assert content.y_test.tolist() == [0, 1, 2, 0, 1]
  assert content.classes == 3
  assert sources == {'a.gz': [3, 'c']}
  manifest = json.loads((tmp_path / 'gd_jax' / 'tiny.json').read_bytes())
  assert manifest['origin'] == 'tiny/1.0.0 of TFDS 9.8'
  asked = tfds.parts['train'].asked
  assert [(len(one), one[0]) for one in asked] == [
    (1000, 0),
    (1000, 1000),
    (1, 2000),
  ]
  assert tfds.done == []


def test_records_are_read_one_file_after_another(tfds, tmp_path):
  tfds.made.info.file_format.value = 'tfrecord'
  prepare.prepare('tiny', tmp_path, None)
  content, _, _ = cache.read('tiny', tmp_path)
  assert content.y_train.tolist() == [i % 3 for i in range(2001)]
  one_by_one = {'interleave_cycle_length': 1}
  assert tfds.done == [
    (
      'as_dataset',
      {'split': split, 'shuffle_files': False, 'read_config': one_by_one},
    )
    for split in ('train', 'test')
  ]


def test_a_set_that_is_there_is_not_prepared_again(tfds, tmp_path, monkeypatch):
  prepare.prepare('tiny', tmp_path, None)
  monkeypatch.setattr(prepare, '_decoded', pytest.fail)
  prepare.prepare('tiny', tmp_path, None)


def test_one_that_another_prepared_meanwhile_is_not_fetched(
  tfds, tmp_path, monkeypatch
):
  tfds.made.prepared = False
  builders = iter([tfds.made, types.SimpleNamespace(**vars(tfds.made))])

  def builder(name, data_dir):
    found = next(builders)
    found.is_prepared = lambda: found is not tfds.made
    return found

  monkeypatch.setattr(tfds, 'builder', builder)
  prepare.prepare('tiny', tmp_path, None)
  assert tfds.done == []


@pytest.mark.parametrize('manual', [False, True])
def test_a_set_is_fetched_and_unpacked_where_nothing_lies(
  tfds, tmp_path, monkeypatch, manual
):
  tfds.made.prepared = False
  unpacked = tmp_path / 'gd_jax' / 'tiny.unpacked'
  unpacked.mkdir(parents=True)
  (unpacked / 'of another set').touch()
  there = []
  fetch = tfds.made.download_and_prepare

  def download_and_prepare(**named):
    there.append(unpacked.exists())
    if manual:  # some sets have nothing to unpack
      unpacked.mkdir()
    fetch(**named)

  tfds.made.download_and_prepare = download_and_prepare
  manual_dir = tmp_path if manual else None
  monkeypatch.setattr(cache, 'check_sources', lambda *given: None)
  prepare.prepare('tiny', tmp_path, manual_dir)
  assert there == [False]
  assert not unpacked.exists()
  config = {
    'manual_dir': manual_dir,
    'extract_dir': unpacked,
    'try_download_gcs': False,
  }
  assert tfds.done == [
    (
      'download_and_prepare',
      {'file_format': 'array_record', 'download_config': config},
    )
  ]
  assert tfds.downloader.MAX_RETRIES == 3


def test_a_damaged_download_of_before_is_not_used(tfds, tmp_path):
  tfds.made.prepared = False
  file = tmp_path / 'downloads' / 'a.gz'
  file.parent.mkdir()
  file.write_bytes(b'abc')
  (tmp_path / 'downloads' / 'a.gz.INFO').write_text(json.dumps({'urls': [URL]}))
  text = refused(prepare.prepare, 'tiny', tmp_path, None)
  assert text.startswith(f'{file} is altered or truncated: expected 3 bytes')
  assert tfds.done == []


@pytest.mark.parametrize(
  ('manual', 'urls', 'more'),
  [
    (None, True, ', or a --manual_dir that holds a.gz, b.gz'),
    ('half', True, ', or a --manual_dir that holds b.gz'),
    ('full', True, ''),
    (None, False, ', or a --manual_dir that holds its original files'),
  ],
)
def test_what_cannot_be_fetched_says_what_is_absent(
  tfds, tmp_path, monkeypatch, manual, urls, more
):
  def fail(**named):
    unpacked.mkdir(parents=True)
    raise ConnectionError('no\n network ' + 'x' * 300)

  unpacked = tmp_path / 'gd_jax' / 'tiny.unpacked'
  for folder, names in (('half', ['a.gz']), ('full', ['a.gz', 'b.gz'])):
    (tmp_path / folder).mkdir()
    for name in names:
      (tmp_path / folder / name).touch()
  tfds.made.prepared = False
  tfds.made.download_and_prepare = fail
  info = types.SimpleNamespace(filename='b.gz', size=3, checksum='c')
  tfds.made.url_infos = {**tfds.made.url_infos, 'b': info} if urls else None
  monkeypatch.setattr(cache, 'check_sources', lambda *given: None)
  folder = tmp_path / manual if manual else None
  said = 'ConnectionError: no network ' + 'x' * 300
  assert refused(prepare.prepare, 'tiny', tmp_path, folder) == (
    f'tiny cannot be prepared ({said[:300]}...); give it a network and room in '
    f'{tmp_path}{more}.'
  )
  assert not unpacked.exists()


def test_originals_are_checked_before_anything_else(tfds, tmp_path):
  tfds.made.prepared = False
  text = refused(prepare.prepare, 'tiny', tmp_path / 'data', tmp_path)
  assert 'holds no file of tiny: expected a.gz' in text
  assert tfds.done == []
  assert not (tmp_path / 'data').exists()


@pytest.mark.parametrize('how', ['fetch', 'read'])
def test_tensorflow_is_asked_for_before_it_is_needed(
  tfds, tmp_path, monkeypatch, how
):
  monkeypatch.setitem(sys.modules, 'tensorflow', None)
  tfds.made.prepared = how == 'read'
  tfds.made.info.file_format.value = 'tfrecord'
  text = refused(prepare.prepare, 'tiny', tmp_path, None)
  assert text.startswith(
    'tiny needs TensorFlow to be prepared, once, and it cannot be imported ('
  )
  assert text.endswith(
    "); install it with `pip install '.[tfds]'` in the checkout of gd_jax."
  )
  assert tfds.done == []


def test_downloads_of_before_are_verified(tmp_path):
  infos = {URL: types.SimpleNamespace(size='3', checksum='c')}

  def put(name, urls):
    (tmp_path / f'{name}.INFO').write_text(json.dumps({'urls': urls}))

  (tmp_path / 'below').mkdir()
  put('below/gone.gz', [URL])
  put('other.gz', ['another'])
  (tmp_path / 'other.gz').write_bytes(b'x')
  prepare._check_downloads(tmp_path, infos)
  file = tmp_path / 'below' / 'a.gz'
  put('below/a.gz', ['another', URL])
  file.write_bytes(b'abcd')
  assert refused(prepare._check_downloads, tmp_path, infos) == (
    f'{file} is altered or truncated: expected 3 bytes with SHA-256 c, found 4 '
    'bytes with SHA-256 88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161'
    f'936f031589; delete {file} and run again.'
  )


# --- names ---


def test_a_name_that_nobody_has_gets_the_nearest_that_tfds_has(
  tfds, monkeypatch
):
  def unknown(name, data_dir):
    raise DatasetNotFoundError

  monkeypatch.setattr(tfds, 'builder', unknown)
  for name, mend in (
    ('horse', 'the nearest name is horses'),
    ('mnits', 'the nearest name is mnist'),
    ('zebra', 'name one of these'),
  ):
    assert refused(prepare.prepare, name, None, None) == (
      f"dataset '{name}' is unknown: expected digits, mnist, fashion_mnist, "
      'kmnist, emnist/letters, cifar10, another image set of TFDS, or a path '
      f'that ends with .npz; {mend}.'
    )


def test_a_config_that_a_set_has_not_gets_the_nearest(tfds, monkeypatch):
  def builder(name, data_dir):
    raise ValueError('no such config or version')

  monkeypatch.setattr(tfds, 'builder', builder)
  asked = []
  known = tfds.builder_cls
  monkeypatch.setattr(
    tfds, 'builder_cls', lambda base: asked.append(base) or known(base)
  )
  text = refused(prepare.prepare, 'written/lettrs:1.0.0', None, None)
  assert text.endswith('; the nearest name is written/letters.')
  assert refused(prepare.prepare, 'written/letters:1.0.0', None, None) == (
    "dataset 'written/letters:1.0.0' is none that TFDS offers (ValueError: no "
    'such config or version); name another, or another version of it.'
  )
  assert asked == ['written', 'written']


# --- what is none of ours ---


@pytest.mark.parametrize(
  ('changed', 'classes'),
  [
    ({}, 3),
    ({'label': feature(np.uint8, ())}, None),
    ({'label': feature(np.int64, (), num_classes=256)}, 256),
    ({'more': feature()}, 3),
  ],
)
def test_images_with_labels_can_be_used(changed, classes):
  assert prepare._checked_features('tiny', features(**changed)) == classes


@pytest.mark.parametrize(
  'changed',
  [
    {'image': None},
    {'label': None},
    {'image': feature(np.float32)},
    {'image': feature(shape=(2, None, 1))},
    {'label': feature(np.int64, (1,))},
    {'label': feature(np.float32, ())},
    {'label': feature(np.int64, (), num_classes=257)},
  ],
)
def test_what_is_no_labelled_image_is_refused(changed):
  found = features(**changed)
  text = refused(prepare._checked_features, 'tiny', found)
  assert text == (
    'dataset tiny cannot be used: expected uint8 images of one shape and '
    'integer labels of at most 256 classes, found image '
    f'{found["image"]} and label {found["label"]}; choose another, or write a '
    'FILE.npz from it.'
  )


def test_features_without_names_are_none():
  assert 'found image None and label None' in refused(
    prepare._checked_features, 'tiny', feature()
  )


@pytest.mark.parametrize(
  ('there', 'found'),
  [((), 'none'), (('test',), 'test'), (('train', 'all'), 'all, train')],
)
def test_a_set_without_a_test_split_is_refused(tfds, there, found):
  tfds.made.info.splits = there
  assert refused(prepare._decoded, 'tiny', tfds.made, 3, 'mend') == (
    'dataset tiny has no split of its own to test on: expected train and test, '
    f'found {found}; choose another, or write a FILE.npz from it.'
  )


@pytest.mark.parametrize('wrong', [0, 1, 2])
def test_a_well_known_set_is_the_one_that_is_known(tfds, monkeypatch, wrong):
  known = [2001, 5, (2, 2, 1)]
  monkeypatch.setitem(prepare.WELL_KNOWN, 'tiny', tuple(known))
  content = prepare._decoded('tiny', tfds.made, 3, 'mend')
  assert len(content.x_train) == 2001
  known[wrong] = (2, 2) if wrong == 2 else 7
  monkeypatch.setitem(prepare.WELL_KNOWN, 'tiny', tuple(known))
  assert refused(prepare._decoded, 'tiny', tfds.made, 3, 'mend') == (
    'tiny in /data/tiny/1.0.0 is another set of that name: expected '
    f'{tuple(known)} for its training images, test images and their shape, '
    'found (2001, 5, (2, 2, 1)); mend.'
  )


@pytest.mark.parametrize(('size', 'dots'), [(300, ''), (301, '...')])
def test_what_cannot_be_decoded_is_said_in_one_sentence(
  tfds, tmp_path, size, dots
):
  def broken(split):
    raise OSError(said.removeprefix('OSError: ') + '\n')

  said = 'OSError: '.ljust(size, 'x')
  tfds.made.as_data_source = broken
  assert refused(prepare.prepare, 'tiny', tmp_path, None) == (
    f'tiny in /data/tiny/1.0.0 cannot be decoded ({said[:300]}{dots}); delete '
    '/data/tiny/1.0.0 and run again.'
  )


def test_the_last_line_of_the_program_is_the_sentence(
  tfds, tmp_path, monkeypatch, capsys
):
  line = ['prepare.py', 'tiny', str(tmp_path / 'a'), '']
  monkeypatch.setattr(sys, 'argv', line)
  runpy.run_path(prepare.__file__, run_name='__main__')
  assert capsys.readouterr().out == ''
  cache.read('tiny', tmp_path / 'a')
  line[3] = str(tmp_path / 'none')
  with pytest.raises(SystemExit) as left:
    runpy.run_path(prepare.__file__, run_name='__main__')
  assert left.value.code == 2
  assert capsys.readouterr().out == (
    f'\n--manual_dir={tmp_path}/none is no directory: expected one with the '
    'original files of tiny; name it, or leave out --manual_dir.\n'
  )
