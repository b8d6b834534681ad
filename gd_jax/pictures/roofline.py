"""The roofline: what was reached, under what the machine can reach."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from gd_jax.pictures import paper
from gd_jax.pictures import plots

_SHAPES = {'launch': 'o', 'memory': 's', 'compute': '^'}


def figure(rows: Sequence[Mapping[str, Any]]) -> Any:
  """GFLOP/s against FLOP a byte, both logarithmic.

  Args:
    rows: of a benchmark, with `intensity`, `gflops`, `bound`, `name`, and the
      roofs `peak_gflops`, `cache_gbytes` and `memory_gbytes`.

  Returns:
    A matplotlib Figure. Points are numbered, and named beside the picture.
  """
  import numpy as np
  from matplotlib import ticker

  machine = rows[0]
  with plots.look():
    figure, axes = paper.panels(1, 1, width=7.6, height=3.8)
    panel = axes[0, 0]
    ridges = [
      row['peak_gflops'] / row[speed]
      for row in rows
      for speed in ('cache_gbytes', 'memory_gbytes')
    ]
    spots = [row['intensity'] for row in rows]
    left = min(*spots, *ridges) / 3
    right = max(*spots, *ridges) * 3
    x = np.geomspace(left, right, 200)
    peaks = {row['precision']: row['peak_gflops'] for row in rows}
    top = max(peaks.values())
    for speed, where, style in (
      ('cache_gbytes', 'cache', '-'),
      ('memory_gbytes', 'memory', '--'),
    ):
      panel.plot(
        x,
        np.minimum(x * machine[speed], top),
        color='#444444',
        linestyle=style,
        label=f'{where}, {machine[speed]:.3g} GB/s',
      )
    for precision, peak in peaks.items():
      panel.plot(
        x, np.full_like(x, peak), color='#999999', linewidth=0.8, zorder=1
      )
      panel.annotate(
        f'matrix products, {precision}: {peak:,.4g} GFLOP/s',
        (right, peak),
        xytext=(0, 3),
        textcoords='offset points',
        ha='right',
        fontsize=8,
      )
    for place, row in enumerate(rows, 1):
      colour = plots.PALETTE[(place - 1) % len(plots.PALETTE)]
      panel.plot(
        row['intensity'],
        row['gflops'],
        linestyle='none',
        marker=_SHAPES[row['bound']],
        markersize=8,
        color=colour,
        label=f'{place}  {row["name"]}, {row["bound"]}-bound: '
        f'{100 * row["of_roof"]:.0f} % of its roof',
      )
      panel.annotate(
        str(place),
        (row['intensity'], row['gflops']),
        xytext=(7, -3) if place % 2 else (-12, -3),
        textcoords='offset points',
        fontsize=8,
      )
    low = min(row['gflops'] for row in rows) / 2
    panel.set(
      xscale='log',
      yscale='log',
      xlim=(left, right),
      ylim=(low, 1.6 * top),
      xlabel='FLOP a byte that has to move',
      ylabel='GFLOP/s',
    )
    for axis in (panel.xaxis, panel.yaxis):
      axis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
      axis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f'{v:g}'))
      axis.set_minor_locator(ticker.NullLocator())
    figure.legend(loc='outside right center', fontsize=7.5)
    shape = machine['machine']
    kind = shape['device_kind']
    if shape['platform'] == 'cpu':
      kind = shape['processor']
    figure.suptitle(
      f'{shape["devices"]} x {kind}: reached and attainable', fontsize=10
    )
  return figure
