"""Pictures of descent as numbers: cost against step, basins, rates, ranking."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from gd_jax.pictures import plots
from gd_jax.pictures import terrain
from gd_jax.pictures.terrain import Ground
from gd_jax.pictures.terrain import Path

_DECADES = 9  # of cost that a picture shows at most
PLATEAU_GREY = '#c9c9c9'


def costs(
  title: str, paths: Sequence[Path], floor: float | None, words: str
) -> Any:
  """Cost against step.

  Args:
    title: of the picture.
    paths: of any number.
    floor: the least cost there is, which is subtracted for a logarithmic
      scale; None draws the cost itself.
    words: what happened.
  """
  pyplot, look = plots.looked()
  tints = plots.colours([path.entry for path in paths])
  with look:
    figure, axes = pyplot.subplots(figsize=(6.4, 3.6))
    lines = [path.heights - (floor or 0.0) for path in paths]
    top = max((float(y[0]) for y in lines if np.isfinite(y[0])), default=1.0)
    for path, y in zip(paths, lines, strict=True):
      axes.plot(
        clipped(y, floor is not None, top),
        color=tints[path.entry],
        linestyle=plots.LINES[path.line % len(plots.LINES)],
        alpha=1.0 if len(paths) <= 12 else 0.35,
        linewidth=1.4 if len(paths) <= 12 else 0.7,
        label=path.label,
      )
    axes.set(xlabel='steps', ylabel='cost')
    if floor is not None:
      axes.set(yscale='log', ylabel=f'cost above the least ({floor:.4g})')
      plots.plain_ticks(axes.yaxis)
    ceiling = 10 * abs(top)
    if axes.get_ylim()[1] > 2 * ceiling > 0:
      axes.set_ylim(None, ceiling)
    plots.whole_ticks(axes.xaxis)
    plots.legend(figure)
    axes.set_title(title)
    plots.under(figure, words)
  return figure


def clipped(y: np.ndarray, logarithmic: bool, top: float) -> np.ndarray:
  """The line until it has grown a hundredfold, and above what one can see.

  Rounding makes the last of a cost that has arrived jump between 0 and 1e-7.
  """
  shown = np.array(terrain.finite(y), float)
  away = np.flatnonzero(~(shown <= 100 * abs(top)))
  if len(away):
    shown[away[0]] = min(shown[away[0]], 1e6 * abs(top))
    shown[away[0] + 1 :] = np.nan
  if logarithmic:
    shown = np.maximum(shown, max(top, 1e-12) * 10.0**-_DECADES)
  return shown


class Basins(NamedTuple):
  """Which minimum every start of a map ends in."""

  extent: tuple[float, float, float, float]  # x from, x to, y from, y to
  kind: np.ndarray  # [ny, nx] int, a place in names; -1 is none of them
  names: tuple[str, ...]


def basins(ground: Ground, found: Basins, words: str) -> Any:
  """The map: every pixel is a start, its colour the minimum it ends in."""
  from matplotlib import colors
  from matplotlib import patches

  pyplot, look = plots.looked()
  tints = [PLATEAU_GREY, *plots.PALETTE[: len(found.names)]]
  with look:
    figure, axes = pyplot.subplots(figsize=terrain.size_of(ground))
    axes.imshow(
      found.kind + 1,
      origin='lower',
      extent=found.extent,
      cmap=colors.ListedColormap(tints),
      vmin=0,
      vmax=len(found.names),
      interpolation='nearest',
      alpha=0.75,
    )
    heights = terrain.finite(ground.height)
    axes.contour(
      *ground.axes,
      heights,
      levels=terrain.levels_of(heights),
      colors='white',
      linewidths=0.5,
      linestyles='solid',
    )
    for where in ground.minima.values():
      axes.plot(*where, '*', color='white', markersize=11, mec=plots.INK)
    axes.grid(visible=False)
    axes.set(xlabel=ground.variables[0], ylabel=ground.variables[1])
    handles = [
      patches.Patch(
        color=tints[kind + 1],
        alpha=0.75,
        label=f'{name}, {100 * np.mean(found.kind == kind):.1f} %',
      )
      for kind, name in enumerate([*found.names, 'none yet'], 0)
      for kind in ([kind] if kind < len(found.names) else [-1])
      if np.any(found.kind == kind)
    ]
    figure.legend(
      handles=handles,
      loc='outside upper center',
      ncols=3 if len(handles) < 4 else 2,
      fontsize=8,
    )
    axes.set_title(ground.title)
    plots.under(figure, words)
  return figure


def ranking(
  rows: Sequence[tuple[str, Sequence[float], float]], label: int, words: str
) -> Any:
  """Outputs of ten neurons, ranked by their cost for one label.

  Args:
    rows: (name, ten outputs, cost), the highest cost first.
    label: the digit that was shown.
    words: what to see.
  """
  pyplot, look = plots.looked()
  with look:
    figure, grid = pyplot.subplots(
      len(rows), 1, figsize=(6.4, 0.72 * len(rows) + 0.9), sharex=True
    )
    for axes, (name, outputs, cost) in zip(grid, rows, strict=True):
      tints = [plots.PALETTE[0]] * len(outputs)
      tints[label] = plots.PALETTE[1]
      axes.bar(range(len(outputs)), outputs, color=tints, width=0.7)
      axes.set(ylim=(0, 1.05), yticks=(0, 1), xticks=range(len(outputs)))
      axes.grid(visible=False)
      axes.text(
        1.02,
        0.5,
        f'{name}\ncost {cost:g}',
        transform=axes.transAxes,
        va='center',
        fontsize=9,
      )
    grid[-1].set_xlabel(f'output neuron; the image shows a {label}')
    plots.under(figure, words)
  return figure


def lines(
  steps: np.ndarray,
  named: Mapping[str, np.ndarray],
  title: str,
  label: str,
  words: str,
) -> Any:
  """Positive numbers against step: {name: [steps], or [many, steps]}."""
  pyplot, look = plots.looked()
  with look:
    figure, axes = pyplot.subplots(figsize=(6.6, 3.8))
    for tint, (name, y) in zip(plots.PALETTE, named.items(), strict=False):
      many = np.atleast_2d(y)
      alone = len(many) == 1
      width, alpha = (1.5, 1.0) if alone else (0.7, 0.35)
      axes.plot(steps, many.T, color=tint, lw=width, alpha=alpha)
      axes.plot([], [], color=tint, label=name)
    axes.set(xlabel='steps', ylabel=label, yscale='log', title=title)
    plots.plain_ticks(axes.yaxis)
    plots.whole_ticks(axes.xaxis)
    plots.legend(figure)
    plots.under(figure, words)
  return figure
