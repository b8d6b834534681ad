"""Matplotlib pictures with one look, drawn from plain data.

A picture takes the lists and dictionaries that rows.jsonl and study.json hold
and returns a Figure; who asked for it writes it. Text is drawn as it is: a
name with a dollar sign is never read as a formula.
"""

import io
import textwrap
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

# Okabe and Ito's palette, safe for colour-blind readers; yellow is too light
# on white and stands last.
PALETTE = (
  '#0072B2',
  '#D55E00',
  '#009E73',
  '#CC79A7',
  '#56B4E9',
  '#E69F00',
  '#000000',
  '#8C6D31',
  '#F0E442',
)
INK = '#333333'
LINES = ('-', (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
# The same optimizer has the same colour in every picture.
COLOURS = {
  'sgd': '#0072B2',
  'momentum': '#D55E00',
  'nesterov': '#E69F00',
  'adagrad': '#CC79A7',
  'rmsprop': '#56B4E9',
  'adam': '#009E73',
  'adamw': '#8C6D31',
  'backtracking': '#000000',
}
LOOK: Any = {
  'font.family': 'DejaVu Sans',
  'font.size': 9,
  'axes.titlesize': 10,
  'axes.spines.top': False,
  'axes.spines.right': False,
  'axes.grid': True,
  'axes.axisbelow': True,
  'grid.color': '#e5e5e5',
  'grid.linewidth': 0.6,
  'legend.frameon': False,
  'lines.linewidth': 1.6,
  'figure.constrained_layout.use': True,
  'figure.dpi': 110,
  'savefig.dpi': 160,
  'text.parse_math': False,
}


def colours(names: Iterable[str]) -> dict[str, str]:
  """{entry's name: its colour}; names unknown to COLOURS take what is left."""
  names, known = list(dict.fromkeys(names)), {}
  for name in names:
    base = name.split('@')[0].split('+')[0]
    if base in COLOURS and COLOURS[base] not in known.values():
      known[name] = COLOURS[base]
  left = [colour for colour in PALETTE if colour not in known.values()]
  unknown = [name for name in names if name not in known]
  for place, name in enumerate(unknown):
    known[name] = (left or PALETTE)[place % len(left or PALETTE)]
  return known


def in_order(count: int) -> list[str]:
  """Colours of things that have an order, from dark to light."""
  from matplotlib import colormaps
  from matplotlib import colors

  # The lightest tenth is no colour on white.
  places = (0.9 * place / max(1, count - 1) for place in range(count))
  return [colors.to_hex(colormaps['viridis'](place)) for place in places]


def apart(named: Sequence[tuple[str, str]]) -> list[str]:
  """A colour for each (entry, label): the entry's, or where two share one,
  the label's.
  """
  entries, labels = zip(*named, strict=True)
  names = entries if len(set(entries)) == len(entries) else labels
  known = colours(names)
  return [known[name] for name in names]


def look() -> AbstractContextManager[None]:
  """Inside, whatever is made takes up the one look."""
  import matplotlib

  return matplotlib.rc_context(LOOK)


def looked() -> tuple[Any, AbstractContextManager[None]]:
  """(pyplot, the context of the one look), imported where one draws."""
  from matplotlib import pyplot

  return pyplot, look()


def legend(figure: Any) -> None:
  """One legend on top, where it hides nothing; equal labels stand once."""
  once = {}
  for axes in figure.axes:
    handles, labels = axes.get_legend_handles_labels()
    once |= dict(zip(labels, handles, strict=True))
  if once:
    figure.legend(
      once.values(),
      once.keys(),
      loc='outside upper center',
      ncols=3,
      fontsize=8,
    )


def under(figure: Any, words: str) -> None:
  """Words below a picture, wrapped to its width."""
  width = int(16 * figure.get_size_inches()[0])
  lines = [
    piece
    for line in words.splitlines()
    for piece in textwrap.wrap(line, width, subsequent_indent='  ')
  ]
  figure.supxlabel('\n'.join(lines), x=0.01, ha='left', fontsize=8, color=INK)


def plain_ticks(axis: Any) -> None:
  """Numbers on a logarithmic axis as they are typed: 0.001, 1e-06."""
  from matplotlib import ticker

  def between(value, _):
    low, high = axis.get_view_interval()
    return f'{value:g}' if high < 20 * low and f'{value:e}'[0] in '25' else ''

  axis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f'{v:g}'))
  axis.set_minor_formatter(ticker.FuncFormatter(between))


def whole_ticks(axis: Any) -> None:
  """Only whole numbers on an axis of steps."""
  from matplotlib import ticker

  axis.set_major_locator(ticker.MaxNLocator(integer=True))


def png(figure: Any) -> bytes:
  """The figure as the bytes of a PNG file; the figure is closed."""
  from matplotlib import pyplot

  buffer = io.BytesIO()
  figure.savefig(buffer, format='png')
  pyplot.close(figure)
  return buffer.getvalue()


def learning_curves(rows: Sequence[Mapping[str, Any]], title: str) -> Any:
  """Cost and accuracy against epochs, from the rows of one training run.

  Args:
    rows: with `epoch`, `train_cost`, `test_cost` and `test_accuracy`; a None is
      a figure that was not finite, and leaves a gap.
    title: says which run it is.

  Returns:
    A matplotlib Figure of two panels.
  """
  pyplot, look = looked()

  def column(name):
    return [float('nan') if row[name] is None else row[name] for row in rows]

  epochs = [row['epoch'] for row in rows]
  marker = 'o' if len(rows) < 40 else None
  with look:
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3.2))
    left.plot(
      epochs,
      column('train_cost'),
      color=PALETTE[0],
      marker=marker,
      markersize=4,
      label='training (running mean of the epoch)',
    )
    left.plot(
      epochs,
      column('test_cost'),
      color=PALETTE[1],
      marker=marker,
      markersize=4,
      label='test',
    )
    left.set(xlabel='epochs', ylabel='cost C', ylim=(0, None))
    left.legend()
    right.plot(
      epochs,
      [100 * accuracy for accuracy in column('test_accuracy')],
      color=PALETTE[1],
      marker=marker,
      markersize=4,
    )
    right.set(xlabel='epochs', ylabel='test accuracy (%)')
    for axes in (left, right):
      whole_ticks(axes.xaxis)
    lines = textwrap.wrap(title, 100, max_lines=3)
    figure.suptitle('\n'.join(lines), fontsize=10)
  return figure
