"""A tournament over epochs, rates and batch sizes, for a paper."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from gd_jax.pictures import paper
from gd_jax.pictures import plots
from gd_jax.pictures import races
from gd_jax.pictures import readings
from gd_jax.pictures.readings import Entry
from gd_jax.pictures.readings import Row


def curves(study: Mapping[str, Any], rows: Sequence[Row]) -> Any:
  """Validation cost and accuracy: medians, and the middle 80 % of the seeds.

  Against epochs, and in a second row against updates where batch sizes differ.
  """
  entries = readings.entries(study)
  titles = [readings.axis_title(study, one) for one in readings.VALIDATION]
  against = ['epoch', 'step'] if races.batch_groups(study) else ['epoch']

  with plots.look():
    figure, axes = paper.panels(
      len(against), 2, width=7.2, height=0.4 + 2.5 * len(against)
    )
    for column, quantity in enumerate(readings.VALIDATION):
      found = {e.name: readings.curve(rows, e.name, quantity) for e in entries}
      points = [point for of_entry in found.values() for point in of_entry]
      for panel, name in zip(axes[:, column], against, strict=True):
        for entry in entries:
          _curve(panel, entry, found[entry.name], name, len(entries))
        if column == 0:
          paper.scale(panel, 'y', [v for p in points for v in (p.low, p.high)])
        if name == 'step':
          paper.scale(panel, 'x', [point.step for point in points])
        else:
          epochs = readings.thinned(sorted({p.epoch for p in points}))
          panel.set_xticks(epochs)
        panel.set(
          xlabel='updates' if name == 'step' else 'epochs',
          ylabel=titles[column],
        )
    paper.legend(figure, axes[0, 0])
  return figure


def _curve(
  panel: Any,
  entry: Entry,
  points: Sequence[readings.Point],
  against: str,
  count: int,
) -> None:
  x = [getattr(point, against) for point in points]
  panel.plot(
    x, paper.gapped([point.middle for point in points]), **paper.line(entry)
  )
  if count <= readings.MOST_BANDS:
    panel.fill_between(
      x,
      paper.gapped([point.low for point in points]),
      paper.gapped([point.high for point in points]),
      color=entry.colour,
      alpha=0.15,
      linewidth=0,
    )


def sensitivity(study: Mapping[str, Any]) -> Any:
  """Validation figures against the learning rate; the chosen one is ringed.

  Means over the tuning seeds with the lowest and the highest of them. Below,
  the share of lanes that failed, and the rates within 0.5 points of the best.
  """
  entries = readings.entries(study)
  kinds = [('sensitivity', study['chosen_by'])]
  if not readings.is_accuracy(study['chosen_by']):
    kinds.append(('sensitivity_accuracy', 'validation_accuracy'))

  with plots.look():
    figure, axes = paper.panels(
      2, 2, width=7.2, height=3.8, sharex=True, height_ratios=(3, 1)
    )
    for column, (key, quantity) in enumerate(kinds):
      values = []
      for entry in entries:
        values += _rates(axes[0, column], entry, key, quantity)
      if not readings.is_accuracy(quantity):
        paper.scale(axes[0, column], 'y', values)
      axes[0, column].set_ylabel(readings.axis_title(study, quantity))
    axes[0, 1].set_visible(len(kinds) > 1)
    for k, entry in enumerate(entries):
      _failed(axes[1, 0], entry)
      _region(axes[1, 1], entry, k)
    rates = [s['learning_rate'] for e in entries for s in e.record[kinds[0][0]]]
    paper.scale(axes[1, 0], 'x', rates)
    for panel in axes[1]:
      panel.set_xlabel('learning rate')
    axes[1, 0].set(ylabel='failed (%)', ylim=(-8, 108))
    axes[1, 1].set(
      ylabel='within\n0.5 points', yticks=[], ylim=(len(entries) - 0.3, -0.7)
    )
    paper.legend(figure, axes[0, 0])
  return figure


def _failed(panel: Any, entry: Entry) -> None:
  scores = entry.record['sensitivity']
  panel.plot(
    [score['learning_rate'] for score in scores],
    [100 * score['failed_share'] for score in scores],
    **paper.line(entry),
  )


def _region(panel: Any, entry: Entry, k: int) -> None:
  """A bar; an end that is the grid's own is a triangle."""
  region = entry.record['region']
  if region is None:
    return
  ends = [region['low'], region['high']]
  panel.plot(ends, [k, k], color=entry.colour, linewidth=2.5)
  for end, key, marker in zip(
    ends, ('open_below', 'open_above'), '<>', strict=True
  ):
    panel.plot(
      [end],
      [k],
      marker if region[key] else 'o',
      color=entry.colour,
      markersize=4.5,
    )


def _rates(
  panel: Any, entry: Entry, key: str, quantity: str
) -> list[readings.Value]:
  """Draws an entry's grid; the values that the axis must hold."""
  values = []
  x, y, below, above = [], [], [], []
  for score in entry.record[key]:
    mean, low, high = (
      readings.drawn(quantity, score[name])
      for name in ('mean', 'lowest', 'highest')
    )
    x.append(score['learning_rate'])
    y.append(mean)
    if mean is None or low is None or high is None:
      below.append(None)
      above.append(None)
      continue
    below.append(mean - low)
    above.append(high - mean)
    values += [low, high]
    if x[-1] == entry.record['learning_rate']:
      panel.plot(
        [x[-1]],
        [mean],
        'o',
        color=entry.colour,
        markersize=9,
        markerfacecolor='none',
        markeredgewidth=1.5,
      )
  panel.errorbar(
    x,
    paper.gapped(y),
    yerr=[paper.gapped(below), paper.gapped(above)],
    elinewidth=0.8,
    capsize=1.5,
    **paper.line(entry),
  )
  return values


def batches(study: Mapping[str, Any], rows: Sequence[Row]) -> Any:
  """A row for each optimizer: against epochs, updates and program seconds."""
  groups = races.batch_lines(study, rows)
  every = [line for group in groups.values() for line in group]
  sizes = sorted({line.batch_size for line in every})
  tints = dict(zip(sizes, plots.in_order(len(sizes)), strict=True))
  costs = [point.middle for line in every for point in line.points]

  with plots.look():
    figure, axes = paper.panels(
      len(groups),
      3,
      width=7.2,
      height=0.6 + 1.6 * len(groups),
      sharex='col',
      sharey=True,
    )
    for across, (name, group) in zip(axes, groups.items(), strict=True):
      for column, panel in enumerate(across):
        for line in group:
          panel.plot(
            line.paces[column],
            paper.gapped([point.middle for point in line.points]),
            color=tints[line.batch_size],
            marker='o',
            markersize=3,
            label=f'm = {line.batch_size:,}',
          )
        if column:
          paper.scale(
            panel, 'x', [x for line in every for x in line.paces[column]]
          )
        paper.scale(panel, 'y', costs)
      across[0].set_ylabel(readings.label(name, 18))
    for panel, words in zip(axes[-1], races.PACES, strict=True):
      panel.set_xlabel(words)
    longest = max(axes[:, 0], key=lambda one: len(one.get_lines()))
    paper.legend(figure, longest)
  return figure
