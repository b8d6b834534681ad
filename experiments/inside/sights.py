"""Gradients, curvature and answers of a run, seen by `inspect_run`."""

import functools
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import flatten_util

from experiments.inside import tracks
from experiments.inside import workbench
from experiments.inside.workbench import Bench
from experiments.inside.workbench import size
from gd_jax.insight import gradients
from gd_jax.insight import landscape
from gd_jax.insight import noise
from gd_jax.insight import totals
from gd_jax.pictures import answers
from gd_jax.pictures import polls as polling
from gd_jax.pictures.insights import Sight

SIZES = (1, 10, 100, 1000)
EXAMPLES = 40_000  # drawn for the polls of one size, at most


def ladder(n: int) -> list[tuple[int, int]]:
  """(m, how many mini-batches) of the polls; the last holds half of all."""
  sizes = [m for m in SIZES if m < n // 2] + [n // 2]
  return [(m, min(2000, max(16, EXAMPLES // m)) // 8 * 8) for m in sizes]


class Polled(NamedTuple):
  """What mini-batches of rising sizes say at one point."""

  sizes: list[int]
  errors: list[np.ndarray]  # |g_m - g|^2 of each mini-batch
  cosines: list[np.ndarray]
  slope: noise.Estimate
  noise: noise.NoiseScale


def poll_at(made: Bench, params: Any) -> Polled:
  """Many mini-batches of each size of the ladder, at some parameters."""
  cost_of, mesh, n = made.subject.problem.cost_of, made.mesh, size(made)
  dealt = totals.deal(made.subject.problem.train, mesh, most=gradients.CHUNK)
  mean = workbench.run(made, made.mean, params, made.train).grad
  each, _ = workbench.run(
    made, workbench.each(cost_of, mesh), params, mean, dealt
  )
  each = totals.flat(each, n)
  vector = np.asarray(flatten_util.ravel_pytree(mean)[0], np.float64)
  scale = noise.noise_scale(each.square, each.along, float(vector @ vector))
  sizes, errors, cosines = [], [], []
  for m, repeats in ladder(n):
    order = noise.draws(workbench.SEED, n, m, repeats + -repeats % mesh.size)
    poll = workbench.run(
      made, workbench.polls(cost_of, mesh), params, mean, made.everywhere, order
    )
    sizes.append(m)
    errors.append(np.asarray(poll.error, np.float64))
    cosines.append(np.asarray(poll.cosine, np.float64))
  slope = noise.slope(sizes, errors, n)
  return Polled(sizes, errors, cosines, slope, scale)


def polls(made: Bench, track: tracks.Track) -> Sight:
  """Mini-batches as polls, at the start and at the end (T18, T32)."""
  n, found, words, facts = size(made), [], [], []
  for name, params in (('start', track.params[0]), ('end', track.params[-1])):
    polled = poll_at(made, params)
    slope, ends = polled.slope, polled.noise.scale
    m = np.array(polled.sizes)
    population = polled.noise.trace * (n - 1) / n
    found.append(
      polling.Poll(
        label=name,
        m=m,
        error=np.array([e.mean() for e in polled.errors]),
        reach=2 * np.array([noise.mean_and_error(e)[1] for e in polled.errors]),
        law=population / m * noise.finite_population(n, m),
        cosine=np.array([c.mean() for c in polled.cosines]),
        low=np.array([np.quantile(c, 0.1) for c in polled.cosines]),
        high=np.array([np.quantile(c, 0.9) for c in polled.cosines]),
      )
    )
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
        f'{name}: cosine at m = ' + ', '.join(map(str, polled.sizes)),
        ', '.join(f'{c.mean():.2f}' for c in polled.cosines),
      ),
    ]
  words.append(
    f'mini-batches of {track.batch_size:,} touch {n / track.batch_size:,.0f} '
    'times fewer examples than the gradient; bands hold 80 % of them; noise '
    'scale by delete-one jackknife, 95 %'
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
  problem, mesh, n = made.subject.problem, made.mesh, size(made)
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
  if workbench.is_network(made):
    by_input = np.sqrt(np.sum(np.asarray(mean[0].w) ** 2, axis=0))
    pixels = next(iter(workbench.pictured(made, by_input)), None)
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
  directions = jax.vmap(
    lambda place: unravel(jnp.zeros_like(vector).at[place].set(1))
  )(places)
  d = 0.01
  nudges = np.concatenate([d * np.eye(len(places)), -d * np.eye(len(places))])
  costs = workbench.on_slice(made, params, directions, nudges).cost
  up, down = costs.reshape(2, -1)
  return float(np.median((up - down) / (2 * d * np.asarray(g, np.float64))))


def nudged(made: Bench, track: tracks.Track) -> Sight:
  """Cost is smooth and accuracy is not (T16)."""
  params = track.params[-1]
  mean = workbench.run(made, made.mean, params, made.train).grad
  places, _ = gradients.importance(mean, 1)
  vector, unravel = flatten_util.ravel_pytree(params)
  direction = unravel(jnp.zeros_like(vector).at[places[0]].set(1))
  where = np.linspace(-0.05, 0.05, 201).astype(vector.dtype)
  found = workbench.on_slice(
    made, params, landscape.stacked(direction), where[:, None]
  )
  cost, accuracy = found.cost, found.accuracy
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
