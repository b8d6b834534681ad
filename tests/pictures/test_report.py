"""The report of a tournament: what stands in it, and what a browser sees."""

import html as escaping
import itertools
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from gd_jax.judge import records
from gd_jax.judge import scores
from gd_jax.pictures import charts
from gd_jax.pictures import contest
from gd_jax.pictures import pace
from gd_jax.pictures import plots
from gd_jax.pictures import races
from gd_jax.pictures import readings
from gd_jax.pictures import report
from gd_jax.pictures import sheet
from gd_jax.pictures import standings
from gd_jax.pictures import trials
from tests.pictures import chromium
from tests.pictures.contests import EVERY
from tests.pictures.contests import finished
from tests.pictures.contests import spread

PLAIN, CROSSED = EVERY['plain'], EVERY['crossed']
ODD = {name: EVERY[name] for name in list(EVERY)[2:]}


class Reader(HTMLParser):
  """The elements of a page with their texts, and its links."""

  def __init__(self, text: str):
    super().__init__()
    self.open, self.texts, self.links = [], [], []
    self.feed(text)

  def handle_starttag(self, tag, attrs):
    self.open.append(tag)
    self.texts.append((tag, []))
    self.links += [v for k, v in attrs if k in ('href', 'src', 'srcset')]
    assert not [k for k, _ in attrs if k.startswith('on')]

  def handle_data(self, data):
    if self.texts:
      self.texts[-1][1].append(data)

  def all(self, tag):
    return [''.join(text) for name, text in self.texts if name == tag]


def figures_of(page: str) -> dict:
  found = re.search(r'id="figures">(.*?)</script>', page, re.S)
  assert found is not None
  return json.loads(found.group(1))


def strings(value):
  if isinstance(value, dict):
    value = list(value.values())
  if isinstance(value, list):
    return list(itertools.chain.from_iterable(map(strings, value)))
  return [value] if isinstance(value, str) else []


@pytest.mark.parametrize('name', EVERY)
def test_the_sentence_comes_first(name):
  page = report.html(*EVERY[name])
  start = page.index('<main>') + len('<main>')
  first = re.match(r'\s*<h1>(.*?)</h1>', page[start:], re.S)
  assert first is not None
  plain = escaping.unescape(re.sub('</?strong>', '', first.group(1)))
  assert plain == EVERY[name].study['sentence']


@pytest.mark.parametrize('name', ['hostile', 'crossed', 'all diverged'])
def test_nothing_in_a_name_is_markup(name):
  page = report.html(*EVERY[name])
  reader = Reader(page)
  # The figures, plotly.js and what draws.
  assert reader.open.count('script') == 3
  assert all(link == 'data:,' or link.startswith('#') for link in reader.links)
  cells = ''.join(' '.join(text) for _, text in reader.texts)
  for entry in EVERY[name].study['ranking']:
    assert entry in cells
  # All that plotly.js could read as markup is what we wrote.
  for text in strings(figures_of(page)):
    left = re.sub(r'<br>|</?b>|<span style="font-size:11px">|</span>', '', text)
    assert '<' not in left or text in EVERY[name].study['ranking']
    if '%{' in text and text != '%{text}':
      assert name == 'hostile'


def test_templates_take_no_names():
  for figure in figures_of(report.html(*ODD['hostile'])).values():
    for trace in figure['data']:
      assert trace['hoverinfo'] in ('text', 'skip')
      assert 'hovertemplate' not in trace
      assert trace.get('texttemplate', '%{text}') == '%{text}'


@pytest.mark.parametrize('name', EVERY)
def test_every_figure_is_what_plotly_takes(name):
  from plotly import graph_objects

  found = figures_of(report.html(*EVERY[name]))
  pictures = {'seeds', 'curves', 'rates', 'trials'}
  pictures |= {'verdicts'} if name != 'alone' else set()
  pictures |= {'target'} if name in ('crossed', 'target') else set()
  pictures |= {'batches'} if name == 'crossed' else set()
  assert set(found) == {f'figure-{picture}' for picture in pictures}
  for figure in found.values():
    graph_objects.Figure(figure)  # raises for what its schema does not know


def test_the_page_carries_its_own_library_once():
  page = report.html(*PLAIN)
  from plotly import offline

  library = offline.get_plotlyjs()
  assert page.count(library) == 1
  assert '</script' not in library
  ours = page.replace(library, '')
  assert 'http:' not in ours
  assert 'https:' not in ours
  assert "default-src 'none'" in ours


def test_json_cannot_leave_its_element():
  value = {'<': '</script><!--', '&': '\u2028 &lt;'}
  dumped = sheet.embedded(value)
  assert not set('<>&') & set(dumped)
  assert json.loads(dumped) == value
  with pytest.raises(ValueError):
    sheet.embedded([float('nan')])


def test_the_matrix_says_each_pair_from_both_sides():
  study = PLAIN.study
  (trace,) = standings.verdicts(study)['data']
  names = study['ranking']
  words = list(standings.CELLS)
  for i, j in itertools.product(range(len(names)), repeat=2):
    if i == j:
      assert trace['z'][i][j] is None
      continue
    word = study['matrix'][names[i]][names[j]]
    assert words[trace['z'][i][j]] == word
    assert word in trace['text'][i][j]
    hover = trace['hovertext'][i][j]
    assert hover.startswith(f'{names[i]} against {names[j]}: {word}')
    pair = next(
      pair
      for pair in study['pairs']
      if not pair['null'] and {pair['a'], pair['b']} == {names[i], names[j]}
    )
    sign = 1 if pair['a'] == names[i] else -1
    if pair['mean'] is None:
      assert 'a seed has no number' in hover
      continue
    ends = sorted([sign * pair['low'], sign * pair['high']])
    assert f'difference {sign * pair["mean"]:+.3g}' in hover
    assert f'interval {ends[0]:+.3g} to {ends[1]:+.3g}' in hover
    assert f'(Holm {pair["p_zero_adjusted"]:.2g})' in hover
    wins = pair['wins'] if sign == 1 else pair['losses']
    assert f'better on {wins}, ' in hover


def test_every_seed_is_a_dot_and_the_lost_are_words():
  study, rows = PLAIN
  figure = standings.strips(study, rows, ['test_cost'])
  dots = [t for t in figure['data'] if 'opacity' in t['marker']]
  for name, trace in zip(study['ranking'], dots, strict=True):
    values = study['entries'][name]['figures']['test_cost']['values']
    assert trace['x'] == [value for value in values if value is not None]
  rows_words = figure['layout']['yaxis']['ticktext']
  assert '1 of 12 failed' in rows_words[study['ranking'].index('lion')]
  # A mean only where every seed has a number, and it is study.json's.
  means = [t['x'] for t in figure['data'] if 'opacity' not in t['marker']]
  found = [
    study['entries'][name]['figures']['test_cost']['mean']
    for name in study['ranking']
  ]
  assert means == [[mean] for mean in found if mean is not None]
  assert found.count(None) == 1


def test_a_failed_seed_with_a_number_is_a_cross():
  study, rows = finished({'sgd': [0.3] * 5 + [0.7]})
  figure = standings.strips(study, rows, ['test_cost'])
  assert figure['data'][0]['marker']['symbol'] == ['circle'] * 5 + ['x']
  assert 'failed: dead outputs' in figure['data'][0]['hovertext'][5]


def test_nothing_is_drawn_where_nobody_has_a_number():
  study, rows = ODD['all diverged']
  figure = standings.strips(study, rows, ['test_cost', 'test_accuracy'])
  notes = [note['text'] for note in figure['layout']['annotations']]
  assert notes == ['no seed has a number'] * 4
  assert not any(trace['x'] for trace in figure['data'])


def test_a_curve_counts_the_diverged_as_worst():
  rows = finished({'sgd': [0.1, 0.2, 0.3, None, None]}).rows
  last = readings.curve(rows, 'sgd', 'validation_cost')[-1]
  assert (last.middle, last.numbers, last.seeds) == (0.3, 3, 5)
  assert last.high == 0.3  # the band ends at the worst number there is
  # The survivors have made all updates, whatever the diverged did.
  assert last.step == 360
  best = readings.curve(rows, 'sgd', 'validation_accuracy')[-1]
  assert best.middle == pytest.approx(70)
  most = finished({'sgd': [0.1, 0.2, None, None, None]}).rows
  assert readings.curve(most, 'sgd', 'validation_cost')[-1].middle is None


@pytest.mark.parametrize('q', [0.1, 0.5, 0.9])
@pytest.mark.parametrize('n', [1, 2, 7, 20])
def test_quantile_is_numpys(n, q):
  values = sorted(np.random.default_rng(n).normal(size=n).tolist())
  got = readings.quantile(values, q)
  assert got == pytest.approx(float(np.quantile(values, q)), rel=1e-12)


def test_a_word_has_its_colour():
  (trace,) = standings.verdicts(PLAIN.study)['data']
  scale = dict(enumerate(trace['colorscale']))
  for place, word in enumerate(standings.CELLS):
    at = (place - trace['zmin']) / (trace['zmax'] - trace['zmin'])
    (low, one), (high, other) = scale[2 * place], scale[2 * place + 1]
    assert low < at < high
    assert one == other == standings.CELLS[word]


@pytest.mark.parametrize(
  'goal', [('validation_cost', 0.12), ('validation_accuracy', 0.88)]
)
def test_arrivals_are_the_judges(goal):
  study, rows = finished({'sgd': spread(0.3), 'adam': spread(0.1)}, target=goal)
  target = records.Target(*goal)
  wanted = records.values(rows, 'updates_to_target', target=target)
  found = races.arrivals(study, rows)
  for name, strip in wanted.items():
    assert found[name].values == list(strip.values())
    middle = scores.median(list(strip.values()), higher=False)
    assert found[name].median == middle
  assert found['sgd'].hits == 0
  assert found['adam'].hits == 12


def test_a_lane_that_diverged_has_missed():
  study, rows = finished(
    {'sgd': [0.1] * 5 + [None]}, target=('validation_cost', 0.5)
  )
  found = races.arrivals(study, rows)['sgd']
  assert found.values == [120] * 5 + [None]
  assert pace.arrivals(PLAIN.study, PLAIN.rows) is None


def test_the_chosen_rate_is_ringed():
  study = PLAIN.study
  figure = trials.sensitivity(study)
  rings = [
    trace
    for trace in figure['data']
    if trace['marker'].get('symbol') == 'circle-open' and trace['xaxis'] == 'x'
  ]
  for name, ring in zip(study['ranking'], rings, strict=True):
    assert ring['x'] == [study['entries'][name]['learning_rate']]
  failed = [t for t in figure['data'] if t['yaxis'] == 'y3']
  assert [t['y'][-1] for t in failed] == [100.0] * len(study['ranking'])


def test_batch_sizes_run_at_three_paces():
  study, rows = CROSSED
  figure = pace.batches(study, rows)
  assert figure is not None
  first = [t for t in figure['data'] if t['xaxis'] in ('x', 'x2', 'x3')]
  by_size = [t for t in first if t['legendgroup'] == '100']
  assert [t['x'] for t in by_size] == [
    [1, 2, 3],
    [12, 24, 36],
    pytest.approx([0.5 / 3, 1 / 3, 0.5]),
  ]
  named = [t['name'] for t in figure['data'] if t['showlegend']]
  assert named == ['m = 10', 'm = 100', 'm = 1,200']
  assert pace.batches(*PLAIN) is None


def test_an_optimizer_keeps_its_colour_at_every_batch_size():
  entries = readings.entries(CROSSED.study)
  found = {(e.record['optimizer'], e.colour) for e in entries}
  assert found == {('sgd', '#0072B2'), ('adam', '#009E73')}
  assert sorted(e.place for e in entries) == [0, 0, 1, 1, 2, 2]


def test_of_one_optimizer_every_contestant_has_its_own_colour():
  by_size = finished({'sgd': spread(0.3)}, batch_sizes=(1, 10, 100, 1200))
  entries = readings.entries(by_size.study)
  entries.sort(key=lambda entry: entry.record['batch_size'])
  colours = [entry.colour for entry in entries]
  assert colours == plots.in_order(4)
  assert len(set(colours)) == 4
  assert {entry.place for entry in entries} == {0}

  by_cost = finished(
    {'sgd': spread(0.3)},
    costs=('quadratic', 'cross_entropy'),
    metric='test_accuracy',
  )
  entries = readings.entries(by_cost.study)
  assert len({entry.colour for entry in entries}) == 2

  crossed = finished(
    {'sgd': spread(0.3)},
    batch_sizes=(10, 100),
    costs=('quadratic', 'cross_entropy'),
    metric='test_accuracy',
  )
  entries = readings.entries(crossed.study)
  assert {entry.colour for entry in entries} == set(plots.in_order(2))
  assert sorted(entry.place for entry in entries) == [0, 0, 1, 1]


@pytest.mark.parametrize(('count', 'cell'), [(8, '+ better'), (9, '+')])
def test_more_columns_than_have_room_show_signs_alone(count, cell):
  strips = {f'sgd+mu=0.{k + 1}': spread(0.1 + k / 50) for k in range(count)}
  study = finished(strips).study
  (trace,) = standings.verdicts(study)['data']
  assert re.sub('</?b>', '', trace['text'][0][1]) == cell
  (axes,) = contest.verdicts(study).axes
  assert axes.texts[0].get_text() == cell
  first = axes.get_xticklabels()[0].get_text()
  assert first == ('1' if cell == '+' else study['ranking'][0])


def test_labels_are_one_line_and_short():
  assert readings.label('two\nlines\x00') == 'two lines '
  long = readings.label('optax:adam' + '+x=1' * 30 + ' m=100')
  assert len(long) == 30
  assert long.endswith(' m=100')
  whole = 'sgd+mu=0.9'.ljust(30, '0')
  assert readings.label(whole) == whole
  assert readings.label(whole + '1') == f'{whole[:18]}..{"0" * 9}1'
  assert charts.safe('<b>&') == '&lt;b&gt;&amp;'


COUNT = """
[...document.querySelectorAll('.picture')].map(picture => [picture.id,
  picture.querySelectorAll('.point, .js-line, .heatmaplayer image').length])
"""
INK = """
getComputedStyle(document.querySelector('.xtick text')).fill
"""


@pytest.mark.parametrize('name', ['plain', 'crossed', 'hostile'])
def test_in_a_browser(browser, tmp_path, name):
  path = tmp_path / 'report.html'
  page = report.html(*EVERY[name])
  path.write_text(page)
  browser.events.clear()
  chromium.visit(browser, path)
  figures = figures_of(page)
  assert chromium.run(browser, chromium.DRAWN) == len(figures)
  content = dict(chromium.run(browser, COUNT))
  assert set(content) == set(figures)
  assert min(content.values()) > 0, content
  assert chromium.requests(browser) == [path.as_uri()]
  assert chromium.complaints(browser) == []
  texts = chromium.run(
    browser, "document.getElementById('figure-seeds').textContent"
  )
  for entry in readings.entries(EVERY[name].study):
    assert entry.label in texts


def test_a_request_would_be_seen_and_refused(browser, tmp_path):
  path = tmp_path / 'bad.html'
  calling = '<img src="http://127.0.0.1:9/x.png"></body>'
  path.write_text(report.html(*ODD['alone']).replace('</body>', calling))
  browser.events.clear()
  chromium.visit(browser, path)
  chromium.run(browser, chromium.DRAWN)
  assert 'Content Security Policy' in str(chromium.complaints(browser))


def test_text_is_legible_in_the_dark(browser, tmp_path):
  path = tmp_path / 'report.html'
  path.write_text(report.html(*ODD['alone']))
  inks = []
  for scheme in ('light', 'dark'):
    chromium.ask(
      browser,
      'Emulation.setEmulatedMedia',
      features=[{'name': 'prefers-color-scheme', 'value': scheme}],
    )
    chromium.visit(browser, path)
    chromium.run(browser, chromium.DRAWN)
    inks.append(chromium.run(browser, INK))
  assert inks == ['rgb(28, 36, 48)', 'rgb(231, 235, 240)']
