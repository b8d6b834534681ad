"""Pictures of the textbook: what is on them, and that nothing explodes."""

import io
import itertools
import re

import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image

from gd_jax.pictures import curves
from gd_jax.pictures import page
from gd_jax.pictures import plots
from gd_jax.pictures import relief
from gd_jax.pictures import terrain
from gd_jax.pictures import traces
from tests.pictures.samples import X
from tests.pictures.samples import basins
from tests.pictures.samples import ground
from tests.pictures.samples import path
from tests.pictures.samples import swept


@pytest.fixture(autouse=True)
def _no_figure_stays():
  yield
  pyplot.close('all')


def drawn(figure):
  """Draws, and the picture as pixels: Matplotlib warns of what overlaps."""
  with Image.open(io.BytesIO(plots.png(figure))) as image:
    return np.asarray(image.convert('RGB')).astype(int)


def has(pixels, colour):
  rgb = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
  return (np.abs(pixels - rgb).sum(axis=-1) < 12).sum() > 20


WAYS = {
  'fine': path(),
  'diverging': path(eta=0.7, steps=400),
  'infinite': path(eta=50.0, steps=400),
  'outside': path(start=(90.0, 40.0)),
}


@pytest.mark.parametrize('way', WAYS)
def test_contours_show_the_domain_whatever_descent_does(way):
  figure = terrain.contours(ground(), [WAYS[way]], 'what happened')
  (axes,) = figure.axes
  np.testing.assert_allclose(axes.get_xlim(), (-2, 2))
  np.testing.assert_allclose(axes.get_ylim(), (-2, 2))
  assert figure.get_supxlabel() == 'what happened'
  assert (axes.get_xlabel(), axes.get_ylabel()) == ('x', 'y')
  if way != 'outside':
    assert has(drawn(figure), plots.COLOURS['sgd'])


@pytest.mark.parametrize('way', ['diverging', 'infinite'])
def test_other_pictures_stay_readable_too(way):
  curved = path(
    eta=1.2 if way == 'diverging' else 50.0, steps=300, start=(1.5,)
  )
  figure = curves.curve(ground(1), [curved], 'words')
  low, high = figure.axes[0].get_ylim()
  assert -1 < low < high < 6
  drawn(figure)
  figure = traces.costs('x', [path(), WAYS[way]], 0.0, 'words')
  low, high = figure.axes[0].get_ylim()
  assert high < 1000 * path().heights[0]
  assert low > 1e-12
  drawn(figure)
  figure = traces.costs('x', [path(), WAYS[way]], None, 'words')
  assert figure.axes[0].get_ylim()[1] < 100
  figure = relief.surface(ground(), [WAYS[way]], 'words')
  assert figure.axes[0].get_zlim()[1] < 20
  drawn(figure)


def test_a_surface_with_holes_is_drawn():
  holed = ground()._replace(height=ground().height.copy())
  holed.height[:, :5] = np.nan
  holed.height[0] = np.inf
  drawn(terrain.contours(holed, [path()], 'words'))
  drawn(relief.surface(holed, [path()], 'words'))
  line = ground(1)._replace(height=np.where(X < 0, np.nan, X))
  drawn(curves.curve(line, [path(start=(1.5,))], 'words'))


def test_T01_tangents_are_the_linear_model():
  figure = curves.curve(ground(1), [path(start=(1.5,))], 'words')
  segments = [
    line.get_xydata()
    for line in figure.axes[0].lines
    if len(line.get_xydata()) == 2 and line.get_linestyle() == '-'
  ]
  # From 1.5 with eta 0.1: down the slope 3 for a step of 0.3.
  np.testing.assert_allclose(segments[0], [[1.5, 2.25], [1.2, 1.35]])
  assert len(segments) == 5


def test_T08_arrows_stand_at_right_angles_to_the_contours():
  figure = terrain.contours(ground(), [path(eta=0.02, steps=60)], 'words')
  axes = figure.axes[0]
  assert axes.get_aspect() == 1
  arrows = [text for text in axes.texts if not text.get_text()]
  assert 3 <= len(arrows) <= 6
  for arrow in arrows:
    tail, head = np.array(arrow.xyann), np.array(arrow.xy)
    # annotate points from its text to its xy.
    at, to = (tail, head) if arrow.arrow_patch is not None else (head, tail)
    gradient = np.array([2, 4]) * at
    tangent = np.array([-gradient[1], gradient[0]])
    move = to - at
    cosine = move @ tangent / np.linalg.norm(move) / np.linalg.norm(tangent)
    assert abs(cosine) < 1e-9
    assert move @ gradient < 0


def test_the_same_optimizer_has_the_same_colour_everywhere():
  both = [path(), path(entry='adam@0.05', start=(-1.5, 0.5))]
  for figure in (
    terrain.contours(ground(), both, 'words'),
    traces.costs('x', both, 0.0, 'words'),
    relief.surface(ground(), both, 'words'),
  ):
    pixels = drawn(figure)
    assert has(pixels, plots.COLOURS['sgd'])
    assert has(pixels, plots.COLOURS['adam'])
    assert not has(pixels, plots.COLOURS['momentum'])


def test_basins_say_their_shares():
  figure = traces.basins(ground(), basins(), 'words')
  labels = [t.get_text() for t in figure.legends[0].get_texts()]
  assert labels == ['here, 65.6 %', 'there, 21.9 %', 'none yet, 12.5 %']
  drawn(figure)


def test_T02_goldilocks_marks_the_limit():
  rates = swept()
  figure = curves.goldilocks(
    ground(), [path(), path(0.3), path(0.7)], rates, 'words'
  )
  assert len(figure.axes) == 4
  reached = figure.axes[3].lines[0].get_ydata()
  np.testing.assert_allclose(reached, [*rates.rates[:8], 300])
  marks = [line.get_xdata() for line in figure.axes[3].lines]
  assert any(list(x) == [0.5, 0.5] for x in marks)
  low, high = figure.axes[3].get_ylim()
  assert 0 < low < high < 1e4
  (name,) = figure.axes[3].texts
  assert '0.5' in name.get_text()
  assert name.xy == pytest.approx((0.5, 9e-9))  # over the bottom, of 1e-9
  assert low == pytest.approx(3e-9)
  drawn(figure)


def test_T14_the_ranking_stands_in_its_order():
  rows = [('all ones', [1.0] * 10, 4.5), ('nothing', [0.0] * 10, 0.5)]
  figure = traces.ranking(rows, 4, 'words')
  texts = [axes.texts[0].get_text() for axes in figure.axes]
  assert texts == ['all ones\ncost 4.5', 'nothing\ncost 0.5']
  assert has(drawn(figure), plots.PALETTE[1])


def test_long_words_are_wrapped_and_formulas_are_not_read():
  words = 'from $x^2$ ' * 40
  figure = terrain.contours(ground()._replace(title='f = $^$'), [path()], words)
  lines = figure.get_supxlabel().splitlines()
  assert len(lines) > 3
  assert max(map(len, lines)) < 120
  assert ''.join(lines).replace(' ', '') == words.replace(' ', '')
  drawn(figure)


@pytest.mark.parametrize('dimensions', [1, 2])
def test_the_animation_moves(dimensions):
  way = path(start=(1.5, 1.0)[:dimensions])
  data = relief.animation(ground(dimensions), [way], frames=6)
  with Image.open(io.BytesIO(data)) as image:
    assert image.format == 'GIF'
    assert image.n_frames == 6  # pyright: ignore
    frames, pauses = [], []
    for k in range(6):
      image.seek(k)
      frames.append(np.asarray(image.convert('RGB')).astype(int))
      pauses.append(image.info['duration'])  # milliseconds
      assert image.info['loop'] == 0  # for ever
  assert pauses == [120] * 5 + [1500]
  for one, two in itertools.pairwise(frames):
    assert np.abs(one - two).sum() > 0


def test_moments_are_the_ends_and_steps_between():
  assert relief.moments(3, 40) == [0, 1, 2, 3]
  assert relief.moments(39, 40) == list(range(40))
  assert relief.moments(4, 4) == [0, 1, 3, 4]
  assert relief.moments(100, 5) == [0, 11, 33, 63, 100]
  many = relief.moments(2000, 30)
  assert many[0] == 0
  assert many[-1] == 2000
  assert len(many) == 30
  assert many[1] - many[0] < many[-1] - many[-2]


def test_the_interactive_page_loads_nothing_and_escapes():
  evil = ground()._replace(title='</script><script>alert(1)</script>')
  text = relief.interactive(evil, [path(entry='<b>')], 'went\nwell')
  assert '</script><script>alert' not in text
  head = text.split('<body>')[0]
  assert 'src=' not in head
  # What plotly.js itself mentions are no requests; tags would be.
  assert not re.search(r'<(script|link|img|iframe)[^>]+(src|href)=', text)
  assert 'surface' in text


def card(**changes):
  made = page.Card(
    row='T01',
    claim='a < b',
    equation='x² ≤ 1',
    expected='1',
    found='2',
    mark=page.HOLDS,
    command='python -m x --start=-0.9',
    pictures=[],
  )
  return made._replace(**changes)


def test_a_card_shows_what_it_has_and_no_more():
  picture = page.Picture(b'GIF89a', 'seen')
  (full,) = re.findall(
    '<article.*?</article>', whole([card(pictures=[picture])])
  )
  for part in (
    '<article id="T01">',
    '<span class="mark holds">',
    '<h3>T01. a &lt; b</h3>',
    '<p class="equation">x² ≤ 1</p>',
    '<dl><dt>expected</dt><dd>1</dd><dt>found</dt><dd>2</dd></dl>',
    '<div class="pictures"><figure><img alt="seen" src="data:image/gif;base64,',
    '<pre>python -m x --start=-0.9</pre>',
  ):
    assert part in full
  bare = card(equation='', expected='', command='')
  (less,) = re.findall('<article.*?</article>', whole([bare]))
  assert '<dl><dt>found</dt><dd>2</dd></dl></article>' in less
  assert 'equation' not in less


def whole(cards, exercises=(), loose=()):
  return page.textbook(
    title='T & T',
    intro='hello',
    chapters=[page.Chapter('One', 'text', cards)],
    exercises=exercises,
    loose=loose,
  )


def test_the_page_escapes_embeds_and_asks_for_nothing():
  figure = terrain.contours(ground(), [path()], 'words')
  png = plots.png(figure)
  evil = '"><script>alert(1)</script>'
  text = whole(
    [
      card(claim=evil, found=evil, pictures=[page.Picture(png, evil)]),
      card(row='T02', mark=page.FAILS),
      card(row='T03', mark=page.NOT_HERE, found=''),
    ],
    [page.Exercise(evil, 'why?', 'because\n\nso')],
    [evil],
  )
  assert '<script' not in text
  assert text.count('&lt;script&gt;') == 5
  sources = re.findall(r'(?:src|href)="([^"]*)"', text)
  assert sources
  for source in sources:
    assert source.startswith(('data:', '#'))
  assert "default-src 'none'" in text
  assert 'prefers-color-scheme: dark' in text
  assert '1 claims hold here, 1 fail, 1 proven elsewhere.' in text
  assert text.count('<details>') == 1
  assert '<p>because</p><p>so</p>' in text
  assert '<dt>found</dt>' in text.split('id="T02"')[1].split('</article>')[0]
  assert '<dt>found</dt>' not in text.split('id="T03"')[1]
