"""What scripts say, where: rows on stdout, words for people, no control."""

import json
import os
import pty
import re
import subprocess
import termios

import pytest

from tests import scripts

TINY = {
  'train': ['--epochs=2'],
  'compare': [
    '--optimizers=sgd,adam',
    '--rates=2',
    '--tuning_seeds=1',
    '--report_seeds=2',
    '--epochs=1',
    '--layer_sizes=64,5,10',
  ],
  'descend': ['--surface=parabola', '--steps=20'],
  'textbook': ['--rows=T01'],
  'inspect_run': ['--views=weights', '--points=3'],
  'benchmark': ['--layer_sizes=20,5,3', '--lanes=1', '--batch_sizes=full'],
}
DAILY = ('train', 'descend', 'textbook')
SCRIPTS = [
  name if name in DAILY else pytest.param(name, marks=pytest.mark.claims)
  for name in TINY
]
CONTROL = re.compile(r'[\x00-\x09\x0b-\x1f\x7f-\x9f]')


def begin(script, folder, here):
  """The tiny command line of a script, and what has to be there before it."""
  if script == 'inspect_run':
    before = [*scripts.named(folder, 'before'), '--snapshots=2', '--epochs=1']
    assert here('train', *before)[0] == 0
  return [*scripts.named(folder, 'a'), *TINY[script]]


def test_every_script_is_tried():
  assert sorted(TINY) == scripts.names()


@pytest.mark.parametrize('script', SCRIPTS)
def test_json_is_the_rows_alone_and_quiet_says_nothing(script, here, tmp_path):
  line = begin(script, tmp_path, here)
  code, out, err = here(script, *line, '--json', '--quiet')
  assert (code, err) == (0, '')
  printed = [json.loads(text) for text in out.splitlines()]
  assert printed == scripts.lines_of(tmp_path / 'a')
  assert printed


def test_json_without_quiet_leaves_the_words_on_stderr(here, tmp_path):
  line = begin('descend', tmp_path, here)
  _, out, err = here('descend', *line, '--json')
  assert all(json.loads(text) for text in out.splitlines())
  assert 'parabola' in err


def test_quiet_leaves_errors(here, tmp_path):
  line = scripts.named(tmp_path, 'a')
  wild = ['--activation=relu', '--learning_rate=1e30']
  code, out, err = here('train', *line, '--quiet', *wild)
  assert (code, out) == (3, '')
  assert 'diverged' in err
  code, out, err = here('train', '--quiet', '--optimizer=adm')
  assert (code, out) == (2, '')
  assert 'adam' in err


def test_a_rescored_study_prints_tables_or_rows_or_nothing(here, tmp_path):
  line = begin('compare', tmp_path, here)
  code, out, err = here('compare', *line, '--json', '--quiet')
  assert (code, err) == (0, '')
  again = f'--rescore={tmp_path / "a"}'
  rows, tables = scripts.lines_of(tmp_path / 'a'), tmp_path / 'a' / 'tables.txt'
  assert [json.loads(text) for text in out.splitlines()] == rows
  assert here('compare', again)[1] == tables.read_text()
  code, out, err = here('compare', again, '--json')
  assert [json.loads(text) for text in out.splitlines()] == rows
  assert tables.read_text() in err
  code, out, err = here('compare', again, '--quiet')
  assert (code, out, err) == (0, '', '')


def heard(master, process):
  """All that a terminal is sent, until the process has ended."""
  parts = []
  while True:
    try:
      part = os.read(master, 4096)
    except OSError:  # Linux's end of a terminal
      break
    if not part:
      break
    parts.append(part)
  process.wait()
  return b''.join(parts).decode()


@pytest.mark.parametrize(
  'script',
  [
    name if name == 'train' else pytest.param(name, marks=pytest.mark.claims)
    for name in TINY
  ],
)
def test_a_terminal_gets_no_control_character(script, tmp_path, here):
  line = begin(script, tmp_path, here)
  master, terminal = pty.openpty()
  try:
    mode = termios.tcgetattr(terminal)
    mode[1] &= ~termios.OPOST  # it would send a carriage return a line itself
    termios.tcsetattr(terminal, termios.TCSANOW, mode)
    with subprocess.Popen(
      scripts.command(script, *line),
      cwd=scripts.ROOT,
      env=os.environ | {'TERM': 'xterm-256color', 'FORCE_COLOR': '1'},
      stdin=terminal,
      stdout=terminal,
      stderr=terminal,
    ) as process:
      os.close(terminal)
      said = heard(master, process)
  finally:
    os.close(master)
  assert process.returncode == 0, said
  assert 'wrote ' in said
  assert not CONTROL.search(said)


@pytest.mark.parametrize('script', list(TINY))
def test_help_has_no_control_character(script, here):
  code, out, err = here(script, '--help')
  assert (code, err) == (0, '')
  assert '\n  --quiet\n' in out
  assert not CONTROL.search(out)
