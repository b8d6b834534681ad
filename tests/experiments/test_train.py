"""The script train: rows, replay, resume, divergence, the published figures."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gd_jax.world import data
from tests import networks

ROOT = Path(__file__).parents[2]
TIMES = ('train_seconds', 'eval_seconds', 'compile_seconds')


def command(workdir, name, *arguments):
  return [
    sys.executable,
    '-m',
    'experiments.train',
    f'--workdir={workdir}',
    f'--name={name}',
    *arguments,
  ]


def train(workdir, name, *arguments, code=0):
  found = subprocess.run(
    command(workdir, name, *arguments),
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert found.returncode == code, found.stderr
  return found


def rows_of(workdir, name):
  text = (workdir / name / 'rows.jsonl').read_text()
  rows = [json.loads(line) for line in text.splitlines()]
  return [
    {key: value for key, value in row.items() if key not in TIMES}
    for row in rows
  ]


def status_of(workdir, name):
  return json.loads((workdir / name / 'status.json').read_text())


def last_arrays(workdir, name):
  newest = max(
    (workdir / name / 'checkpoint').glob('*.npz'), key=lambda p: int(p.stem)
  )
  with np.load(newest) as arrays:
    return {key: arrays[key].tobytes() for key in arrays}


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path):
  for name, seed in (('a', 0), ('b', 0), ('c', 1)):
    train(tmp_path, name, f'--seed={seed}', '--epochs=2')
  a, b, c = (rows_of(tmp_path, name) for name in 'abc')
  assert a == b
  assert last_arrays(tmp_path, 'a') == last_arrays(tmp_path, 'b')
  assert [row['train_cost'] for row in a] != [row['train_cost'] for row in c]
  assert [row['epoch'] for row in a] == [1, 2]
  assert [row['step'] for row in a] == [120, 240]
  assert status_of(tmp_path, 'a')['status'] == 'COMPLETED'
  assert (tmp_path / 'a' / 'figures' / 'curves.png').stat().st_size > 10_000
  config = json.loads((tmp_path / 'a' / 'config.json').read_text())
  assert config['flags']['batch_size'] == 10
  assert config['flags']['learning_rate'] == 1.0


def test_json_prints_the_rows_on_stdout_alone(tmp_path):
  found = train(tmp_path, 'j', '--json', '--epochs=2')
  printed = [json.loads(line) for line in found.stdout.splitlines()]
  text = (tmp_path / 'j' / 'rows.jsonl').read_text()
  assert printed == [json.loads(line) for line in text.splitlines()]
  assert 'epoch 2/2' in found.stderr


def test_full_batch_online_and_odd_mini_batches_run(tmp_path):
  for m, steps in (('full', 1), ('1', 1197), ('1000', 2)):
    train(tmp_path, f'm{m}', f'--batch_size={m}', '--epochs=1')
    assert rows_of(tmp_path, f'm{m}')[0]['step'] == steps


def test_divergence_is_said_with_its_update_and_code_3(tmp_path):
  found = train(
    tmp_path, 'd', '--activation=relu', '--learning_rate=1e30', code=3
  )
  status = status_of(tmp_path, 'd')
  assert status['status'] == 'DIVERGED'
  assert 'update 2 ' in status['reason']
  assert found.stderr.count('\n') == 1


def test_divergence_of_a_batch_on_all_devices_is_said_too(tmp_path):
  arguments = ['--batch_size=full', '--activation=relu', '--epochs=3']
  train(tmp_path, 'd', *arguments, '--learning_rate=1e30', code=3)
  assert 'update 2 ' in status_of(tmp_path, 'd')['reason']


def test_batch_descent_on_all_devices_goes_on_with_the_same_bits(tmp_path):
  arguments = ['--batch_size=full', '--epochs=4']
  train(tmp_path, 'whole', *arguments)
  train(tmp_path, 'part', *arguments)
  for file in (tmp_path / 'part' / 'checkpoint').glob('4.*'):
    file.unlink()
  (tmp_path / 'part' / 'status.json').unlink()
  found = train(tmp_path, 'part', *arguments, '--resume')
  assert 'going on from checkpoint' in found.stdout
  assert rows_of(tmp_path, 'part') == rows_of(tmp_path, 'whole')
  assert last_arrays(tmp_path, 'part') == last_arrays(tmp_path, 'whole')


def test_an_optimizer_that_keeps_a_key_is_saved_and_goes_on(tmp_path):
  arguments = ['--optimizer=optax:noisy_sgd+key=3', '--epochs=2']
  train(tmp_path, 'noisy', *arguments)
  assert len(rows_of(tmp_path, 'noisy')) == 2


SHORT = ['--batch_size=3', '--layer_sizes=64,200,10', '--epochs=60']


@pytest.fixture(scope='module')
def unbroken(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('unbroken')
  train(workdir, 'whole', *SHORT)
  return workdir


@pytest.mark.parametrize(
  'number',
  [
    signal.SIGKILL,
    signal.SIGTERM,
    pytest.param(signal.SIGINT, marks=pytest.mark.claims),
  ],
)
def test_a_stopped_run_goes_on_to_the_same_end(tmp_path, unbroken, number):
  process = subprocess.Popen(
    command(tmp_path, 'part', *SHORT),
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  assert process.stdout is not None
  for line in process.stdout:
    if line.startswith(('epoch 3/60', 'epoch  3/60')):
      break
  process.send_signal(number)
  _, said = process.communicate(timeout=60)
  done = len(rows_of(tmp_path, 'part'))
  assert 3 <= done < 60
  if number != signal.SIGKILL:
    assert process.returncode == 128 + number
    assert status_of(tmp_path, 'part')['status'] == 'INTERRUPTED'
    assert said.count('\n') == 1
  train(tmp_path, 'part', '--resume', *SHORT)
  assert rows_of(tmp_path, 'part') == rows_of(unbroken, 'whole')
  assert last_arrays(tmp_path, 'part') == last_arrays(unbroken, 'whole')


def test_resuming_what_is_finished_or_another_run_is_said(unbroken):
  again = train(unbroken, 'whole', '--resume', *SHORT)
  assert 'finished already' in again.stdout
  other = train(unbroken, 'whole', '--resume', *SHORT, '--seed=1', code=2)
  assert 'seed' in other.stderr


# The daily form of rows T27 to T30; their full distributions are claims.


@pytest.mark.parametrize(
  ('sizes', 'init', 'eta', 'low', 'high'),
  [
    ((784, 30, 10), 'normal', 3.0, 0.80, 0.925),
    ((784, 30, 10), 'scaled', 3.0, 0.925, 0.945),
    ((784, 100, 10), 'scaled', 3.0, 0.945, 0.958),
    ((784, 100, 10), 'normal', 0.001, 0.04, 0.20),
    ((784, 30, 10), 'normal', 100.0, 0.07, 0.16),
  ],
  ids=['T27', 'T28', 'T29', 'T30 eta 0.001', 'T30 eta 100'],
)
def test_T27_to_T30_one_epoch_of_two_seeds(
  mnist_dir, sizes, init, eta, low, high
):
  dataset = data.load('mnist', data_dir=mnist_dir)
  found = networks.accuracies(
    dataset, sizes, init=init, eta=eta, seeds=[0, 1], epochs=1
  )
  assert low < found.min() <= found.max() < high


def published(mnist_dir, sizes, init, eta, seeds):
  dataset = data.load('mnist', data_dir=mnist_dir)
  found = networks.accuracies(
    dataset, sizes, init=init, eta=eta, seeds=list(range(seeds)), epochs=30
  )
  return 100 * found[-1]


@pytest.mark.claims
def test_T27_the_books_network(mnist_dir, record_property):
  final = published(mnist_dir, (784, 30, 10), 'normal', 3.0, 10)
  record_property('accuracies', final.tolist())
  assert 94.70 <= np.median(final) <= 95.35
  assert (final > 94).sum() >= 8


@pytest.mark.claims
def test_T28_from_the_scaled_start(mnist_dir, record_property):
  final = published(mnist_dir, (784, 30, 10), 'scaled', 3.0, 10)
  record_property('accuracies', final.tolist())
  assert 95.50 <= final.mean() <= 95.88


@pytest.mark.claims
def test_T29_a_hundred_hidden_neurons(mnist_dir, record_property):
  final = published(mnist_dir, (784, 100, 10), 'scaled', 3.0, 3)
  record_property('accuracies', final.tolist())
  assert final.min() >= 97.5


@pytest.mark.claims
def test_T30_rates_that_hardly_or_never_learn(mnist_dir, record_property):
  slow = published(mnist_dir, (784, 100, 10), 'normal', 0.001, 3)
  wild = published(mnist_dir, (784, 30, 10), 'normal', 100.0, 3)
  record_property('accuracies', [slow.tolist(), wild.tolist()])
  assert slow.max() < 30
  assert 7 <= wild.min() <= wild.max() <= 14
