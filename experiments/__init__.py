"""Experiment scripts: `python -m experiments.train --help`, and so on."""

import importlib.util
import pathlib
import signal
import sys

if sys.argv[0] == '-m':
  # Until a script listens (start.listen), Ctrl-C ends it without a traceback.
  signal.signal(signal.SIGINT, signal.SIG_DFL)

_MISSING = [
  name
  for name in ('absl', 'jax', 'optax', 'gd_jax')
  if importlib.util.find_spec(name) is None
]
if _MISSING:
  _python = pathlib.Path(__file__).resolve().parent.parent / '.venv/bin/python'
  _mend = (
    f'use {_python} instead'
    if _python.exists()
    else 'type `make compare` once, which creates .venv, then use '
    f'{_python} instead'
  )
  sys.exit(
    f'{sys.executable} has no {", ".join(_MISSING)}: {_mend} '
    '(or activate it with `. .venv/bin/activate`).'
  )
