"""Disks that fill, forbid and vanish under running scripts."""

import os
import subprocess

import pytest

from tests import disks
from tests import scripts

RUNS = {
  'train': ['--epochs=4'],
  'compare': [
    '--optimizers=sgd',
    '--rates=2',
    '--tuning_seeds=1',
    '--report_seeds=2',
    '--epochs=1',
  ],
}
# Something happens right after the second checkpoint.
AFTER = """
import os, resource, shutil, subprocess
from gd_jax.world import checkpoint
save = checkpoint.save
def save_and_act(path, **what):
  save(path, **what)
  if what['step'] == {step}:
    {act}
checkpoint.save = save_and_act
"""
LIMIT = 'resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))'
VANISH = 'shutil.rmtree(path)'
FILL = """
    with open(path.parent / 'filler', 'wb', buffering=0) as file:
      try:
        for size in 300 * [2**16] + 10_000 * [1]:
          file.write(bytes(size))
      except OSError:
        pass"""
# A second mount over the first: a running process holds files of that open.
READ_ONLY = """
    where = str(path.parent)
    for how in (['--bind', where], ['-o', 'remount,bind,ro']):
      subprocess.run(['mount', *how, where], check=True)"""


@pytest.fixture
def disk(tmp_path):
  """A file system of its own, with room for a study."""
  with disks.mounted(tmp_path / 'disk', '12m') as path:
    yield path


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  """The end of a run of a script that nothing befell."""
  made = {}

  def make(script):
    if script not in made:
      folder = tmp_path_factory.mktemp(script)
      scripts.run(script, *scripts.named(folder, 'a'), *RUNS[script])
      made[script] = scripts.end_of(folder / 'a')
    return made[script]

  return make


BOTH = pytest.mark.parametrize(
  'script', ['train', pytest.param('compare', marks=pytest.mark.claims)]
)


def broken_off(script, workdir, act, *words, step=2):
  """A run that something befell: its path and the sentence about it."""
  arguments = [*scripts.named(workdir, 'a'), *RUNS[script]]
  found = scripts.run(
    script, *arguments, setup=AFTER.format(act=act, step=step), code=2
  )
  last = found.stderr.splitlines()[-1]
  assert 'Traceback' not in found.stderr
  assert last.startswith(f'{script}: ')
  for word in words:
    assert str(word) in last, last
  return workdir / 'a', last


def goes_on(script, workdir, whole):
  """The last good checkpoint is there, nothing else is, and all goes on."""
  run = workdir / 'a'
  assert scripts.manifests(run)[-1].stem == '2'
  assert not scripts.left_over(run)
  arguments = [*scripts.named(workdir, 'a'), *RUNS[script], '--resume']
  assert 'from checkpoint 2' in scripts.run(script, *arguments).stdout
  assert scripts.end_of(run) == whole


@pytest.mark.skipif(
  'COVERAGE_RUN' in os.environ,
  reason='coverage writes files of its own, which the limit meets too',
)
@BOTH
def test_a_limit_on_file_sizes(tmp_path, whole, script):
  run, said = broken_off(script, tmp_path, LIMIT, 'Cannot write', 'ulimit -f')
  assert f'{run}/' in said
  assert ' bytes needed): File too large' in said
  goes_on(script, tmp_path, whole(script))


@pytest.mark.claims
@pytest.mark.parametrize('script', RUNS)
def test_a_full_disk(disk, whole, script):
  run, said = broken_off(script, disk, FILL, 'Cannot write', 'free that much')
  assert f'{run}/' in said
  assert ' bytes needed): No space left on device' in said
  assert scripts.manifests(run)[-1].stem == '2'
  (disk / 'filler').unlink()
  goes_on(script, disk, whole(script))


# The disk is full right before this file of a finished run is written.
BEFORE = """
from experiments import session
write = session.write
def fill_and_write(kept, name, data):
  if name == {name!r}:
    path = kept.run.path
    {act}
  write(kept, name, data)
session.write = fill_and_write
"""


@pytest.mark.claims
@pytest.mark.parametrize(
  ('script', 'name'),
  [
    ('train', 'figures/curves.png'),
    ('compare', 'study.json'),
    ('compare', 'report.html'),
    ('compare', 'figures/rates.png'),
  ],
)
def test_a_disk_that_is_full_at_the_end(disk, whole, script, name):
  arguments = [*scripts.named(disk, 'a'), *RUNS[script]]
  setup = BEFORE.format(name=name, act=FILL)
  found = scripts.run(script, *arguments, setup=setup, code=2)
  last = found.stderr.splitlines()[-1]
  assert last.startswith(f'{script}: Cannot write {disk}/a/{name} (')
  assert ' bytes needed): No space left on device' in last
  assert 'Traceback' not in found.stderr
  assert not scripts.left_over(disk / 'a')
  assert not (disk / 'a' / name).exists()
  (disk / 'filler').unlink()
  scripts.run(script, *arguments, '--resume')
  assert scripts.end_of(disk / 'a') == whole(script)


@pytest.mark.claims
@pytest.mark.parametrize('script', RUNS)
def test_a_disk_that_turns_read_only(disk, whole, script):
  words = 'Read-only file system', 'make it writable'
  run, _ = broken_off(script, disk, READ_ONLY, f'{disk}/a', *words)
  before = {file: file.read_bytes() for file in run.rglob('*.*')}
  for name, more in (('b', []), ('a', ['--resume'])):
    arguments = [*scripts.named(disk, name), *RUNS[script], *more]
    found = scripts.run(script, *arguments, code=2)
    scripts.sentence(found, 2, f'{disk}/{name}', *words)
  assert before == {file: file.read_bytes() for file in run.rglob('*.*')}
  subprocess.run(['umount', str(disk)], check=True)
  goes_on(script, disk, whole(script))


@BOTH
def test_a_directory_that_is_removed_while_it_is_used(tmp_path, script):
  run, _ = broken_off(script, tmp_path, VANISH, tmp_path / 'a', 'is gone')
  assert not run.exists()


@pytest.mark.claims
@pytest.mark.parametrize(
  ('script', 'step'),
  # After the last step of train, only pictures are left to be written.
  [('train', 2), ('train', 4), ('compare', 2)],
)
def test_a_directory_that_is_made_anew_by_another_run(tmp_path, script, step):
  there = dict.fromkeys(('lock', 'config.json', 'rows.jsonl'), b'')
  (tmp_path / 'a_other').mkdir()
  for name, data in there.items():
    (tmp_path / 'a_other' / name).write_bytes(data)
  other = f"{VANISH}; shutil.copytree(str(path) + '_other', path)"
  words = tmp_path / 'a', 'made anew'
  run, _ = broken_off(script, tmp_path, other, *words, step=step)
  found = {f.name: f.is_file() and f.read_bytes() for f in run.iterdir()}
  assert found == there


@pytest.mark.claims
@pytest.mark.parametrize('script', RUNS)
def test_a_file_where_a_directory_should_be(tmp_path, whole, script):
  (tmp_path / 'file').write_text('mine')
  for workdir, name in ((tmp_path / 'file', 'a'), (tmp_path, 'file')):
    arguments = [*scripts.named(workdir, name), *RUNS[script]]
    found = scripts.run(script, *arguments, code=2)
    scripts.sentence(found, 2, f'{workdir}/{name}', 'stands in for')
  assert (tmp_path / 'file').read_text() == 'mine'
  # In its own directory, between the last row and the pictures.
  act = "(path / 'figures').write_text('mine')"
  run, _ = broken_off(
    script, tmp_path, act, f'{tmp_path}/a/figures', 'stands in for'
  )
  assert scripts.status_of(run) == 'FAILED'
  assert (run / 'figures').read_text() == 'mine'
  assert not scripts.left_over(run)
  (run / 'figures').unlink()
  arguments = [*scripts.named(tmp_path, 'a'), *RUNS[script], '--resume']
  scripts.run(script, *arguments)
  assert scripts.end_of(run) == whole(script)
