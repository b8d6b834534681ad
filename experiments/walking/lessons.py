"""Lessons of `descend` that walk on no surface."""

import jax.numpy as jnp
import numpy as np

from experiments import session
from experiments import start
from experiments.walking import scenes
from gd_jax.model import costs
from gd_jax.pictures import plots
from gd_jax.pictures import traces

LABEL = 4
# What a network with ten outputs may say of an image of a 4.
ANSWERS = {
  'all ones': np.ones(10),
  'unsure: 0.5 everywhere': np.full(10, 0.5),
  'a confident 9': np.eye(10)[9],
  'nothing: all zeros': np.zeros(10),
  'unsure: 0.1 everywhere': np.full(10, 0.1),
  'leaning to 4: 0.6, and 0.3 on 9': 0.6 * np.eye(10)[4] + 0.3 * np.eye(10)[9],
  'a confident 4': np.eye(10)[4],
}


def ranked() -> list[tuple[str, list[float], float]]:
  """(name, ten outputs, quadratic cost), the highest cost first."""
  target = jnp.eye(10)[LABEL]
  found = [
    (name, a.tolist(), float(costs.quadratic(jnp.asarray(a), target)))
    for name, a in ANSWERS.items()
  ]
  return sorted(found, key=lambda row: -row[2])


def rank_scene() -> scenes.Scene:
  """The picture of the ranking."""
  rows = ranked()
  words = (
    f'An image shows a {LABEL}. C = |y - a|^2 / 2 of seven answers, worst '
    'first: an unsure network (0.5 everywhere, cost 1.25) costs more than one '
    'that is confidently wrong (a 9, cost 1).'
  )
  picture = traces.ranking(rows, LABEL, words)
  return scenes.Scene('ranking', plots.png(picture), words)


def rank(kept: session.Session) -> session.Outcome:
  """Ranks ten outputs for a 4 from the highest to the lowest cost (T14)."""
  session.restore(kept, ())
  rows = ranked()
  session.record(
    kept, [{'answer': n, 'outputs': a, 'cost': round(c, 7)} for n, a, c in rows]
  )
  for name, _, cost in rows:
    kept.context.say(f'{cost:8.4g}  {name}')
  scene = rank_scene()
  session.write_figure(kept, f'{scene.name}.png', scene.png)
  kept.context.say(scene.words)
  kept.context.say(f'wrote {kept.run.path}')
  return session.Outcome(start.DONE, '')


LESSONS = {'rank': rank}
