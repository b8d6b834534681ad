"""A tournament's pictures for a paper: they show the study's own numbers."""

import copy
import io
import itertools

import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image

from gd_jax.pictures import contest
from gd_jax.pictures import paper
from gd_jax.pictures import plots
from gd_jax.pictures import progressions
from gd_jax.pictures import races
from tests.pictures.contests import EVERY
from tests.pictures.contests import finished
from tests.pictures.contests import spread

PLAIN = EVERY['plain']


@pytest.fixture(autouse=True)
def closed():
  yield
  pyplot.close('all')


@pytest.mark.parametrize('name', EVERY)
def test_every_picture_becomes_a_png(name):
  draws = contest.figures(*EVERY[name])
  wanted = {'seeds', 'curves', 'rates', 'best-of-k'}
  wanted |= {'verdicts'} if name != 'alone' else set()
  wanted |= {'batches'} if name == 'crossed' else set()
  assert set(draws) == wanted
  for draw in draws.values():
    # A warning, such as of a layout that found no room, is an error here.
    image = np.asarray(Image.open(io.BytesIO(plots.png(draw()))).convert('L'))
    assert image.std() > 5


def test_words_stand_in_their_cells():
  study = PLAIN.study
  names = study['ranking']
  (axes,) = contest.verdicts(study).axes
  found = {
    (names[int(y)], names[int(x)]): text.get_text()
    for text in axes.texts
    for x, y in [text.get_position()]
  }
  wanted = {
    (a, b): word
    for a, of_a in study['matrix'].items()
    for b, word in of_a.items()
  }
  assert {pair: text[2:] for pair, text in found.items()} == wanted
  assert [t.get_text() for t in axes.get_yticklabels()] == names
  colours = {
    (names[round(p.get_y() + 0.46)], names[round(p.get_x() + 0.47)]): p
    for p in axes.patches
  }
  for pair, patch in colours.items():
    expected = contest.CELLS[wanted[pair]]
    assert pyplot.matplotlib.colors.to_hex(patch.get_facecolor()) == expected


def test_strips_hold_every_seed_and_the_mean():
  study, rows = PLAIN
  cost, accuracy = contest.strips(study, rows).axes
  for panel, quantity, unit in (
    (cost, 'test_cost', 1),
    (accuracy, 'test_accuracy', 100),
  ):
    dots = sorted(x for c in panel.collections for x, _ in c.get_offsets())
    figures = [
      study['entries'][n]['figures'][quantity] for n in study['ranking']
    ]
    values = [unit * v for f in figures for v in f['values'] if v is not None]
    assert dots == pytest.approx(sorted(values))
    means = [l.get_xdata()[0] for l in panel.lines if l.get_marker() == 'D']
    wanted = [unit * f['mean'] for f in figures if f['mean'] is not None]
    assert means == pytest.approx(wanted)
  words = [text.get_text() for text in cost.get_yticklabels()]
  assert sum('1 of 12 failed' in text for text in words) == 1


def test_curves_are_medians_in_the_optimizers_colour():
  study, rows = PLAIN
  cost, accuracy = progressions.curves(study, rows).axes
  report = {
    name: [r for r in rows if r['phase'] == 'report' and r['entry'] == name]
    for name in study['ranking']
  }
  assert len(cost.lines) == 3
  for line in cost.lines:
    found = np.array(
      [
        [
          r['validation_cost']
          for r in report[line.get_label()]
          if r['epoch'] == epoch
        ]
        for epoch in range(1, 4)
      ],
      float,
    )
    found[np.isnan(found)] = np.inf
    np.testing.assert_allclose(line.get_ydata(), np.median(found, 1))
  drawn = {line.get_label(): line.get_color() for line in accuracy.lines}
  assert drawn == plots.colours(['sgd', 'adam', 'lion'])


@pytest.mark.parametrize(('last', 'kind'), [(0.25, 'linear'), (0.01, 'log')])
def test_best_of_k_is_each_entrys_own(last, kind):
  study = copy.deepcopy(PLAIN.study)
  for entry in study['entries'].values():
    entry['best_of_k'] = [None, 0.3, last]
  (panel,) = contest.best_of_k(study).axes
  assert [line.get_label() for line in panel.lines] == study['ranking']
  for line in panel.lines:
    assert list(line.get_xdata()) == [1, 2, 3]
    np.testing.assert_equal(list(line.get_ydata()), [np.nan, 0.3, last])
  assert panel.get_yscale() == kind


@pytest.mark.parametrize(
  ('length', 'entries', 'columns'),
  [(1, 6, 6), (10, 2, 2), (10, 6, 3), (40, 6, 1), (100, 6, 1)],
)
def test_a_legend_has_as_many_columns_as_fit(length, entries, columns):
  figure, axes = paper.panels(1, 1, width=4.6, height=3)
  for k in range(entries):
    axes[0, 0].plot([0], [k], label='x' * length)
  paper.legend(figure, axes[0, 0])
  (legend,) = figure.legends
  assert len(legend.get_texts()) == entries
  assert legend._ncols == columns


def test_names_are_drawn_as_they_are():
  study = EVERY['hostile'].study
  figure = contest.verdicts(study)
  figure.canvas.draw()
  texts = [text.get_text() for text in figure.axes[0].get_yticklabels()]
  assert '$^$' in texts
  assert 'two lines' in texts
  assert not any(text.get_parse_math() for text in figure.axes[0].texts)


def test_a_legend_of_long_names_stays_inside():
  figure = progressions.curves(*EVERY['ten'])
  figure.canvas.draw()
  (legend,) = figure.legends
  box = legend.get_window_extent()
  assert box.x0 >= 0
  assert box.x1 <= figure.bbox.width


@pytest.mark.parametrize('decades', [1, 3, 5, 7, 9])
def test_labels_of_a_logarithmic_axis_stand_apart(decades):
  with plots.look():
    figure, ((panel, _),) = paper.panels(1, 2, width=7.2, height=2.0)
    rates = [10 ** (1.5 - k / 2) for k in range(2 * decades + 1)]
    panel.plot(rates, rates)
    paper.scale(panel, 'x', rates)
    figure.canvas.draw()
    shown = [
      label.get_window_extent()
      for label in panel.get_xticklabels()
      if panel.get_xlim()[0] <= label.get_position()[0] <= panel.get_xlim()[1]
    ]
  assert len(shown) >= 2
  ends = sorted((box.x0, box.x1) for box in shown)
  assert all(b[0] - a[1] > 4 for a, b in itertools.pairwise(ends))  # pixels


def test_costs_of_two_kinds_are_kept_apart():
  made = finished(
    {'sgd': spread(0.3)},
    batch_sizes=(10, 100),
    costs=('quadratic', 'cross_entropy'),
    metric='test_accuracy',
  )
  groups = races.batch_groups(made.study)
  assert {
    name: [entry.record['batch_size'] for entry in group]
    for name, group in groups.items()
  } == {'sgd quadratic': [10, 100], 'sgd cross_entropy': [10, 100]}
  costs, accuracies = progressions.curves(*made).axes[:2]
  assert costs.get_ylabel() == 'validation cost (each its own)'
  assert accuracies.get_ylabel() == 'validation accuracy (%)'
  accuracies, costs = contest.strips(*made).axes[:2]
  assert costs.get_xlabel() == 'test cost (each its own)'
  assert accuracies.get_xlabel() == 'test accuracy (%)'
