"""Every command and every block of README.md runs, or is named below."""

import functools
import importlib
import re
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest
from absl import flags as absl_flags

from experiments import command_line
from experiments import compare
from experiments import session
from tests import scripts

README = scripts.ROOT / 'README.md'
LANGUAGES = {'sh', 'python', 'ipython', 'text'}  # text is what was printed
# Every day commands that begin so have these flags, in place of README's own.
SHORT = {
  'python -m experiments.train': '--epochs=1',
  'python -m experiments.compare --opt': '--rates=1 --tuning_seeds=1 '
  '--report_seeds=2 --epochs=1',
  'python -m experiments.compare --snap': '--rates=1 --tuning_seeds=1 '
  '--report_seeds=2 --epochs=1 --optimizers=sgd',
  'python -m experiments.descend': '--steps=20',
  'python -m experiments.inspect_run': '--points=3 --lanczos_steps=2 '
  '--views=weights',
}
# Pasted, these go as far as their first work; as they stand, they run whole.
LONG = (
  'python -m experiments.benchmark --lanes=1,24,512 --batch_sizes=10,100',
  'python -m experiments.compare --certify',
  'python -m experiments.compare --dataset=mine.npz',
  'python -m experiments.compare --dataset=mnist --epochs=10',
  'python -m experiments.compare --name=colab',
  'python -m experiments.compare --optimizers=sgd --batch_sizes=1,10,100,full',
  'python -m experiments.compare --platform=cpu',
  'python -m experiments.descend --surface=ravine',
  'python -m experiments.descend --surface=two_minima',
  'python -m experiments.train --optimizer=adam',
)
# What needs a cluster, a network, a shell of its own or a file that only a run
# on this machine leaves: the flags of its script are parsed, no more.
ELSEWHERE = (
  '. .venv/bin/activate',
  '%cd gd_jax',
  '../shared/peers/race.py ',
  '.venv/bin/python -m pip install ',
  'gcloud compute tpus tpu-vm ssh NAME --worker=all ',
  'git clone URL-OF-THIS-REPOSITORY',
  'pip install ',
  'python -m experiments.benchmark --lanes=1,24,512 --batch_sizes=10,100 '
  '--against=',
  'python -m experiments.compare --name=big --coordinator=',
  'python -m experiments.train --dataset=mnist --manual_dir=FOLDER',
  'python3 -m venv .venv',
  'srun python ',
)


class Block(NamedTuple):
  line: int  # of README.md, where its text begins
  language: str
  text: str


def blocks() -> list[Block]:
  text = README.read_text()
  found = re.finditer(r'^```(\w*)\n(.*?)^```$', text, re.M | re.S)
  return [
    Block(text.count('\n', 0, match.start()) + 2, match[1], match[2])
    for match in found
  ]


def commands(block: Block) -> list[tuple[int, str]]:
  """(line of README.md, command) of a block, without its remark."""
  found = []
  for number, text in enumerate(block.text.splitlines(), block.line):
    command = re.sub(r'\s+#.*', '', text).strip()
    if block.language == 'sh' and command:
      found.append((number, command))
    if block.language == 'ipython' and command[:1] in '!%':
      found.append((number, command.removeprefix('!')))
  return found


def all_commands() -> list[str]:
  return [command for block in blocks() for _, command in commands(block)]


def test_every_block_says_what_it_is():
  text = README.read_text()
  assert {block.language for block in blocks()} == LANGUAGES
  assert text.count('```') == 2 * len(blocks())
  outside = re.sub(r'^```.*?^```$', '', text, flags=re.M | re.S)
  # An indented line after an empty one would be a block that no test sees.
  assert not re.search(r'\n\n {4,}\S', outside)


def test_every_exception_still_stands_there():
  for prefix in (*LONG, *ELSEWHERE):
    assert any(command.startswith(prefix) for command in all_commands()), prefix


def test_pictures_files_and_sections_are_there():
  text = README.read_text()
  named = re.findall(r'!\[[^]]+\]\(([^)]+)\)', text)
  named += re.findall(r'`((?:experiments|gd_jax)/[\w/.]+|[A-Z]+\.\w+)`', text)
  assert len(named) > 6
  for name in named:
    assert (scripts.ROOT / name).exists(), name
  assert '\n## A settled question\n' in text


def parsed(command: str) -> None:
  """Parses the flags of a command that cannot run here."""
  for script, text in re.findall(r"-m experiments\.(\w+) ?([^'|]*)", command):
    module = importlib.import_module(f'experiments.{script}')
    try:
      rest = command_line.parse([script, *shlex.split(text)], module.FLAGS)
      command_line.check_several(command_line.resolved(module.FLAGS))
    finally:
      for holder in module.FLAGS:
        absl_flags.FLAGS[holder.name].unparse()
      absl_flags.FLAGS.unparse_flags()
    assert rest == [] or scripts.takes_positionals(script), command


def shortened(command: str) -> str:
  """The command with what SHORT has for it."""
  for prefix, more in SHORT.items():
    if command.startswith(prefix):
      for flag in more.split():
        command = re.sub(rf' {flag.partition("=")[0]}=\S+', '', command)
      command += f' {more}'
  return command


def ended(here, number: int, command: str) -> None:
  """Runs a script's command to its end; MNIST is a file of its shape."""
  command = command.partition('|')[0].replace('=mnist', '=as_mnist.npz')
  if '--name=' not in command:
    command += f' --name=line{number}'
  how, dash_m, script, *arguments = shlex.split(command)
  assert (how, dash_m) == ('python', '-m')
  code, _, err = here(script.removeprefix('experiments.'), *arguments)
  assert code == 0, err


def pasted(block: Block, run) -> None:
  """Does what somebody does who pastes the block."""
  if block.language == 'python':
    code = compile(block.text, f'{README.name}, line {block.line}', 'exec')
    module = re.match(r'# (\w+\.py)', block.text)
    if module:
      Path(module[1]).write_text(block.text)
    with jax.enable_x64(False):
      exec(code, {})
  for number, command in commands(block):
    if command.startswith('make '):
      line = [*shlex.split(command), '-n']
      subprocess.run(line, cwd=scripts.ROOT, check=True, capture_output=True)
    elif command.startswith(ELSEWHERE):
      parsed(command)
    else:
      run(number, command)
  if block.language == 'ipython':
    lines = block.text.splitlines()
    rest = [line for line in lines if line and line[0] not in '!%']
    compile('\n'.join(rest), README.name, 'exec')


@pytest.fixture
def folder(tmp_path, monkeypatch):
  """A place that Python imports from, with nothing but the results."""
  results = tmp_path / 'experiments' / 'results'
  results.parent.mkdir()
  results.symlink_to(scripts.ROOT / 'experiments' / 'results')
  draw = np.random.default_rng(0)
  x = draw.integers(0, 256, (80, 28, 28, 1), np.uint8)
  y = (np.arange(80) % 10).astype(np.uint8)
  np.savez(
    tmp_path / 'as_mnist.npz',
    x_train=x[:60],
    y_train=y[:60],
    x_test=x[60:],
    y_test=y[60:],
  )
  monkeypatch.chdir(tmp_path)
  monkeypatch.syspath_prepend(tmp_path)
  return tmp_path


def test_python_and_what_it_needs_run_and_every_command_parses(folder, here):
  def run(number, command):
    if re.search(r'--name=first|my_', command):
      ended(here, number, shortened(command))
    else:
      parsed(command)

  for block in blocks():
    pasted(block, run)
  assert (folder / 'runs' / 'first').is_dir()


@pytest.mark.claims
def test_all_of_it_pasted_from_top_to_bottom(folder, here, monkeypatch):
  def run(number, command):
    with monkeypatch.context() as patch:
      if command.startswith(LONG):
        patch.setattr(session, 'hold', lambda *_: 0)
        patch.setattr(compare, 'certify', lambda *_: 0)
      ended(here, number, shortened(command))

  for block in blocks():
    pasted(block, run)
  made = {path.name for path in (folder / 'runs').iterdir()}
  assert {'first', 'three', 'seen', 'other', 'six'} <= made


@pytest.mark.claims
def test_all_of_it_as_it_stands(folder, here):
  for block in blocks():
    pasted(block, functools.partial(ended, here))
