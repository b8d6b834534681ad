"""Pictures of descent on a function of one or two variables.

They show the domain and never more: a path that leaves it is cut at the edge
and says so, so that divergence cannot make a picture unreadable. Under each
stands a line of words that says what happened.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from gd_jax.pictures import plots

# Low is dark and high is light, pale enough for lines of every colour.
DEPTHS = ('#7d93ad', '#b5c3d3', '#dfe6ee', '#f8f9fb')
_LEVELS = 22
_ARROWS = 6  # on one path
_DOTS = 15  # steps of a path that are marked
_MANY = 12  # paths beyond which they become thin
_WITH_ARROWS = 4  # paths beyond which they have none


class Ground(NamedTuple):
  """A surface as a picture sees it."""

  title: str  # ASCII
  variables: tuple[str, ...]  # d names, d = 1 or 2
  axes: tuple[np.ndarray, ...]  # d grids over the domain, [nx] and [ny]
  height: np.ndarray  # [nx] or [ny, nx]; not finite where there is nothing
  minima: Mapping[str, Sequence[float]]
  # Lines through the floors of single examples' valleys, [2, 2] each.
  floors: Sequence[np.ndarray] = ()


class Path(NamedTuple):
  """One descent."""

  entry: str  # the optimizer, which gives the colour
  label: str  # in the legend; equal labels stand there once
  name: str  # of its start
  line: int  # which of plots.LINES
  points: np.ndarray  # [steps + 1, d]
  heights: np.ndarray  # [steps + 1]
  slopes: np.ndarray  # [steps + 1, d], the gradient


def contours(ground: Ground, paths: Sequence[Path], words: str) -> Any:
  """Contours from above, paths, and arrows along -gradient.

  Both axes have one scale, so that an arrow stands at right angles to its
  contour as it should.
  """
  pyplot, look = plots.looked()
  with look:
    figure, axes = pyplot.subplots(figsize=size_of(ground))
    draw_contours(axes, ground)
    draw_paths(axes, ground, paths)
    name_starts(axes, paths)
    plots.legend(figure)
    axes.set_title(ground.title)
    plots.under(figure, words)
  return figure


def size_of(ground: Ground) -> tuple[float, float]:
  """Inches of a picture that shows the ground with equal scales."""
  width, height = np.ptp(ground.axes[0]), np.ptp(ground.axes[1])
  return 6.6, float(np.clip(5.6 * height / width, 2.4, 6.0)) + 1.2


def draw_contours(axes: Any, ground: Ground) -> None:
  """The terrain from above: pale depths, thin contours, stars at the minima."""
  from matplotlib import colors

  heights = finite(ground.height)
  levels = levels_of(heights)
  depths = colors.LinearSegmentedColormap.from_list('depths', DEPTHS)
  shades = colors.BoundaryNorm(levels, depths.N)
  grid = (*ground.axes, heights)
  axes.contourf(*grid, levels=levels, cmap=depths, norm=shades)
  axes.contour(
    *grid, levels=levels, colors='#8795a6', linewidths=0.5, linestyles='solid'
  )
  for line in ground.floors:
    axes.plot(*line.T, color='#8c2d04', lw=0.9, ls=(0, (6, 3)), zorder=3)
  for where in ground.minima.values():
    axes.plot(*where, '*', color=plots.INK, markersize=9, zorder=6, mec='white')
  axes.grid(visible=False)
  axes.set(
    xlim=(ground.axes[0][0], ground.axes[0][-1]),
    ylim=(ground.axes[1][0], ground.axes[1][-1]),
    xlabel=ground.variables[0],
    ylabel=ground.variables[1],
    aspect='equal',
  )


def draw_paths(
  axes: Any, ground: Ground, paths: Sequence[Path], *, arrows: bool = True
) -> None:
  """Paths with white edges; open circles where they begin."""
  from matplotlib import patheffects

  tints = plots.colours([path.entry for path in paths])
  many = len(paths) > _MANY
  halo = [patheffects.withStroke(linewidth=2.6, foreground='white', alpha=0.8)]
  for path in paths:
    tint = tints[path.entry]
    points, _, slopes = inside(ground, path)
    axes.plot(
      *points.T,
      color=tint,
      linestyle=plots.LINES[path.line % len(plots.LINES)],
      linewidth=0.7 if many else 1.3,
      alpha=0.6 if many else 1,
      label=path.label,
      path_effects=None if many else halo,
      zorder=4,
    )
    if not many:
      axes.plot(*points[: _DOTS + 1].T, '.', color=tint, ms=4.5, zorder=4)
    axes.plot(
      *points[0], 'o', color='white', mec=tint, ms=3 if many else 6, zorder=5
    )
    if arrows and len(paths) <= _WITH_ARROWS and len(points) > 1:
      _draw_arrows(axes, ground, points, slopes)


def _draw_arrows(
  axes: Any, ground: Ground, points: np.ndarray, slopes: np.ndarray
) -> None:
  """Arrows of one length along -gradient, well apart from each other."""
  size = 0.075 * float(np.ptp(ground.axes[0]))
  apart, last = 1.5 * size, np.full(2, np.inf)
  drawn, lengths = 0, np.linalg.norm(slopes, axis=1)
  worth = 0.1 * np.median(lengths[np.isfinite(lengths)])
  for point, slope in zip(points, slopes, strict=True):
    length = float(np.linalg.norm(slope))
    far = np.linalg.norm(point - last) > apart
    far &= np.linalg.norm(point - points[-1]) > size
    if drawn < _ARROWS and worth < length < np.inf and far:
      axes.annotate(
        '',
        point - size * slope / length,
        point,
        arrowprops={'arrowstyle': '-|>', 'color': plots.INK, 'lw': 0.9},
        zorder=5,
      )
      drawn, last = drawn + 1, point


def inside(
  ground: Ground, path: Path
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Points, heights and slopes up to the first step that goes far away.

  Far is three widths beyond the domain, or outside the finite numbers; that
  step is pulled back, so that the line still runs to the edge. A start is
  always kept.
  """
  lows = np.array([axis[0] for axis in ground.axes])
  highs = np.array([axis[-1] for axis in ground.axes])
  reach = 3 * (highs - lows)
  sound = np.isfinite(path.points).all(axis=1) & np.isfinite(path.heights)
  far = (path.points < lows - reach) | (path.points > highs + reach)
  ends = np.flatnonzero((far.any(axis=1) | ~sound)[1:])
  count = len(path.points) if not len(ends) else int(ends[0]) + 2
  while count > 1 and not sound[count - 1]:
    count -= 1
  points = np.clip(path.points[:count], lows - reach, highs + reach)
  return points, path.heights[:count], path.slopes[:count]


def levels_of(height: np.ndarray) -> np.ndarray:
  """Heights of the contours: even, or denser at the bottom of a deep valley."""
  low, high = float(np.nanmin(height)), float(np.nanmax(height))
  if low == high:
    return low + np.array([-1.0, 1.0])
  middle = (float(np.nanmedian(height)) - low) / (high - low)
  power = np.clip(np.log(max(middle, 1e-6)) / np.log(0.5), 1, 5)
  return low + (high - low) * np.linspace(0, 1, _LEVELS) ** power


def finite(values: np.ndarray) -> np.ndarray:
  """The values with NaN for what is not finite."""
  return np.where(np.isfinite(values), values, np.nan)


def name_starts(axes: Any, paths: Sequence[Path]) -> None:
  """The names of the starts beside them, each once."""
  from matplotlib import patheffects

  halo = patheffects.withStroke(linewidth=2, foreground='white')
  named = {path.name: path for path in paths if path.name[:1].isalpha()}
  for name, path in named.items() if len(named) <= 6 else ():
    at = path.points[0] if len(path.points[0]) == 2 else None
    axes.annotate(
      name,
      (path.points[0][0], path.heights[0]) if at is None else at,
      (7, 5),
      textcoords='offset points',
      fontsize=8,
      color=plots.INK,
      annotation_clip=True,
      path_effects=[halo],
      zorder=7,
    )
