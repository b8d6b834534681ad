import builtins
import io
import json
import os
import platform
import subprocess
import sys
import types

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


def test_one_device_is_a_machine(monkeypatch):
  monkeypatch.delenv('XLA_FLAGS', raising=False)
  monkeypatch.delenv('LIBTPU_INIT_ARGS', raising=False)
  device = types.SimpleNamespace(platform='tpu', device_kind='v9')
  shape = machine.machine_shape([device])
  expected = {'platform': 'tpu', 'device_kind': 'v9', 'devices': 1}
  expected |= {'xla_flags': '', 'libtpu_flags': ''}
  assert {key: shape[key] for key in expected} == expected
  assert {*machine.SOFTWARE} < {*shape}


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


def test_cores_are_those_that_the_kernel_allows(monkeypatch):
  allowed = {0: {2, 5, 6}}  # 0 is this process
  monkeypatch.setattr(os, 'sched_getaffinity', allowed.__getitem__)
  assert machine.cores() == 3
  monkeypatch.delattr(os, 'sched_getaffinity')
  for told, cores in ((8, 8), (None, 1)):
    monkeypatch.setattr(os, 'cpu_count', lambda told=told: told)
    assert machine.cores() == cores


def test_memory_is_all_pages(monkeypatch):
  sizes = {'SC_PAGE_SIZE': 4096, 'SC_PHYS_PAGES': 1000}
  monkeypatch.setattr(os, 'sysconf', sizes.__getitem__)
  assert machine.memory() == 4_096_000


def test_the_processor_is_named_by_the_kernel_or_by_python(monkeypatch):
  text = 'vendor_id\t: A\nmodel name\t: B (c) : D \nmodel name\t: E\n'
  told = [text, 'model\t: 1\n', '']

  def opened(path, **named):
    assert path == '/proc/cpuinfo'
    if not told:
      raise FileNotFoundError
    return io.StringIO(told.pop(0))

  monkeypatch.setattr(builtins, 'open', opened)
  monkeypatch.setattr(platform, 'processor', lambda: 'python')
  found = [machine._processor() for _ in range(4)]
  assert found == ['B (c) : D', 'python', 'python', 'python']


def test_a_package_that_is_not_installed_says_so():
  assert machine._version('no_such_package_of_ours') == 'not installed'
  assert machine._version('numpy') == np.__version__


def test_several_processes_are_one_machine_of_all_their_devices():
  own = {'system': 'L', 'processor': 'P', 'cores': 4}
  first = {'jax': '1', 'devices': 2, **own}
  second = {'jax': '1', 'devices': 3, **own, 'cores': 8}
  assert machine.together([first]) == first
  assert machine.together([first]) is not first
  assert machine.together([first, second]) == {
    'jax': '1',
    'devices': 5,
    **own,
    'processes': [
      {'devices': 2, **own},
      {'devices': 3, **own, 'cores': 8},
    ],
  }
