r"""Look inside a run: gradients, curvature, landscape.

Question: why does this learning rate diverge, which weights matter, is the
mini-batch too small, and what does the valley look like here?

  python -m experiments.train --snapshots=21
  python -m experiments.inspect_run
  python -m experiments.inspect_run runs/A runs/B
  python -m experiments.compare --snapshots=31 --name=six
  python -m experiments.inspect_run six --views=trajectories

RUN is a run directory of `train` or `compare`, or its name in --workdir; none
takes the newest there that keeps snapshots. Nothing is trained. Several runs
come on one picture, if they have one network and one data set; what is looked
into alone is the descent that ends lowest. Writes a run directory:
figures/*.png, report.html and rows.jsonl (the figures of each picture).
Expected: under half a minute for digits, two to three minutes for MNIST.
"""

from absl import flags as absl_flags

from experiments import flags
from experiments import kinds
from experiments import session
from experiments import start
from experiments.inside import confusions
from experiments.inside import planes
from experiments.inside import sharpness
from experiments.inside import sights
from experiments.inside import tracks
from experiments.inside import workbench
from gd_jax.pictures import insights
from gd_jax.types import UserError
from gd_jax.world import files
from gd_jax.world import mesh

# In the order of the page: what it is, and which descents it takes.
VIEWS = {
  'trajectories': planes.trajectories,
  'between': planes.between,
  'surroundings': planes.surroundings,
  'sharpness': sharpness.sharpness,
  'polls': sights.polls,
  'weights': sights.weights,
  'nudge': sights.nudged,
  'confusion': confusions.confused,
  'first-layer': confusions.first_layer,
  'data': planes.cloud,
}
OF_ALL = ('trajectories', 'between', 'sharpness', 'data')
OF_IMAGES = ('first-layer', 'data', 'confusion')
CHOSEN = absl_flags.DEFINE_list(
  'views', [], f'What to look at: {", ".join(VIEWS)}; empty means all.'
)
POINTS = kinds.whole(
  'points', 51, 'Of a plane, along each of its axes.', least=3, most=501
)
LANCZOS_STEPS = kinds.whole(
  'lanczos_steps',
  30,
  'Hessian-vector products an eigenvalue takes.',
  least=2,
  most=1000,
)
FLAGS = (
  CHOSEN,
  POINTS,
  LANCZOS_STEPS,
  flags.DATA_DIR,
  flags.MANUAL_DIR,
  flags.PRECISION,
  flags.RESUME,
  *flags.EVERY,
)


def main(context: start.Context) -> int:
  """Reads the runs, looks at them, writes pictures and a page."""
  values = dict(context.values)
  for name in values['views']:
    if name not in VIEWS:
      raise UserError(
        f'--views names {files.shown(name)!r}: expected some of '
        f'{", ".join(VIEWS)}.'
      )
  subject = tracks.read(context)
  values['runs'] = [files.shown(name) for name in context.arguments]

  def work(kept: session.Session) -> session.Outcome:
    session.restore(kept, ())
    for line in (heading(subject), *subject.notes):
      context.say(line)
    made = workbench.bench(
      subject,
      mesh.row(context.devices),
      points=values['points'],
      lanczos_steps=values['lanczos_steps'],
    )
    track, seen = workbench.best(made), []
    for name in wanted(made, values['views']):
      if context.stop.is_set():
        return session.interrupted(context)
      look = VIEWS[name]
      sight = look(made) if name in OF_ALL else look(made, track)
      session.write_figure(kept, f'{sight.name}.png', sight.png)
      session.record(kept, [{'view': sight.name, **dict(sight.facts)}])
      context.say(f'{sight.heading}: {sight.words}')
      seen.append(sight)
    page = insights.html(
      'Inside a run', [heading(subject), *subject.notes], seen
    )
    files.write_file(kept.run.path / 'report.html', page.encode())
    context.say(f'wrote {kept.run.path}')
    return session.Outcome(start.DONE, '')

  return session.hold(context, values, subject.problem.fingerprint, work)


def heading(subject: tracks.Subject) -> str:
  """What is looked into, in a line."""
  named = ', '.join(
    f'{track.label} at {track.learning_rate:g}' for track in subject.tracks
  )
  return f'{subject.problem.words}: {named}'


def wanted(made: workbench.Bench, names: list[str]) -> list[str]:
  """The views that were asked for and that there is something to see on.

  Raises:
    UserError: one was asked for that has nothing to show.
  """
  possible = [
    name
    for name in VIEWS
    if (name != 'between' or len(made.subject.tracks) > 1)
    and (name not in OF_IMAGES or workbench.is_network(made))
    and (name != 'first-layer' or len(made.subject.problem.image) in (2, 3))
  ]
  for name in names:
    if name not in possible:
      raise UserError(
        f'--views={name} has nothing to show of this: between needs two '
        'descents, images need the network of the flags.'
      )
  return [name for name in possible if name in (names or possible)]


if __name__ == '__main__':
  start.run(main, doc=__doc__, own=FLAGS, positionals=True)
