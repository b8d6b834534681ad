"""No picture changes unseen: what is on each is what was last looked at."""

import json

import pytest
from matplotlib import pyplot

from tests.pictures import gallery

KEPT = json.loads(gallery.KEPT.read_bytes())
MADE = gallery.made()

pytestmark = pytest.mark.skipif(
  KEPT['versions'] != gallery.versions(),
  reason='other versions of what draws: compare with those of constraints.txt',
)


def test_every_picture_of_the_gallery_is_kept():
  assert list(KEPT['pictures']) == list(MADE)


@pytest.mark.parametrize('name', MADE)
def test_a_picture_is_what_was_looked_at(name):
  found = gallery.seen(MADE[name]())
  pyplot.close('all')
  assert found == KEPT['pictures'].get(name), (
    f'{name} has changed: draw it with `python -m tests.pictures.gallery`, look'
    ' at it in build/gallery, and keep what that wrote'
  )
