"""Terrain in three dimensions and in motion: surface, animation, Plotly."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from gd_jax.pictures import curves
from gd_jax.pictures import plots
from gd_jax.pictures import terrain
from gd_jax.pictures.terrain import DEPTHS
from gd_jax.pictures.terrain import Ground
from gd_jax.pictures.terrain import Path

# Darker than the contours' depths: light falls on it.
RELIEF = ('#4f6a8a', '#7f98b5', '#a9bacd', '#c4d0dd')


def lid(ground: Ground, paths: Sequence[Path]) -> float:
  """The height at which a steep surface is cut off: a little over the paths."""
  heights = terrain.finite(ground.height)
  low, high = float(np.nanmin(heights)), float(np.nanmax(heights))
  starts = [float(p.heights[0]) for p in paths if np.isfinite(p.heights[0])]
  wanted = max(starts, default=high)
  return min(
    high, max(low + 1.25 * (wanted - low), float(np.nanmedian(heights)))
  )


def surface(ground: Ground, paths: Sequence[Path], words: str) -> Any:
  """The surface in 3-D with the paths on it."""
  from matplotlib import colors

  pyplot, look = plots.looked()
  tints = plots.colours([path.entry for path in paths])
  depths = colors.LinearSegmentedColormap.from_list('relief', RELIEF)
  with look:
    figure = pyplot.figure(figsize=(6.6, 5.6))
    axes: Any = figure.add_subplot(projection='3d', computed_zorder=False)
    top = lid(ground, paths)
    heights = np.minimum(terrain.finite(ground.height), top)
    levels = terrain.levels_of(heights)
    shades = depths(colors.BoundaryNorm(levels, depths.N)(heights))
    light = colors.LightSource(azdeg=320, altdeg=50)
    grid = np.meshgrid(*ground.axes)
    # Scaled to a cube, so that light falls on what one sees.
    span = float(np.nanmax(heights) - np.nanmin(heights))
    tall = float(np.ptp(ground.axes[0])) / max(span, 1e-12)
    axes.plot_surface(
      *grid,
      heights,
      facecolors=light.shade_rgb(
        shades[..., :3],
        # Light on a hole would be none anywhere.
        tall * np.where(np.isnan(heights), top, heights),
        dx=float(ground.axes[0][1] - ground.axes[0][0]),
        dy=float(ground.axes[1][1] - ground.axes[1][0]),
        blend_mode='soft',
        vert_exag=0.6,
      ),
      rcount=100,
      ccount=100,
      linewidth=0,
      antialiased=False,
      shade=False,
      zorder=1,
    )
    axes.contour(
      *grid,
      heights,
      levels=levels[:-1],
      colors='#6b7a8d',
      linewidths=0.4,
      alpha=0.6,
      linestyles='solid',
      zorder=2,
    )
    lift = 0.01 * span
    for path in paths:
      points, z = held(ground, path, top)
      axes.plot(
        *points.T,
        z + lift,
        color=tints[path.entry],
        linestyle=plots.LINES[path.line % len(plots.LINES)],
        linewidth=1.8,
        label=path.label,
        zorder=3,
      )
      axes.plot(*points[:1].T, z[:1] + lift, 'o', c=tints[path.entry], zorder=4)
    axes.set(
      xlabel=ground.variables[0], ylabel=ground.variables[1], zlabel='cost'
    )
    axes.view_init(elev=56, azim=-64)
    axes.set_box_aspect((1, 1, 0.6), zoom=1.12)
    axes.zaxis.labelpad = 8
    plots.legend(figure)
    axes.set_title(ground.title)
    plots.under(figure, words)
  return figure


def held(
  ground: Ground, path: Path, top: float
) -> tuple[np.ndarray, np.ndarray]:
  """Points with gaps where they are outside the domain, heights under a lid."""
  points, heights, _ = terrain.inside(ground, path)
  lows = [axis[0] for axis in ground.axes]
  highs = [axis[-1] for axis in ground.axes]
  within = ((points >= lows) & (points <= highs)).all(axis=1, keepdims=True)
  return np.where(within, points, np.nan), np.minimum(heights, top)


def animation(
  ground: Ground, paths: Sequence[Path], *, frames: int = 40
) -> bytes:
  """The paths as they grow, step by step: the bytes of a GIF.

  A long descent shows every few steps, all of the first ones.
  """
  from matplotlib.backends import backend_agg
  from PIL import Image

  pyplot, look = plots.looked()
  with look:
    flat = len(ground.axes) == 1
    size = (6.6, 4.4) if flat else terrain.size_of(ground)
    figure, axes = pyplot.subplots(figsize=size, dpi=75)
    (curves.draw_curve if flat else terrain.draw_contours)(axes, ground)
    canvas = backend_agg.FigureCanvasAgg(figure)
    tints = plots.colours([path.entry for path in paths])
    kept = [terrain.inside(ground, path) for path in paths]
    lines = [
      axes.plot(
        [], [], '.-', c=tints[p.entry], lw=1.2, label=p.label, zorder=4
      )[0]
      for p in paths
    ]
    balls = [axes.plot([], [], 'o', c=tints[p.entry], ms=8)[0] for p in paths]
    plots.legend(figure)
    last = max(len(points) for points, _, _ in kept) - 1
    pictures = []
    for step in moments(last, frames):
      axes.set_title(f'step {step}')
      for line, ball, (points, heights, _) in zip(
        lines, balls, kept, strict=True
      ):
        seen = points[: step + 1]
        xy = (seen[:, 0], heights[: step + 1]) if flat else seen.T
        line.set_data(*xy)
        ball.set_data(xy[0][-1:], xy[1][-1:])
      canvas.draw()
      image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
      pictures.append(image.quantize(96))
    pyplot.close(figure)
  stream = io.BytesIO()
  pauses = [120] * (len(pictures) - 1) + [1500]
  pictures[0].save(
    stream,
    'gif',
    save_all=True,
    append_images=pictures[1:],
    duration=pauses,
    loop=0,
  )
  return stream.getvalue()


def moments(last: int, frames: int) -> list[int]:
  """Steps to show: 0 and the last, denser at the beginning."""
  even = np.linspace(0, 1, frames) ** (1.0 if last <= frames else 1.6)
  return sorted({round(t * last) for t in even})


def interactive(ground: Ground, paths: Sequence[Path], words: str) -> str:
  """A surface to turn with the mouse, as one HTML page that loads nothing."""
  from plotly import graph_objects

  tints = plots.colours([path.entry for path in paths])
  top = lid(ground, paths)
  heights = terrain.finite(ground.height)
  heights = np.where(heights <= top, heights, np.nan)
  levels = terrain.levels_of(heights)
  shades = np.searchsorted(levels, heights).astype(float)
  figure = graph_objects.Figure()
  figure.add_surface(
    x=ground.axes[0],
    y=ground.axes[1],
    z=heights,
    surfacecolor=shades,
    colorscale=[[i / 3, shade] for i, shade in enumerate(DEPTHS)],
    showscale=False,
    hovertemplate='%{x:.3f}, %{y:.3f}: cost %{z:.4f}<extra></extra>',
  )
  lift = 0.01 * float(np.nanmax(heights) - np.nanmin(heights))
  for path in paths:
    points, z = held(ground, path, top)
    figure.add_scatter3d(
      x=points[:, 0],
      y=points[:, 1],
      z=z + lift,
      mode='lines+markers',
      line={'color': tints[path.entry], 'width': 5},
      marker={'size': 2.5, 'color': tints[path.entry]},
      name=path.label,
    )
  figure.update_layout(
    title={'text': ground.title, 'font': {'size': 15}},
    scene={
      'xaxis_title': ground.variables[0],
      'yaxis_title': ground.variables[1],
      'zaxis_title': 'cost',
      'aspectratio': {'x': 1, 'y': 1, 'z': 0.6},
    },
    annotations=[
      {
        'text': words.replace('\n', '<br>'),
        'showarrow': False,
        'x': 0,
        'y': -0.02,
        'xref': 'paper',
        'yref': 'paper',
        'align': 'left',
        'font': {'color': plots.INK},
      }
    ],
    font={'family': 'DejaVu Sans, sans-serif'},
  )
  quiet = {'displaylogo': False, 'responsive': True}
  return figure.to_html(include_plotlyjs=True, full_html=True, config=quiet)
