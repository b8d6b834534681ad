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
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple
from unittest import mock

import contourpy
import matplotlib
import numpy as np
import plotly
import scipy
from matplotlib.backends.backend_agg import FigureCanvasAgg

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


class Film(NamedTuple):
  """What is to be animated."""

  ground: terrain.Ground
  paths: Sequence[terrain.Path]


def frames_of(film: Film) -> list[dict[str, str]]:
  """What is on each frame, before it is laid out and drawn."""
  found = []

  def look(canvas):
    canvas.get_renderer()
    found.append(described.described(canvas.figure))

  with mock.patch.object(FigureCanvasAgg, 'draw', look):
    relief.animation(*film, frames=3)
  return found


def made() -> dict[str, Callable[[], Any]]:
  """Every picture's name, and what draws it: a figure, a page, a film."""
  ground, path, oblong = samples.ground, samples.path, samples.oblong()
  other = path(entry='adam@0.05', start=(-1.5, 0.5))
  both = [path(), other._replace(name='e 1', line=6)]
  lifted = [one._replace(heights=one.heights + 0.5) for one in both]
  # So low that the lid lies on a height of the ground.
  low = path(start=(0.1, 0.2), steps=3)
  low = low._replace(heights=low.heights + 0.5)
  flat = [path(start=(1.5,)), path(eta=0.7, start=(-1.0,), steps=9)]
  flat[1] = flat[1]._replace(line=6)
  rng = np.random.default_rng(0)
  plane = np.add.outer((T - 0.3) ** 2, 3 * (T - 0.6) ** 2) + 0.1
  section = landscapes.Section(T, T, plane, ('first', 'second'))
  ways = [
    landscapes.Path(
      entry,
      f'{entry}, seed 0',
      np.stack([1.3 * T, T[::-1] ** power - 0.2], 1),
      1.5 - T,
      1.4 - T**power,
    )
    for entry, power in (('sgd', 1), ('adam', 2))
  ]
  lines = {'to b': (2 * T - 0.5, T**2 + 0.2), 'to c': (2 * T - 0.5, 1 - T / 2)}
  poll = polls.Poll(
    label='start',
    m=2 ** np.arange(1, 10),
    error=1 / (1 + T),
    reach=T / 9,
    law=1 / (1 + T),
    cosine=(1 + T) / 2,
    low=(1 + T) / 3,
    high=(2 + T) / 3,
  )
  falling = np.array([2.0, 1.0, 1e-3, 1e-9, 0.0])
  sharp = [
    polls.Sharp(
      entry='sgd' if k else 'adam',
      label=f'run {k}',
      steps=np.arange(9) / 4,
      values=0.3 + k / 10 + T,
      errors=T / 10,
      costs=np.exp(-T - k / 4),
      limit=1.7 - k / 20,
    )
    for k in range(9)
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
      'memory_gbytes': 11 + m / 1000,
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
    for k in range(1, 4)
  ]
  outputs = [
    ('all ones', [1.0] * 10, 4.5),
    ('halves', [0.5] * 10, 2.5),
    ('nothing', [0.0] * 10, 0.5),
  ]
  images = rng.random((6, 5, 4))
  tiles = np.linspace(-0.4, 1, 9)[:, None, None] * images[0] ** 3
  where = np.linspace(0, 5, 4000)
  sight = insights.Sight('cloud', 'A cloud', b'png', WORDS, [('cost', '0.1')])
  pictures: dict[str, Callable[[], Any]] = {
    'contours': lambda: terrain.contours(oblong, lifted, WORDS),
    'contours outside': lambda: terrain.contours(
      ground(), [path(start=(90.0, 40.0)), path(eta=0.7, steps=400)], WORDS
    ),
    'surface': lambda: relief.surface(oblong, lifted, WORDS),
    'interactive': lambda: relief.interactive(oblong, [low], WORDS),
    'animation': lambda: Film(oblong, lifted),
    'animation of a curve': lambda: Film(ground(1), flat),
    'curve': lambda: curves.curve(ground(1), flat, WORDS),
    'goldilocks': lambda: curves.goldilocks(
      ground(), [path(), path(0.3), path(0.7)], samples.swept(), WORDS
    ),
    'goldilocks in one': lambda: curves.goldilocks(
      ground(1), [*flat, path(0.3, start=(1.0,))], samples.swept(), WORDS
    ),
    'costs': lambda: traces.costs('x', lifted, 0.5, WORDS),
    'costs with no floor': lambda: traces.costs('x', both, None, WORDS),
    'basins': lambda: traces.basins(
      oblong, samples.basins()._replace(extent=(-2, 2.5, -1.2, 2)), WORDS
    ),
    'ranking': lambda: traces.ranking(outputs, 4, WORDS),
    'lines': lambda: traces.lines(
      np.arange(9) / 4,
      {'one': T + 1, 'many': np.outer([1, 2], T + 1)},
      't',
      'l',
      WORDS,
    ),
    'plane': lambda: landscapes.plane(section, ways, 'title', WORDS),
    'surroundings': lambda: landscapes.surroundings(section, lines, 't', WORDS),
    'between': lambda: landscapes.between(lines, 'title', WORDS),
    'confusion': lambda: answers.confusion(
      np.diag([9, 8, 7]) + [[2, 0, 1], [3, 2, 4], [0, 0, 5]],
      images,
      [f'it is {k}' for k in range(6)],
      't',
      WORDS,
    ),
    'confusion of nothing': lambda: answers.confusion(
      np.diag([3, 0]), images[:0], [], 't', WORDS
    ),
    'first layer': lambda: answers.first_layer(tiles, 'title', WORDS),
    'first layer of nothing': lambda: answers.first_layer(
      0 * images[:1], 'title', WORDS
    ),
    'nudges': lambda: answers.nudges(T - 0.5, T**2, 1 - T, 'title', WORDS),
    'cloud': lambda: answers.cloud(
      np.stack([np.cos(where), np.sin(2 * where)], 1),
      np.arange(4000) // 400 + 3,
      ('one', 'two'),
      'title',
      WORDS,
    ),
    'polls': lambda: polls.polls([poll], 600, 'title', WORDS),
    'weights': lambda: polls.weights(
      images[0], falling, T / 3, 1 + T, 'title', WORDS
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
  """What is on a figure or a film, or the digest of a page."""
  if isinstance(picture, Film):
    frames = json.dumps(frames_of(picture))
    return {'frames': hashlib.sha256(frames.encode()).hexdigest()[:12]}
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
    if isinstance(picture, Film):
      file.with_suffix('.gif').write_bytes(relief.animation(*picture))
    elif isinstance(picture, str):
      file.with_suffix('.html').write_text(picture)
    else:
      file.with_suffix('.png').write_bytes(plots.png(picture))
  text = json.dumps({'versions': versions(), 'pictures': found}, indent=1)
  KEPT.write_text(text + '\n')
  sys.stdout.write(f'{len(found)} pictures in {folder}: look at them\n')


if __name__ == '__main__':
  main()
