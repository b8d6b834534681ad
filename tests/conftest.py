"""Strict numerics for every test: float64 at hand, no silent promotion."""

import gc
import hashlib
import importlib
import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
os.environ.setdefault('MPLBACKEND', 'Agg')
# The scripts that tests start compile the same programs again and again.
os.environ.setdefault(
  'JAX_COMPILATION_CACHE_DIR', str(ROOT / 'build' / 'compiled')
)
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.1')
# XLA takes its own tuning hints for missing features when it reads that cache.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import jax
import pytest
from absl import flags as absl_flags

# The floors below the world are tested on a GPU too: JAX_PLATFORMS=cuda.
jax.config.update('jax_platforms', os.environ.get('JAX_PLATFORMS') or 'cpu')
jax.config.update('jax_num_cpu_devices', 2)
jax.config.update('jax_enable_x64', True)
jax.config.update('jax_numpy_rank_promotion', 'raise')
jax.config.update('jax_debug_key_reuse', True)
jax.config.update('jax_default_matmul_precision', 'highest')


# XLA's older emitters, a program in one piece: compiled in two thirds of the
# time, and slower at training. A later jaxlib has no such emitters.
BRIEFLY = (
  '--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1'
)


def pytest_addoption(parser):
  parser.addoption(
    '--compile-briefly',
    action='store_true',
    help='let XLA compile in less time, here and in what tests start',
  )


def pytest_configure(config):
  from gd_jax.world import repeatable

  given = os.environ.get('XLA_FLAGS', '')
  if not config.option.compile_briefly or BRIEFLY in given:
    return
  if repeatable.takes(BRIEFLY):
    os.environ['XLA_FLAGS'] = f'{given} {BRIEFLY}'.strip()


# The longest first: no worker waits for another that began one at the end.
LONG = (
  *('experiments/test_compare.py', 'experiments/test_train.py'),
  *('experiments/test_flags.py', 'experiments/test_kills.py'),
  *('descent/test_train.py', 'experiments/test_resume.py'),
  *('world/test_prepare.py', 'experiments/test_descend.py'),
  *('descent/test_trajectories.py', 'experiments/test_inspect_run.py'),
  *('world/test_mesh.py', 'experiments/test_benchmark.py'),
)


def pytest_collection_modifyitems(items):
  places = {ROOT / 'tests' / name: place for place, name in enumerate(LONG)}
  items.sort(key=lambda item: places.get(item.path, len(LONG)))


def pytest_collection_finish():
  """What is imported by now stays: no collection looks through it again."""
  gc.collect()
  gc.freeze()


@pytest.fixture(scope='session')
def mnist_dir():
  """A data_dir with MNIST, prepared through TFDS once for every worker.

  It stays in build/ for as long as the code that prepares it is the same.
  """
  from gd_jax.world import data

  originals = ROOT.parent / 'shared' / 'mnist'
  if not originals.is_dir():
    pytest.skip('the original files of MNIST are not in ../shared/mnist')
  world = ROOT / 'gd_jax' / 'world'
  code = [
    (world / f'{name}.py').read_bytes()
    for name in ('cache', 'data', 'prepare', 'splits')
  ]
  key = hashlib.sha256(b''.join(code)).hexdigest()[:12]
  folder = ROOT / 'build' / f'mnist-{key}'
  # Labels that TFDS would take for those that it has unpacked: all are zero.
  trap = folder / 'downloads/extracted/GZIP.train-labels-idx1-ubyte.gz'
  trap.parent.mkdir(parents=True, exist_ok=True)
  trap.write_bytes(bytes(8 + 60_000))
  data.load('mnist', data_dir=folder, manual_dir=originals)
  return folder


@pytest.fixture
def here(monkeypatch, capsys, tmp_path):
  """Runs a script in this process, as shipped: (exit code, stdout, stderr).

  A process of its own takes seconds to import and compile what is here already.
  """
  from experiments import devices
  from experiments import flags
  from experiments import start
  from tests import scripts

  def prepare(values):
    dtype, _ = flags.PRECISIONS[values.get('precision') or 'float32']
    jax.config.update('jax_enable_x64', dtype == 'float64')
    return dtype, jax.local_devices()

  monkeypatch.setattr(devices, 'prepare', prepare)
  monkeypatch.setattr(start, 'listen', lambda *_: None)
  monkeypatch.setenv('HOME', str(tmp_path))
  handlers = {
    number: signal.getsignal(number)
    for number in (signal.SIGINT, signal.SIGTERM)
  }

  def run(script, *arguments):
    module = importlib.import_module(f'experiments.{script}')
    line = [f'{script}.py', *map(str, arguments)]
    monkeypatch.setattr(sys, 'argv', line)
    capsys.readouterr()
    try:
      start.run(
        module.main,
        doc=module.__doc__,
        own=module.FLAGS,
        positionals=scripts.takes_positionals(script),
      )
    except SystemExit as left:
      code = left.code
    finally:
      jax.config.update('jax_enable_x64', True)
      for number, handler in handlers.items():
        signal.signal(number, handler)
      for holder in module.FLAGS:
        absl_flags.FLAGS[holder.name].unparse()
      absl_flags.FLAGS.unparse_flags()
    return code, *capsys.readouterr()

  return run


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
  from tests.pictures import chromium

  path = chromium.found()
  if path is None:
    pytest.skip('no Chromium here: apt-get install chromium')
  with chromium.page(path, tmp_path_factory.mktemp('profile')) as opened:
    yield opened


@pytest.fixture(autouse=True)
def no_global_leak():
  """A test that switches a global flag leaves it as it was."""
  yield
  assert jax.config.jax_enable_x64
