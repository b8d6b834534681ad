"""Versions of jaxlib that are known to compute wrong numbers."""

from gd_jax.types import UserError

# (platform, jaxlib) -> what is wrong there.
KNOWN_BAD = {
  ('cpu', '0.10.2'): 'sums of vmapped matrix products wrongly (jax#39103)',
  ('gpu', '0.10.1'): 'wrong numbers under scan and vmap (jax#36958)',
}


def check(platform: str, jaxlib_version: str) -> None:
  """Refuses a (platform, jaxlib) of the table.

  Raises:
    UserError: naming the version, its fault and the mend.
  """
  fault = KNOWN_BAD.get((platform, jaxlib_version))
  if fault is not None:
    raise UserError(
      f'jaxlib {jaxlib_version} computes {fault} on {platform}: install '
      'another with `pip install -c constraints.txt jax jaxlib` (constraints.'
      'txt pins the tested one).'
    )
