"""Gradients, curvature and answers of a run, seen by `inspect_run`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import flatten_util

from experiments import tracks
from experiments import workbench
from experiments.workbench import Bench
from gd_jax.descent import entries
from gd_jax.insight import curvature
from gd_jax.insight import gradients
from gd_jax.insight import landscape
from gd_jax.insight import mistakes
from gd_jax.insight import noise
from gd_jax.insight import totals
from gd_jax.pictures import answers
from gd_jax.pictures import polls as polling
from gd_jax.pictures.insights import Sight

SIZES = (1, 10, 100, 1000)
EXAMPLES = 40_000  # drawn for the polls of one size, at most
WORST = 15


def ladder(n: int) -> list[tuple[int, int]]:
  """(m, how many mini-batches) of the polls; the last holds half of all."""
  sizes = [m for m in SIZES if m < n // 2] + [n // 2]
  return [(m, min(2000, max(16, EXAMPLES // m)) // 8 * 8) for m in sizes]


def polls(made: Bench, track: tracks.Track) -> Sight:
  """Mini-batches as polls, at the start and at the end (T18, T32)."""
  cost_of, mesh = made.subject.problem.cost_of, made.mesh
  n, found, words, facts = workbench.size(made), [], [], []
  dealt = totals.deal(made.subject.problem.train, mesh, most=gradients.CHUNK)
  for name, params in (('start', track.params[0]), ('end', track.params[-1])):
    mean = workbench.run(made, made.mean, params, made.train).grad
    each, _ = workbench.run(
      made, workbench.each(cost_of, mesh), params, mean, dealt
    )
    each = totals.flat(each, n)
    vector = np.asarray(flatten_util.ravel_pytree(mean)[0], np.float64)
    scale = noise.noise_scale(each.square, each.along, float(vector @ vector))
    sizes, errors, cosines = [], [], []
    for m, repeats in ladder(n):
      order = noise.draws(workbench.SEED, n, m, repeats - repeats % mesh.size)
      poll = workbench.run(
        made,
        workbench.polls(cost_of, mesh),
        params,
        mean,
        made.everywhere,
        order,
      )
      sizes.append(m)
      errors.append(np.asarray(poll.error, np.float64))
      cosines.append(np.asarray(poll.cosine, np.float64))
    slope = noise.slope(sizes, errors, n)
    m = np.array(sizes)
    population = scale.trace * (n - 1) / n
    found.append(
      polling.Poll(
        label=name,
        m=m,
        error=np.array([e.mean() for e in errors]),
        reach=2 * np.array([noise.mean_and_error(e)[1] for e in errors]),
        law=population / m * noise.finite_population(n, m),
        cosine=np.array([c.mean() for c in cosines]),
        low=np.array([np.quantile(c, 0.1) for c in cosines]),
        high=np.array([np.quantile(c, 0.9) for c in cosines]),
      )
    )
    ends = scale.scale
    words.append(
      f'{name}: slope {slope.value:.3f} ({slope.low:.3f} to {slope.high:.3f}) '
      f'once divided by (N - m)/(N - 1), -1 by theory; noise scale '
      f'tr(S)/|g|^2 = {ends.value:.4g} ({ends.low:.4g} to {ends.high:.4g})'
    )
    facts += [
      (f'{name}: slope', f'{slope.value:.4f}'),
      (f'{name}: noise scale', f'{ends.value:.4g}'),
      (f'{name}: its interval', f'{ends.low:.4g} to {ends.high:.4g}'),
      (
        f'{name}: cosine at m = ' + ', '.join(map(str, sizes)),
        ', '.join(f'{c.mean():.2f}' for c in cosines),
      ),
    ]
  m = track.batch_size
  words.append(
    f'mini-batches of {m:,} touch {n / m:,.0f} times fewer examples than the '
    'gradient; bands hold 80 % of them; noise scale by delete-one jackknife, '
    '95 %'
  )
  return workbench.sight(
    made,
    'polls',
    'A mini-batch is a poll',
    functools.partial(polling.polls, found, n, workbench.title(made, track)),
    '\n'.join(words),
    facts,
  )


def weights(made: Bench, track: tracks.Track) -> Sight:
  """Which weights matter, and how unlike examples are (T22)."""
  problem, mesh, n = made.subject.problem, made.mesh, workbench.size(made)
  params = track.params[-1]
  mean = workbench.run(made, made.mean, params, made.train).grad
  dealt = totals.deal(problem.train, mesh, most=gradients.CHUNK)
  each, spread = workbench.run(
    made, workbench.each(problem.cost_of, mesh), params, mean, dealt
  )
  lengths = np.sqrt(totals.flat(each, n).square)
  g = np.abs(np.asarray(flatten_util.ravel_pytree(mean)[0]))
  ratio = np.asarray(
    flatten_util.ravel_pytree(gradients.signal_to_noise(spread))[0]
  )
  ranked = np.sort(g)[::-1]
  share = np.cumsum(ranked**2) / max(np.sum(ranked**2), 1e-300)
  half = int(np.searchsorted(share, 0.5)) + 1
  pixels = None
  if workbench.is_network(made) and len(problem.image) == 3:
    height, width, channels = problem.image
    by_input = np.sqrt(np.sum(np.asarray(mean[0].w) ** 2, axis=0))
    pixels = by_input.reshape(height, width, channels).mean(axis=2)
  changed = check_nudges(made, params, mean)
  words = (
    f'{half:,} of {len(g):,} weights hold half of |g|^2; a nudge d of the most '
    f'important ten moves the cost by g d, measured {changed:.4f} of it. Adam '
    'undoes the ranking: its first update moves every weight by about eta. '
    f'The median weight has a signal of {np.median(ratio):.3g} sd, so that '
    f'mini-batches of about {1 / max(np.median(ratio), 1e-9) ** 2:,.0f} see '
    'its sign.'
  )
  return workbench.sight(
    made,
    'weights',
    'Some weights matter more',
    functools.partial(
      polling.weights,
      pixels,
      ranked,
      ratio[ratio > 0],
      lengths,
      workbench.title(made, track),
    ),
    words,
    [
      ('weights', f'{len(g):,}'),
      ('that hold half of |g|^2', f'{half:,}'),
      ('weights that no example moves', f'{np.sum(ratio == 0):,}'),
      ('measured change over g d', f'{changed:.6f}'),
      ('longest |g_x|', f'{lengths.max():.4g}'),
      ('median |g_x|', f'{np.median(lengths):.4g}'),
    ],
  )


def check_nudges(made: Bench, params, mean) -> float:
  """Median of dC / (g_j d) over the ten most important weights."""
  places, g = gradients.importance(mean, 10)
  vector, unravel = flatten_util.ravel_pytree(params)
  unit = jax.tree.map(lambda leaf: leaf[0], params)
  del unit
  directions = jax.vmap(
    lambda place: unravel(jnp.zeros_like(vector).at[place].set(1))
  )(places)
  d = 0.01
  nudges = np.concatenate([d * np.eye(len(places)), -d * np.eye(len(places))])
  costs = np.asarray(
    workbench.run(
      made,
      made.slices,
      params,
      directions,
      nudges.astype(vector.dtype),
      made.train,
    ).cost,
    np.float64,
  )
  up, down = costs.reshape(2, -1)
  return float(np.median((up - down) / (2 * d * np.asarray(g, np.float64))))


def sharpness(made: Bench) -> Sight:
  """lambda_max along every descent, against 2/eta (T02, T23)."""
  lanczos = curvature.lanczos(made.multiply, made.lanczos_steps)
  found, words, facts = [], [], []
  for track in made.subject.tracks:
    vector = landscape.random_direction(
      jax.random.key(workbench.SEED), track.params[0]
    )
    values, errors, costs = [], [], []
    for params in track.params:
      ritz = workbench.run(made, lanczos, params, vector, made.train)
      values.append(float(ritz.values[0]))
      errors.append(float(ritz.errors[0]))
      costs.append(
        float(workbench.run(made, made.mean, params, made.train).cost)
      )
    one = polling.Sharp(
      entry=track.entry,
      label=f'{track.label} at {track.learning_rate:g}',
      steps=np.array(track.steps),
      values=np.array(values),
      errors=np.array(errors),
      costs=np.array(costs),
      limit=2 / track.learning_rate,
    )
    found.append(one)
    facts.append((track.label, what_happened(one)))
  ratio, gradient = product_cost(made)
  words = [f'{label}: {text}' for label, text in facts[:4]]
  if len(facts) > 4:
    words.append(f'and {len(facts) - 4} more in the report')
  words += notes_on_limits(made)
  words.append(
    f'a Hessian-vector product takes {ratio:.2f} gradients here '
    f'({ratio * gradient:.3g} s against {gradient:.3g} s); the {weights_of(made):,} '
    f'weights have {curvature.distinct_entries(weights_of(made)):.3g} second '
    f'derivatives; {made.lanczos_steps} Lanczos steps a point'
  )
  return workbench.sight(
    made,
    'sharpness',
    'Curvature and the learning rate',
    functools.partial(
      polling.sharpness,
      found,
      f'{made.subject.problem.words}: sharpness along the run',
    ),
    '\n'.join(words),
    [*facts, ('Hessian-vector product', f'{ratio:.2f} gradients')],
  )


def weights_of(made: Bench) -> int:
  """How many numbers the parameters hold."""
  leaves = jax.tree.leaves(made.subject.tracks[0].params[0])
  return sum(leaf.size for leaf in leaves)


def product_cost(made: Bench) -> tuple[float, float]:
  """Seconds of a Hessian-vector product over a gradient's, and the latter.

  The least of seven each, in turn: the machine has other things to do.
  """
  params = made.subject.tracks[0].params[-1]
  kept = list(made.spent)
  times = {made.mean: [], made.multiply: []}
  for _ in range(8):
    for function, more in ((made.mean, ()), (made.multiply, (params,))):
      workbench.run(made, function, params, *more, made.train)
      times[function].append(made.spent[-1])
  made.spent[:] = kept
  gradient, product = (min(spans[1:]) for spans in times.values())
  return product / gradient, gradient


def what_happened(one: polling.Sharp) -> str:
  """Lambda_max against 2/eta along a run, in words."""
  first, last, top = one.values[0], one.values[-1], one.values.max()
  above = int(np.sum(one.values > one.limit))
  rises = int(np.sum(np.diff(one.costs) > 0))
  if above == 0:
    where = f'stays below 2/eta = {one.limit:.3g}'
  elif above == len(one.values):
    where = f'is above 2/eta = {one.limit:.3g} at every snapshot'
  else:
    where = (
      f'is above 2/eta = {one.limit:.3g} at {above} of {len(one.values)} '
      'snapshots'
    )
  ended = (
    'ends nearer to it'
    if abs(np.log(max(last, 1e-30) / one.limit))
    < abs(np.log(max(first, 1e-30) / one.limit))
    else 'ends further from it'
  )
  return (
    f'lambda_max goes from {first:.3g} to {last:.3g} (highest {top:.3g}), '
    f'{where} and {ended}; the cost rises between {rises} of '
    f'{len(one.costs) - 1} snapshots'
  )


def notes_on_limits(made: Bench) -> list[str]:
  """Where 2/eta is not the limit of what was run."""
  n, said = workbench.size(made), []
  plain = [
    entries.parse(t.entry.split(' ')[0]).name for t in made.subject.tracks
  ]
  others = sorted({name for name in plain if name != 'sgd'})
  if others:
    said.append(
      f'2/eta is the limit of plain descent; {", ".join(others)} have others'
    )
  if any(track.batch_size < n for track in made.subject.tracks):
    said.append('mini-batches see other curvatures than that of the whole cost')
  if any(track.schedule != 'constant' for track in made.subject.tracks):
    said.append('eta is that before the schedule')
  return said


def nudged(made: Bench, track: tracks.Track) -> Sight:
  """Cost is smooth and accuracy is not (T16)."""
  params = track.params[-1]
  mean = workbench.run(made, made.mean, params, made.train).grad
  places, _ = gradients.importance(mean, 1)
  vector, unravel = flatten_util.ravel_pytree(params)
  direction = unravel(jnp.zeros_like(vector).at[places[0]].set(1))
  where = np.linspace(-0.05, 0.05, 201).astype(vector.dtype)
  found = workbench.run(
    made,
    made.slices,
    params,
    landscape.stacked(direction),
    where[:, None],
    made.train,
  )
  cost, accuracy = (
    np.asarray(leaf, np.float64) for leaf in (found.cost, found.accuracy)
  )
  counts = len(set(cost.tolist())), len(set(accuracy.tolist()))
  return workbench.sight(
    made,
    'nudge',
    'Cost is smooth, accuracy is not',
    functools.partial(
      answers.nudges, where, cost, accuracy, workbench.title(made, track)
    ),
    f'201 nudges of the weight that matters most: {counts[0]} different costs, '
    f'{counts[1]} different accuracies.',
    [('costs', str(counts[0])), ('accuracies', str(counts[1]))],
  )


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
  images = np.zeros((0, 1, 1))
  if len(problem.image) == 3:
    images = problem.test.x[worst].reshape(-1, *problem.image).mean(axis=3)
  captions = [
    f'{labels[i]} called {found.predicted[i]}\ncost {found.cost[i]:.2f}'
    for i in worst
  ]
  right = float(np.trace(matrix) / matrix.sum())
  wrong = matrix - np.diag(np.diag(matrix))
  i, j = np.unravel_index(wrong.argmax(), wrong.shape)
  dead = (
    f'Outputs that are never the largest: {", ".join(map(str, gone))}.'
    if gone
    else 'No output is dead: every class is named.'
  )
  words = (
    f'{100 * right:.2f} % of the {len(labels):,} test images are read right; '
    f'most often a {i} is called {j}, {wrong.max()} times. {dead} Right, the '
    'mistakes that cost most.'
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
      ('most confused', f'{i} called {j}, {wrong.max()} times'),
    ],
  )


def first_layer(made: Bench, track: tracks.Track) -> Sight:
  """The weights of the first layer as images."""
  w = np.asarray(track.params[-1][0].w, np.float64)
  start = np.asarray(track.params[0][0].w, np.float64)
  tiles = w.reshape(-1, *made.subject.problem.image).mean(axis=3)
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
