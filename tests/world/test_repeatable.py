"""A GPU is asked for the same bits in every process."""

import os
import subprocess
import sys
from importlib import metadata

import pytest

from experiments import devices
from gd_jax.world import repeatable
from tests import scripts

ASKED = '--xla_gpu_deterministic_ops=true --xla_gpu_enable_triton_gemm=false'


@pytest.mark.parametrize(
  ('platforms', 'before', 'after'),
  [
    ([], None, None),
    (['xla_tpu', 'oneapi'], '--xla_a=1', '--xla_a=1'),
    (['xla_cuda13'], None, ASKED),
    (['xla_rocm7'], '', ASKED),
    (['xla_cuda12'], '--xla_a=1', f'--xla_a=1 {ASKED}'),
    (
      ['xla_cuda13'],
      "--xla_gpu_deterministic_ops=false --xla_b='a  b' ",
      "--xla_gpu_deterministic_ops=false --xla_b='a  b' "
      '--xla_gpu_enable_triton_gemm=false',
    ),
    (['xla_cuda13'], ASKED, ASKED),
    (['xla_cuda13'], ' flags.txt', ' flags.txt'),
  ],
)
def test_settings_are_added_for_a_gpu_and_the_users_stay(
  platforms, before, after
):
  environment = {} if before is None else {'XLA_FLAGS': before}
  repeatable.ask(environment, platforms)
  assert environment.get('XLA_FLAGS') == after


def test_a_setting_that_xla_has_no_longer_is_left_out(monkeypatch):
  settings = {'--xla_gone_since': 'true', **repeatable.SETTINGS}
  monkeypatch.setattr(repeatable, 'SETTINGS', settings)
  environment = {}
  repeatable.ask(environment, ['xla_cuda13'])
  assert environment['XLA_FLAGS'] == ASKED


@pytest.mark.parametrize('probe', ['import gone', 'raise SystemExit(9)'])
def test_settings_stay_where_xla_cannot_be_asked(monkeypatch, probe):
  monkeypatch.setattr(repeatable, 'PROBE', probe)
  environment = {}
  repeatable.ask(environment, ['xla_cuda13'])
  assert environment['XLA_FLAGS'] == ASKED
  monkeypatch.setattr('sys.executable', '/no/python')
  assert repeatable.takes(ASKED)


@pytest.mark.parametrize(
  ('code', 'said', 'taken'),
  [
    (0, b'', True),
    (0, b'Unknown flag in a warning', True),
    (1, b'no jaxlib', True),
    (-6, b'F0000 Unknown flags in XLA_FLAGS: --xla_b', False),
  ],
)
def test_only_a_word_of_xla_counts_against_a_flag(
  monkeypatch, code, said, taken
):
  asked = []

  def run(command, **named):
    asked.append((command, named))
    return subprocess.CompletedProcess(command, code, b'', said)

  monkeypatch.setattr(subprocess, 'run', run)
  monkeypatch.setenv('OURS', 'kept')
  assert repeatable.takes('--xla_a --xla_b') == taken
  environment = {**os.environ, 'XLA_FLAGS': '--xla_a --xla_b'}
  command = [sys.executable, '-c', repeatable.PROBE]
  named = {'env': environment, 'capture_output': True, 'check': False}
  assert asked == [(command, named)]
  assert environment['OURS'] == 'kept'


@pytest.mark.parametrize(
  ('known', 'asked', 'after'),
  [
    ({'a', 'b', 'c'}, [['a', 'b', 'c']], '-x --a=1 --b=2 --c=3'),
    ({'b'}, [['a', 'b', 'c'], ['a'], ['b'], ['c']], '-x --b=2'),
    (set(), [['a', 'b', 'c'], ['a'], ['b'], ['c']], '-x'),
  ],
)
def test_flags_are_tried_together_and_then_each(
  monkeypatch, known, asked, after
):
  tried = []

  def takes(flags):
    tried.append([flag[2] for flag in flags.split()])
    return set(tried[-1]) <= known

  monkeypatch.setattr(repeatable, 'takes', takes)
  settings = {'--a': '1', '--b': '2', '--c': '3'}
  monkeypatch.setattr(repeatable, 'SETTINGS', settings)
  environment = {'XLA_FLAGS': ' -x '}
  repeatable.ask(environment, iter(['cpu', 'rocm', 'tpu']))
  assert environment == {'XLA_FLAGS': after}
  assert tried == asked


def test_plugins_are_those_that_jax_would_load(monkeypatch):
  points = {'jax_plugins': ['xla_cuda13', 'mine']}

  def entry_points(group):
    return [metadata.EntryPoint(name, 'm', group) for name in points[group]]

  monkeypatch.setattr(metadata, 'entry_points', entry_points)
  assert repeatable.plugins() == ['xla_cuda13', 'mine']


@pytest.mark.parametrize(
  ('platform', 'platforms', 'may'),
  [
    (None, None, True),
    (None, '', True),
    ('gpu', 'cpu', True),
    (None, 'cuda,cpu', True),
    ('cpu', None, False),
    ('tpu', 'cuda', False),
    (None, 'cpu', False),
  ],
)
def test_what_leaves_no_gpu_asks_for_nothing(platform, platforms, may):
  assert devices.may_be_gpu(platform, platforms) == may


def test_a_run_says_what_it_asked_for(tmp_path):
  there = 'from gd_jax.world import repeatable\n'
  there += "repeatable.plugins = lambda: ['xla_cuda13']\n"
  scripts.run(
    'train', *scripts.named(tmp_path, 'run'), '--epochs=1', setup=there
  )
  config = scripts.json_of(tmp_path / 'run', 'config.json')
  assert config['machine']['xla_flags'].endswith(ASKED)
