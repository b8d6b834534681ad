"""Known-bad versions of jaxlib are refused in one sentence."""

import jaxlib
import pytest

from gd_jax.types import UserError
from gd_jax.world import versions


@pytest.mark.parametrize(('platform', 'version'), list(versions.KNOWN_BAD))
def test_a_known_bad_jaxlib_is_refused(platform, version):
  with pytest.raises(UserError) as error:
    versions.check(platform, version)
  sentence = str(error.value)
  assert version in sentence
  assert 'pip install' in sentence
  assert '\n' not in sentence


def test_this_jaxlib_and_a_good_pair_pass():
  versions.check('cpu', jaxlib.__version__)
  versions.check('cpu', '0.10.1')
  versions.check('gpu', '0.11.2')


def test_the_requirement_excludes_what_the_table_knows():
  from pathlib import Path

  text = (Path(__file__).parents[2] / 'pyproject.toml').read_text()
  assert "'jaxlib>=0.10,!=0.10.2,!=0.11.1'" in text
