"""What a scored study leaves to be read: tables, a page, and pictures."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from experiments import session
from experiments.contest import tables
from gd_jax.pictures import contest
from gd_jax.pictures import plots
from gd_jax.pictures import report
from gd_jax.world import files
from gd_jax.world import seals


def write(
  kept: session.Session,
  scored: Mapping[str, Any],
  rows: Sequence[Mapping[str, Any]],
) -> None:
  """Writes study.json, tables.txt, report.html and figures/."""
  written = {
    'study.json': seals.seal(files.json_bytes(scored, 'the study')),
    'tables.txt': tables.everything(scored).encode('ascii'),
    'report.html': report.html(scored, rows).encode(),
  }
  for name, data in written.items():
    session.write(kept, name, data)
  for name, draw in contest.figures(scored, rows).items():
    session.write_figure(kept, f'{name}.png', plots.png(draw()))
