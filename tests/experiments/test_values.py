"""Any value of any flag is honoured or refused in one sentence."""

import contextlib
import functools
import importlib
import math
import sys
from collections import Counter

import hypothesis
import pytest
from absl import flags as absl_flags
from hypothesis import strategies as st

from experiments import devices
from experiments import flags
from experiments import start
from gd_jax.judge import certificates
from gd_jax.types import UserError
from gd_jax.world import data
from gd_jax.world import processes
from gd_jax.world import rundir
from tests import scripts

NASTY = [
  'nan',
  'inf',
  '-inf',
  '-0',
  '1e400',
  '1e-400',
  '1e-320',
  '1e39',
  '-1',
  '0',
  '1',
  '2',
  '7.5',
  '2147483647',
  '2147483648',
  '9' * 30,
  '9' * 5000,
  '0x10',
  '1_000',
  '\u0663',
  ' 3 ',
  '',
  ' ',
  ',',
  '1,,2',
  '1,2',
  '64,10',
  '64,5,10',
  '64,99999,99999,10',
  'full',
  'full,1',
  'none',
  'None',
  'true',
  'False',
  '--json',
  '--seed=3',
  '-',
  '--',
  '-1e3',
  '../up',
  '../../up',
  './here',
  'a/../b',
  '/dev/null/x',
  '/proc/x',
  '~',
  'name',
  'two\nlines',
  '\x1b[31mred',
  '\u202eover',
  '\udc80',
  'caf\xe9',
  '<script>alert(1)</script>',
  '$^$',
  '%s%n{0}',
  'a' * 300,
  'sgd',
  'sgd@',
  'sgd@nan',
  'sgd@1e-50',
  'adam+b1=nan',
  'adam+b1=1e400',
  'adam+b1=' + '(' * 200,
  'adam+b1=[]',
  'adam+eps=<script>',
  'optax:adam+b1=(1,2)',
  'optax:noisy_sgd+key=3',
  'optax:lion',
  'optax:__doc__',
  'optax:',
  ':',
  'os:getcwd',
  'tests.plugin:heavy_ball+mu=0.5',
  'tests.plugin:small_convolution',
  'tests.plugin:NOT_A_FACTORY',
  'adam=optax:adam',
  'sgd,adam',
  'sgd,sgd',
  'cosine+steps=5',
  'cosine+steps=0',
  'step+every=1e400+factor=2',
  'constant+warmup=3',
  'normal,scaled',
  'digits',
  'mnist',
  'digits.npz',
  'T01',
  'T01,T04',
  'ravine',
  'west',
  'grid',
  'random:5',
  'random:0',
  'random:99999999999',
  'random:\xb2',
  '0.5',
  '0.5,2',
  '1e300,1e300',
  '0.1;0.2',
  'rank',
  'float64',
]


class Begun(Exception):  # noqa: N818
  """A script has taken its flags and would now begin to work."""


def holders_of(script):
  return importlib.import_module(f'experiments.{script}').FLAGS


def words_of(holder):
  """Values that the flag takes by its own account."""
  parser = absl_flags.FLAGS[holder.name].parser
  if isinstance(absl_flags.FLAGS[holder.name], absl_flags.BooleanFlag):
    return ['true', 'false', '0', 'maybe']
  return list(getattr(parser, 'enum_values', ()))


def values_of(holder):
  own = words_of(holder)
  picked = [st.sampled_from(NASTY), st.text(max_size=8)]
  picked += [st.integers(-3, 12).map(str), st.floats().map(repr)]
  return st.one_of(*([st.sampled_from(own)] * 3 if own else []), *picked)


@st.composite
def command_lines(draw, script):
  """Flags and values of the script, spelled in all the ways there are."""
  holders = holders_of(script)
  count = draw(st.integers(1, 3))
  line, asked = [], {}
  for _ in range(count):
    holder = draw(st.sampled_from(holders))
    value = draw(values_of(holder)).replace('\0', '')
    spelling = draw(st.sampled_from(['=', '=', '=', '=', ' ', 'no', 'bare']))
    name = draw(st.sampled_from(['--', '--', '--', '-'])) + holder.name
    asked[holder.name] = value
    line += {
      '=': [f'{name}={value}'],
      ' ': [name, value],
      'no': [f'--no{holder.name}'],
      'bare': [name],
    }[spelling]
    if spelling in ('no', 'bare'):
      asked[holder.name] = 'true' if spelling == 'bare' else 'false'
  return line, asked


def readings(text):
  """All that an honest script may have understood."""
  parts = text.split(',') if text.strip() else []
  words = {'true': True, 't': True, '1': True}
  words |= {'false': False, 'f': False, '0': False}
  found = [text, text.strip(), parts, [part.strip() for part in parts]]
  found += [numbers(text), [numbers(part) for part in parts]]
  return [*found, words.get(text.lower())]


def numbers(text):
  """The text as a number, if it is one."""
  for read in (int, float):
    with contextlib.suppress(ValueError):
      return read(text)
  return text.strip()


@pytest.fixture
def attempt(monkeypatch, tmp_path, capsys):
  """Runs a script here up to its first work: (exit code, words, config)."""
  loaded = functools.cache(data.load)
  digits = loaded('digits')
  folder = tmp_path / 'one' / 'two' / 'three'
  folder.mkdir(parents=True)
  monkeypatch.chdir(folder)
  monkeypatch.setenv('HOME', str(tmp_path / 'home'))

  def load(name, **where):
    if name == 'digits' and where.get('validation_size') is None:
      return digits
    return loaded(name, **where)

  def begin(run, *_):
    rundir.close_run(run)
    raise Begun(run.path)

  def unprepared(name, *_):
    raise UserError(f'{name} cannot be prepared: not here.')

  def certified(*_):
    raise Begun

  def alone(*_, **__):
    raise UserError('nobody else is here.')

  monkeypatch.setattr(processes, 'join', alone)
  monkeypatch.setattr(data, 'load', load)
  monkeypatch.setattr(data, '_prepare_apart', unprepared)
  monkeypatch.setattr(rundir, 'write_status', begin)
  monkeypatch.setattr(certificates, 'certify_entries', certified)
  monkeypatch.setattr(certificates, 'certify_twins', certified)
  monkeypatch.setattr(start, 'listen', lambda *_: None)
  import jax

  def prepare(values):
    precision = values.get('precision') or 'float32'
    return flags.PRECISIONS[precision][0], jax.local_devices()

  monkeypatch.setattr(devices, 'prepare', prepare)

  def run(script, line):
    module = importlib.import_module(f'experiments.{script}')
    monkeypatch.setattr(sys, 'argv', [f'{script}.py', *line])
    config = None
    try:
      start.run(
        module.main,
        doc='',
        own=module.FLAGS,
        positionals=scripts.takes_positionals(script),
      )
    except SystemExit as left:
      code = left.code
    except Begun as begun:
      code = None
      if begun.args:
        config = rundir.read_config(begun.args[0])
        for file in sorted(begun.args[0].iterdir()):
          file.unlink()
        begun.args[0].rmdir()
    finally:
      for holder in module.FLAGS:
        absl_flags.FLAGS[holder.name].unparse()
      absl_flags.FLAGS.unparse_flags()
    said = capsys.readouterr()
    return code, said, config

  return run


@functools.cache
def plain_flags(attempt, script):
  """What the script takes where nothing is given."""
  return attempt(script, [])[2]['flags']


def honoured_or_refused(attempt, script, line, asked):
  code, said, config = attempt(script, line)
  if start.HELP & set(line):
    assert code == start.DONE
    return 'helped'
  if code is not None:
    assert code in (start.BAD_FLAGS, start.MENDABLE), said
    # Under --json the words about the device go to stderr too.
    *first, last = said.err.removesuffix('\n').split('\n')
    assert all(', JAX ' in line for line in first)
    assert last.isprintable()
    assert len(last) < 2000
    assert 'Traceback' not in last
    return 'refused'
  if config is None:
    return 'begun'
  plain = plain_flags(attempt, script)
  for name, value in config['flags'].items():
    if name in asked:
      wanted = readings(asked[name])
      # An empty list asks for what stands there anyway.
      wanted += [plain[name]] * (not asked[name].strip())
      full = name.startswith('batch_size') and asked[name].strip() == 'full'
      assert full or any(same(value, one) for one in wanted), (name, value)
    elif name not in ('learning_rate', 'steps', 'layer_sizes', 'optimizers'):
      assert value == plain[name], (name, value)
  return 'honoured'


def same(a, b):
  if isinstance(a, bool) or isinstance(b, bool):
    return a is b
  if isinstance(a, list) and isinstance(b, list):
    return len(a) == len(b) and all(map(same, a, b))
  if isinstance(a, float) and math.isnan(a):
    return False
  return a == b


def look_at(script, attempt, examples):
  """What became of so many command lines."""
  found = Counter()

  @hypothesis.given(command_lines(script))
  @hypothesis.settings(
    derandomize=True,
    deadline=None,
    max_examples=examples,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
  )
  def look(drawn):
    found[honoured_or_refused(attempt, script, *drawn)] += 1

  look()
  return found


@pytest.mark.parametrize('script', scripts.names())
def test_every_value_is_honoured_or_refused(script, attempt):
  assert look_at(script, attempt, 100)['refused']


@pytest.mark.parametrize(
  ('script', 'line', 'word'),
  [
    ('descend', ['--seeds=2000000'], '--seeds'),
    ('descend', ['--steps=2147483647'], 'GiB'),
    ('descend', ['--learning_rates=1e39'], 'float32'),
    ('descend', ['--noise=1e39'], 'float32'),
    ('descend', ['--start=1e39,0'], '1e39'),
    ('descend', ['--start=random:\xb2'], 'random:N'),
    ('compare', ['--report_seeds=2000000'], '--report_seeds'),
    ('compare', ['--layer_sizes=64,20000,20000,10', '--rates=40'], 'GiB to'),
    ('train', ['--schedule=step+every=1e308+factor=2'], '1e+30'),
    ('benchmark', ['--lanes=100000000'], 'lanes at once'),
    ('benchmark', ['--layer_sizes=784,99999,99999,10'], 'GiB to train'),
    ('train', ['--snapshots=2147483647'], 'at most 10000'),
    ('inspect_run', ['--lanczos_steps=2147483647'], 'at most 1000'),
    ('train', ['--data_dir', '--nojson'], 'no value'),
    ('train', ['--epochs=\x1b[2J'], '\\x1b[2J'),
    ('train', ['--dataset=\udc80.npz'], '\\udc80.npz'),
  ],
)
def test_what_was_once_taken_and_went_wrong(script, line, word, attempt):
  code, said, _ = attempt(script, line)
  assert code in (start.BAD_FLAGS, start.MENDABLE)
  assert word in said.err
  assert said.err.count('\n') == 1
  assert said.err.strip().isprintable()


def test_epochs_without_end_begin_at_once(tmp_path):
  process = scripts.begin(
    'train', *scripts.named(tmp_path, 'a'), '--epochs=2147483647'
  )
  with process:
    scripts.hear(process, 'epoch          2/2147483647')
    process.terminate()
    process.communicate()
  assert process.returncode == 143


STUDY = ['--optimizers=sgd', '--tuning_seeds=1', '--report_seeds=2']
STUDY += ['--epochs=1']
ODD = [
  ('descend', ['--start=1e29', '--surface=parabola']),
  ('train', ['--epochs=1', '--learning_rate=1e38']),
  ('train', ['--epochs=1', '--optimizer=adam+b1=1e400']),
  ('train', ['--epochs=1', '--optimizer=adam+eps=-1', '--batch_size=full']),
  ('train', ['--epochs=1', '--seed=2147483647', '--layer_sizes=64,10']),
  ('train', ['--epochs=1', '--validation_size=0', '--name=x..']),
  ('train', ['--epochs=1', '--schedule=step+every=1e30+factor=1e30']),
  ('train', ['--epochs=1', '--schedule=cosine+steps=1e-30+warmup=1e30']),
  ('train', ['--epochs=2', '--checkpoint_every=2147483647', '--reduction=sum']),
  ('compare', [*STUDY, '--rates=1', '--seed=2147483647', '--target=1e-320']),
  ('compare', [*STUDY, '--rates=40', '--validation_size=1', '--lane_block=1']),
  ('descend', ['--tolerance=1e308']),
  ('descend', ['--tolerance=-1e308', '--noise=1e38']),
  ('descend', ['--start=1e29,-1e29', '--learning_rates=3e38', '--steps=1']),
  ('descend', ['--quiet_steps=2147483647', '--seed=2147483647', '--noise=1']),
  ('textbook', ['--rows=T01,T01']),
]


@pytest.mark.claims
@pytest.mark.parametrize(
  ('script', 'line'),
  ODD,
)
def test_odd_values_that_are_taken_go_all_the_way(script, line, tmp_path):
  workdir = f'--workdir={tmp_path}'
  found = scripts.run(script, workdir, *line, code=None)
  assert found.returncode in (start.DONE, start.DIVERGED), found.stderr
  assert 'Traceback' not in found.stderr
  assert 'Warning' not in found.stderr


@pytest.mark.claims
@pytest.mark.parametrize('script', scripts.names())
def test_thousands_of_values(script, attempt, record_property):
  found = look_at(script, attempt, 4000)
  record_property('command lines', dict(found))
  sys.stdout.write(f'{script}: {dict(found)}\n')
  assert found['refused']
