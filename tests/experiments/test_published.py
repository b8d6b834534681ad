"""The studies that are published here say what their rows say."""

import pytest

from experiments.contest import studies
from experiments.contest import tables
from gd_jax.world import files
from gd_jax.world import seals
from tests import scripts

FOLDER = scripts.ROOT / 'experiments' / 'results' / 'studies'
PUBLISHED = sorted(path.parent.name for path in FOLDER.glob('*/study.json'))


def test_there_are_studies():
  assert PUBLISHED == [
    'book-784-30-10',
    'mnist-batches',
    'mnist-costs',
    'mnist-costs-fresh',
    'mnist-normal',
    'mnist-normal-cpu',
    'mnist-scaled',
    'mnist-scaled-cpu',
  ]


@pytest.mark.parametrize('name', PUBLISHED)
def test_rescoring_gives_the_same_bytes(name):
  run = FOLDER / name
  stored = studies.stored(str(run))
  scored = studies.score(stored, studies.stored_rows(str(run), stored))
  text = tables.everything(scored)
  assert text.encode('ascii') == (run / 'tables.txt').read_bytes()
  assert max(map(len, text.splitlines())) <= tables.WIDTH
  sealed = seals.seal(files.json_bytes(scored, 'the study'))
  assert sealed == (run / 'study.json').read_bytes()
