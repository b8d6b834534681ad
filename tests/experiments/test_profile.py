"""--profile leaves a small trace, and every number as it would be without.

In processes of their own: a trace holds every program that its process has.
"""

import gzip
import shutil

import pytest

from tests import scripts

STUDY = [
  '--optimizers=sgd,momentum',
  '--rates=2',
  '--tuning_seeds=1',
  '--report_seeds=2',
  '--epochs=1',
  '--layer_sizes=64,5,10',
]
SPEED = ['--layer_sizes=20,5,3', '--lanes=1,2', '--batch_sizes=100']


def trace_of(run):
  """The trace, which is small, and its text."""
  files = [file for file in (run / 'profile').rglob('*') if file.is_file()]
  assert sum(file.stat().st_size for file in files) < 4_000_000
  (trace,) = (file for file in files if file.name.endswith('.trace.json.gz'))
  return trace, gzip.decompress(trace.read_bytes()).decode()


def test_train_is_the_same_with_a_profile(tmp_path):
  line = ['--epochs=2', '--optimizer=adam']
  for name, more in (('plain', []), ('traced', ['--profile'])):
    named = scripts.named(tmp_path, name)
    out = scripts.run('train', *named, *line, *more).stdout
  plain, traced = tmp_path / 'plain', tmp_path / 'traced'
  trace, text = trace_of(traced)
  for event in ('gather', 'train', 'evaluate'):
    assert f'"{event}"' in text
  assert f'wrote {trace}: open it in https://ui.perfetto.dev' in out
  end = scripts.end_of(traced)
  end['files'] = [name for name in end['files'] if 'profile' not in name]
  assert end == scripts.end_of(plain)

  # Going on with one is going on.
  part = shutil.copytree(plain, tmp_path / 'part')
  for file in (part / 'checkpoint').glob('2.*'):
    file.unlink()
  (part / 'status.json').unlink()
  resumed = [*scripts.named(tmp_path, 'part'), *line, '--resume', '--profile']
  out = scripts.run('train', *resumed).stdout
  assert 'going on from checkpoint 1' in out
  trace_of(part)
  assert scripts.untimed(scripts.lines_of(part)) == end['rows']
  assert scripts.arrays_of(part) == end['arrays']


@pytest.mark.claims
def test_a_study_is_the_same_with_a_profile(tmp_path):
  for name, more in (('plain', []), ('traced', ['--profile'])):
    named = scripts.named(tmp_path, name)
    scripts.run('compare', *named, *STUDY, *more)
  _, text = trace_of(tmp_path / 'traced')
  assert 'sgd' in text
  assert 'momentum' in text
  rows = [
    (tmp_path / name / 'rows.jsonl').read_bytes()
    for name in ('plain', 'traced')
  ]
  assert rows[0] == rows[1]


@pytest.mark.claims
def test_a_benchmark_traces_every_row(tmp_path):
  named = scripts.named(tmp_path, 'traced')
  scripts.run('benchmark', *named, *SPEED, '--profile')
  _, text = trace_of(tmp_path / 'traced')
  for row in scripts.lines_of(tmp_path / 'traced'):
    assert row['name'] in text
    assert row['steps'] == 600
