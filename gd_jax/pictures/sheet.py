"""One HTML file that asks for nothing: style, script and figures inside.

A figure is plain data, {'data': [...], 'layout': {...}}, as plotly.js takes it.
"""

import html
import json
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

# Whatever a name may hold, the page can load nothing and send nothing.
POLICY = (
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
  'img-src data: blob:'
)

# plotly.js writes its colours into the elements, as of a light page: what is
# text, grid or black takes the page's colours instead, in the dark and printed.
STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5a6675;
  --page: #ffffff; --card: #f5f7f9; --line: #dfe4e9; --no: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7ebf0; --soft: #a3aebb; --page: #12161c; --card: #1b2129;
    --line: #323b46; --no: #ff8a80; }
}
@media print {
  :root { color-scheme: light; --ink: #000; --soft: #444; --page: #fff;
    --card: #fff; --line: #ccc; --no: #b3261e; }
  main { zoom: 0.72; }
  section, .picture, tr { break-inside: avoid; }
  section:has(.tall) { break-inside: auto; }
  nav, .modebar-container { display: none !important; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; }
main { width: 1000px; max-width: 100%; margin: 0 auto; padding: 2rem 20px; }
h1 { font-size: 1.3rem; font-weight: 400; line-height: 1.45;
  margin: 0 0 .8rem; text-wrap: pretty; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .2rem; }
p, li { max-width: 52rem; text-wrap: pretty; }
p { margin: .3rem 0 .6rem; }
.soft, .about { color: var(--soft); }
nav { font-size: .9rem; border-block: 1px solid var(--line); margin: 1rem 0;
  padding: .4rem 0; }
nav a { color: inherit; margin-right: .9rem; white-space: nowrap; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; margin: .6rem 0;
  font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .9rem .25rem 0; text-align: right;
  border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; }
th:first-child, td:first-child, .words { text-align: left; }
td { white-space: nowrap; }
td:first-child, td.words { white-space: normal; }
td:first-child { overflow-wrap: anywhere; min-width: 8rem; }
.no { color: var(--no); font-weight: 600; }
.key { display: inline-block; width: .75em; height: .75em; margin-right: .45em;
  border-radius: 50%; }
summary { cursor: pointer; color: var(--soft); }
.picture { width: 100%; margin: .4rem 0; }
.picture svg.main-svg { background: transparent !important; }
.picture svg text:not(.hoverlayer *) { fill: var(--ink) !important; }
.picture .gridlayer path, .picture .zerolinelayer path {
  stroke: var(--line) !important; }
.picture path[style*="fill: rgb(0, 0, 0)"] { fill: var(--ink) !important; }
.picture path[style*="stroke: rgb(0, 0, 0)"] { stroke: var(--ink) !important; }
"""

DRAW = """
const figures = JSON.parse(document.getElementById('figures').textContent);
const quiet = {responsive: true, displaylogo: false,
  modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d']};
addEventListener('beforeprint', () => document.querySelectorAll('details')
  .forEach(one => { one.open = true; }));
Promise.all(Object.entries(figures).map(([id, figure]) =>
  Plotly.newPlot(id, figure.data, figure.layout, quiet)
)).then(() => { document.body.dataset.drawn = Object.keys(figures).length; });
"""


class Cell(NamedTuple):
  """A cell that is more than text: HTML that is already escaped."""

  markup: str


class Section(NamedTuple):
  """A heading, what it is about, and what stands below."""

  anchor: str
  heading: str
  body: str  # HTML
  figures: Mapping[str, Mapping[str, Any]]  # id of an element -> figure


def text(value: object) -> str:
  """Any text as HTML that shows it."""
  return html.escape(str(value))


def paragraph(words: str, *, soft: bool = True) -> str:
  """A paragraph of plain text."""
  kind = ' class="about"' if soft else ''
  return f'<p{kind}>{text(words)}</p>'


def picture(anchor: str, figure: Mapping[str, Any], words: str) -> str:
  """The place of a figure; `words` tell it to those who cannot see it."""
  height = figure['layout']['height']
  tall = ' tall' if height > 900 else ''
  return (
    f'<div class="picture{tall}" id="{anchor}" role="img" '
    f'aria-label="{text(words)}" style="height:{height}px"></div>'
  )


def table(
  head: Sequence[str],
  body: Sequence[Sequence[object]],
  *,
  words: Sequence[int] = (),
) -> str:
  """A table; the first column and those in `words` are set left."""
  kinds = [' class="words"' if at in words else '' for at in range(len(head))]

  def line(kind: str, cells: Sequence[object]) -> str:
    inside = ''.join(
      f'<{kind}{left}>{_cell(cell)}</{kind}>'
      for left, cell in zip(kinds, cells, strict=True)
    )
    return f'<tr>{inside}</tr>'

  return (
    f'<div class="scroll"><table><thead>{line("th", head)}</thead><tbody>'
    + ''.join(line('td', cells) for cells in body)
    + '</tbody></table></div>'
  )


def _cell(cell: object) -> str:
  return cell.markup if isinstance(cell, Cell) else text(cell)


def details(summary: str, body: str) -> str:
  """Something to open."""
  return f'<details><summary>{text(summary)}</summary>{body}</details>'


def document(
  title: str, head: str, sections: Sequence[Section], *, plotly_js: str
) -> str:
  """The whole file.

  Args:
    title: of the window.
    head: HTML that comes first.
    sections: in their order; the ids of their figures must differ.
    plotly_js: the library's text, embedded once.
  """
  figures = {
    anchor: figure
    for section in sections
    for anchor, figure in section.figures.items()
  }
  links = ''.join(
    f'<a href="#{section.anchor}">{text(section.heading)}</a> '
    for section in sections
  )
  body = ''.join(
    f'<section id="{section.anchor}"><h2>{text(section.heading)}</h2>'
    f'{section.body}</section>\n'
    for section in sections
  )
  return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{text(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
{head}
<nav>{links}</nav>
{body}</main>
<script type="application/json" id="figures">{embedded(figures)}</script>
<script>{plotly_js}</script>
<script>{DRAW}</script>
</body>
</html>
"""


def embedded(value: Any) -> str:
  """JSON that can stand inside a script element: no tag can begin in it.

  Raises:
    ValueError: for a number that is not finite; None is what leaves a gap.
  """
  dumped = json.dumps(value, allow_nan=False, separators=(',', ':'))
  for sign in '<>&':
    dumped = dumped.replace(sign, f'\\u{ord(sign):04x}')
  return dumped
