"""Checkpoints of a state with everything that a state can have."""

import hashlib
import json
from typing import Any
from typing import NamedTuple

import jax
import ml_dtypes
import numpy as np
import optax
import pytest

from gd_jax.types import Layer
from gd_jax.types import UserError
from gd_jax.world import checkpoint
from gd_jax.world import rowfile

CONFIG = {'seed': 3, 'sizes': [4, 3], 'machine': {'cores': 2}}


class State(NamedTuple):
  params: tuple[Any, ...]
  optimizer: Any
  rest: dict[str, Any]


def state_of(step, n_out=3):
  """A state with everything that a state can have, down to NaN's payload."""
  draw = np.random.default_rng(step)
  w: Any = draw.standard_normal((n_out, 4), dtype=np.float32)
  w.view(np.uint32)[0, :3] = [0x7FC00000 + step, 0xFFC00001, 0x80000000]
  b: Any = draw.standard_normal(n_out, dtype=np.float32)
  return State(
    params=(Layer(w, b),),
    optimizer=(optax.EmptyState(), {'mu': draw.standard_normal((2, 3))}),
    rest={
      'key': draw.integers(2**32, size=2, dtype=np.uint32),
      'count': np.int32(step) * np.ones((), np.int32),
      'half': np.arange(step, step + 5).astype(ml_dtypes.bfloat16),
      'none': np.zeros((0, 3)),
      "odd ['/é\n": draw.integers(2, size=3).astype(bool),
      'complex': draw.standard_normal(2) * np.complex64(1j),
    },
  )


def same_bits(a, b):
  assert jax.tree.structure(a) == jax.tree.structure(b)
  for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
    assert (x.dtype, x.shape) == (y.dtype, y.shape)
    assert x.tobytes() == y.tobytes()


def save(run, step, **other):
  what = {'state': state_of(step), 'config': CONFIG, 'extra': {'epoch': step}}
  rowfile.append(run, [{'epoch': step, 'cost': step / 7}])
  checkpoint.save(run.path, step=step, **what | other)


def resume(path, template=None, config=None, **other):
  """The checkpoint that is found; there has to be one or a refusal."""
  template = state_of(0) if template is None else template
  found = checkpoint.newest(path, template, config or CONFIG, **other)
  assert found is not None
  return found


def nothing_in(path):
  return checkpoint.newest(path, state_of(0), CONFIG) is None


def refused(call, *parts):
  """The sentence that `call` raises; it is printable and holds the parts."""
  with pytest.raises(UserError) as caught:
    call()
  text = str(caught.value)
  assert all(line.isprintable() for line in text.split('\n'))
  for part in parts:
    assert str(part) in text
  return text


def reseal(folder, step, **changes):
  """Writes a manifest whose own hash is right, as a forger would."""
  file = folder / f'{step}.json'
  body = json.loads(file.read_text()) | changes
  del body['sha256']
  text = json.dumps(body, indent=1)
  body['sha256'] = hashlib.sha256(text.encode()).hexdigest()
  file.write_text(json.dumps(body, indent=1) + '\n')
