"""Pictures of gradients: how well a mini-batch polls, which weights matter."""

from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from gd_jax.pictures import plots


class Poll(NamedTuple):
  """Mini-batches of rising sizes at one point of a run; arrays [sizes]."""

  label: str
  m: np.ndarray
  error: np.ndarray  # mean of |g_m - g|^2
  reach: np.ndarray  # its standard error, doubled
  law: np.ndarray  # tr(S)/m (N - m)/(N - 1)
  cosine: np.ndarray  # mean
  low: np.ndarray  # its lower tenth
  high: np.ndarray  # its upper tenth


def polls(found: Sequence[Poll], n: int, title: str, words: str) -> Any:
  """Variance against m with its law, and the direction."""
  pyplot, look = plots.looked()
  with look:
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9.2, 4.0))
    for tint, poll in zip(plots.PALETTE, found, strict=False):
      left.errorbar(
        poll.m,
        poll.error,
        poll.reach,
        fmt='o',
        color=tint,
        markersize=4.5,
        label=poll.label,
      )
      m = np.geomspace(1, n * 0.95, 200)
      trace = poll.law[0] * poll.m[0] * (n - 1) / (n - poll.m[0])
      left.plot(m, trace / m * (n - m) / (n - 1), color=tint, linewidth=1)
      left.plot(m, trace / m, color=tint, linewidth=0.8, linestyle=':')
      right.fill_between(poll.m, poll.low, poll.high, color=tint, alpha=0.15)
      right.plot(poll.m, poll.cosine, 'o-', color=tint, markersize=4.5)
    floor = min(float(poll.error.min()) for poll in found)
    left.set(
      xscale='log',
      yscale='log',
      ylim=(floor / 5, None),
      xlabel='examples in the mini-batch, m',
      ylabel='mean of |g_m - g|^2',
    )
    left.plot([], [], color=plots.INK, lw=1, label='tr(S)/m (N - m)/(N - 1)')
    left.plot([], [], color=plots.INK, lw=0.8, ls=':', label='tr(S)/m')
    right.set(
      xscale='log',
      ylim=(min(0.0, right.get_ylim()[0]), 1.03),
      xlabel='examples in the mini-batch, m',
      ylabel='cosine between g_m and g',
    )
    for axes in (left, right):
      plots.plain_ticks(axes.xaxis)
    plots.plain_ticks(left.yaxis)
    plots.legend(figure)
    left.set_title(title, loc='left')
    plots.under(figure, words)
  return figure


def weights(
  pixels: np.ndarray | None,
  ranked: np.ndarray,
  noise: np.ndarray,
  lengths: np.ndarray,
  title: str,
  words: str,
) -> Any:
  """Which weights matter, and how unlike the examples are.

  Args:
    pixels: root of the sum of squares of the gradient at each input, as an
      image; None where the inputs are none.
    ranked: |g_j|, falling, [D].
    noise: |g_j| / sd_j of every weight that any example moves.
    lengths: |g_x| of every example, [n].
    title: of the picture.
    words: what to see.
  """
  pyplot, look = plots.looked()
  with look:
    panels = 3 + (pixels is not None)
    figure, grid = pyplot.subplots(1, panels, figsize=(2.9 * panels, 3.5))
    if pixels is not None:
      shown = grid[0].imshow(pixels, cmap='viridis', interpolation='nearest')
      grid[0].set(xticks=[], yticks=[], title='gradient at each pixel')
      figure.colorbar(shown, ax=grid[0], orientation='horizontal', pad=0.03)
    ranks, signals, examples = grid[-3:]
    ranks.plot(np.arange(1, len(ranked) + 1), ranked, color=plots.PALETTE[0])
    there = ranked[ranked > 0]
    ranks.set(
      xscale='log',
      yscale='log',
      ylim=(there[-1] if len(there) else None, None),
      xlabel='weights, the most important first',
      title='|g|: cost a nudge',
    )
    ranks.set_ylim(max(ranks.get_ylim()[0], 1e-6 * ranked[0]), None)
    for axis in (ranks.xaxis, ranks.yaxis):
      plots.plain_ticks(axis)
    signals.hist(noise, 60, color=plots.PALETTE[2])
    signals.set(xlabel='|g| / sd over examples', ylabel='weights')
    signals.set_title('signal to noise')
    examples.hist(lengths, 60, color=plots.PALETTE[1])
    examples.set(xlabel='|g_x|', ylabel='examples', yscale='log')
    examples.set_title('gradients of examples')
    figure.suptitle(title, fontsize=10)
    plots.under(figure, words)
  return figure


class Sharp(NamedTuple):
  """The largest eigenvalue along a run; arrays [t]."""

  entry: str
  label: str
  steps: np.ndarray
  values: np.ndarray
  errors: np.ndarray
  costs: np.ndarray
  limit: float  # 2/eta, of plain descent


def sharpness(found: Sequence[Sharp], title: str, words: str) -> Any:
  """lambda_max against updates with 2/eta, and the cost below."""
  pyplot, look = plots.looked()
  tints = plots.apart([(one.entry, one.label) for one in found])
  with look:
    figure, (top, bottom) = pyplot.subplots(
      2, 1, figsize=(7.4, 5.6), sharex=True, height_ratios=(1.7, 1)
    )
    for place, one in enumerate(found):
      style = {
        'color': tints[place],
        'linestyle': plots.LINES[place // 8 % len(plots.LINES)],
      }
      top.errorbar(
        one.steps,
        one.values,
        one.errors,
        marker='o',
        markersize=3,
        label=one.label,
        **style,
      )
      # Between its limits the line says where plain descent turns unstable.
      top.axhline(one.limit, color=style['color'], linewidth=0.9, ls=':')
      bottom.plot(one.steps, one.costs, marker='o', markersize=3, **style)
    top.plot([], [], color=plots.INK, linewidth=0.9, ls=':', label='2/eta')
    values = np.concatenate([one.values for one in found])
    limits = [one.limit for one in found]
    top.set(
      yscale='log',
      ylabel='lambda_max',
      ylim=(
        0.6 * max(values[values > 0].min(initial=1), 1e-6 * values.max()),
        1.6 * max(values.max(), min(limits)),
      ),
    )
    bottom.set(xlabel='updates', ylabel='cost C', yscale='log')
    for axes in (top, bottom):
      plots.plain_ticks(axes.yaxis)
    plots.whole_ticks(bottom.xaxis)
    plots.legend(figure)
    top.set_title(title, loc='left')
    plots.under(figure, words)
  return figure
