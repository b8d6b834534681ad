r"""Descend a surface that one can see, with the optimizers of the package.

Question: where does gradient descent go, and why?

  python -m experiments.descend
  python -m experiments.descend --surface=parabola --start=-0.9 \
      --learning_rates=0.03
  python -m experiments.descend --surface=ravine \
      --optimizers=sgd,momentum,adam --learning_rates=0.02
  python -m experiments.descend --lesson=rank

Writes a run directory: rows.jsonl (every step of every lane: position, cost,
gradient) and figures/: the curve or the contours, the surface in 3-D, cost
against step, basins of attraction, and learning rates too small, right and too
large. Expected: a few seconds. The second command prints the first update of
the textbook, -0.9 - 0.03 (-22.8) = -0.216.
"""

from collections.abc import Sequence

import jax
import numpy as np
from absl import flags as absl_flags

from experiments import flags
from experiments import kinds
from experiments import problem as problems
from experiments import session
from experiments import start
from experiments.walking import lessons
from experiments.walking import plans
from experiments.walking import scenes
from experiments.walking import walks as walking
from experiments.walking.walks import Walk
from gd_jax.descent import outcomes
from gd_jax.descent import schedules
from gd_jax.model import own
from gd_jax.model import surfaces
from gd_jax.pictures import relief
from gd_jax.types import UserError

SURFACE = absl_flags.DEFINE_string(
  'surface',
  'two_minima',
  f'What to descend on: {", ".join(surfaces.SURFACES)}, or your own f(x) or '
  'f(x, y) as package.module:function.',
)
LEARNING_RATES = kinds.numbers(
  'learning_rates',
  [],
  'eta, one or several for every optimizer; empty means @RATE, or the '
  "surface's own.",
  above=0,
)
START = absl_flags.DEFINE_string(
  'start',
  None,
  "Where to begin: points such as '0.5,2;-1,0', names of the surface's starts, "
  'random:N, or grid; empty means its three named starts.',
)
STEPS = kinds.whole(
  'steps', None, "Updates; empty means the surface's own number.", least=1
)
TOLERANCE = kinds.number(
  'tolerance',
  1e-3,
  'Length of the gradient at which descent stops; 0 or less never stops.',
)
NOISE = kinds.number(
  'noise',
  0.0,
  'Standard deviation of normal noise in every component of the gradient.',
)
QUIET_STEPS = kinds.whole(
  'quiet_steps', 0, 'How many of the last steps are without noise.'
)
ONLINE = absl_flags.DEFINE_bool(
  'online',
  None,
  'One example an update (true) or all of them (false); empty means as the '
  'surface says. noisy_parabola, saddle and neuron have several examples.',
)
SEEDS = kinds.whole(
  'seeds',
  1,
  'Runs of every lane, which differ in noise and order.',
  least=1,
  most=plans.MOST_LANES,
)
LESSON = absl_flags.DEFINE_enum(
  'lesson',
  None,
  list(lessons.LESSONS),
  'Shows this instead: rank orders ten outputs for a 4 by their cost.',
)
ANIMATE = absl_flags.DEFINE_bool(
  'animate', False, 'Write figures/descent.gif too, the steps in motion.'
)
INTERACTIVE = absl_flags.DEFINE_bool(
  'interactive',
  False,
  'Write figures/surface.html too, a surface to turn with the mouse (5 MB).',
)
FLAGS = (
  SURFACE,
  flags.OPTIMIZERS,
  LEARNING_RATES,
  START,
  STEPS,
  TOLERANCE,
  NOISE,
  QUIET_STEPS,
  ONLINE,
  SEEDS,
  LESSON,
  ANIMATE,
  INTERACTIVE,
  flags.SCHEDULE,
  flags.SEED,
  flags.PRECISION,
  flags.RESUME,
  *flags.EVERY,
)
_TABLES = 9  # walks that are printed with their first steps


def main(context: start.Context) -> int:
  """All walks, their rows, their pictures, and words."""
  values = dict(context.values)
  if values['lesson']:
    return session.hold(
      context,
      values,
      'none',
      lessons.LESSONS[values['lesson']],
    )
  surface = own.find(values['surface'])
  plan = plan_of(values, surface, context.dtype)
  values['steps'] = plan.steps
  named = plans.methods(
    values['optimizers'] or 'sgd', surface, schedules.parse(values['schedule'])
  )
  rates = {
    method.text: values['learning_rates'] or [method.rate or surface.rate]
    for method in named
  }

  for rate in {rate for some in rates.values() for rate in some}:
    problems.check_rate(rate, context.dtype)
  walking.check_size(plan, max(map(len, rates.values())))

  def work(kept: session.Session) -> session.Outcome:
    session.restore(kept, ())  # a walk is short: it is walked anew
    context.say(f'{surface.name}: {surface.formula}')
    for name in plans.outside(plan):
      context.say(
        f'the start {name} lies outside the domain, which is all that the '
        'pictures show'
      )
    walks = [
      walk
      for method in named
      for walk in walking.walk(plan, method, rates[method.text])
    ]
    session.record(kept, walking.rows(walks))
    for walk in walks[:_TABLES] if len(walks) <= _TABLES else ():
      context.say(first_steps(walk))
    context.say(scenes.words(walks))
    found = plan._replace(surface=walking.discovered(surface, walks))
    draw(kept, found, named, rates[named[0].text][0], walks)
    if context.stop.is_set():
      return session.interrupted(context)
    context.say(f'wrote {kept.run.path}')
    if all(walk.outcome.word == outcomes.DIVERGED for walk in walks):
      return session.Outcome(
        start.DIVERGED, 'every walk diverged, try smaller --learning_rates'
      )
    return session.Outcome(start.DONE, '')

  return session.hold(context, values, 'none', work)


def plan_of(values: dict, surface: surfaces.Surface, dtype: str) -> plans.Plan:
  """The plan of the flags.

  Raises:
    UserError: for a start that is none, and noise below 0.
  """
  if not 0 <= values['noise'] <= float(np.finfo(dtype).max):
    raise UserError(
      f'--noise={values["noise"]:g} is a standard deviation: give 0 or more, '
      f'a number of {dtype}.'
    )
  n = len(jax.tree.leaves(surface.examples)[0])
  m = surface.batch_size or n
  if values['online'] is not None:
    m = 1 if values['online'] else n
  first = values['seed']
  return plans.Plan(
    surface=surface,
    starts=plans.starts(values['start'], surface, first),
    steps=values['steps'] or surface.steps,
    tolerance=max(0.0, values['tolerance']),
    noise=values['noise'],
    quiet_steps=values['quiet_steps'],
    batch_size=m,
    seeds=tuple(range(first, first + values['seeds'])),
    dtype=dtype,
  )


def first_steps(walk: Walk, count: int = 5) -> str:
  """Position, gradient and cost at the first steps, in a table."""
  lines = [
    f'{walk.method} at {walk.rate:.6g} from {walk.start}:',
    f'{"step":>6} {"position":>24} {"gradient":>24} {"cost":>12}',
  ]
  last = len(walk.costs) - 1
  for step in sorted({*range(min(count, last + 1)), last}):
    where, slope = (
      ', '.join(f'{x:.5g}' for x in numbers[step])
      for numbers in (walk.positions, walk.gradients)
    )
    lines.append(f'{step:>6} {where:>24} {slope:>24} {walk.costs[step]:>12.6g}')
  return '\n'.join(lines)


def draw(
  kept: session.Session,
  plan: plans.Plan,
  named: Sequence[plans.Method],
  rate: float,
  walks: Sequence[Walk],
) -> None:
  """Every picture that this descent has."""
  values, stop = kept.context.values, kept.context.stop
  flat = len(plan.surface.variables) == 1
  makers = [
    lambda: scenes.views(plan.surface, walks),
    lambda: [scenes.goldilocks(plan, walks)],
  ]
  if not flat and (len(plan.surface.minima) > 1 or values['start'] == 'grid'):
    where = (plan, named[0], rate)
    makers.append(lambda: [scenes.basins(*where, scenes.basins_of(*where))])
  for make in makers:
    for scene in [] if stop.is_set() else make():
      if scene is not None:
        session.write_figure(kept, f'{scene.name}.png', scene.png)
  land, ways = scenes.ground(plan.surface), scenes.paths(walks)
  if values['animate']:
    session.write_figure(kept, 'descent.gif', relief.animation(land, ways))
  if values['interactive'] and not flat:
    page = relief.interactive(land, ways, scenes.words(walks))
    session.write_figure(kept, 'surface.html', page.encode())


if __name__ == '__main__':
  start.run(main, doc=__doc__, own=FLAGS)
