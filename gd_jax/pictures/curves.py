"""Pictures of descent on a curve, and of the learning rate that is right."""

from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from gd_jax.pictures import plots
from gd_jax.pictures import terrain
from gd_jax.pictures.terrain import Ground
from gd_jax.pictures.terrain import Path

_TANGENTS = 5  # steps that show theirs


def curve(ground: Ground, paths: Sequence[Path], words: str) -> Any:
  """The curve, the steps on it, and the tangents that decided them.

  A step goes along the tangent, which is the linear model, and the curve lies
  above or below where that ends: the dotted line is the model's error.
  """
  pyplot, look = plots.looked()
  tints = plots.colours([path.entry for path in paths])
  with look:
    figure, axes = pyplot.subplots(figsize=(6.6, 4.4))
    draw_curve(axes, ground)
    for path in paths:
      points, heights, slopes = terrain.inside(ground, path)
      tint = tints[path.entry]
      axes.plot(
        points[:, 0],
        heights,
        'o',
        color=tint,
        markersize=4.5,
        zorder=4,
        label=path.label,
      )
      axes.plot(
        *points[0], heights[0], 'o', c='white', mec=tint, ms=7, zorder=5
      )
      steps = min(_TANGENTS, len(points) - 1)
      _draw_tangents(axes, points[:, 0], heights, slopes[:, 0], steps, tint)
    terrain.name_starts(axes, paths)
    plots.legend(figure)
    axes.set_title(ground.title)
    plots.under(figure, words)
  return figure


def _draw_tangents(
  axes: Any,
  x: np.ndarray,
  heights: np.ndarray,
  slopes: np.ndarray,
  steps: int,
  tint: str,
) -> None:
  for k in range(steps):
    model = heights[k] + slopes[k] * (x[k + 1] - x[k])
    axes.plot([x[k], x[k + 1]], [heights[k], model], color=tint, lw=1.5)
    axes.plot([x[k + 1]] * 2, [model, heights[k + 1]], ':', color=tint, lw=1.2)


def draw_curve(axes: Any, ground: Ground) -> None:
  """The function of one variable, its minima, and limits that stay."""
  (x,), y = ground.axes, terrain.finite(ground.height)
  low, high = float(np.nanmin(y)), float(np.nanmax(y))
  room = 0.1 * (high - low) or 1.0
  axes.plot(x, y, color=plots.INK, linewidth=1.2)
  for where in ground.minima.values():
    at = np.interp(where[0], x, y)
    axes.plot(
      where[0], at, '*', c=plots.INK, mec='white', markersize=11, zorder=6
    )
  axes.set(
    xlim=(x[0], x[-1]),
    ylim=(low - room, high + room),
    xlabel=ground.variables[0],
    ylabel='cost',
  )


def draw_steps(axes: Any, ground: Ground, path: Path, tint: str) -> None:
  """Steps of a path from one side of its curve to the other."""
  points, heights, _ = terrain.inside(ground, path)
  axes.plot(
    points[:, 0],
    heights,
    color=tint,
    linestyle=plots.LINES[path.line % len(plots.LINES)],
    marker='o',
    markersize=3.6,
    linewidth=0.9,
  )
  axes.plot(*points[0], heights[0], 'o', color='white', mec=tint, markersize=7)


class Rates(NamedTuple):
  """How far descent of a few steps gets at many learning rates."""

  rates: np.ndarray  # [r], rising
  costs: np.ndarray  # [r], above the least, after `steps`
  start: float  # the cost above the least before the first step
  steps: int
  limit: float  # 2 / lambda_max


def goldilocks(
  ground: Ground, paths: Sequence[Path], swept: Rates, words: str
) -> Any:
  """Too small, right, too large; and the limit 2/lambda_max, marked."""
  pyplot, look = plots.looked()
  tints = plots.colours([path.entry for path in paths])
  with look:
    figure, grid = pyplot.subplots(1, 4, figsize=(12, 3.4))
    names = ('too small', 'right', 'too large')
    for axes, path, name in zip(grid, paths, names, strict=False):
      if len(ground.axes) == 1:
        draw_curve(axes, ground)
        draw_steps(axes, ground, path, tints[path.entry])
      else:
        terrain.draw_contours(axes, ground)
        terrain.draw_paths(axes, ground, [path], arrows=False)
      axes.set_title(f'{name}: {path.label}')
    last = grid[3]
    low = 1e-9 * swept.start
    reached = np.nan_to_num(swept.costs, nan=np.inf, posinf=np.inf)
    last.plot(
      swept.rates,
      np.clip(reached, low, 100 * swept.start),
      color=plots.INK,
      lw=1.4,
    )
    last.axhline(swept.start, color='#999999', lw=0.8, ls=':')
    last.axvline(swept.limit, color=plots.PALETTE[1], lw=1.4)
    last.annotate(
      f'2/lambda_max\n= {swept.limit:.4g}',
      (swept.limit, low * 3),
      (4, 0),
      textcoords='offset points',
      ha='left',
      fontsize=8,
      color=plots.PALETTE[1],
    )
    last.set(
      xscale='log',
      yscale='log',
      xlabel='learning rate',
      ylabel='cost above the least',
      ylim=(low, 200 * swept.start),
      title=f'after {swept.steps} steps',
    )
    plots.plain_ticks(last.xaxis)
    plots.plain_ticks(last.yaxis)
    plots.under(figure, words)
  return figure
