"""The house stands as it is drawn: floors, prints, flags, calls."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
  'types': set(),
  'model': {'types'},
  'descent': {'model', 'types'},
  'judge': {'descent', 'model', 'types'},
  'insight': {'descent', 'model', 'types'},
  'world': {'types'},
  'pictures': {'types'},
}
MODULES = sorted((ROOT / 'gd_jax').rglob('*.py'))
SCRIPTS = sorted((ROOT / 'experiments').rglob('*.py'))
HEAVY = {'matplotlib', 'plotly', 'matfree', 'tensorflow', 'tensorflow_datasets'}


def imports(path):
  """(module, imported at the top of the file) of every import."""
  tree = ast.parse(path.read_text())
  for node in ast.walk(tree):
    top = node in tree.body
    if isinstance(node, ast.Import):
      for alias in node.names:
        yield alias.name, top
    elif isinstance(node, ast.ImportFrom):
      for alias in node.names:
        yield f'{node.module}.{alias.name}', top


def floor(path):
  return path.relative_to(ROOT / 'gd_jax').parts[0].removesuffix('.py')


@pytest.mark.parametrize('path', MODULES, ids=str)
def test_imports_point_down_the_table_only(path):
  here = floor(path)
  for name, top in imports(path):
    parts = name.split('.')
    assert parts[0] != 'experiments'
    if parts[0] == 'gd_jax' and here != '__init__':
      assert parts[1] in ALLOWED[here] | {here}, name
    if top:
      assert parts[0] not in HEAVY, f'{name} is heavy: import it where used'


@pytest.mark.parametrize('path', MODULES, ids=str)
def test_the_package_prints_nothing_and_reads_no_flag(path):
  tree = ast.parse(path.read_text())
  names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
  assert 'print' not in names
  assert not any(name.startswith('absl') for name, _ in imports(path))


# What would run what is read; ast.literal_eval and jax's compile do not.
RUNS_DATA = re.compile(
  r'(?<![\w.])(builtins\.)?(eval|exec|__import__)\('
  r'|\b(import|from) (c?pickle|dill|cloudpickle|joblib|marshal|shelve)\b'
  r'|pickle\.loads?\(|allow_pickle\s*=\s*(?!False\b)|shell\s*=\s*(?!False\b)'
  r'|os\.(system|popen)\(|yaml\.(unsafe_)?load\('
)


@pytest.mark.parametrize('path', MODULES + SCRIPTS, ids=str)
def test_nothing_runs_what_it_reads(path):
  assert not RUNS_DATA.search(path.read_text())


@pytest.mark.parametrize(
  'line',
  [
    'eval(text)',
    'x = builtins.exec(code)',
    'import pickle',
    'from pickle import load',
    'np.load(file, allow_pickle=True)',
    'subprocess.run(text, shell=True)',
    'subprocess.run(text, shell = yes)',
    'os.system(text)',
    '__import__(name)',
  ],
)
def test_what_would_run_data_is_seen(line):
  assert RUNS_DATA.search(line)
  assert not RUNS_DATA.search('ast.literal_eval(text)')
  assert not RUNS_DATA.search('np.load(file, allow_pickle=False)')


def test_the_package_imports_light():
  import subprocess
  import sys

  names = [
    '.'.join(path.relative_to(ROOT).with_suffix('').parts) for path in MODULES
  ]
  code = (
    f'import sys\nfor name in {names!r}: __import__(name)\n'
    f'print(sorted(set(sys.modules) & {HEAVY!r}))'
  )
  found = subprocess.run(
    [sys.executable, '-c', code],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  assert found.stdout.strip() == '[]'
