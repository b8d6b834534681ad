"""Hostile names: refused, or harmless in terminal, PNG and HTML."""

import io

import numpy as np
import pytest
from PIL import Image

from gd_jax.world import files
from gd_jax.world import seals
from tests import scripts
from tests.pictures import chromium

HOSTILE = '<script>alert(1)</script>$^$'
# A file may have any name but one with a slash.
FILE = '<img src=x onerror=alert(1)>$^$\n\x1b[31m\u202ecaf\xe9%{x}.npz'
RED = 'w\x1b[31m'
ENTRY = f"tests.plugin:labelled+label='{HOSTILE}'@0.5"
SMALL = [
  '--rates=1',
  '--tuning_seeds=1',
  '--report_seeds=3',
  '--epochs=1',
  '--batch_size=5',
]


@pytest.fixture
def hostile_file(tmp_path):
  draw = np.random.default_rng(0)
  y = (np.arange(60) % 3).astype(np.uint8)
  x = draw.integers(0, 256, (60, 2, 2)).astype(np.uint8)
  file = tmp_path / FILE
  np.savez(file, x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
  return file


@pytest.mark.parametrize(
  ('script', 'name'),
  [
    ('train', '--json'),
    ('compare', '../up'),
    ('descend', 'a\nb\x1b[31m'),
  ],
)
def test_a_name_is_a_plain_word_or_refused(script, name, tmp_path):
  found = scripts.run(
    script, f'--workdir={tmp_path / "runs"}', f'--name={name}', code=2
  )
  scripts.sentence(found, 2, '--name=', 'cannot name a run')
  assert list(tmp_path.iterdir()) == []


def said_harmlessly(found):
  for text in (found.stdout, found.stderr):
    assert text.isascii()
    assert all(line.isprintable() for line in text.split('\n'))


def pictures_of(run):
  """Every picture, opened; a formula that does not parse would be none."""
  files = sorted((run / 'figures').glob('*.png'))
  for file in files:
    with Image.open(io.BytesIO(file.read_bytes())) as picture:
      picture.load()
      assert min(picture.size) > 100
  return files


@pytest.mark.parametrize(
  'encoding', ['ascii', pytest.param('utf-8', marks=pytest.mark.claims)]
)
def test_train_shows_hostile_names_as_they_are(
  tmp_path, hostile_file, encoding
):
  found = scripts.run(
    'train',
    f'--dataset={hostile_file}',
    f'--optimizer={ENTRY}',
    '--epochs=1',
    f'--workdir={tmp_path / RED}',
    '--name=a',
    env={'PYTHONIOENCODING': encoding},
  )
  said_harmlessly(found)
  assert HOSTILE in found.stdout
  assert '\\n\\x1b[31m\\u202ecaf\\xe9' in found.stdout
  assert len(pictures_of(tmp_path / RED / 'a')) == 1


def page_is_harmless(browser, path, *texts):
  browser.events.clear()
  chromium.visit(browser, path)
  assert chromium.run(browser, chromium.DRAWN) > 0
  assert chromium.requests(browser) == [path.as_uri()]
  assert chromium.complaints(browser) == []
  opened = [event.get('method') for event in browser.events]
  assert 'Page.javascriptDialogOpening' not in opened
  assert chromium.run(browser, "document.querySelectorAll('img').length") == 0
  seen = chromium.run(browser, 'document.body.innerText')
  for text in texts:
    assert text in seen


@pytest.mark.claims
def test_compare_shows_hostile_names_as_they_are(
  tmp_path,
  hostile_file,
  browser,
):
  found = scripts.run(
    'compare',
    *scripts.named(tmp_path, 'a'),
    f'--dataset={hostile_file}',
    f'--optimizers={ENTRY},sgd@1',
    *SMALL,
    drawn=True,
  )
  said_harmlessly(found)
  run = tmp_path / 'a'
  assert len(pictures_of(run)) > 1
  shown = '<img src=x onerror=alert(1)>$^$\\n\\x1b[31m\\u202ecaf\\xe9%{x}.npz'
  assert scripts.json_of(run, 'study.json')['problem'].startswith(shown)
  page_is_harmless(browser, run / 'report.html', HOSTILE, shown)
  # A study from a stranger says nothing to the terminal either.
  study = scripts.json_of(run, 'study.json')
  study['problem'] += '\x1b[31m\u202e'
  del study['sha256']
  (run / 'study.json').write_bytes(seals.seal(files.json_bytes(study, '')))
  again = scripts.run('compare', f'--rescore={run}')
  said_harmlessly(again)
  assert '\\x1b[31m\\u202e' in again.stdout


@pytest.mark.claims
def test_a_problem_of_a_hostile_name(tmp_path, browser):
  module = tmp_path / f'{HOSTILE.replace("/", "")}.py'
  module.write_text('from tests.plugin import small_convolution as made\n')
  text = f'{module.stem}:made'
  found = scripts.run(
    'compare',
    *scripts.named(tmp_path, 'a'),
    f'--problem={text}',
    '--optimizers=sgd@0.1,adam',
    *SMALL,
    env={'PYTHONPATH': str(tmp_path)},
  )
  said_harmlessly(found)
  assert text in found.stdout
  assert len(pictures_of(tmp_path / 'a')) > 1
  page_is_harmless(browser, tmp_path / 'a' / 'report.html', text)
