"""One of every picture, of made-up numbers.

`python -m tests.pictures.gallery` draws them into build/gallery, to be looked
at, and writes down in unchanged.json what is on them.
"""

import base64
import hashlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import contourpy
import matplotlib
import numpy as np
import plotly
import scipy

from gd_jax.pictures import answers
from gd_jax.pictures import contest
from gd_jax.pictures import curves
from gd_jax.pictures import insights
from gd_jax.pictures import landscapes
from gd_jax.pictures import plots
from gd_jax.pictures import polls
from gd_jax.pictures import relief
from gd_jax.pictures import report
from gd_jax.pictures import roofline
from gd_jax.pictures import terrain
from gd_jax.pictures import traces
from tests.pictures import described
from tests.pictures import samples
from tests.pictures.contests import EVERY

KEPT = Path(__file__).with_name('unchanged.json')
T = np.linspace(0, 1, 9)
WORDS = 'what there is to see'
SHOWN = (
  'plain',
  'crossed',
  'ten',
  'all diverged',
  'two seeds',
  'accuracy',
  'target',
)


def made() -> dict[str, Callable[[], Any]]:
  """Every picture's name, and what draws it: a figure, or a page as text."""
  ground, path = samples.ground, samples.path
  both = [path(), path(entry='adam@0.05', start=(-1.5, 0.5))]
  flat = [path(start=(1.5,)), path(eta=0.7, start=(-1.0,), steps=9)]
  rng = np.random.default_rng(0)
  plane = np.add.outer((T - 0.3) ** 2, 3 * (T - 0.6) ** 2) + 0.1
  section = landscapes.Section(T, T, plane, ('first', 'second'))
  ways = [
    landscapes.Path(
      entry,
      f'{entry}, seed 0',
      np.stack([T, T[::-1] ** power], 1),
      1.5 - T,
      1.4 - T**power,
    )
    for entry, power in (('sgd', 1), ('adam', 2))
  ]
  lines = {'to b': (2 * T - 0.5, T**2 + 0.2), 'to c': (2 * T - 0.5, 1 - T / 2)}
  poll = polls.Poll(
    'start', 2 ** np.arange(9), 1 / (1 + T), T / 9, 1 / (1 + T), T, T / 2, T
  )
  sharp = [
    polls.Sharp(
      entry=entry,
      label=entry,
      steps=np.arange(9),
      values=1 + shift + T,
      errors=T / 10,
      costs=np.exp(-T - shift),
      limit=1.7,
    )
    for entry, shift in (('sgd', 0.0), ('adam', 0.5))
  ]
  bench = [
    {
      'name': f'sgd m={m}',
      'precision': precision,
      'intensity': intensity,
      'gflops': 10.0 * intensity,
      'bound': bound,
      'of_roof': 0.1 * intensity,
      'peak_gflops': peak,
      'cache_gbytes': 40.0,
      'memory_gbytes': 11.0,
      'machine': {
        'platform': 'cpu',
        'devices': 2,
        'processor': 'a core',
        'device_kind': 'cpu',
        'cores': 2,
      },
      'devices': 2,
      'lanes': 1,
    }
    for m, precision, intensity, bound, peak in (
      (10, 'float32', 3.0, 'memory', 200.0),
      (100, 'float32', 26.0, 'compute', 200.0),
      (10, 'bfloat16', 0.4, 'launch', 90.0),
    )
  ]
  history = [
    {
      'epoch': k,
      'train_cost': 1 / k,
      'test_cost': 1.1 / k if k != 2 else None,
      'test_accuracy': 1 - 0.5 / k,
    }
    for k in range(1, 6)
  ]
  outputs = [('all ones', [1.0] * 10, 4.5), ('nothing', [0.0] * 10, 0.5)]
  images = rng.random((6, 5, 4))
  sight = insights.Sight('cloud', 'A cloud', b'png', WORDS, [('cost', '0.1')])
  pictures: dict[str, Callable[[], Any]] = {
    'contours': lambda: terrain.contours(ground(), both, WORDS),
    'contours outside': lambda: terrain.contours(
      ground(), [path(start=(90.0, 40.0)), path(eta=0.7, steps=400)], WORDS
    ),
    'surface': lambda: relief.surface(ground(), both, WORDS),
    'interactive': lambda: relief.interactive(ground(), both, WORDS),
    'curve': lambda: curves.curve(ground(1), flat, WORDS),
    'goldilocks': lambda: curves.goldilocks(
      ground(), [path(), path(0.3), path(0.7)], samples.swept(), WORDS
    ),
    'goldilocks in one': lambda: curves.goldilocks(
      ground(1), [*flat, path(0.3, start=(1.0,))], samples.swept(), WORDS
    ),
    'costs': lambda: traces.costs('x', both, 0.0, WORDS),
    'costs with no floor': lambda: traces.costs('x', both, None, WORDS),
    'basins': lambda: traces.basins(ground(), samples.basins(), WORDS),
    'ranking': lambda: traces.ranking(outputs, 4, WORDS),
    'lines': lambda: traces.lines(
      np.arange(9),
      {'one': T + 1, 'many': np.outer([1, 2], T + 1)},
      't',
      'l',
      WORDS,
    ),
    'plane': lambda: landscapes.plane(section, ways, 'title', WORDS),
    'surroundings': lambda: landscapes.surroundings(section, lines, 't', WORDS),
    'between': lambda: landscapes.between(lines, 'title', WORDS),
    'confusion': lambda: answers.confusion(
      np.diag([9, 8, 7]) + 2,
      images,
      [f'it is {k}' for k in range(6)],
      't',
      WORDS,
    ),
    'first layer': lambda: answers.first_layer(images - 0.5, 'title', WORDS),
    'nudges': lambda: answers.nudges(T - 0.5, T**2, 1 - T, 'title', WORDS),
    'cloud': lambda: answers.cloud(
      np.outer([1, 2, 3], [1.0, 2.0]),
      np.array([0, 1, 1]),
      ('one', 'two'),
      'title',
      WORDS,
    ),
    'polls': lambda: polls.polls([poll], 500, 'title', WORDS),
    'weights': lambda: polls.weights(
      images[0], 1 / (1 + T), T / 3, 1 + T, 'title', WORDS
    ),
    'weights of no image': lambda: polls.weights(
      None, 1 / (1 + T), T / 3, 1 + T, 'title', WORDS
    ),
    'sharpness': lambda: polls.sharpness(sharp, 'title', WORDS),
    'roofline': lambda: roofline.figure(bench),
    'learning curves': lambda: plots.learning_curves(history, 'title'),
    'inside a run': lambda: insights.html('title', [WORDS], [sight]),
  }
  for name in SHOWN:
    study, rows = EVERY[name]
    for what, draw in contest.figures(study, rows).items():
      pictures[f'{name} {what}'] = draw
    pictures[f'{name} report'] = lambda study=study, rows=rows: report.html(
      study, rows
    )
  return pictures


def versions() -> dict[str, str]:
  """What draws: the digests are of these alone."""
  return {
    'matplotlib': matplotlib.__version__,
    'plotly': plotly.__version__,
    'numpy': np.__version__,
    'contourpy': contourpy.__version__,
    'scipy': scipy.__version__,
  }


def seen(picture: Any) -> dict[str, str]:
  """What is on a figure, or the digest of a page."""
  if isinstance(picture, str):
    # Plotly draws a name for what it fills; no last digit counts.
    text = re.sub(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', 'NAME', picture)
    text = re.sub(
      r'"dtype":"f8","bdata":"([^"]*)"',
      lambda found: described.rounded(
        np.frombuffer(base64.b64decode(json.loads(f'"{found[1]}"')))
      ),
      text,
    )
    text = re.sub(
      r'-?[0-9]+\.[0-9]{6,}(e-?[0-9]+)?',
      lambda found: described.rounded(float(found[0])),
      text,
    )
    return {'page': hashlib.sha256(text.encode()).hexdigest()[:12]}
  return described.described(picture)


def main() -> None:
  folder = Path('build/gallery')
  folder.mkdir(parents=True, exist_ok=True)
  found = {}
  for name, draw in made().items():
    picture = draw()
    found[name] = seen(picture)
    file = folder / name.replace(' ', '_')
    if isinstance(picture, str):
      file.with_suffix('.html').write_text(picture)
    else:
      file.with_suffix('.png').write_bytes(plots.png(picture))
  text = json.dumps({'versions': versions(), 'pictures': found}, indent=1)
  KEPT.write_text(text + '\n')
  sys.stdout.write(f'{len(found)} pictures in {folder}: look at them\n')


if __name__ == '__main__':
  main()
