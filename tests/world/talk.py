"""One of several processes that only talk; tests/world/test_mesh.py starts it.

talk.py COORDINATOR PROCESSES PROCESS DEVICES SECONDS
"""

import os
import sys

import jax
import numpy as np

from gd_jax.types import UserError
from gd_jax.world import mesh
from gd_jax.world import processes

ROWS = 2  # of a device


def gone(sentence):
  os.write(sys.stderr.fileno(), f'gone: {sentence}\n'.encode())
  os._exit(2)


def whole(devices):
  """What all processes together have, a leaf of every dtype that lanes use."""
  rows = ROWS * devices
  return {
    'alive': np.arange(rows * 3).reshape(rows, 3) % 2 == 0,
    'updates': np.arange(rows, dtype=np.int32),
    'costs': np.geomspace(1e-300, 1e300, rows * 5).reshape(rows, 5, 1),
    'none': None,
  }


def say(*words):
  sys.stdout.write(' '.join(map(str, words)) + '\n')
  sys.stdout.flush()


def main(coordinator, count, process, devices, seconds):
  processes.JOIN_SECONDS = processes.HEARTBEAT_SECONDS = seconds
  jax.config.update('jax_platforms', 'cpu')
  jax.config.update('jax_num_cpu_devices', devices)
  try:
    processes.join(coordinator, count, process, leave=gone)
    mesh.agree({'count': count, 'odd': {'one': process == 3}})
  except UserError as error:
    gone(str(error).replace('\n', ' '))
  say('met', jax.local_device_count(), 'of', jax.device_count())
  assert mesh.everyone(['a' * process]) == [['a' * i] for i in range(count)]
  assert mesh.from_first(lambda: [1.5, process]) == [1.5, 0]
  signals = []
  share = mesh.share(signals)
  expected = whole(share.devices)
  mine = share.mine(expected)
  assert len(mine['costs']) == ROWS * devices
  epoch = 0
  while not share.stopping():
    epoch += 1
    if epoch == 5 and process == 1:
      signals.append(15)
    found = share.gather(mine)
    assert jax.tree.all(jax.tree.map(np.array_equal, found, expected))
    assert found['costs'].dtype == np.float64
  say('stopped after', epoch, signals)
  if count == 2:
    while True:
      share.gather(mine)
  processes.finish()


if __name__ == '__main__':
  try:
    main(sys.argv[1], *map(int, sys.argv[2:]))
  except UserError as error:
    gone(str(error))
