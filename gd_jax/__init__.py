"""Gradient descent as textbooks teach it, compared as a referee would.

params = gd_jax.load('runs/NAME')    # of a run of experiments.train
"""

from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
  from gd_jax.runs import load as load

__all__ = ['load']


def __dir__() -> list[str]:
  return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
  """`load` on its first use, so that importing the package loads nothing."""
  if name in __all__:
    from gd_jax import runs

    return getattr(runs, name)
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
