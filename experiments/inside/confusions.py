"""What the network of a run answers, and its weights, seen by `inspect_run`."""

import functools

import numpy as np

from experiments.inside import tracks
from experiments.inside import workbench
from experiments.inside.workbench import Bench
from gd_jax.insight import mistakes
from gd_jax.insight import totals
from gd_jax.pictures import answers
from gd_jax.pictures.insights import Sight

WORST = 15  # images that are shown


def confused(made: Bench, track: tracks.Track) -> Sight:
  """Confusion, the worst-classified images, dead outputs (T31)."""
  problem = made.subject.problem
  labels = np.asarray(problem.test.y)
  k = int(max(labels.max(), np.max(problem.train.y))) + 1
  found = workbench.run(
    made,
    workbench.answers(problem.scores_of, made.mesh),
    track.params[-1],
    totals.deal(problem.test, made.mesh),
  )
  found = mistakes.Answers(*totals.flat(found, len(labels)))
  matrix = mistakes.confusion(labels, found.predicted, k)
  worst = mistakes.worst(found, labels, WORST)
  gone = mistakes.dead(found.predicted, k)
  images = workbench.pictured(made, problem.test.x[worst])
  captions = [
    f'{labels[i]} called {found.predicted[i]}\ncost {found.cost[i]:.2f}'
    for i in worst
  ]
  right = float(np.trace(matrix) / matrix.sum())
  wrong = matrix - np.diag(np.diag(matrix))
  i, j = np.unravel_index(wrong.argmax(), wrong.shape)
  dead = (
    f'Dead outputs, all but never the largest: {", ".join(map(str, gone))}.'
    if gone
    else 'No output is dead: every class is named.'
  )
  most = f'most often a {i} is called {j}, {wrong.max()} times'
  if not wrong.any():
    most = 'none is called another'
  words = (
    f'{100 * right:.2f} % of the {len(labels):,} test images are read right; '
    f'{most}. {dead} Right, the mistakes that cost most.'
  )
  return workbench.sight(
    made,
    'confusion',
    'What is confused',
    functools.partial(
      answers.confusion, matrix, images, captions, workbench.title(made, track)
    ),
    words,
    [
      ('test accuracy', f'{100 * right:.2f} %'),
      ('dead outputs', str(len(gone))),
      ('mistakes', most),
    ],
  )


def first_layer(made: Bench, track: tracks.Track) -> Sight:
  """The weights of the first layer as images."""
  w = np.asarray(track.params[-1][0].w, np.float64)
  start = np.asarray(track.params[0][0].w, np.float64)
  tiles = workbench.pictured(made, w)
  moved = np.linalg.norm(w - start, axis=1) / np.linalg.norm(start, axis=1)
  return workbench.sight(
    made,
    'first-layer',
    'The first layer',
    functools.partial(answers.first_layer, tiles, workbench.title(made, track)),
    f"Each neuron's weights as an image: red adds, blue takes away. They moved "
    f'by {np.median(moved):.2f} of their length (median of {len(w)} neurons).',
    [('moved, of its length', f'{moved.min():.2f} to {moved.max():.2f}')],
  )
