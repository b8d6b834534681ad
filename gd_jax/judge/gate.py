"""Does this device compute right? Its own programs against NumPy in float64.

One step alone meets none of the faults that compilers for accelerators have
had: they show under scan and vmap, or in large batches. So the programs that
train and compare run are put to the test, on every device of a mesh:

- lanes: STEPS scanned steps x WIDTH vmapped lanes, a block on each device;
- a full batch of more than 32,769 examples, divided over the devices;
- the pattern that one jaxlib got wrong (jax#39103).

Differences are relative to how far NumPy's parameters moved.
"""

from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gd_jax.descent import batches
from gd_jax.descent import lanes
from gd_jax.descent import optimizers
from gd_jax.descent import shards
from gd_jax.descent import train
from gd_jax.judge import reference
from gd_jax.model import costs
from gd_jax.model import mlp
from gd_jax.types import Images
from gd_jax.types import UserError

SIZES = (784, 30, 10)
SCALE = 255.0
STEPS, WIDTH, M = 120, 3, 10
MANY = 33_000  # more than 32,769 examples
RATES = (0.3, 1.0, 3.0)

# By the name of the precision: of float32 over thousands of steps 1e-4 was the
# most ever seen, a fault of one element in a thousand shows as 1e-2 and more.
TOLERANCES = {
  'float64': 1e-9,
  'float32': 1e-3,
  'tensorfloat32': 3e-2,
  'bfloat16': 1e-1,
}


class Finding(NamedTuple):
  """One program against NumPy."""

  what: str
  difference: float  # max |ours - NumPy's| / max |NumPy's - the start|
  tolerance: float


def images(n: int, inputs: int, classes: int) -> Images:
  """Made-up images, a fifth of their pixels not black, the same every time."""
  rng = np.random.Generator(np.random.Philox(7))
  x = rng.integers(0, 256, (n, inputs), dtype=np.uint8)
  dark = rng.integers(0, 256, (n, inputs), dtype=np.uint8) > 51
  x[dark] = 0
  return Images(x, rng.integers(0, classes, n, dtype=np.uint8))


def cost_of(classes: int) -> train.CostOf:
  """The quadratic cost of sigmoid neurons on `images`."""
  decode = costs.decode_image(SCALE, classes)
  return costs.example_cost(mlp.weighted_input, costs.quadratic_of_z, decode)


def check(
  what: str, start: Any, ours: Any, expected: reference.Layers, precision: str
) -> Finding:
  """Refuses parameters that are not NumPy's.

  Args:
    what: the program, for the sentence.
    start: parameters before it.
    ours: parameters after it.
    expected: NumPy's after the same updates.
    precision: one of TOLERANCES.

  Raises:
    UserError: with the difference and what is allowed.
  """
  leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(ours)]
  before = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(start)]
  wanted = [leaf for layer in expected for leaf in layer]
  apart = max(
    float(np.abs(a - b).max()) for a, b in zip(leaves, wanted, strict=True)
  )
  moved = max(
    float(np.abs(a - b).max()) for a, b in zip(before, wanted, strict=True)
  )
  found = Finding(what, apart / moved, TOLERANCES[precision])
  # A NaN is refused too.
  if not found.difference <= found.tolerance:
    raise UserError(
      f'This device computes wrong numbers: {what} ends {found.difference:.2g} '
      'of its movement away from NumPy in float64, where '
      f'{found.tolerance:.0e} is allowed in {precision}; install another '
      'version of jaxlib or its driver, nothing is trained or timed with this.'
    )
  return found


def numpy_layers(params: Any) -> reference.Layers:
  """Parameters as NumPy's, in float64."""
  return [
    (np.asarray(layer.w, np.float64), np.asarray(layer.b, np.float64))
    for layer in params
  ]


def members(order: batches.Order) -> list[np.ndarray]:
  """The examples of each mini-batch, without padding."""
  return [
    index[weights > 0]
    for index, weights in zip(order.index, order.weights, strict=True)
  ]


def try_device(
  mesh: jax.sharding.Mesh, *, dtype: str, precision: str
) -> list[Finding]:
  """Puts the devices of a mesh to the test, at their matmul precision.

  Raises:
    UserError: for the first program whose numbers are wrong.
  """
  data = images(MANY, SIZES[0], SIZES[-1])
  return [
    try_pattern(dtype, precision),
    *try_lanes(mesh, data, dtype=dtype, precision=precision),
    try_full_batch(mesh, data, dtype=dtype, precision=precision),
  ]


def try_pattern(dtype: str, precision: str) -> Finding:
  """sum |w x|^2 over many vmapped products, w [3, 3]."""
  rng = np.random.Generator(np.random.Philox(3))
  w, x = rng.random((3, 3)), rng.random((MANY, 3))
  product = jax.jit(jax.vmap(lambda w, x: jnp.sum((w @ x) ** 2), (None, 0)))
  ours = product(jnp.asarray(w, dtype), jnp.asarray(x, dtype))
  expected = ((x @ w.T) ** 2).sum(1)
  return check(
    f'a sum of squares of {MANY:,} vmapped products',
    [np.zeros(MANY)],
    [ours],
    # One leaf of no layer: `check` only walks the trees side by side.
    [(expected,)],  # pyright: ignore[reportArgumentType]
    precision,
  )


def try_lanes(
  mesh: jax.sharding.Mesh, data: Images, *, dtype: str, precision: str
) -> list[Finding]:
  """A tournament's epoch: every lane of a block on every device."""
  made = lanes.programs(
    cost_of=cost_of(SIZES[-1]), optimizer_of=optimizers.sgd, mesh=mesh
  )
  dealt = lanes.deal(
    RATES, mesh.size, width=WIDTH, multiple=mesh.size, dtype=dtype
  )
  starts = [
    mlp.init(jax.random.key(int(seed)), SIZES, dtype=dtype)
    for seed in dealt.seed
  ]
  orders = [
    batches.epoch_order(int(seed), 0, STEPS * M, M) for seed in dealt.seed
  ]
  fleet = made.launch(jnp.asarray(dealt.rate), stack(starts))
  fleet, _ = lanes.run_epoch(made, fleet, dealt.rate, stack(orders), data)
  places = [(b, w) for b in range(mesh.size) for w in range(WIDTH)]
  return check_lanes(
    f'{STEPS} scanned steps x {WIDTH} vmapped lanes',
    starts,
    fleet.state.params,
    orders,
    data,
    dealt.rate,
    places,
    method='sgd',
    hyperparameters={},
    precision=precision,
  )


def check_lanes(
  what: str,
  starts: Sequence[Any],
  params: Any,
  orders: Sequence[batches.Order],
  data: Images,
  rates: np.ndarray,
  places: Sequence[tuple[int, int]],
  *,
  method: str,
  hyperparameters: dict[str, Any],
  precision: str,
) -> list[Finding]:
  """Some lanes (block, lane) of a fleet, each against NumPy's own descent."""
  found = []
  for block, lane in places:
    expected = reference.descend(
      numpy_layers(starts[block]),
      np.asarray(data.x),
      np.asarray(data.y),
      members(orders[block]),
      scale=SCALE,
      method=method,
      rate=float(rates[block, lane]),
      hyperparameters=hyperparameters,
    )
    # The lambda is used up before block and lane change.
    ours = jax.tree.map(lambda leaf: leaf[block, lane], params)  # noqa: B023
    found.append(check(what, starts[block], ours, expected, precision))
  return found


def try_full_batch(
  mesh: jax.sharding.Mesh, data: Images, *, dtype: str, precision: str
) -> Finding:
  """One update on all examples, as train makes it on this mesh."""
  n = len(data.y)
  chunk = batches.chunk_on(mesh.devices.flat[0].platform)
  local = shards.mesh_for(n, mesh)
  optimizer = optimizers.sgd(RATES[-1])
  step = train.make_step(
    cost_of(SIZES[-1]), optimizer, chunk=chunk, axis=shards.axis_of(local)
  )
  params = mlp.init(jax.random.key(0), SIZES, dtype=dtype)
  order = batches.epoch_order(
    0, 0, n, n, shards=1 if local is None else local.size, chunk=chunk
  )
  batch = shards.put(batches.gather(data, order), local)
  state, _, _ = shards.epoch_program(step, local)(
    train.start(params, optimizer), batch
  )
  expected = reference.descend(
    numpy_layers(params),
    np.asarray(data.x),
    np.asarray(data.y),
    members(order),
    scale=SCALE,
    method='sgd',
    rate=RATES[-1],
    hyperparameters={},
  )
  what = f'an update on {n:,} examples'
  return check(what, params, state.params, expected, precision)


def stack(parts: Sequence[Any]) -> Any:
  """Equal trees of arrays as one, each leaf with a new first axis."""
  return jax.tree.map(lambda *leaves: np.stack(leaves), *parts)
