"""Two processes over real sockets: the same bits, and nobody waits for long."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gd_jax.world import checkpoint
from gd_jax.world import rowfile
from gd_jax.world import rundir
from tests import scripts

ROOT = Path(__file__).parents[2]
STUDY = ('--optimizers=sgd', '--rates=2', '--tuning_seeds=1', '--epochs=40')
# Name of a study: who is struck by what, and what the other one says of it.
HALTED = {
  'halted': (0, signal.SIGSTOP, 'process 0 has ended or does not answer')
}
KILLED = {
  'killed': (1, signal.SIGKILL, 'another process of this run has ended')
}
STRUCK = HALTED | KILLED
# Its processes have two devices each.
POLITE = {'polite': (1, signal.SIGTERM, '')}
STARTED = []


@pytest.fixture(scope='module', autouse=True)
def nobody_left():
  yield
  for process in STARTED:
    process.kill()
    process.wait()


def free_port():
  with socket.socket() as listening:
    listening.bind(('127.0.0.1', 0))
    return listening.getsockname()[1]


def start(workdir, name, who, cores, *arguments):
  """One process on some cores, each of which is one device."""
  said = workdir / f'{name}-{who}'
  with open(f'{said}.out', 'w') as out, open(f'{said}.err', 'w') as err:
    process = subprocess.Popen(
      [
        sys.executable,
        '-c',
        f'{scripts.UNDRAWN}import os, runpy; os.sched_setaffinity(0, {cores}); '
        'runpy.run_module'
        '("experiments.compare", run_name="__main__", alter_sys=True)',
        f'--workdir={workdir}',
        f'--name={name}',
        *STUDY,
        '--report_seeds=3',
        *arguments,
      ],
      cwd=ROOT,
      stdout=out,
      stderr=err,
    )
  STARTED.append(process)
  return process


def two(workdir, name, *arguments):
  """Two processes of one device each, or of two."""
  there = f'--coordinator=127.0.0.1:{free_port()}'
  return [
    start(
      workdir,
      name,
      process,
      [0, 1] if name in POLITE else [process],
      there,
      '--num_processes=2',
      f'--process_id={process}',
      *arguments,
    )
    for process in (0, 1)
  ]


def said_by(workdir, name, process, stream='err'):
  return (workdir / f'{name}-{process}.{stream}').read_text()


@pytest.fixture(scope='module')
def struck(tmp_path_factory):
  """Two studies at once: (folder, exit codes)."""
  return strike(tmp_path_factory.mktemp('struck'), HALTED | POLITE)


@pytest.fixture(scope='module')
def killed(tmp_path_factory):
  """One more: (folder, exit codes)."""
  return strike(tmp_path_factory.mktemp('killed'), KILLED)


def strike(workdir, strikes):
  """Strikes each of the studies after its first unit."""
  pairs = {name: two(workdir, name) for name in strikes}
  whole = dict(pairs)
  since = {}
  while whole:
    time.sleep(0.02)
    for name in list(whole):
      if (workdir / name / 'checkpoint' / '1.json').exists():
        process, number, _ = strikes[name]
        whole.pop(name)[process].send_signal(number)
        since[name] = time.monotonic()
      else:
        assert whole[name][0].poll() is None, said_by(workdir, name, 0)
  codes = {}
  for name, pair in pairs.items():
    process, number, _ = strikes[name]
    left = since[name] + 30 - time.monotonic()
    codes[name] = [pair[1 - process].wait(max(left, 0.1))]
    if number == signal.SIGSTOP:
      pair[process].kill()
    codes[name].append(pair[process].wait(30))
  return workdir, codes


# Daily it is seen one floor below, in tests/world/test_mesh.py.
@pytest.mark.claims
@pytest.mark.parametrize(
  ('name', 'studies'), [('halted', 'struck'), ('killed', 'killed')]
)
def test_a_process_that_dies_or_stops_ends_the_other(name, studies, request):
  workdir, codes = request.getfixturevalue(studies)
  process, _, words = STRUCK[name]
  assert codes[name] == [2, -signal.SIGKILL]
  *lines, last = said_by(workdir, name, 1 - process).splitlines()
  assert last.startswith(f'compare: {words}')
  assert '--resume' in last
  # Nothing but progress came before it, in process 0.
  assert all(line.startswith('tuning') for line in lines), lines
  run = workdir / name
  assert rundir.read_status(run).status in ('KILLED', 'FAILED')
  config = rundir.read_config(run)
  found = checkpoint.newest(run, (), config)
  assert found is not None
  assert not found.skipped
  known = sum(program['rows'] for program in found.extra['programs'])
  assert len(rowfile.read(run)) >= known > 0


@pytest.mark.claims
def test_a_signal_at_one_stops_both_at_the_same_epoch(struck):
  workdir, codes = struck
  assert codes['polite'] == [143, 143]
  assert rundir.read_status(workdir / 'polite').status == 'INTERRUPTED'
  assert said_by(workdir, 'polite', 1) == ''


@pytest.mark.claims
def test_they_resume_to_the_bits_of_one_with_two_devices(struck):
  workdir, _ = struck
  name = 'halted'
  alone = start(workdir, 'alone', 'one', [0, 1])
  both = two(workdir, name, '--resume', '--json')
  assert [process.wait(120) for process in (alone, *both)] == [0, 0, 0]
  rows = (workdir / name / 'rows.jsonl').read_bytes()
  assert rows == (workdir / 'alone' / 'rows.jsonl').read_bytes()
  told = [said_by(workdir, name, process, 'out') for process in (0, 1)]
  assert told[0].startswith('{')
  assert rows.endswith(told[0].encode())
  assert told[1] == ''
  studies = [
    json.loads((workdir / run / 'study.json').read_text())
    for run in (name, 'alone')
  ]
  assert studies[0]['sentence'] == studies[1]['sentence']
  for mine, theirs in zip(
    *(study['programs'] for study in studies), strict=True
  ):
    assert mine['orders'] == theirs['orders']
    assert mine['lane_block'] == theirs['lane_block']
  machine = rundir.read_config(workdir / name)['machine']
  assert machine['devices'] == len(machine['processes']) == 2


def test_processes_that_were_not_started_alike_refuse(tmp_path):
  there = f'--coordinator=localhost:{free_port()}'
  both = [
    start(
      tmp_path,
      'unlike',
      process,
      [process],
      there,
      '--num_processes=2',
      f'--process_id={process}',
      f'--seed={process}',
    )
    for process in (0, 1)
  ]
  assert [process.wait(60) for process in both] == [2, 2]
  for process in (0, 1):
    (line,) = said_by(tmp_path, 'unlike', process).splitlines()
    assert 'flags.seed: 0 there, 1 now' in line
  assert not (tmp_path / 'unlike').exists()
