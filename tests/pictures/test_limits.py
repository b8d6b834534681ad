"""Where a picture changes with how much, or how little, there is to show."""

import copy

import numpy as np
import pytest
from matplotlib import pyplot

from gd_jax.pictures import answers
from gd_jax.pictures import charts
from gd_jax.pictures import contest
from gd_jax.pictures import curves
from gd_jax.pictures import landscapes
from gd_jax.pictures import pace
from gd_jax.pictures import paper
from gd_jax.pictures import plots
from gd_jax.pictures import polls
from gd_jax.pictures import progressions
from gd_jax.pictures import readings
from gd_jax.pictures import relief
from gd_jax.pictures import standings
from gd_jax.pictures import terrain
from gd_jax.pictures import traces
from gd_jax.pictures import trials
from tests.pictures.contests import EVERY
from tests.pictures.contests import finished
from tests.pictures.contests import spread
from tests.pictures.samples import basins
from tests.pictures.samples import ground
from tests.pictures.samples import oblong
from tests.pictures.samples import path

PLAIN = EVERY['plain']


@pytest.fixture(autouse=True)
def closed():
  yield
  pyplot.close('all')


@pytest.fixture
def axes():
  return pyplot.figure().add_subplot()


def at(*heights):
  """A path that is nothing but its heights."""
  return path()._replace(heights=np.array(heights, float))


@pytest.mark.parametrize(
  ('starts', 'top'),
  [
    ([], 8.5),  # the highest there is
    ([4.5], 0.5 + 1.25 * 4),
    ([1.5, 4.5], 0.5 + 1.25 * 4),
    ([np.inf, 4.5], 0.5 + 1.25 * 4),
    ([100], 8.5),
    ([0.75], 2.5),  # no lower than the median
  ],
)
def test_the_lid_lies_over_the_starts(starts, top):
  hill = ground()._replace(height=np.array([[0.5, 2.5], [np.nan, 8.5]]))
  ways = [at(start, np.inf) for start in starts]
  assert relief.lid(hill, ways) == top


def test_light_falls_on_a_surface_with_a_hole():
  figure = relief.surface(oblong(), [path()], 'words')
  faces = figure.axes[0].collections[0]._facecolor3d
  assert faces.min() > 0.1
  assert np.ptp(faces[:, 0]) > 0.3


@pytest.mark.parametrize(('nx', 'ny'), [(101, 3), (3, 101)])
def test_a_fine_ground_has_no_more_faces_than_can_be_seen(nx, ny):
  x, y = np.arange(nx), np.arange(ny)
  fine = terrain.Ground('', ('x', 'y'), (x, y), np.add.outer(y, x), {})
  figure = relief.surface(fine, [at(1)], 'words')
  faces = figure.axes[0].collections[0]._faces
  assert len(faces) == 2 * 50  # of 100, every other one


def test_what_is_outside_is_a_gap_and_what_is_high_is_held():
  x, y = np.array([0.0, 1, 2]), np.array([0.0, 1, 4])
  plain = terrain.Ground('', ('x', 'y'), (x, y), np.zeros((3, 3)), {})
  points = [[0, 0], [2, 4], [2.1, 1], [1, -0.1], [1, 1]]
  way = at(1, 2, 3, 4, 5)._replace(points=np.array(points))
  found, heights = relief.held(plain, way, 3.5)
  gap = [np.nan, np.nan]
  np.testing.assert_array_equal(found, [[0, 0], [2, 4], gap, gap, [1, 1]])
  np.testing.assert_array_equal(heights, [1, 2, 3, 3.5, 3.5])


@pytest.mark.parametrize(
  ('x', 'heights', 'kept'),
  [
    ([0.5, -3, 4, 1], [1, 1, 1, 1], [0.5, -3, 4, 1]),
    ([0.5, 4.1, 1], [1, 1, 1], [0.5, 4]),  # pulled back, and the last
    ([0.5, -3.1, 1], [1, 1, 1], [0.5, -3]),
    ([9, 8, 1], [1, 1, 1], [4, 4]),  # a start is always kept
    ([0.5, 1, 2], [1, np.inf, 1], [0.5]),
    ([0.5, np.nan, 2], [1, 1, 1], [0.5]),
    ([0.5, 1, 2], [np.inf, np.inf, 1], [0.5]),
    ([0.5, 1, 2], [1, 1, np.nan], [0.5, 1]),
    ([0.5, 1, 2], [np.inf, 1, 1], [0.5, 1, 2]),
  ],
)
def test_a_path_ends_where_it_is_far_away(x, heights, kept):
  line = ground(1)._replace(axes=(np.array([0.0, 0.4, 1.0]),))
  points = np.array(x, float)[:, None]
  way = at(*heights)._replace(points=points, slopes=2 * points)
  found, heights, slopes = terrain.inside(line, way)
  assert found[:, 0].tolist() == kept
  assert len(heights) == len(slopes) == len(kept)


@pytest.mark.parametrize(
  ('axes', 'height'),
  [([1, 1], 6.8), ([1, 0.1], 3.6), ([1, 9], 7.2), ([7, 5], 5.2)],
)
def test_a_picture_is_as_high_as_its_ground(axes, height):
  sides = tuple(np.array([1, 1 + side]) for side in axes)
  size = terrain.size_of(ground()._replace(axes=sides))
  assert size == pytest.approx((6.6, height))


def test_arrows_stand_apart_where_there_is_a_slope(axes):
  sides = np.array([0.0, 40]), np.array([0.0, 10])
  wide = ground()._replace(axes=sides)  # an arrow is 3 long
  x = np.arange(0, 60, 1.5)
  lengths = np.full(len(x), 10.0)
  lengths[[4, 6, 12]] = 1.0, 1.05, np.inf
  way = at(*np.ones(len(x)))._replace(
    points=np.stack([x, 0 * x + 5], 1), slopes=np.stack([0 * x, lengths], 1)
  )

  def drawn():
    found = [text.xyann[0] for text in axes.texts]
    assert [text.xy for text in axes.texts] == [(at, 2) for at in found]
    return found

  terrain.draw_paths(axes, wide, [way])
  assert drawn() == [0, 7.5, 13.5, 19.5, 25.5, 31.5]
  for text in [*axes.texts]:
    text.remove()
  few = way._replace(
    points=way.points[:7], heights=way.heights[:7], slopes=way.slopes[3:10]
  )
  terrain.draw_paths(axes, wide, [few])
  assert drawn() == [0]  # 6 is 3 from the end


@pytest.mark.parametrize('count', [20, 21])
def test_so_many_classes_have_room_for_numbers(count):
  matrix = np.eye(count, dtype=int)
  figure = answers.confusion(matrix, np.zeros((0, 2, 2)), [], 't', 'words')
  panel = figure.axes[0]
  roomy = count == 20
  assert [text.get_text() for text in panel.texts] == (
    [str(k) if k else '' for k in matrix.flat] if roomy else []
  )
  assert list(panel.get_xticks()) == (list(range(count)) if roomy else [])
  assert list(panel.get_yticks()) == list(panel.get_xticks())


@pytest.mark.parametrize(
  ('classes', 'colours', 'names'),
  [(10, 'tab10', 10), (11, 'tab20', 11), (20, 'tab20', 20), (21, 'tab20', 0)],
)
def test_a_cloud_of_so_many_classes(classes, colours, names):
  labels = np.arange(classes) + 4
  points = np.stack([labels, labels**2], 1)
  figure = answers.cloud(points, labels, ('a', 'b'), 'title', 'words')
  (panel,) = figure.axes
  assert [text.get_text() for text in panel.texts] == [
    str(label) for label in labels[:names]
  ]
  tints = pyplot.get_cmap(colours)
  (dots,) = panel.collections
  placed = zip(dots.get_offsets(), dots.get_facecolors(), strict=True)
  found = {int(x): tuple(tint[:3]) for (x, _), tint in placed}
  assert found == {k: tints(k % tints.N)[:3] for k in labels.tolist()}


@pytest.mark.parametrize(('count', 'size'), [(2000, 12), (6000, 5)])
def test_more_dots_are_smaller_dots(count, size):
  nothing = np.zeros((count, 2))
  figure = answers.cloud(nothing, nothing[:, 0], ('a', 'b'), 't', 'words')
  assert figure.axes[0].collections[0].get_sizes() == [size]


@pytest.mark.parametrize('count', [4, 5, 12, 13])
def test_many_paths_are_thin_and_have_no_arrows(axes, count):
  ways = [path(eta=0.02 + 0.01 * k) for k in range(count)]
  terrain.draw_paths(axes, ground(), ways)
  thin = count > 12
  lines = [line for line in axes.lines if len(line.get_xdata()) == 21]
  assert {line.get_linewidth() for line in lines} == {0.7 if thin else 1.3}
  assert {line.get_alpha() for line in lines} == {0.6 if thin else 1}
  assert all(bool(line.get_path_effects()) != thin for line in lines)
  starts = [line for line in axes.lines if line.get_marker() == 'o']
  assert {line.get_markersize() for line in starts} == {3 if thin else 6}
  dotted = [line for line in axes.lines if line.get_marker() == '.']
  assert [len(line.get_xdata()) for line in dotted] == [16] * count * (not thin)
  assert bool(axes.texts) == (count == 4)


def test_a_path_of_one_point_has_no_arrow(axes):
  terrain.draw_paths(axes, oblong(), [path(steps=0)])
  assert not axes.texts


@pytest.mark.parametrize('count', [6, 7])
def test_starts_are_named_while_there_is_room(axes, count):
  names = [*'abcdefg'[: count - 1], 'z 1']
  ways = [path()._replace(name=name) for name in [*names, 'a', '7', '', '-b']]
  terrain.name_starts(axes, ways)
  found = [text.get_text() for text in axes.texts]
  assert found == (names if count == 6 else [])


@pytest.mark.parametrize(
  ('heights', 'power'),
  [
    ([2, 4, 6], 1),
    ([2, 5.9, 6], 1),
    ([2, 3, 6], 2),
    ([2, 2.5, 6], 3),
    ([2, 2 + 1e-9, 6], 5),
    ([2, np.nan, 3, 6], 2),
  ],
)
def test_contours_are_denser_in_a_deep_valley(heights, power):
  wanted = 2 + 4 * np.linspace(0, 1, 22) ** power
  found = terrain.levels_of(np.array(heights))
  np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_a_plain_lies_between_two_contours():
  assert terrain.levels_of(np.array([3.0, 3.0])).tolist() == [2, 4]
  assert landscapes.levels_of(np.array([3.0, 3.0])).tolist() == [2, 4]


def test_contours_of_positive_costs_stand_in_equal_ratios():
  costs = np.array([np.nan, *np.linspace(2, 22, 21), np.inf])
  found = landscapes.levels_of(costs)
  np.testing.assert_allclose(found, np.geomspace(2, 21, 18), rtol=1e-12)
  others = costs - 2
  np.testing.assert_array_equal(
    landscapes.levels_of(others[1:-1]), terrain.levels_of(others[1:-1])
  )


def test_ten_paths_on_a_plane_are_told_apart():
  t = np.linspace(0, 1, 3)
  section = landscapes.Section(t, t, np.add.outer(t, t) + 1, ('x', 'y'))
  cost = np.array([0, np.inf, 2.0])
  points = np.stack([t, t], 1)
  ways = [
    landscapes.Path('sgd', f'{k}', points, cost, cost + 3) for k in range(10)
  ]
  figure = landscapes.plane(section, ways, 'title', 'words')
  left, right, _ = figure.axes
  named = [line for line in left.lines if not line.get_label().startswith('_')]
  assert [line.get_linestyle() for line in named] == ['-'] * 9 + ['--']
  assert right.get_xlim() == pytest.approx((0.9 * 2, 1.1 * 5))


@pytest.mark.parametrize(
  ('heights', 'ends'), [([3, 1, 2], (0.8, 3.2)), ([5, 5, 5], (4, 6))]
)
def test_a_curve_has_room_above_and_below(axes, heights, ends):
  line = ground(1)._replace(
    axes=(np.array([0.0, 1, 2]),), height=np.array(heights, float), minima={}
  )
  curves.draw_curve(axes, line)
  assert axes.get_ylim() == pytest.approx(ends)


@pytest.mark.parametrize('steps', [0, 1, 4, 5, 6])
def test_a_tangent_a_step_and_no_more_than_five(steps):
  way = path(steps=steps, start=(1.5,))
  figure = curves.curve(ground(1), [way], 'words')
  lines = [line for line in figure.axes[0].lines if line.get_linewidth() == 1.5]
  assert len(lines) == min(steps, 5)


def test_a_mistake_is_a_share_of_its_row(axes):
  answers.draw_matrix(axes, np.array([[0, 1, 0], [1, 2, 1], [0, 0, 0]]))
  (shown,) = axes.images
  assert shown.get_array().tolist() == [[0, 1, 0], [0.25, 0, 0.25], [0, 0, 0]]
  assert shown.get_clim() == (0, 2)


@pytest.mark.parametrize('count', [12, 13])
def test_many_costs_are_faint(count):
  figure = traces.costs('t', [path() for _ in range(count)], None, 'words')
  looks = {
    (line.get_alpha(), line.get_linewidth()) for line in figure.axes[0].lines
  }
  assert looks == {(1.0, 1.4) if count == 12 else (0.35, 0.7)}


@pytest.mark.parametrize(
  ('heights', 'low', 'high'),
  [
    ((1, 15), 10, 17),
    ((1, 25), 9.99, 10.01),  # no more than tenfold is shown
    ((0.01, 0.25), 0.0999, 0.1001),
    ((0, 3), 0.01, 0.1),  # of what begins at nought nothing is cut
    ((30, np.inf), 30, 33),
  ],
)
def test_costs_that_grow_are_cut(heights, low, high):
  figure = traces.costs('t', [at(*heights)], None, 'words')
  assert low < figure.axes[0].get_ylim()[1] < high


@pytest.mark.parametrize(
  ('y', 'logarithmic', 'shown'),
  [
    ([2, 200, 3], False, [2, 200, 3]),
    ([2, 201, 3], False, [2, 201, np.nan]),
    ([2, 1e9, 3], False, [2, 2e6, np.nan]),
    ([2, np.inf, 3], False, [2, np.nan, np.nan]),
    ([2, 0, 1e-10], True, [2, 2e-9, 2e-9]),
    ([2, 0, 1e-10], False, [2, 0, 1e-10]),
  ],
)
def test_a_line_ends_where_it_has_grown_a_hundredfold(y, logarithmic, shown):
  found = traces.clipped(np.array(y, float), logarithmic, 2.0)
  np.testing.assert_allclose(found, shown)


def test_a_cost_of_nought_has_a_height_on_a_logarithmic_axis():
  assert traces.clipped(np.zeros(1), True, 0.0).tolist() == [1e-12 * 10.0**-9]


@pytest.mark.parametrize(('floor', 'least'), [(0.0, 1e-9), (None, 0)])
def test_only_logarithmic_costs_have_a_least_height(floor, least):
  figure = traces.costs('t', [at(1, 0)], floor, 'words')
  assert figure.axes[0].lines[0].get_ydata() == pytest.approx([1, least])


def test_only_what_was_found_is_in_the_legend_of_basins():
  one = basins()._replace(kind=np.zeros((4, 4), int))
  figure = traces.basins(ground(), one, 'words')
  (legend,) = figure.legends
  assert [text.get_text() for text in legend.get_texts()] == ['here, 100.0 %']
  kind = np.arange(-1, 3)[None]
  four = traces.Basins((-2, 2, -2, 2), kind, ('a', 'b', 'c'))
  (legend,) = traces.basins(ground(), four, 'words').legends
  assert [text.get_text() for text in legend.get_texts()] == [
    f'{name}, 25.0 %' for name in ('a', 'b', 'c', 'none yet')
  ]
  assert legend._ncols == 2


@pytest.mark.parametrize(
  ('values', 'limits', 'ends'),
  [
    ([2, 3], [1.7, 9], (0.6, 1.6 * 3)),  # one is always there
    ([0.5, 3], [4, 9], (0.3, 1.6 * 4)),
    ([-1, 0, 0.5, 3], [1, 9], (0.3, 1.6 * 3)),
    ([1e-9, 4], [1, 1], (0.6 * 4e-6, 1.6 * 4)),
  ],
)
def test_the_view_of_sharpness(values, limits, ends):
  steps = np.arange(len(values))
  values = np.array(values, float)
  found = [
    polls.Sharp('sgd', f'{k}', steps, values, 0 * values, 1 + steps, limit)
    for k, limit in enumerate(limits)
  ]
  figure = polls.sharpness(found, 'title', 'words')
  assert figure.axes[0].get_ylim() == pytest.approx(ends)


@pytest.mark.parametrize(
  ('values', 'dtick', 'form'),
  [
    ([1, None, 0, -3, 158], 'D2', 'none'),
    ([1, 159], 1, 'none'),
    ([1e-3, 9.9e4], 1, 'none'),
    ([1e-3, 1e5], 1, 'power'),
    ([None, 0], 'D2', 'none'),
  ],
)
def test_ticks_of_a_logarithmic_axis(values, dtick, form):
  found = charts.log_axis('title', values)
  assert (found['dtick'], found['exponentformat']) == (dtick, form)


@pytest.mark.parametrize('count', [8, 9])
def test_long_names_are_cut_as_there_is_room(count):
  names = [f'{"sgd":x<40}{k}' for k in range(count)]
  study = finished(
    {name: spread(0.1 + k / 50, 2) for k, name in enumerate(names)}
  ).study
  ranking = study['ranking']
  page = standings.verdicts(study)['layout']
  (axes,) = contest.verdicts(study).axes
  on_paper = [text.get_text() for text in axes.get_yticklabels()]
  numbers = [str(k) for k in range(1, count + 1)]
  if count == 8:
    cut = [readings.label(name, 18) for name in ranking]
    assert page['yaxis']['ticktext'] == page['xaxis']['ticktext'] == cut
    assert on_paper == [readings.label(name, 16) for name in ranking]
  else:
    cut = [readings.label(name, 30) for name in ranking]
    named = list(zip(cut, numbers, strict=True))
    assert page['yaxis']['ticktext'] == [f'{n}  {k}' for n, k in named]
    assert page['xaxis']['ticktext'] == numbers
    assert on_paper == [f'{n}  {k}' for n, k in named]
  regions = trials.sensitivity(study)['layout']['yaxis4']['ticktext']
  assert regions == [readings.label(name, 16) for name in ranking]


@pytest.mark.parametrize('count', [2, 23, 24, 25])
def test_a_row_of_many_verdicts_is_low_but_not_too_low(count):
  names = [f'{k}' for k in range(count)]
  figure = standings.verdicts({'ranking': names, 'matrix': {}})
  each = {2: 50, 23: 29}.get(count, 28)
  assert figure['layout']['height'] == 38 + each * count


def test_a_row_of_batch_sizes_has_a_short_name():
  name = f'{"sgd":x<40}'
  made = finished({name: spread(0.1, 2)}, batch_sizes=(10, 100))
  figure = pace.batches(*made)
  assert figure is not None
  said = figure['layout']['yaxis']['title']['text']
  assert said == readings.label(name, 18)
  (panel, *_) = progressions.batches(*made).axes
  assert panel.get_ylabel() == said


def with_scores(mean, low, high):
  """The plain study with these scores at every rate of every entry."""
  study = copy.deepcopy(PLAIN.study)
  for entry in study['entries'].values():
    for score in entry['sensitivity'] + entry['sensitivity_accuracy']:
      score |= {'mean': mean, 'lowest': low, 'highest': high}
  return study


@pytest.mark.parametrize(
  ('low', 'high', 'kind'), [(0.2, 0.4, 'linear'), (0.2, 0.9, 'log')]
)
def test_rates_are_drawn_on_the_axis_that_their_seeds_ask_for(low, high, kind):
  study = with_scores(0.3, low, high)
  panels = progressions.sensitivity(study).axes
  assert [panel.get_yscale() for panel in panels] == [kind] + ['linear'] * 3
  assert {panel.get_xscale() for panel in panels} == {'log'}
  axis = trials.sensitivity(study)['layout']['yaxis']
  assert axis.get('type', 'linear') == kind


def test_a_rate_without_a_mean_is_not_ringed():
  study = with_scores(None, 0.2, 0.4)
  rings = [
    trace
    for trace in trials.sensitivity(study)['data']
    if trace['marker'].get('symbol') == 'circle-open'
  ]
  assert [trace['x'] for trace in rings if trace['xaxis'] == 'x'] == [[]] * 3
  left = progressions.sensitivity(study).axes[0]
  assert not [line for line in left.lines if line.get_markersize() == 9]


@pytest.mark.parametrize(
  ('count', 'ticks'), [(1, [1]), (16, range(1, 17)), (17, range(1, 18, 2))]
)
def test_rates_tried_fill_their_axis(count, ticks):
  study = copy.deepcopy(PLAIN.study)
  for entry in study['entries'].values():
    entry['best_of_k'] = [0.3] * count
  (panel,) = contest.best_of_k(study).axes
  assert panel.get_xlim() == (0.7, count + 0.3)
  assert list(panel.get_xticks()) == list(ticks)


@pytest.mark.parametrize('count', [39, 40])
def test_many_epochs_have_no_marks(count):
  rows = [
    {'epoch': k, 'train_cost': 1.0, 'test_cost': 1.0, 'test_accuracy': 0.5}
    for k in range(count)
  ]
  figure = plots.learning_curves(rows, 'title')
  marks = {line.get_marker() for panel in figure.axes for line in panel.lines}
  assert marks == {'o' if count == 39 else 'None'}


@pytest.mark.parametrize(
  ('count', 'most', 'kept'),
  [
    (0, 8, []),
    (8, 8, [0, 1, 2, 3, 4, 5, 6, 7]),
    (9, 8, [0, 2, 4, 6, 8]),
    (16, 8, [0, 2, 4, 6, 8, 10, 12, 14]),
    (17, 8, [0, 3, 6, 9, 12, 15]),
    (5, 2, [0, 3]),
  ],
)
def test_ticks_are_thinned_evenly(count, most, kept):
  assert readings.thinned(range(count), most) == kept


@pytest.mark.parametrize(
  ('most', 'ticks'),
  [
    (4, None),  # as far apart as a linear axis tells
    (5, [1, 2, 5]),
    (100, [1, 2, 5, 10, 20, 50, 100]),
    (101, [1, 10, 100]),
    (1e5, [1, 10, 100, 1e3, 1e4, 1e5]),
    (1.01e5, [1, 100, 1e4]),
  ],
)
def test_ticks_of_a_paper_stand_apart(axes, most, ticks):
  axes.set_ylim(1, most)
  paper.scale(axes, 'y', [None, 1, most])
  assert axes.get_xscale() == 'linear'
  assert axes.get_yscale() == ('linear' if ticks is None else 'log')
  if ticks:
    within = [tick for tick in axes.get_yticks() if 1 <= tick <= most]
    assert within == pytest.approx(ticks)
    assert not len(axes.get_yticks(minor=True))


@pytest.mark.parametrize('count', [12, 13])
def test_bands_are_drawn_while_they_hide_little(count):
  made = finished({f'sgd+mu=0.{k}': [0.1, 0.2] for k in range(10, 10 + count)})
  filled = [trace for trace in pace.curves(*made)['data'] if trace.get('fill')]
  bands = progressions.curves(*made).axes[0].collections
  assert len(filled) == 2 * len(bands) == (24 if count == 12 else 0)


def test_nobody_left_has_no_band():
  study, rows = EVERY['all diverged']
  (entry, *_) = readings.entries(study)
  points = readings.curve(rows, entry.name, 'validation_cost')[1:]
  for band in (True, False):
    found = pace.curve(entry, points, 1, against='step', title='', band=band)
    assert [trace['mode'] for trace in found] == ['lines+markers']
