"""One step downhill: the law of motion, and how long a step may be."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from experiments.claims import rows
from experiments.claims import walked
from experiments.claims.rows import Proof
from experiments.walking import scenes
from gd_jax.model import slopes
from gd_jax.model import surfaces


def one_variable() -> Proof:
  """T01."""
  (walk,) = walked.go(
    walked.plan('parabola', starts={'-0.9': (-0.9,)}), 'sgd', [0.03]
  )
  x, k = walk.positions[:, 0], np.arange(len(walk.positions))
  error = np.abs(x - (1 - 1.9 * 0.64**k)).max()
  numbers = ', '.join(f'{value:.5g}' for value in x[1:4])
  holds = error < 1e-12 and rows.near(walk.gradients[0, 0], -22.8, 1e-12)
  stopped = walked.go(
    walked.plan('parabola', starts={'-0.9': (-0.9,)}, tolerance=1e-3),
    'sgd',
    [0.03],
  )
  return Proof(
    f'gradient {walk.gradients[0, 0]:.4g}; then {numbers}; largest '
    f'|x_k - (1 - 1.9 0.64^k)| = {error:.1g}; minimum f(1) = '
    f'{walk.costs[-1]:.6g}',
    holds,
    scenes.views(surfaces.SURFACES['parabola'], stopped)[:1],
  )


def best_direction() -> Proof:
  """T07."""
  key = jax.random.key(0)
  g_key, d_key = jax.random.split(key)
  g = jax.random.normal(g_key, (10,))
  others = jax.random.normal(d_key, (10_000, 10))
  others = 0.1 * others / jnp.linalg.norm(others, axis=1, keepdims=True)
  best = float(slopes.predicted_change(g, slopes.steepest(g, 0.1)))
  rivals = float(jnp.min(others @ g))
  bound = -0.1 * float(jnp.linalg.norm(g))
  return Proof(
    f'-eps g/|g| changes the model by {best:.6f} = -eps |g| = {bound:.6f}; the '
    f'best of 10,000 random directions in ten variables by {rivals:.6f}',
    rows.near(best, bound, 1e-12) and rivals > best,
  )


def motion() -> Proof:
  """T06."""
  w = jnp.array([-1.0, 2.2])
  cost = functools.partial(surfaces.mean_cost, surfaces.SURFACES['bowl'])
  g = jax.grad(cost)(w)
  etas = [0.004, 0.002, 0.001, 0.0005]
  ratios = [
    float((cost(w - eta * g) - cost(w)) / slopes.predicted_change(g, -eta * g))
    for eta in etas
  ]
  errors = [1 - ratio for ratio in ratios]
  halves = [a / b for a, b in zip(errors[1:], errors[:-1], strict=True)]
  return Proof(
    'dC / (-eta |g|^2) = '
    + ', '.join(f'{r:.5f}' for r in ratios)
    + f' at eta = {", ".join(map(str, etas))}; the error times '
    + ', '.join(f'{h:.3f}' for h in halves),
    all(rows.near(h, 0.5, 0.01) for h in halves) and errors[-1] < 0.01,
  )


def goldilocks() -> Proof:
  """T02."""
  rates = [0.01, 0.08, 1 / 12, 0.12, 0.166, 0.168]
  base = walked.plan('parabola', starts={'-0.9': (-0.9,)}, steps=40)
  walks = walked.go(base, 'sgd', rates)
  words = []
  for walk in walks:
    gaps = walk.positions[:5, 0] - 1
    turns = bool((gaps[1:] * gaps[:-1] < -1e-12).any())
    grows = abs(walk.positions[-1, 0] - 1) > 1.9
    one = abs(gaps[1]) < 1e-12
    words.append(
      'diverges'
      if grows
      else 'one step'
      if one
      else 'zig-zag'
      if turns
      else 'monotone'
    )
  expected = ['monotone'] * 2 + ['one step'] + ['zig-zag'] * 2 + ['diverges']
  scene = scenes.goldilocks(base, walks)
  pairs = [f'{r:.4g} {w}' for r, w in zip(rates, words, strict=True)]
  return Proof(', '.join(pairs), words == expected, [scene] if scene else [])


PART = rows.Part(
  'One step downhill',
  'The gradient says which way is up and how steep; the learning rate eta says '
  'how far to go the other way: w <- w - eta grad C.',
  (
    rows.Row(
      'T01',
      'One variable: steps against the slope shrink as the slope does',
      'f(x) = 6x² − 12x + 3, f′ = 12x − 12; x_k = 1 − 1.9 · 0.64^k',
      'gradient -22.8; then -0.216, 0.22176, 0.50193; minimum f(1) = -3',
      rows.DESCEND + '--surface=parabola --start=-0.9 --learning_rates=0.03',
      one_variable,
    ),
    rows.Row(
      'T07',
      'Of all steps of one length, the one against the gradient is best',
      '|g · d| ≤ |g||d|, so g · d ≥ −eps|g|, attained by d = −eps g/|g|',
      'equality for -eps g/|g|; no random direction beats it',
      rows.TEXTBOOK + 'T07',
      best_direction,
    ),
    rows.Row(
      'T06',
      'The law of motion: for small eta the cost must fall',
      'dv = −eta g gives dC = −eta |g|² to first order',
      'dC/(-eta |g|^2) tends to 1; the error halves with eta',
      rows.TEXTBOOK + 'T06',
      motion,
    ),
    rows.Row(
      'T02',
      'Too small crawls, right converges, too large overshoots',
      'parabola: limit 1/6 = 2/12; any bowl: 2/lambda_max',
      'monotone up to 1/12 (there in one step), zig-zag up to 1/6, then '
      'divergence',
      rows.DESCEND + '--surface=parabola --start=-0.9',
      goldilocks,
    ),
  ),
)
