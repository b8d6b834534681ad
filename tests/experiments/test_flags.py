"""Bad input: one sentence, the right code, no traceback, nothing compiled."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from absl import flags as absl_flags

from experiments import compare
from experiments import start
from experiments import train
from tests import scripts

ROOT = Path(__file__).parents[2]


def run(script, *arguments, **more):
  return scripts.run(script, *arguments, code=None, **more)


def refused(found, code, *words):
  assert found.returncode == code, found.stderr
  assert 'Traceback' not in found.stderr
  lines = found.stderr.strip().splitlines()
  assert len(lines) == 1, found.stderr
  for word in words:
    assert word in lines[0]


@pytest.mark.parametrize('script', ['train', 'compare'])
@pytest.mark.parametrize(
  ('arguments', 'words'),
  [
    (['--batch_sise=3'], ['--batch_sise', '--batch_size']),
    (['stray'], ["'stray'", '--help']),
    (['--epochs=3', '--epochs=4'], ['--epochs', 'twice']),
    (['--json', '--nojson'], ['--json', 'twice']),
    (['--batch_size=0'], ['--batch_size=0', 'from 1']),
    (['--batch_size=ten'], ['--batch_size=ten', 'full']),
    (['--layer_sizes=784,,10'], ['--layer_sizes=784,,10', 'whole number']),
    (['--epochs=-1'], ['--epochs=-1', 'from 1']),
    (['--cost=mse'], ['--cost=mse', 'quadratic, cross_entropy']),
    (['--seed'], ['seed']),
    (['--workdir='], ['--workdir', 'empty']),
    (['--name='], ['--name', 'empty']),
    (['--json=maybe'], ['json', 'true or false']),
    (['--workdir', '--json'], ['--workdir', 'no value', '--json']),
    (['--seed', '-json'], ['--seed', 'no value']),
    (['--epochs=' + 5000 * '9'], ['--epochs=999', '...', 'at most']),
    (['--epochs=\x1b[31m\u202e1'], ['--epochs=\\x1b[31m\\u202e1']),
  ],
)
def test_bad_flags_are_one_sentence_and_code_1(
  script, arguments, words, monkeypatch, capsys
):
  assert_refused_here(script, arguments, words, monkeypatch, capsys)


def assert_refused_here(script, arguments, words, monkeypatch, capsys):
  """In this process: what is refused by its flags has touched nothing."""
  module = {'train': train, 'compare': compare}[script]
  monkeypatch.setattr(sys, 'argv', [f'{script}.py', *arguments])
  monkeypatch.setattr(start, 'listen', None)
  with pytest.raises(SystemExit) as left:
    start.run(module.main, doc='', own=module.FLAGS)
  absl_flags.FLAGS.unparse_flags()
  said = capsys.readouterr()
  assert left.value.code == 1
  assert said.out == ''
  assert said.err.count('\n') == 1
  for word in words:
    assert word in said.err


@pytest.mark.parametrize(
  ('script', 'arguments', 'words'),
  [
    ('train', ['--distributed'], ['--distributed', 'only compare']),
    ('train', ['--process_id=0'], ['--process_id', 'only compare']),
    ('compare', ['--process_id=1'], ['--coordinator', 'missing']),
    (
      'compare',
      ['--coordinator=a:1', '--num_processes=2'],
      ['--process_id', 'missing'],
    ),
    (
      'compare',
      ['--coordinator=a:1', '--num_processes=2', '--process_id=2'],
      ['--process_id=2', '--num_processes=2', 'from 0'],
    ),
    ('compare', ['--distributed', '--process_id=0'], ['--distributed']),
  ],
)
def test_flags_of_several_processes_have_their_place(
  script, arguments, words, monkeypatch, capsys
):
  assert_refused_here(script, arguments, words, monkeypatch, capsys)


@pytest.mark.parametrize('value', ['nan', 'inf', '0', '-1', 'fast'])
def test_a_rate_is_a_finite_number_above_zero(value, monkeypatch, capsys):
  arguments, words = [f'--learning_rate={value}'], [value, 'above 0']
  assert_refused_here('train', arguments, words, monkeypatch, capsys)


def test_a_script_says_so_from_a_shell():
  refused(run('train', '--epochs=0', fresh=True), 1, '--epochs=0')


@pytest.mark.parametrize(
  ('arguments', 'words'),
  [
    (['--batch_size=5000'], ['5000', '1197']),
    (['--layer_sizes=784,30,10'], ['784,30,10', '64,30,10']),
    (['--layer_sizes=64'], ['64,30,10']),
    (['--dataset=digitz'], ['digitz', 'digits', 'mnist']),
    (['--optimizer=adm'], ['adm', 'adam', 'sgd']),
    (['--optimizer=adam+beta=3'], ['beta', 'b1']),
    (['--schedule=cosin'], ['cosin', 'cosine']),
    (['--name=../up'], ['../up']),
    (['--name=a b'], ['a b']),
    (['--workdir=/dev/null/x'], ['/dev/null']),
    (['--validation_size=5000'], ['5000']),
    (['--platform=tpu'], ['tpu', '--platform=cpu']),
    (['--platform=gpu'], ['gpu', '--platform=cpu']),
    (["--optimizer=adam+b1='x'"], ['adam']),
    (
      ['--optimizer=optax:polyak_sgd', '--schedule=cosine+steps=100'],
      ['polyak_sgd', 'schedule'],
    ),
    (['--learning_rate=1e300'], ['1e+300', 'float32']),
    (['--layer_sizes=64,999999999,10'], ['GiB', 'smaller']),
    (['--resume'], ['--resume', '--name']),
  ],
)
def test_what_the_user_can_mend_is_one_sentence_and_code_2(
  tmp_path, arguments, words
):
  if not any(one.startswith('--workdir') for one in arguments):
    arguments = [*arguments, f'--workdir={tmp_path}']
  refused(run('train', *arguments), 2, *words)
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
  ('arguments', 'words'),
  [
    (['--optimizers=sgd,adm'], ['adm', 'adam']),
    (['--optimizers=sgd,sgd'], ['sgd', 'twice']),
    (['--optimizers=optax:lbfgs'], ['lbfgs', 'function']),
    (['--validation_size=0'], ['--validation_size']),
    (['--metric=updates_to_target'], ['--target']),
    (['--batch_sizes=10,5000'], ['--batch_sizes=5000', '1197']),
    (['--batch_sizes=1197,full'], ['sgd m=1197', 'twice']),
    (['--init=normal,normal'], ['twice']),
    (['--init='], ['--init']),
    (['--optimizers=sgd@1e37'], ['float32']),
    (['--extend=/nowhere'], ['/nowhere']),
    (
      ['--metric=updates_to_target', '--target=0.9', '--batch_sizes=1,full'],
      ['--metric', 'one batch size'],
    ),
  ],
)
def test_what_cannot_be_a_study_is_one_sentence(tmp_path, arguments, words):
  found = run('compare', *arguments, f'--workdir={tmp_path}')
  refused(found, 2, *words)
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('arguments', [['--help'], ['--json', '--epochs=3']])
def test_a_reader_that_goes_away_gets_no_traceback(tmp_path, arguments):
  command = [sys.executable, '-m', 'experiments.train', *arguments]
  with subprocess.Popen(
    [*command, f'--workdir={tmp_path}'],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  ) as writer:
    assert writer.stdout is not None
    assert writer.stderr is not None
    writer.stdout.close()
    said = writer.stderr.read()
  assert writer.returncode == 2
  assert 'Traceback' not in said
  assert 'stdout' in said.splitlines()[-1]


def test_words_that_nobody_hears_go_nowhere(tmp_path):
  # A closed descriptor would be the next file's, and print falls to stdout.
  found = scripts.run(
    'train',
    *scripts.named(tmp_path, 'a'),
    '--json',
    '--epochs=2',
    before=('sh', '-c', 'exec "$@" 0<&- 2>&-', 'sh'),
  )
  printed = [json.loads(line) for line in found.stdout.splitlines()]
  assert printed == scripts.lines_of(tmp_path / 'a')
  lock = json.loads((tmp_path / 'a' / 'lock').read_text())
  assert set(lock) == {'pid', 'host', 'since'}


def test_an_altered_mnist_file_is_refused(tmp_path):
  originals = ROOT.parent / 'shared' / 'mnist'
  if not originals.is_dir():
    pytest.skip('the original files of MNIST are not in ../shared/mnist')
  manual = tmp_path / 'manual'
  manual.mkdir()
  for file in originals.iterdir():
    data = bytearray(file.read_bytes())
    if file.name.startswith('t10k-labels'):
      data[1000] ^= 1
    (manual / file.name).write_bytes(data)
  found = run(
    'train',
    '--dataset=mnist',
    f'--manual_dir={manual}',
    f'--data_dir={tmp_path / "data"}',
    f'--workdir={tmp_path / "runs"}',
  )
  refused(found, 2, 't10k-labels-idx1-ubyte.gz')


def test_help_shows_every_flag_with_its_default():
  for script in ('train', 'compare'):
    found = run(script, '--help')
    assert found.returncode == 0
    for flag in ('dataset', 'batch_size', 'precision', 'workdir', 'name'):
      assert f'\n  --{flag}\n' in found.stdout
    for title in ('Data:', 'Network:', 'Descent:', 'Run directory:'):
      assert f'\n{title}\n' in found.stdout
    assert 'Default: digits.' in found.stdout
    assert max(map(len, found.stdout.splitlines())) <= 80


def test_a_python_without_our_packages_is_told_which_one_to_use():
  found = subprocess.run(
    [sys.executable, '-S', '-m', 'experiments.train'],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  refused(found, 1, 'has no absl', '.venv/bin/python')


def test_a_file_that_is_not_there_or_no_archive_is_said_plainly(tmp_path):
  text = tmp_path / 'text.npz'
  text.write_text('these are no arrays')
  for file, word in (
    (tmp_path / 'gone.npz', 'no such file'),
    (text, 'no arrays'),
  ):
    found = run('train', f'--dataset={file}', f'--workdir={tmp_path}/runs')
    refused(found, 2, file.name, word)
    assert 'allow_pickle' not in found.stderr
    assert 'Errno' not in found.stderr


def test_one_own_data_from_a_file(tmp_path):
  rng = np.random.default_rng(0)
  x = rng.integers(0, 256, (90, 3, 3), dtype=np.uint8)
  y = rng.integers(0, 4, 90)
  file = tmp_path / 'mine.npz'
  np.savez(file, x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])
  found = run(
    'train', f'--dataset={file}', '--epochs=1', f'--workdir={tmp_path}'
  )
  assert found.returncode == 0, found.stderr
  assert '9-30-4' in found.stdout
