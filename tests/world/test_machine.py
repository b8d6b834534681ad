import json
import os
import subprocess
import sys

import jax
import jaxlib.version
import numpy as np
import optax

from gd_jax.world import machine


def test_shape_is_that_of_this_machine(monkeypatch):
  devices = jax.devices()  # a backend that starts later would read the flags
  monkeypatch.setenv('XLA_FLAGS', '--xla_a=1 --xla_b=2')
  monkeypatch.setenv('LIBTPU_INIT_ARGS', '--c=3')
  shape = machine.machine_shape(devices)
  assert shape == json.loads(json.dumps(shape))
  expected = {
    'python': sys.version.split()[0],
    'jax': jax.__version__,
    'jaxlib': jaxlib.version.__version__,
    'numpy': np.__version__,
    'optax': optax.__version__,
    'xla_flags': '--xla_a=1 --xla_b=2',
    'libtpu_flags': '--c=3',
    'platform': 'cpu',
    'device_kind': 'cpu',
    'devices': 2,
    'cores': len(os.sched_getaffinity(0)),
  }
  assert {key: shape[key] for key in expected} == expected
  assert shape['system'].split() == [os.uname().sysname, os.uname().machine]
  assert isinstance(shape['processor'], str)


def test_cores_are_those_of_this_process_not_of_the_machine():
  core = min(os.sched_getaffinity(0))
  code = (
    f'import os; os.sched_setaffinity(0, [{core}])\n'
    'from gd_jax.world import machine; print(machine.cores())'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert done.stdout == '1\n'
