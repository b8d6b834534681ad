"""The textbook as one HTML page that loads nothing: cards, marks, pictures.

Everything that is shown is escaped; pictures are in the page; a content policy
forbids every request. It reads in light and in dark.
"""

import base64
import html
from collections.abc import Sequence
from typing import NamedTuple

HOLDS, FAILS, NOT_HERE = 'holds', 'fails', 'not here'
_SIGNS = {HOLDS: '&#10003;', FAILS: '&#10007;', NOT_HERE: '&#8230;'}


class Picture(NamedTuple):
  """An image in the page and the words under it."""

  data: bytes  # of a PNG or a GIF
  words: str


class Card(NamedTuple):
  """One claim, and what became of it."""

  row: str  # 'T01'
  claim: str
  equation: str
  expected: str
  found: str
  mark: str  # HOLDS, FAILS or NOT_HERE
  command: str  # that made it, or that proves it elsewhere
  pictures: Sequence[Picture]


class Chapter(NamedTuple):
  """Cards under one heading, in teaching order."""

  title: str
  text: str
  cards: Sequence[Card]


class Exercise(NamedTuple):
  """A question; its answer is folded away."""

  title: str
  question: str
  answer: str  # paragraphs, separated by blank lines


_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5a6675;
  --paper: #ffffff; --card: #f5f7fa; --line: #d5dce5; --good: #00704f;
  --bad: #b3261e; --link: #0060a0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7ebf0; --soft: #a9b4c1;
  --paper: #14181e; --card: #1e242c; --line: #39424e; --good: #5fd3a8;
  --bad: #ff8a80; --link: #7cc0ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem 1.2rem 4rem;
  background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, 'DejaVu Sans', sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 1.2rem 0 .4rem; }
h2 { margin: 2.6rem 0 .4rem; border-bottom: 1px solid var(--line); }
h3 { margin: 0; font-size: 1.05rem; font-weight: 600; }
p { max-width: 46rem; } .soft { color: var(--soft); }
a { color: var(--link); }
nav { display: flex; flex-wrap: wrap; gap: .3rem; margin: 1rem 0; }
nav a { padding: .05rem .45rem; border: 1px solid var(--line);
  border-radius: .4rem; text-decoration: none; font-size: .85rem; }
article { background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; padding: .9rem 1.1rem; margin: 1rem 0; }
.mark { float: right; font-weight: 600; margin-left: 1rem; }
.holds { color: var(--good); } .fails { color: var(--bad); }
.nothere { color: var(--soft); }
.equation { font-family: 'DejaVu Sans Mono', ui-monospace, monospace;
  font-size: .9rem; margin: .4rem 0; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr;
  gap: .15rem .9rem; margin: .6rem 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere;
  margin: .6rem 0 0; padding: .5rem .7rem;
  border-radius: .4rem; background: var(--paper);
  border: 1px solid var(--line); font-size: .82rem; }
.pictures { display: grid; gap: .8rem; margin: .8rem 0; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); }
figure { margin: 0; } figure img { max-width: 100%; height: auto;
  background: #ffffff; border-radius: .4rem; display: block; }
details { margin: .5rem 0; } summary { cursor: pointer; color: var(--link); }
"""


def textbook(
  *,
  title: str,
  intro: str,
  chapters: Sequence[Chapter],
  exercises: Sequence[Exercise],
  loose: Sequence[str],
) -> str:
  """The page; chapters, then exercises, then where the textbooks are loose."""
  cards = [card for chapter in chapters for card in chapter.cards]
  links = ''.join(
    f'<a href="#{_text(card.row)}" class="{_kind(card)}">{_text(card.row)} '
    f'{_SIGNS[card.mark]}</a>'
    for card in cards
  )
  policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
  parts = [
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
    f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<link rel="icon" href="data:,">',
    f'<title>{_text(title)}</title><style>{_STYLE}</style></head><body>',
    f'<h1>{_text(title)}</h1><p>{_text(intro)}</p>',
    f'<p class="soft">{_text(score(cards))}</p><nav>{links}</nav>',
    *(_chapter(chapter) for chapter in chapters),
    '<h2>Exercises</h2>',
    *(_exercise(exercise) for exercise in exercises),
    '<h2>Where the textbooks are loose</h2><ol type="a">',
    *(f'<li>{_text(remark)}</li>' for remark in loose),
    '</ol></body></html>\n',
  ]
  return '\n'.join(parts)


def score(cards: Sequence[Card]) -> str:
  """How many claims hold, fail, and are proven elsewhere."""
  marks = [card.mark for card in cards]
  return (
    f'{marks.count(HOLDS)} claims hold here, {marks.count(FAILS)} fail, '
    f'{marks.count(NOT_HERE)} proven elsewhere.'
  )


def _chapter(chapter: Chapter) -> str:
  cards = '\n'.join(_card(card) for card in chapter.cards)
  return f'<h2>{_text(chapter.title)}</h2><p>{_text(chapter.text)}</p>{cards}'


def _card(card: Card) -> str:
  facts = {'expected': card.expected, 'found': card.found}
  rows = ''.join(
    f'<dt>{name}</dt><dd>{_text(value)}</dd>'
    for name, value in facts.items()
    if value
  )
  pictures = ''.join(_figure(picture) for picture in card.pictures)
  return (
    f'<article id="{_text(card.row)}">'
    f'<span class="mark {_kind(card)}">{_SIGNS[card.mark]} {card.mark}</span>'
    f'<h3>{_text(card.row)}. {_text(card.claim)}</h3>'
    + (
      f'<p class="equation">{_text(card.equation)}</p>' if card.equation else ''
    )
    + f'<dl>{rows}</dl>'
    + f'<div class="pictures">{pictures}</div>' * bool(card.pictures)
    + (f'<pre>{_text(card.command)}</pre>' if card.command else '')
    + '</article>'
  )


def _figure(picture: Picture) -> str:
  kind = 'gif' if picture.data[:3] == b'GIF' else 'png'
  data = base64.b64encode(picture.data).decode('ascii')
  words = _text(picture.words)
  return (
    f'<figure><img alt="{words}" src="data:image/{kind};base64,{data}">'
    '</figure>'
  )


def _exercise(exercise: Exercise) -> str:
  answer = ''.join(
    f'<p>{_text(part)}</p>' for part in exercise.answer.split('\n\n')
  )
  return (
    f'<article><h3>{_text(exercise.title)}</h3>'
    f'<p>{_text(exercise.question)}</p>'
    f'<details><summary>Answer</summary>{answer}</details></article>'
  )


def _kind(card: Card) -> str:
  return card.mark.replace(' ', '')


def _text(text: str) -> str:
  return html.escape(text, quote=True)
