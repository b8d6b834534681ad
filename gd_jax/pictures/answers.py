"""Pictures of images, and of what a network makes of them.

Confusion, the worst-read images, first weights, nudges; the data projected.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gd_jax.pictures import plots

_ACROSS = 8  # images side by side


def confusion(
  matrix: np.ndarray,
  images: np.ndarray,
  captions: Sequence[str],
  title: str,
  words: str,
) -> Any:
  """The confusion matrix and the worst images beside it.

  Args:
    matrix: [k, k], row i what images of class i are called.
    images: of the worst-classified, [count, height, width], may be none.
    captions: one each.
    title: of the picture.
    words: what to see.
  """
  pyplot, look = plots.looked()
  k = len(matrix)
  with look:
    figure = pyplot.figure(figsize=(10.4, 5.0))
    left, right = figure.subfigures(1, 2, width_ratios=(1.05, 1))
    axes = left.subplots()
    draw_matrix(axes, matrix)
    axes.set(xlabel='the network says', ylabel='the image shows')
    axes.set_xticks(range(k) if k <= 20 else [])
    axes.set_yticks(range(k) if k <= 20 else [])
    rows = -(-max(len(images), 1) // 5)
    for place, panel in enumerate(right.subplots(rows, 5, squeeze=False).flat):
      panel.axis('off')
      if place < len(images):
        panel.imshow(images[place], cmap='gray_r', interpolation='nearest')
        panel.set_title(captions[place], fontsize=8)
    figure.suptitle(title, fontsize=10)
    plots.under(figure, words)
  return figure


def draw_matrix(axes: Any, matrix: np.ndarray) -> None:
  """Shares of a row as shades, mistakes alone; counts in words."""
  wrong = matrix - np.diag(np.diag(matrix))
  shares = wrong / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
  axes.imshow(shares, cmap='Oranges', vmin=0, vmax=max(2 * shares.max(), 1e-9))
  axes.grid(visible=False)
  for spine in axes.spines.values():
    spine.set_visible(False)
  axes.tick_params(length=0)
  if len(matrix) > 20:
    return
  for (i, j), count in np.ndenumerate(matrix):
    right = i == j
    axes.text(
      j,
      i,
      str(count) if count else '',
      ha='center',
      va='center',
      fontsize=7.5,
      fontweight='bold' if right else None,
      color=plots.PALETTE[2] if right else plots.INK,
    )


def first_layer(tiles: np.ndarray, title: str, words: str) -> Any:
  """The weights of each neuron of the first layer as an image, [h, y, x]."""
  pyplot, look = plots.looked()
  across = min(_ACROSS, len(tiles))
  down = -(-len(tiles) // across)
  reach = float(np.quantile(np.abs(tiles), 0.995)) or 1.0
  with look:
    figure, grid = pyplot.subplots(
      down,
      across,
      figsize=(1.05 * across + 1.0, 1.05 * down + 1.1),
      squeeze=False,
    )
    for panel in grid.flat:
      panel.axis('off')
    for panel, tile in zip(grid.flat, tiles, strict=False):
      shown = panel.imshow(
        tile, cmap='RdBu_r', vmin=-reach, vmax=reach, interpolation='nearest'
      )
    figure.colorbar(shown, ax=grid, shrink=0.8, aspect=30, label='weight')
    figure.suptitle(title, fontsize=10)
    plots.under(figure, words)
  return figure


def nudges(
  where: np.ndarray,
  cost: np.ndarray,
  accuracy: np.ndarray,
  title: str,
  words: str,
) -> Any:
  """Cost and accuracy as one weight is nudged, [t] each."""
  pyplot, look = plots.looked()
  with look:
    figure, (top, bottom) = pyplot.subplots(
      2, 1, figsize=(6.6, 4.4), sharex=True
    )
    top.plot(where, cost, color=plots.PALETTE[0])
    top.set(ylabel='cost C')
    bottom.plot(
      where, 100 * accuracy, color=plots.PALETTE[1], drawstyle='steps-mid'
    )
    bottom.set(xlabel='nudge of one weight', ylabel='accuracy (%)')
    figure.suptitle(title, fontsize=10)
    plots.under(figure, words)
  return figure


def cloud(
  points: np.ndarray,
  labels: np.ndarray,
  names: tuple[str, str],
  title: str,
  words: str,
) -> Any:
  """Every example on two axes, [n, 2], coloured by its class."""
  import matplotlib

  pyplot, look = plots.looked()
  with look:
    figure, axes = pyplot.subplots(figsize=(7.2, 6.2))
    classes = np.unique(labels)
    tints = matplotlib.colormaps['tab10' if len(classes) <= 10 else 'tab20']
    size = float(np.clip(30_000 / len(points), 0.5, 12))
    order = np.random.default_rng(0).permutation(len(points))
    axes.scatter(
      *points[order].T,
      c=[tints(int(k) % tints.N) for k in labels[order]],
      s=size,
      alpha=0.55,
      linewidths=0,
      rasterized=True,
    )
    for k in classes if len(classes) <= 20 else ():
      middle = np.median(points[labels == k], axis=0)
      axes.text(
        *middle,
        str(k),
        ha='center',
        va='center',
        fontsize=12,
        fontweight='bold',
        color='white',
        bbox={
          'boxstyle': 'circle,pad=0.22',
          'facecolor': tints(int(k) % tints.N),
          'edgecolor': 'white',
        },
      )
    axes.grid(visible=False)
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.set_title(title)
    plots.under(figure, words)
  return figure
