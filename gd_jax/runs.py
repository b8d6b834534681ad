"""A run of `train`, given back as the parameters that it reached."""

from pathlib import Path

from gd_jax.types import Layer
from gd_jax.types import Params
from gd_jax.types import UserError
from gd_jax.world import checkpoint
from gd_jax.world import files
from gd_jax.world import rundir

MAKER = 'train'
_PARAMS = 'state.state.params'  # where its checkpoints hold them


def load(run: str | Path) -> Params:
  """The trained parameters of a run of `train`, from its newest checkpoint.

  The run may be finished, interrupted, killed or going on; of one that
  diverged it is the last epoch that it saved.

    params = gd_jax.load('runs/NAME')
    a = mlp.predict(params, digits.test.x[0] / digits.scale)

  Args:
    run: the run's directory.

  Returns:
    One Layer(w [n_out, n_in], b [n_out]) for each layer, inputs first: NumPy
    arrays in the dtype that was trained in, bit for bit. `rundir.read_config`
    has the flags, the hidden activation among them.

  Raises:
    UserError: there is no such run, it is of another script, or no sound
      checkpoint of it is there.
  """
  path = Path(run).expanduser()
  if not (path / 'config.json').is_file():
    raise UserError(
      f'{files.shown(path)} is no run: expected the directory of a run of '
      f'{MAKER}, such as runs/NAME, with its config.json.'
    )
  maker = rundir.read_config(path).get('experiment')
  if maker != MAKER:
    raise UserError(
      f'{files.shown(path)} is a run of {files.shown(maker)}, which keeps no '
      f'trained network to load: name a run of {MAKER}.'
    )
  found = checkpoint.newest_leaves(path)
  if found is None:
    raise UserError(
      f'{files.shown(path)} has saved no checkpoint '
      f'({rundir.read_status(path).status}): wait for its first epoch, or '
      'train again under another --name.'
    )
  layers = []
  while f'{_PARAMS}[{len(layers)}].w' in found.state:
    place = f'{_PARAMS}[{len(layers)}]'
    layers.append(Layer(found.state[f'{place}.w'], found.state[f'{place}.b']))
  return tuple(layers)
