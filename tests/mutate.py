"""Would the tests see it? `python -m tests.mutate --seed=1 --lines=10`.

Draws lines of gd_jax/ at random, makes one small honest error in each, and runs
the daily tests of its floor and those that import its module until one fails.
All of it happens in a copy of the tree. A survivor is a test that is missing,
unless the program is the same with it.
"""

import argparse
import ast
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
OPERATORS = {
  ast.Add: ('+', '-'),
  ast.Sub: ('-', '+'),
  ast.Mult: ('*', '/'),
  ast.Div: ('/', '*'),
  ast.Pow: ('**', '*'),
  ast.FloorDiv: ('//', '/'),
  ast.Mod: ('%', '//'),
  ast.Lt: ('<', '<='),
  ast.LtE: ('<=', '<'),
  ast.Gt: ('>', '>='),
  ast.GtE: ('>=', '>'),
  ast.Eq: ('==', '!='),
  ast.NotEq: ('!=', '=='),
  ast.In: ('in', 'not in'),
  ast.NotIn: ('not in', 'in'),
  ast.Is: ('is', 'is not'),
  ast.IsNot: ('is not', 'is'),
  ast.And: ('and', 'or'),
  ast.Or: ('or', 'and'),
}
Place = tuple[int, int]  # line from 1, byte from 0


class Mutation(NamedTuple):
  path: Path  # from the root
  start: Place
  end: Place
  text: str


def start_of(node: ast.expr | ast.stmt) -> Place:
  return node.lineno, node.col_offset


def end_of(node: ast.expr | ast.stmt) -> Place:
  assert node.end_lineno is not None
  assert node.end_col_offset is not None
  return node.end_lineno, node.end_col_offset


def offset(source: bytes, place: Place) -> int:
  lines = source.splitlines(keepends=True)
  return sum(map(len, lines[: place[0] - 1])) + place[1]


def mutations(path: Path, source: bytes) -> Iterator[Mutation]:
  """Every error that may be made in a file."""
  tree = ast.parse(source)
  # Annotations are no program.
  notes = {
    inner
    for node in ast.walk(tree)
    for field in ('annotation', 'returns')
    if isinstance(note := getattr(node, field, None), ast.AST)
    for inner in ast.walk(note)
  }
  # Nor does a sound program change by what zip and subprocess check.
  notes |= {
    node.value
    for node in ast.walk(tree)
    if isinstance(node, ast.keyword) and node.arg in ('strict', 'check')
  }

  def text_of(start: Place, end: Place) -> str:
    return source[offset(source, start) : offset(source, end)].decode()

  for node in ast.walk(tree):
    if node in notes:
      continue
    if isinstance(node, (ast.BinOp, ast.BoolOp, ast.Compare)):
      if isinstance(node, ast.BinOp):
        terms, kinds = [node.left, node.right], [node.op]
      elif isinstance(node, ast.BoolOp):
        terms, kinds = node.values, [node.op] * (len(node.values) - 1)
      else:
        terms, kinds = [node.left, *node.comparators], node.ops
      for kind, left, right in zip(kinds, terms, terms[1:], strict=False):
        if type(kind) in OPERATORS:
          old, new = OPERATORS[type(kind)]
          start, end = end_of(left), start_of(right)
          between = text_of(start, end)
          if between.count(old) == 1:
            yield Mutation(path, start, end, between.replace(old, new))
    elif isinstance(node, ast.UnaryOp):
      inner = text_of(start_of(node.operand), end_of(node.operand))
      yield Mutation(path, start_of(node), end_of(node), f'({inner})')
    elif isinstance(node, ast.Constant):
      value = node.value
      if isinstance(value, bool):
        text = str(not value)
      elif isinstance(value, int):
        text = str(value + 1)
      elif isinstance(value, float):
        text = repr(1.1 * value if value else 1.0)
      else:
        continue
      yield Mutation(path, start_of(node), end_of(node), text)
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
      start, end = start_of(node.test), end_of(node.test)
      yield Mutation(path, start, end, f'(not ({text_of(start, end)}))')
    elif isinstance(
      node, (ast.AugAssign, ast.Raise, ast.Continue, ast.Break)
    ) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
      yield Mutation(path, start_of(node), end_of(node), 'pass')


def drawn(seed: int, lines: int) -> list[Mutation]:
  """One mutation in each of so many lines."""
  places = defaultdict(list)
  for file in sorted((ROOT / 'gd_jax').rglob('*.py')):
    path = file.relative_to(ROOT)
    for one in mutations(path, file.read_bytes()):
      places[path, one.start[0]].append(one)
  draw = random.Random(seed)
  return [
    draw.choice(places[place]) for place in draw.sample(sorted(places), lines)
  ]


def applied(source: bytes, one: Mutation) -> bytes:
  start, end = (offset(source, place) for place in (one.start, one.end))
  return source[:start] + one.text.encode() + source[end:]


def tests_of(path: Path) -> list[str]:
  """What is kept, tests that import the module, then the rest of its floor."""
  package, module = path.parent.name, path.stem
  imports = re.compile(
    rf'(from gd_jax\.{package} import {module}\b|gd_jax\.{package}\.{module}\b'
    rf'|from gd_jax import {module}\b)'
  )
  floor = sorted((ROOT / 'tests' / package).glob('test_*.py'))
  kept = ROOT / 'tests' / 'test_kept.py'
  files = [*floor, *sorted((ROOT / 'tests').rglob('test_*.py'))]
  found = [file for file in files if imports.search(file.read_text())]
  return [
    str(file.relative_to(ROOT))
    for file in dict.fromkeys([kept, *found, *floor])
  ]


def copy(folder: Path) -> Path:
  """The tree as it stands, beside what it shares with this one."""
  tree = folder / 'tree'
  listed = subprocess.run(
    ['git', 'ls-files', '-co', '--exclude-standard'],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  ).stdout.splitlines()
  for name in listed:
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / name, tree / name)
  (tree / 'build').mkdir()
  for shared in (ROOT / 'build').glob('*'):
    (tree / 'build' / shared.name).symlink_to(shared)
  if (ROOT.parent / 'shared').exists():
    (folder / 'shared').symlink_to(ROOT.parent / 'shared')
  return tree


def trial(tree: Path, one: Mutation) -> str:
  """The first test that fails, or nothing; no end is none."""
  file = tree / one.path
  source = file.read_bytes()
  file.write_bytes(applied(source, one))
  try:
    done = subprocess.run(
      [
        sys.executable,
        *('-m', 'pytest', '-x', '--compile-briefly'),
        *('-m', 'not claims and not torch'),
        *tests_of(one.path),
      ],
      cwd=tree,
      capture_output=True,
      text=True,
      timeout=600,
      check=False,
    )
  except subprocess.TimeoutExpired:
    return ''
  finally:
    file.write_bytes(source)
  if done.returncode == 0:
    return ''
  failed = re.search(r'(?m)^(?:FAILED|ERROR) (.+?)(?: - |$)', done.stdout)
  return failed[1] if failed else done.stdout[-300:]


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--lines', type=int, default=10)
  given = parser.parse_args()
  survivors = 0
  with tempfile.TemporaryDirectory() as folder:
    tree = copy(Path(folder))
    for one in drawn(given.seed, given.lines):
      source = (ROOT / one.path).read_bytes()
      before, after = (
        text.decode().splitlines()[one.start[0] - 1].strip()
        for text in (source, applied(source, one))
      )
      sys.stdout.write(
        f'{one.path}:{one.start[0]}\n  - {before}\n  + {after}\n'
      )
      sys.stdout.flush()
      caught = trial(tree, one)
      survivors += not caught
      sys.stdout.write(f'  {"caught by " + caught if caught else "SURVIVED"}\n')
      sys.stdout.flush()
  sys.stdout.write(f'{given.lines - survivors} of {given.lines} caught\n')
  return min(survivors, 1)


if __name__ == '__main__':
  sys.exit(main())
