"""Pictures of a cost surface of many dimensions: slices, planes, lines."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from gd_jax.pictures import plots
from gd_jax.pictures import terrain

_LEVELS = 18
_ENDS = 7  # points; the marks of starts and ends


class Section(NamedTuple):
  """The cost on a grid of a plane."""

  first: np.ndarray  # [a]
  second: np.ndarray  # [b]
  cost: np.ndarray  # [b, a]
  names: tuple[str, str]  # of the axes


class Path(NamedTuple):
  """A trajectory, projected on the plane."""

  entry: str  # the optimizer, which gives the colour
  label: str
  points: np.ndarray  # [t, 2]
  true: np.ndarray  # [t] the cost there
  shown: np.ndarray  # [t] the cost on the plane below, what a contour says


def levels_of(cost: np.ndarray) -> np.ndarray:
  """Heights of contours in equal ratios: a valley's floor shows as its walls.

  The highest twentieth of a plane is one shade.
  """
  sound = cost[np.isfinite(cost)]
  low, high = float(sound.min()), float(np.quantile(sound, 0.95))
  if not 0 < low < high:
    return terrain.levels_of(cost)
  return np.geomspace(low, high, _LEVELS)


def draw_section(figure: Any, axes: Any, section: Section) -> None:
  """Shades and thin contours, with a scale of costs."""
  from matplotlib import colors
  from matplotlib import ticker

  levels = levels_of(section.cost)
  shade = colors.LinearSegmentedColormap.from_list('depths', terrain.DEPTHS)
  norm = colors.BoundaryNorm(levels, shade.N, extend='max')
  grid = (section.first, section.second, terrain.finite(section.cost))
  filled = axes.contourf(
    *grid, levels=levels, cmap=shade, norm=norm, extend='max'
  )
  axes.contour(*grid, levels=levels, colors='#8795a6', linewidths=0.5)
  axes.grid(visible=False)
  axes.set(xlabel=section.names[0], ylabel=section.names[1])
  bar = figure.colorbar(filled, ax=axes, shrink=0.85, pad=0.02, aspect=30)
  bar.set_ticks(levels[::3])
  bar.ax.yaxis.set_major_formatter(
    ticker.FuncFormatter(lambda value, _: f'{value:.3g}')
  )
  bar.ax.minorticks_off()
  bar.outline.set_visible(False)
  bar.set_label('cost C', fontsize=8)
  bar.ax.tick_params(labelsize=7.5, length=0)


def plane(
  section: Section, paths: Sequence[Path], title: str, words: str
) -> Any:
  """Trajectories on one plane; beside it, what the contours hide of them.

  Left, every snapshot where it falls on the plane. Right, its true cost
  against what the contour under it says: on the diagonal the plane is right.
  """
  pyplot, look = plots.looked()
  tints = plots.apart([(path.entry, path.label) for path in paths])
  with look:
    figure, (left, right) = pyplot.subplots(
      1, 2, figsize=(10.2, 5.2), width_ratios=(1.75, 1)
    )
    draw_section(figure, left, section)
    for place, path in enumerate(paths):
      _draw_path(left, path, tints[place], place)
      right.plot(
        path.shown,
        path.true,
        'o-',
        color=tints[place],
        linewidth=0.6,
        markersize=3,
        alpha=0.85,
      )
    left.set(
      xlim=(section.first[0], section.first[-1]),
      ylim=(section.second[0], section.second[-1]),
    )
    _draw_diagonal(right, paths)
    plots.legend(figure)
    left.set_title(title, loc='left')
    plots.under(figure, words)
  return figure


def _draw_path(axes: Any, path: Path, tint: str, place: int) -> None:
  from matplotlib import patheffects

  halo = [patheffects.withStroke(linewidth=3, foreground='white', alpha=0.85)]
  axes.plot(
    *path.points.T,
    color=tint,
    linewidth=1.5,
    linestyle=plots.LINES[place // len(plots.PALETTE) % len(plots.LINES)],
    label=path.label,
    path_effects=halo,
    zorder=4,
  )
  axes.plot(*path.points.T, '.', color=tint, markersize=4, zorder=4)
  axes.plot(
    *path.points[0], 'o', color='white', mec='black', ms=_ENDS, zorder=6
  )
  axes.plot(*path.points[-1], 's', color=tint, mec='white', ms=_ENDS, zorder=6)


def _draw_diagonal(axes: Any, paths: Sequence[Path]) -> None:
  costs = np.concatenate([c for p in paths for c in (p.true, p.shown)])
  costs = costs[np.isfinite(costs) & (costs > 0)]
  ends = 0.9 * costs.min(), 1.1 * costs.max()
  axes.plot(ends, ends, color=plots.INK, linewidth=0.8, linestyle='--')
  axes.text(
    0.97,
    0.03,
    'dashed: the contour is right',
    transform=axes.transAxes,
    ha='right',
    fontsize=7.5,
    color=plots.INK,
  )
  axes.set(
    xscale='log',
    yscale='log',
    xlim=ends,
    ylim=ends,
    xlabel='cost of the contour below the point',
    ylabel='true cost at the point',
    box_aspect=1,
  )
  for axis in (axes.xaxis, axes.yaxis):
    plots.plain_ticks(axis)
    axis.set_tick_params(which='both', labelsize=7)


def surroundings(
  section: Section,
  lines: Mapping[str, tuple[np.ndarray, np.ndarray]],
  title: str,
  words: str,
) -> Any:
  """A plane through one point and lines through it, {name: (where, cost)}."""
  pyplot, look = plots.looked()
  with look:
    figure, (left, right) = pyplot.subplots(
      1, 2, figsize=(9.4, 4.6), width_ratios=(1.3, 1)
    )
    draw_section(figure, left, section)
    left.plot(0, 0, '*', color='white', mec=plots.INK, ms=11, zorder=5)
    left.set(aspect='equal')
    draw_lines(right, lines)
    right.set(xlabel='distance in lengths of the weights', ylabel='cost C')
    plots.legend(figure)
    left.set_title(title, loc='left')
    plots.under(figure, words)
  return figure


def between(
  lines: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str, words: str
) -> Any:
  """The cost on the lines from one end to others, {name: (t, cost)}."""
  pyplot, look = plots.looked()
  with look:
    figure, axes = pyplot.subplots(figsize=(6.6, 3.9))
    draw_lines(axes, lines)
    for end in (0, 1):
      axes.axvline(end, color=plots.INK, linewidth=0.7, linestyle=':')
    axes.set(
      xlabel='the first end at 0, the other at 1',
      ylabel='cost C',
      ylim=(0, None),
    )
    plots.legend(figure)
    axes.set_title(title)
    plots.under(figure, words)
  return figure


def draw_lines(
  axes: Any, lines: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> None:
  """One line a name, in the palette's order."""
  for place, (name, (where, cost)) in enumerate(lines.items()):
    tint = plots.PALETTE[place % len(plots.PALETTE)]
    axes.plot(where, cost, color=tint, label=name)
