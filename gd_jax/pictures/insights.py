"""What was seen inside a run as one HTML file, its pictures in the page."""

import base64
from collections.abc import Sequence
from typing import NamedTuple

from gd_jax.pictures import sheet


class Sight(NamedTuple):
  """One picture: a PNG, what it shows, and figures for a table."""

  name: str  # of its file, without the ending
  heading: str
  png: bytes
  words: str
  facts: Sequence[tuple[str, str]]  # (what, figure)


def sections(sights: Sequence[Sight]) -> list[sheet.Section]:
  """A section each, for a page of its own or within another."""
  return [
    sheet.Section(
      sight.name,
      sight.heading,
      f'<img alt="{sheet.text(sight.words)}" style="max-width:100%;'
      'background:#fff;border-radius:.4rem" src="data:image/png;base64,'
      f'{base64.b64encode(sight.png).decode("ascii")}">'
      + sheet.details(
        'in figures', sheet.table(['what', 'figure'], sight.facts, words=(1,))
      ),
      {},
    )
    for sight in sights
  ]


def html(title: str, lines: Sequence[str], sights: Sequence[Sight]) -> str:
  """The page: what was looked into, then every sight."""
  head = f'<h1><strong>{sheet.text(title)}</strong></h1>' + ''.join(
    sheet.paragraph(line) for line in lines
  )
  return sheet.document(title, head, sections(sights), plotly_js='')
