"""The script train: rows, replay, resume, divergence, the published figures."""

import json

import numpy as np
import pytest

from gd_jax.world import data
from tests import networks
from tests import scripts


def train(workdir, name, *arguments, **more):
  return scripts.run('train', *scripts.named(workdir, name), *arguments, **more)


def rows_of(workdir, name):
  return scripts.untimed(scripts.lines_of(workdir / name))


def last_arrays(workdir, name):
  return scripts.arrays_of(workdir / name)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path):
  # In a fork, or in a Python with hashes of its own.
  for name, seed, fresh in (('a', 0, False), ('b', 0, True), ('c', 1, False)):
    words = f'--seed={seed}', '--epochs=2'
    train(tmp_path, name, *words, fresh=fresh, drawn=True)
  a, b, c = (rows_of(tmp_path, name) for name in 'abc')
  assert a == b
  assert last_arrays(tmp_path, 'a') == last_arrays(tmp_path, 'b')
  assert [row['train_cost'] for row in a] != [row['train_cost'] for row in c]
  assert [row['epoch'] for row in a] == [1, 2]
  assert [row['step'] for row in a] == [120, 240]
  assert scripts.status_of(tmp_path / 'a') == 'COMPLETED'
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
  status = scripts.json_of(tmp_path / 'd', 'status.json')
  assert status['status'] == 'DIVERGED'
  assert 'update 2 ' in status['reason']
  assert found.stderr.count('\n') == 1


def test_divergence_of_a_batch_on_all_devices_is_said_too(tmp_path):
  arguments = ['--batch_size=full', '--activation=relu', '--epochs=3']
  train(tmp_path, 'd', *arguments, '--learning_rate=1e30', code=3)
  assert 'update 2 ' in scripts.json_of(tmp_path / 'd', 'status.json')['reason']


# Half a GiB more than it has when it begins to train.
FULL = """
import resource
from experiments import gates
def limit(*_):
  with open('/proc/self/statm') as file:
    size = int(file.read().split()[0]) * resource.getpagesize() + 2**29
  resource.setrlimit(resource.RLIMIT_AS, (size, size))
gates.pass_once = limit
"""


def test_memory_that_is_full_is_one_sentence(tmp_path):
  found = scripts.run(
    'train',
    *scripts.named(tmp_path, 'a'),
    '--layer_sizes=64,9000,9000,10',
    setup=FULL,
    code=2,
  )
  scripts.sentence(found, 2, 'train: memory is full (', 'smaller layers')
  status = scripts.json_of(tmp_path / 'a', 'status.json')
  assert status['status'] == 'FAILED'
  assert 'memory' in status['reason']


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
