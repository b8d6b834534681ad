r"""The textbook on one page: every claim, its number, its picture, its mark.

Question: is what the textbooks say of gradient descent true, to the digit?

  python -m experiments.textbook
  python -m experiments.textbook --rows=T04,T37

Writes a run directory with index.html, a page that needs nothing else, and
rows.jsonl (expected, found, mark). Expected: a minute; every mark on the page
holds. Rows that take MNIST, PyTorch or hours stand there with the command that
proves them. Everything is computed in float64.
"""

import time

import jax
from absl import flags as absl_flags

from experiments import flags
from experiments import session
from experiments import start
from experiments.claims import chapters
from experiments.claims import exercises
from experiments.claims import rows
from gd_jax.pictures import page
from gd_jax.types import UserError
from gd_jax.world import files

ROWS = absl_flags.DEFINE_list(
  'rows', [], 'Rows to prove, such as T01,T04; empty means all.'
)
FLAGS = (
  ROWS,
  flags.RESUME,
  *flags.EVERY,
)


def main(context: start.Context) -> int:
  """Proves row after row and writes the page."""
  values = dict(context.values)
  known = [row.name for part in chapters.CHAPTERS for row in part.rows]
  for name in values['rows']:
    if name not in known:
      raise UserError(
        f'--rows names {name!r}: expected some of {", ".join(known)}.'
      )
  wanted = values['rows'] or known

  def work(kept: session.Session) -> session.Outcome:
    session.restore(kept, ())
    parts = []
    for part in chapters.CHAPTERS:
      cards = []
      for row in part.rows:
        if context.stop.is_set():
          return session.interrupted(context)
        if row.name in wanted:
          cards.append(prove(kept, row))
      if cards:
        parts.append(page.Chapter(part.title, part.text, cards))
    text = page.textbook(
      title='Gradient descent that one can see',
      intro=chapters.INTRO,
      chapters=parts,
      exercises=exercises.EXERCISES,
      loose=exercises.LOOSE,
    )
    path = kept.run.path / 'index.html'
    files.write_file(path, text.encode())
    cards = [card for part in parts for card in part.cards]
    context.say(page.score(cards))
    context.say(f'wrote {path}')
    failed = [card.row for card in cards if card.mark == page.FAILS]
    if failed:
      raise UserError(
        f'{", ".join(failed)} failed: expected every mark to hold, see {path}.'
      )
    return session.Outcome(start.DONE, '')

  return session.hold(context, values, 'none', work)


def prove(kept: session.Session, row: rows.Row) -> page.Card:
  """One row as a card; what it found is recorded and said."""
  began = time.perf_counter()
  found, mark, pictures = '', page.NOT_HERE, []
  if row.prove is not None:
    with jax.enable_x64(True):
      proof = row.prove()
    found, mark = proof.found, page.HOLDS if proof.holds else page.FAILS
    pictures = [page.Picture(scene.png, scene.words) for scene in proof.scenes]
  seconds = time.perf_counter() - began
  session.record(
    kept,
    [
      {
        'row': row.name,
        'expected': row.expected,
        'found': found,
        'mark': mark,
        'seconds': seconds,
      }
    ],
  )
  if mark != page.NOT_HERE:
    kept.context.say(f'{row.name} {mark}, {seconds:.1f} s: {found}')
  return page.Card(
    row=row.name,
    claim=row.claim,
    equation=row.equation,
    expected=row.expected,
    found=found,
    mark=mark,
    command=row.command,
    pictures=pictures,
  )


if __name__ == '__main__':
  start.run(main, doc=__doc__, own=FLAGS)
