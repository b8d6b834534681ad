"""The script benchmark: rows, table, picture, refusals; a device's gate."""

import json
import subprocess
import sys
import threading
import types
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments import benchmark
from experiments import gates
from experiments import start
from experiments.speed import jobs
from experiments.speed import speed_tables
from experiments.speed import tasks
from gd_jax.descent import optimizers
from gd_jax.descent import train
from gd_jax.judge import gate
from gd_jax.types import UserError
from gd_jax.world import clock
from gd_jax.world import mesh
from gd_jax.world import peaks
from tests import damage
from tests import scripts

ROOT = Path(__file__).parents[2]
SIZES = (20, 6, 3)


def spec(**changed):
  plain = tasks.Spec(SIZES, 10, 1, 'sgd', 'float32', 'mean')
  return plain._replace(**changed)


@pytest.fixture
def brief(monkeypatch):
  """Small work, short samples: nothing here is a measurement."""
  monkeypatch.setattr(tasks, 'EXAMPLES', 2400)
  monkeypatch.setattr(tasks, 'IDLE_STEPS', 20)
  monkeypatch.setattr(clock, 'LEAST_SECONDS', 1e-3)
  monkeypatch.setattr(peaks, '_SAMPLE', 1e-3)
  monkeypatch.setattr(peaks, '_LARGEST', 256)
  monkeypatch.setattr(peaks, '_CPU_EXPONENTS', (10, 12))
  monkeypatch.setattr(gate, 'SIZES', SIZES)
  monkeypatch.setattr(gate, 'MANY', 3000)


def context_of(tmp_path, **changed):
  values = {
    'batch_sizes': [10, 'full'],
    'lanes': [1, 4],
    'optimizers': None,
    'precisions': ['float32'],
    'samples': 10,
    'against': None,
    'layer_sizes': list(SIZES),
    'gradients': 'mean',
    'platform': None,
    'workdir': str(tmp_path),
    'name': 'b',
    'json': False,
    'profile': False,
  }
  said = []
  context = start.Context(
    experiment='benchmark',
    values=values | changed,
    dtype='float32',
    devices=jax.devices()[:2],
    first=True,
    arguments=[],
    stop=threading.Event(),
    signals=[],
    say=said.append,
    started=0.0,
    device_seconds=0.1,
  )
  return context, said


def test_rows_table_and_picture_and_then_against_them(brief, tmp_path):
  context, said = context_of(tmp_path)
  assert benchmark.main(context) == 0
  lines = (tmp_path / 'b' / 'rows.jsonl').read_text().splitlines()
  rows = [json.loads(line) for line in lines]
  assert [(r['lanes'], r['batch_size'], r['devices']) for r in rows] == [
    (1, 10, 1),
    (1, 2400, 2),
    (4, 10, 2),
    (4, 2400, 2),
  ]
  for row in rows:
    assert len(row['samples']) == 10
    assert row['machine']['jax'] == jax.__version__
    assert row['flags']['gradients'] == 'mean'
    assert set(row['phase_seconds']) == {
      'trace',
      'lower',
      'compile',
      'first_run',
    }
    assert row['numpy_difference'] < 1e-4
    assert row['bound'] in ('launch', 'memory', 'compute')
    median = np.median(row['samples'])
    updates = row['steps'] / (median * row['waves'])
    assert row['samples_per_second'] == pytest.approx(
      updates * row['lanes'] * row['batch_size']
    )
    assert row['gflops'] == pytest.approx(row['flop'] / median / 1e9)
    assert 0 < row['of_peak'] <= 1.2
  table = (tmp_path / 'b' / 'table.txt').read_text()
  assert max(map(len, table.splitlines())) <= 100
  for word in ('samples/s', 'lane-steps/s', 'bound', 'Crossover'):
    assert word in table
  figure = tmp_path / 'b' / 'figures' / 'roofline.png'
  assert figure.stat().st_size > 10_000
  assert any('end where NumPy ends' in line for line in said)
  old = str(tmp_path / 'b' / 'rows.jsonl')
  context, said = context_of(tmp_path, name='c', against=old, batch_sizes=[10])
  assert benchmark.main(context) == 0
  assert any('times as fast as before' in line for line in said)


@pytest.mark.parametrize(
  ('edit', 'changed', 'words'),
  [
    (lambda row: row['machine'].update(cores=64), {}, 'another machine: cores'),
    (lambda row: None, {'gradients': 'per_example'}, 'has no row of sgd m=10'),
    (lambda row: None, {'optimizers': 'adam'}, 'has no row of adam m=10'),
    (lambda row: row.pop('samples'), {}, 'holds no rows of a benchmark'),
  ],
)
def test_rows_of_another_machine_or_other_flags_are_refused(
  tmp_path, edit, changed, words
):
  from gd_jax.world import machine

  old = spec()._asdict() | {
    'machine': machine.machine_shape(jax.devices()[:2]),
    'samples': [1.0] * 10,
    'peak_samples': [1.0] * 10,
    'samples_per_second': 1.0,
    'launch_seconds': 1.0,
    'gflops': 1.0,
    'of_peak': 0.5,
  }
  edit(old)
  file = tmp_path / 'old.jsonl'
  file.write_text(json.dumps(old) + '\n')
  context, _ = context_of(
    tmp_path, lanes=[1], batch_sizes=[10], against=str(file), **changed
  )
  with pytest.raises(UserError, match=words):
    benchmark.main(context)
  assert [path.name for path in tmp_path.iterdir()] == ['old.jsonl']


def made(one):
  data = gate.images(2400, SIZES[0], SIZES[-1])
  return jobs.make(one, mesh.row(jax.devices()[:2]), data)


@pytest.mark.parametrize(
  ('optimizer', 'lanes', 'precision'),
  [
    ('adam+b1=0.8', 6, 'float32'),
    ('optax:sgd+momentum=0.5', 1, 'float32'),
    ('optax:sgd+momentum=0.5', 6, 'float64'),
  ],
)
def test_the_timed_executable_is_checked(brief, optimizer, lanes, precision):
  job = made(spec(optimizer=optimizer, lanes=lanes, precision=precision))
  assert len(job.findings) == (3 if lanes > 1 else 1)
  most = {'float32': 1e-4, 'float64': 1e-10}[precision]
  assert 0 < max(one.difference for one in job.findings) < most


def test_what_numpy_does_not_know_is_said_to_be_unchecked(brief):
  job = made(spec(optimizer='optax:lion'))
  assert job.findings == []
  assert 'unchecked' in speed_tables.checked(job)


@pytest.mark.parametrize('lanes', [1, 4])
def test_a_wrong_step_is_not_timed(brief, monkeypatch, lanes):
  real = train.cost_and_grad

  def wrong(*arguments, **options):
    cost, grad = real(*arguments, **options)
    return cost, jax.tree.map(lambda g: 1.01 * g, grad)

  monkeypatch.setattr(train, 'cost_and_grad', wrong)
  with pytest.raises(UserError, match='computes wrong numbers: sgd m=10'):
    made(spec(lanes=lanes))


def test_a_formula_off_by_the_scan_length_is_not_timed(brief, monkeypatch):
  from gd_jax.model import mlp

  real = mlp.flop
  monkeypatch.setattr(mlp, 'flop', lambda sizes, m: 240 * real(sizes, m))
  with pytest.raises(UserError, match='counted wrongly'):
    made(spec())


def test_an_unsynchronised_run_is_not_reported(brief, monkeypatch, tmp_path):
  real = clock.interleaved

  def hasty(variants, *rest):
    found = real(variants, *rest)
    return {
      name: [t / 1e4 for t in times] if name == '0' else times
      for name, times in found.items()
    }

  monkeypatch.setattr(clock, 'interleaved', hasty)
  context, _ = context_of(tmp_path, lanes=[1])
  with pytest.raises(UserError, match=r'seems to make .* at most'):
    benchmark.main(context)
  status = json.loads((tmp_path / 'b' / 'status.json').read_text())
  assert status['status'] == 'FAILED'
  assert (tmp_path / 'b' / 'rows.jsonl').read_text() == ''


def accelerator():
  return [types.SimpleNamespace(platform='gpu', device_kind='H', id=0)]


def test_an_accelerator_passes_the_gate_once(monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  monkeypatch.setattr(gates.mesh, 'row', lambda devices: None)
  tried, said = [], []
  found = gate.Finding('a program', 1e-6, 1e-3)
  monkeypatch.setattr(
    gate, 'try_device', lambda *_, **given: tried.append(given) or [found]
  )
  for precision in ('float32', 'float32', 'bfloat16'):
    gates.pass_once(accelerator(), 'float32', precision, said.append)
  assert [given['precision'] for given in tried] == ['float32', 'bfloat16']
  assert 'agree with NumPy to 1.0e-06' in said[0]
  assert 'checked against NumPy on' in said[1]
  assert all('\n' not in line for line in said)


def test_a_damaged_word_of_the_gate_counts_for_nothing(monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  monkeypatch.setattr(gates.mesh, 'row', lambda devices: None)
  tried = []
  found = gate.Finding('a program', 1e-6, 1e-3)
  monkeypatch.setattr(
    gate, 'try_device', lambda *_, **given: tried.append(given) or [found]
  )

  def passes():
    before = len(tried)
    gates.pass_once(accelerator(), 'float32', 'float32', lambda _: None)
    return len(tried) == before

  assert not passes()
  assert passes()
  [file] = tmp_path.rglob('*.json')
  whole = file.read_bytes()
  for place in range(0, len(whole), 3):
    file.write_bytes(damage.done(whole, (place, place % 8)))
    assert not passes()
    file.write_bytes(damage.done(whole, (place, None)))
    assert not passes()
  assert passes()
  assert file.read_bytes() == whole


def test_a_wrong_accelerator_trains_nothing_and_is_tried_again(
  monkeypatch, tmp_path
):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  row = mesh.row(jax.devices()[:1])
  monkeypatch.setattr(gates.mesh, 'row', lambda devices: row)
  monkeypatch.setattr(gate, 'SIZES', SIZES)
  monkeypatch.setattr(gate, 'STEPS', 3)
  monkeypatch.setattr(
    optimizers, 'sgd', lambda rate: optimizers.momentum(rate, mu=0.5)
  )
  for _ in range(2):
    with pytest.raises(UserError, match='wrong numbers'):
      gates.pass_once(accelerator(), 'float32', 'float32', print)
  assert not list(tmp_path.rglob('*.json'))


def test_help_and_readme_explain_the_table_in_the_same_words():
  found = scripts.run('benchmark', '--help')
  words = found.stdout.partition('How to read the table:\n\n')[2]
  ten = words.partition('\n\n')[0].splitlines()
  assert 8 <= len(ten) <= 10
  readme = (ROOT / 'README.md').read_text()
  assert '\n'.join('  ' + line for line in ten) in readme
  assert max(map(len, found.stdout.splitlines())) <= 80


@pytest.mark.claims
def test_the_benchmark_of_this_machine(tmp_path, record_property):
  found = subprocess.run(
    [sys.executable, '-m', 'experiments.benchmark', f'--workdir={tmp_path}'],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert found.returncode == 0, found.stderr
  (file,) = tmp_path.rglob('rows.jsonl')
  for line in file.read_text().splitlines():
    row = json.loads(line)
    record_property(row['name'], row['of_peak'])
    assert row['numpy_difference'] < 1e-3
    assert min(row['samples']) * row['calls_a_sample'] > 0.1


def test_a_call_is_an_epoch_and_of_many_lanes_less():
  def steps(m, lanes, sizes=(784, 30, 10)):
    return tasks.steps_of(tasks.Spec(sizes, m, lanes, 'sgd', 'float32', 'mean'))

  assert [steps(10, lanes) for lanes in (1, 24)] == [6000, 6000]
  assert steps(10, 512) == int(tasks.LANES_FLOP / 512 / 958_800) < 6000
  assert steps(10, 4096) < steps(10, 512)
  assert steps(100, 10**6) == 100
  assert steps(60_000, 512) == 1
