"""No picture changes unseen: what is on each is what was last looked at."""

import json
from pathlib import Path

import pytest
from matplotlib import pyplot

from tests.pictures import gallery

KEPT = json.loads(gallery.KEPT.read_bytes())
MADE = gallery.made()

PINS = Path(__file__).parents[2] / 'constraints.txt'
same_versions = pytest.mark.skipif(
  KEPT['versions'] != gallery.versions(),
  reason='other versions of what draws: compare with those of constraints.txt',
)


def test_every_picture_of_the_gallery_is_kept():
  assert list(KEPT['pictures']) == list(MADE)


def test_they_were_drawn_with_the_versions_of_the_constraints():
  pins = dict(
    line.split('==')
    for line in PINS.read_text().splitlines()
    if not line.startswith('#')
  )
  assert KEPT['versions'] == {name: pins[name] for name in KEPT['versions']}


@same_versions
@pytest.mark.parametrize('name', MADE)
def test_a_picture_is_what_was_looked_at(name):
  found = gallery.seen(MADE[name]())
  pyplot.close('all')
  assert found == KEPT['pictures'].get(name), (
    f'{name} has changed: draw it with `python -m tests.pictures.gallery`, look'
    ' at it in build/gallery, and keep what that wrote'
  )
