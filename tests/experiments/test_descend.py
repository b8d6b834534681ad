"""`descend` and `textbook` as they are called."""

import json
import re

import numpy as np
import pytest

from experiments import descend
from experiments.claims import chapters
from experiments.claims import exercises
from experiments.walking import lessons
from experiments.walking import plans
from experiments.walking import scenes
from experiments.walking import walks as walking
from gd_jax.descent import outcomes
from gd_jax.model import surfaces
from gd_jax.pictures import page
from gd_jax.types import UserError
from tests import scripts


def call(tmp_path, script, *arguments, name='run', **environment):
  where = [*scripts.named(tmp_path, name), '--platform=cpu']
  done = scripts.run(script, *where, *arguments, code=None, env=environment)
  return done.returncode, done.stdout, done.stderr


def figures(tmp_path, name='run'):
  return sorted(file.name for file in (tmp_path / name / 'figures').iterdir())


def test_T01_the_first_update_is_printed(tmp_path):
  code, out, err = call(
    tmp_path,
    'descend',
    '--surface=parabola',
    '--start=-0.9',
    '--learning_rates=0.03',
  )
  assert (code, err) == (0, '')
  numbers = [line.split() for line in out.splitlines()]
  assert ['0', '-0.9', '-22.8', '18.66'] in numbers
  assert ['1', '-0.216'] in [row[:2] for row in numbers]
  assert ['2', '0.22176'] in [row[:2] for row in numbers]
  assert 'converges to the minimum in 23 steps' in out
  assert figures(tmp_path) == [
    'cost.png',
    'curve.png',
    'goldilocks.png',
  ]
  lines = (tmp_path / 'run' / 'rows.jsonl').read_text().splitlines()
  rows = [json.loads(line) for line in lines]
  assert len(rows) == 24
  assert rows[1]['position'] == pytest.approx([-0.216])
  assert [row['outcome'] for row in rows if row['outcome']] == ['converged']


def test_no_flag_at_all_gives_pictures(tmp_path):
  code, out, err = call(tmp_path, 'descend')
  assert (code, err) == (0, '')
  assert 'the deep minimum' in out
  assert figures(tmp_path) == [
    'basins.png',
    'contours.png',
    'cost.png',
    'goldilocks.png',
    'surface.png',
  ]


def test_a_surface_of_one_s_own_that_breaks_off_and_an_outside_start(tmp_path):
  (tmp_path / 'my_hill.py').write_text(
    'import jax.numpy as jnp\ndef slide(x, y):\n  return jnp.sqrt(x) + y**2\n'
  )
  code, out, err = call(
    tmp_path,
    'descend',
    '--surface=my_hill:slide',
    '--start=0.5,1;9,0',
    '--learning_rates=0.2',
    '--interactive',
    PYTHONPATH=str(tmp_path),
  )
  assert (code, err) == (0, '')
  assert 'gives no finite number after' in out
  assert 'the start (9, 0) lies outside the domain' in out
  assert 'surface.html' in figures(tmp_path)


def test_divergence_is_said_and_has_its_exit_code(tmp_path):
  code, out, err = call(
    tmp_path, 'descend', '--surface=parabola', '--learning_rates=0.2'
  )
  assert code == 3
  assert 'every walk diverged' in err
  assert 'Warning' not in err
  assert '2/lambda_max = 0.1667' in out


def test_a_mistake_gets_one_sentence(tmp_path):
  code, _, err = call(tmp_path, 'descend', '--start=1')
  assert code == 2
  assert 'expected 2 finite numbers' in err
  assert len(err.splitlines()) == 1
  assert not (tmp_path / 'run').exists()


def test_noise_below_nothing_is_refused():
  values = {
    'noise': -1.0,
    'online': None,
    'seed': 0,
    'seeds': 1,
    'start': None,
    'steps': None,
    'tolerance': 1e-3,
    'quiet_steps': 0,
  }
  surface = surfaces.SURFACES['saddle']
  with pytest.raises(UserError, match='0 or more'):
    descend.plan_of(values, surface, 'float32')
  values['noise'] = 0.0
  sizes = [
    descend.plan_of(values | {'online': online}, surface, 'float32').batch_size
    for online in (None, True, False)
  ]
  assert sizes == [2, 1, 2]


def test_T14_the_lesson(tmp_path):
  code, out, _ = call(tmp_path, 'descend', '--lesson=rank', '--json')
  assert code == 0
  rows = [json.loads(line) for line in out.splitlines()]
  costs = [row['cost'] for row in rows]
  np.testing.assert_allclose(
    costs, [4.5, 1.25, 1, 0.5, 0.45, 0.125, 0], atol=1e-6
  )
  assert rows[2]['answer'] == 'a confident 9'
  assert figures(tmp_path) == ['ranking.png']


def test_the_page_of_some_rows(tmp_path):
  code, _, err = call(tmp_path, 'textbook', '--rows=T01,T14,T31')
  assert (code, err) == (0, '')
  text = (tmp_path / 'run' / 'index.html').read_text()
  assert '2 claims hold here, 0 fail, 1 proven elsewhere.' in text
  assert text.count('src="data:image/png;base64,') == 2
  assert '-0.216, 0.22176, 0.50193' in text
  assert '--surface=parabola --start=-0.9 --learning_rates=0.03' in text
  assert text.count('<summary>Answer</summary>') == 4


def test_every_row_of_the_textbook_stands_on_the_page_once():
  rows = [row for part in chapters.CHAPTERS for row in part.rows]
  names = [row.name for row in rows]
  assert sorted(names) == sorted(f'T{k:02d}' for k in range(1, 44))
  for row in rows:
    assert row.expected
    assert row.command
    assert row.command.isascii()


def test_a_failed_claim_fails_the_page(tmp_path, monkeypatch):
  from experiments import textbook
  from experiments.claims import rows

  told = []
  monkeypatch.setattr(
    textbook.session, 'record', lambda _, rows: told.extend(rows)
  )
  row = rows.Row('T01', 'c', 'e', 'x', 'y', lambda: rows.Proof('no', False))

  class Kept:
    class context:  # noqa: N801
      say = staticmethod(told.append)

  card = textbook.prove(Kept, row)  # pyright: ignore
  assert card.mark == page.FAILS
  assert told[0]['mark'] == 'fails'


def test_starts_of_every_spelling():
  surface = surfaces.SURFACES['bowl']
  assert plans.starts(None, surface, 0) == surface.starts
  assert plans.starts('0.5,2;-1,0', surface, 0) == {
    '(0.5, 2)': (0.5, 2.0),
    '(-1, 0)': (-1.0, 0.0),
  }
  assert list(plans.starts('west', surface, 0)) == ['west']
  many = plans.starts('random:50', surface, 3)
  assert len(many) == 50
  assert many == plans.starts('random:50', surface, 3)
  assert many != plans.starts('random:50', surface, 4)
  points = np.array(list(many.values()))
  for column, (low, high) in zip(points.T, surface.domain, strict=True):
    assert low <= column.min() < column.max() <= high
  assert len(plans.starts('grid', surface, 0)) == 81
  line = surfaces.SURFACES['parabola']
  assert plans.starts('-0.9', line, 0) == {'-0.9': (-0.9,)}
  for bad in ('1', 'x,y', '1,nan', 'random:0', 'random:x', ''):
    with pytest.raises(UserError, match='--start'):
      plans.starts(bad, surface, 0)


def a_plan(name, **changes):
  surface = surfaces.SURFACES[name]
  return plans.Plan(
    surface, surface.starts, 40, 1e-3, 0.0, 0, 1, (0,), 'float32'
  )._replace(**changes)


def test_all_combinations_are_walked_and_stop_at_the_tolerance():
  plan = a_plan('bowl')
  (method,) = plans.methods('momentum+mu=0.5', plan.surface, None)
  walks = walking.walk(plan, method, [0.02, 0.03])
  assert [(w.start, w.rate) for w in walks] == [
    (start, rate) for start in plan.starts for rate in (0.02, 0.03)
  ]
  for walk in walks:
    slopes = np.linalg.norm(walk.gradients, axis=1)
    assert walk.outcome.word == outcomes.CONVERGED
    assert slopes[-1] <= 1e-3 < slopes[:-1].min()
    assert len(walk.costs) == walk.outcome.steps + 1
  assert len(walking.rows(walks)) == sum(len(w.costs) for w in walks)
  thin = walking.rows(walks, most=20)
  assert len(thin) < 40
  assert sum(row['outcome'] == 'converged' for row in thin) == 6


def test_optimizers_of_a_walk():
  surface = surfaces.SURFACES['bowl']
  found = plans.methods('sgd,adam@0.05,backtracking', surface, None)
  assert [m.rate for m in found] == [None, 0.05, None]
  for bad in ('sgd,sgd', 'sdg', 'optax:lbfgs'):
    with pytest.raises(UserError):
      plans.methods(bad, surface, None)


def test_minima_of_one_s_own_surface_are_found():
  surface = surfaces.SURFACES['two_minima']._replace(minima={})
  plan = a_plan('two_minima', surface=surface, steps=150)
  (method,) = plans.methods('sgd', surface, None)
  walks = walking.walk(plan, method, [0.1])
  found = walking.discovered(surface, walks).minima
  np.testing.assert_allclose(
    sorted(found.values()),
    [(-0.98038, 0.98038), (0.89397, -0.89397)],
    atol=3e-3,
  )


def test_a_basin_map_of_512_x_512_is_one_program():
  where = (
    a_plan('two_minima', steps=200),
    plans.methods('sgd', surfaces.SURFACES['two_minima'], None)[0],
    0.1,
  )
  scene = scenes.basins(*where, scenes.basins_of(*where))
  shares = [float(s) for s in re.findall(r'([0-9.]+) %', scene.words)]
  # T04: about 45 % deep, 32 % shallow, 23 % neither yet.
  np.testing.assert_allclose(shares, [45.6, 32.3, 22.2], atol=0.3)
  assert scene.png.startswith(b'\x89PNG')


def test_the_four_exercises_and_the_loose_ends_are_there():
  assert len(exercises.EXERCISES) == 4
  assert len(exercises.LOOSE) == 7
  answer = exercises.EXERCISES[3].answer
  for _, _, cost in lessons.ranked():
    assert f'({cost:.3g})' in answer
