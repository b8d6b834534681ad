"""The house stands as it is drawn: floors, prints, flags, calls."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gd_jax
from tests import scripts

ROOT = Path(__file__).parents[1]
ALLOWED = {
  'types': set(),
  'model': {'types'},
  'descent': {'model', 'types'},
  'judge': {'descent', 'model', 'types'},
  'insight': {'descent', 'model', 'types'},
  'world': {'types'},
  'pictures': {'types'},
  'runs': {'types', 'world'},
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


def loaded(code, of):
  """Which of some modules a fresh Python has loaded after the code."""
  found = subprocess.run(
    [
      sys.executable,
      '-c',
      f'import sys\n{code}\nprint(*sorted(set(sys.modules) & {of!r}))',
    ],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  return found.stdout.split()


def test_the_package_imports_light():
  names = [
    '.'.join(path.relative_to(ROOT).with_suffix('').parts) for path in MODULES
  ]
  assert loaded(f'for name in {names!r}: __import__(name)', HEAVY) == []


def test_the_package_alone_loads_nothing_and_names_what_it_has():
  nothing = HEAVY | {'jax', 'numpy', 'optax', 'scipy'}
  code = 'import gd_jax\nassert "load" in dir(gd_jax)'
  assert loaded(code, nothing) == []
  with pytest.raises(AttributeError, match='lode'):
    gd_jax.lode  # noqa: B018


def test_help_waits_for_nothing_that_only_work_needs():
  # Parsing flags takes all imports of a script: half a second each of these.
  lazy = HEAVY | {'scipy.stats', 'scipy.optimize', 'PIL', 'torch'}
  code = '\n'.join(f'import experiments.{name}' for name in scripts.names())
  assert loaded(code, lazy) == []
  assert loaded('import experiments.train', {'scipy'}) == []


SOURCES = sorted(
  path
  for folder in ('gd_jax', 'experiments', 'tests')
  for path in (ROOT / folder).rglob('*.py')
)


def unknown(text):
  """What stands in backticks as a path or a name, and is none of the house."""
  texts = [path.read_text() for path in (*SOURCES, ROOT / 'Makefile')]
  words = set(re.findall(r'\w+', ' '.join(texts)))
  words |= {name for path in SOURCES for name in (path.stem, path.parent.name)}
  found = []
  for token in ' '.join(re.findall(r'`([^`]+)`', text)).split():
    path, _, name = token.partition(':')
    dotted = re.fullmatch(r'([a-z_]\w*)\.([A-Za-z_]\w*)', token)
    flag = re.fullmatch(r'--(\w+)', token)
    known = True
    if '<' in token:  # a folder of the user's
      continue
    if '/' in path or path.endswith(('.py', '.txt')):
      known = defining(path, name) != []
    elif dotted:
      module = ROOT / dotted[1] / f'{dotted[2]}.py'
      known = defining(f'{dotted[1]}.py', dotted[2]) != [] or module.exists()
    elif flag or re.fullmatch(r'[A-Za-z_]\w+', token):
      known = (flag[1] if flag else token) in words
    if not known:
      found.append(token)
  return found


def defining(path, name):
  """The files or folders of a path, or of its end, that define the name."""
  bases = (ROOT, ROOT / 'gd_jax', ROOT / 'experiments')
  found = [hit for base in bases for hit in base.glob(path.rstrip('/'))]
  if '/' not in path:
    package = path.removesuffix('.py')
    found += [source for source in SOURCES if source.name == path]
    found += ROOT.glob(f'{package}/__init__.py')
  # At the top of the file, as what is defined, assigned or imported there.
  defines = re.compile(
    rf'^(def|class) {name}\b|^{name}\b[^(\n]*=|\bas {name}$', re.MULTILINE
  )
  return [hit for hit in found if not name or defines.search(hit.read_text())]


def test_what_the_map_names_is_there():
  assert unknown((ROOT / 'WORKSPACE.md').read_text()) == []


@pytest.mark.parametrize(
  'gone',
  [
    'descent/gone.py',
    'experiments/gone/',
    'gone.py',
    'experiments/start.py:gone',
    'start.gone',
    '--' + 'x' * 30,
    'x' * 30,
  ],
)
def test_a_name_that_is_gone_is_seen(gone):
  line = f'| where | `{gone}`, `start.run` of `world/`, `w @ x`, `--name` |'
  assert unknown(line) == [gone]
