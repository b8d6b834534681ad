"""A tournament's pictures for a paper, from study.json and rows.jsonl alone."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from gd_jax.pictures import paper
from gd_jax.pictures import plots
from gd_jax.pictures import progressions
from gd_jax.pictures import races
from gd_jax.pictures import readings
from gd_jax.pictures import wording
from gd_jax.pictures.readings import Entry
from gd_jax.pictures.readings import Row

# Lighter than the palette: black words stand on them.
CELLS = {
  'better': '#8fbfdc',
  'worse': '#f0b48a',
  'equivalent': '#9ad5c1',
  'unresolved': '#ededed',
}


def figures(
  study: Mapping[str, Any], rows: Sequence[Row]
) -> dict[str, Callable[[], Any]]:
  """Name of a file -> what draws its matplotlib Figure."""
  found: dict[str, Callable[[], Any]] = {}
  if len(study['ranking']) > 1:
    found['verdicts'] = lambda: verdicts(study)
  found['seeds'] = lambda: strips(study, rows)
  found['curves'] = lambda: progressions.curves(study, rows)
  found['rates'] = lambda: progressions.sensitivity(study)
  found['best-of-k'] = lambda: best_of_k(study)
  if races.batch_groups(study):
    found['batches'] = lambda: progressions.batches(study, rows)
  return found


def verdicts(study: Mapping[str, Any]) -> Any:
  """The word about each row against each column: colour, sign and word."""
  names = study['ranking']
  count = len(names)
  roomy = count <= readings.MOST_NAMED
  short = [readings.label(name, 16 if roomy else 30) for name in names]
  numbers = [str(place) for place in range(1, count + 1)]
  down = [f'{n}  {p}' for n, p in zip(short, numbers, strict=True)]
  with plots.look():
    figure, axes = paper.panels(
      1,
      1,
      width=1.6 + (0.95 if roomy else 0.36) * count,
      height=0.6 + 0.34 * count,
    )
    axes = axes[0, 0]
    for k, a in enumerate(names):
      for column, b in enumerate(names):
        word = study['matrix'].get(a, {}).get(b)
        if word is None:
          continue
        axes.add_patch(_square(column, k, CELLS[word]))
        sign = wording.SIGNS[word]
        axes.text(
          column,
          k,
          f'{sign} {word}' if roomy else sign,
          ha='center',
          va='center',
          fontsize=8,
        )
    axes.set_xticks(range(count), labels=short if roomy else numbers)
    axes.set_yticks(range(count), labels=short if roomy else down)
    if roomy:
      axes.tick_params('x', labelsize=8)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5))
    axes.grid(False)
    for spine in axes.spines.values():
      spine.set_visible(False)
  return figure


def _square(column: int, row: int, colour: str) -> Any:
  from matplotlib import patches

  return patches.Rectangle(
    (column - 0.47, row - 0.46), 0.94, 0.92, facecolor=colour, linewidth=0
  )


def strips(study: Mapping[str, Any], rows: Sequence[Row]) -> Any:
  """Every seed a dot (a cross: failed), the mean with its interval."""
  entries = readings.entries(study)
  quantities = readings.quantities(study)

  with plots.look():
    figure, axes = paper.panels(
      1, 2, width=7.2, height=0.7 + 0.42 * len(entries), sharey=True
    )
    for panel, quantity in zip(axes[0], quantities, strict=True):
      values = []
      for k, entry in enumerate(entries):
        seeds = readings.strip(rows, entry, quantity)
        values += [seed.value for seed in seeds]
        values.append(entry.record['figures'][quantity]['low'])
        _strip(panel, entry, seeds, quantity, k)
      if not readings.is_accuracy(quantity):
        paper.scale(panel, 'x', values)
      panel.set_xlabel(readings.axis_title(study, quantity))
    words = [
      f'{e.label}\n{wording.failures_in_short(e.record["failures"])}'
      for e in entries
    ]
    first = axes[0, 0]
    first.set_yticks(range(len(entries)), labels=words)
    first.tick_params('y', labelsize=7, length=0)
    first.set_ylim(len(entries) - 0.45, -0.55)
  return figure


def _strip(
  panel: Any,
  entry: Entry,
  seeds: Sequence[readings.Seed],
  quantity: str,
  k: int,
) -> None:
  for failed, marker in ((False, 'o'), (True, 'x')):
    some = [
      seed
      for seed in seeds
      if seed.value is not None and bool(seed.failed) == failed
    ]
    panel.scatter(
      [seed.value for seed in some],
      [k + 0.1 + 0.07 * (seed.seed % 4) for seed in some],
      s=10,
      marker=marker,
      color=entry.colour,
      alpha=0.65,
      linewidths=0.8 if failed else 0,
    )
  figures = entry.record['figures'][quantity]
  mean, low, high = (
    readings.drawn(quantity, figures[name]) for name in ('mean', 'low', 'high')
  )
  if mean is not None and low is not None and high is not None:
    panel.plot([low, high], [k - 0.14] * 2, color=entry.colour, linewidth=2)
  if mean is not None:
    panel.plot([mean], [k - 0.14], 'D', color=entry.colour, markersize=5)


def best_of_k(study: Mapping[str, Any]) -> Any:
  """Expected best of k rates of the grid, drawn without replacement."""
  entries = readings.entries(study)
  quantity = study['chosen_by']

  with plots.look():
    figure, axes = paper.panels(1, 1, width=4.6, height=3)
    panel = axes[0, 0]
    values, longest = [], 1
    for entry in entries:
      best = [readings.drawn(quantity, v) for v in entry.record['best_of_k']]
      values += best
      longest = max(longest, len(best))
      panel.plot(
        range(1, len(best) + 1), paper.gapped(best), **paper.line(entry)
      )
    paper.scale(panel, 'y', values)
    panel.set(
      xlabel='rates tried',
      ylabel=f'expected best\n{readings.title(quantity)}',
      xlim=(0.7, longest + 0.3),
    )
    panel.set_xticks(readings.thinned(range(1, longest + 1), 16))
    paper.legend(figure, panel)
  return figure
