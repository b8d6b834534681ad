"""The tournament as users run it: a study, its words, and its second life."""

import json
import shutil

import hypothesis
import jax
import pytest

from experiments.contest import studies
from gd_jax.descent import train
from gd_jax.model import costs
from gd_jax.model import mlp
from gd_jax.types import UserError
from gd_jax.world import data
from gd_jax.world import seals
from gd_jax.world import snapshots
from tests import damage
from tests import scripts

SMALL = ('--rates=3', '--tuning_seeds=2', '--epochs=2')


def compare(workdir, name, *arguments, **more):
  where = scripts.named(workdir, name)
  return scripts.run('compare', *where, *arguments, **more)


def study_of(workdir, name):
  return scripts.json_of(workdir / name, 'study.json')


def rows_of(workdir, name):
  return scripts.lines_of(workdir / name)


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('studies')
  found = compare(
    workdir,
    'two',
    *SMALL,
    '--optimizers=sgd,adam',
    '--report_seeds=7',
    '--snapshots=5',
    drawn=True,
  )
  return workdir, found.stdout


def test_the_sentence_comes_first_and_lines_are_short(finished):
  workdir, said = finished
  study = study_of(workdir, 'two')
  lines = said.splitlines()
  assert 'cpu' in lines[0]
  assert ' '.join(lines[2:]).startswith(study['sentence'][:80])
  assert said.isascii()
  assert max(map(len, lines[2:-1])) <= 100
  assert 'of their movement' in said
  status = json.loads((workdir / 'two' / 'status.json').read_text())
  assert status['status'] == 'COMPLETED'


def test_snapshots_are_those_of_the_first_report_seed(finished):
  workdir, _ = finished
  digits = data.load('digits')
  parts = (
    mlp.weighted_input,
    costs.quadratic_of_z,
    costs.decode_image(16.0, 10),
  )
  scores_of = costs.example_scores(*parts)
  template = jax.eval_shape(
    lambda: mlp.init(jax.random.key(0), (64, 30, 10), dtype='float32')
  )
  tracks = snapshots.load(workdir / 'two', template)
  assert [track.about['entry'] for track in tracks] == ['sgd', 'adam']
  for track in tracks:
    assert track.steps == [0, 60, 120, 180, 240]
    (end,) = [
      row
      for row in rows_of(workdir, 'two')
      if row['phase'] == 'report'
      and row['entry'] == track.about['entry']
      and row['seed'] == track.about['seed'] == 2
      and row['epoch'] == 2
    ]
    assert track.about['learning_rate'] == end['learning_rate']
    scores = train.evaluate(scores_of, track.params[-1], digits.validation)
    assert float(scores.cost) == pytest.approx(end['validation_cost'], rel=1e-3)


def test_every_line_of_the_checklist_holds_but_the_edge(finished):
  workdir, _ = finished
  checks = {
    what: holds
    for what, holds, _ in study_of(*finished_name(workdir))['checklist']
  }
  assert len(checks) == 9
  checks.pop('optimum inside the grid')  # three rates may well end at an edge
  assert all(checks.values()), checks


def finished_name(workdir):
  return workdir, 'two'


def test_tuning_and_report_obey_the_protocol(finished):
  workdir, _ = finished
  rows = rows_of(workdir, 'two')
  study = study_of(workdir, 'two')
  seeds = {
    phase: {row['seed'] for row in rows if row['phase'] == phase}
    for phase in ('tuning', 'report', 'null', 'twin')
  }
  assert not seeds['tuning'] & (seeds['report'] | seeds['null'])
  assert seeds['twin'] <= seeds['report']
  tried = {
    name: len(
      {
        r['learning_rate']
        for r in rows
        if r['phase'] == 'tuning' and r['entry'] == name
      }
    )
    for name in ('sgd', 'adam')
  }
  assert len(set(tried.values())) == 1
  for row in rows:
    last = row['epoch'] == 2 and row['phase'] != 'tuning'
    assert ('test_cost' in row) == last
  for name, entry in study['entries'].items():
    rates = {
      row['learning_rate']
      for row in rows
      if row['entry'] == name and row['phase'] == 'report'
    }
    assert rates == {entry['learning_rate']}


def test_rescore_prints_the_same_tables_byte_for_byte(finished):
  workdir, said = finished
  found = scripts.run('compare', f'--rescore={workdir}/two')
  tables = (workdir / 'two' / 'tables.txt').read_bytes().decode()
  assert found.stdout == tables
  assert tables in said


def test_every_figure_of_the_study_stands_in_its_rows(finished):
  workdir, _ = finished
  rows, study = rows_of(workdir, 'two'), study_of(workdir, 'two')
  for name, entry in study['entries'].items():
    last = {
      row['seed']: row['test_cost']
      for row in rows
      if row['phase'] == 'report' and row['entry'] == name and row['epoch'] == 2
    }
    figure = entry['figures']['test_cost']
    assert dict(zip(figure['seeds'], figure['values'], strict=True)) == last
    assert figure['mean'] == pytest.approx(sum(last.values()) / len(last))


def test_extending_trains_nothing_twice(finished):
  workdir, _ = finished
  found = compare(
    workdir, 'three', f'--extend={workdir}/two', '--optimizers=optax:lion'
  )
  # Seconds tell a unit that was taken over from one trained again. A new entry
  # may send everybody to wider grids: those units are new.
  before = study_of(workdir, 'two')['programs']
  after = study_of(workdir, 'three')['programs']
  assert all(program in after for program in before)
  assert len(found.stderr.splitlines()) == len(after) - len(before)
  assert any(program['entry'] == 'optax:lion' for program in after)
  old, new = rows_of(workdir, 'two'), rows_of(workdir, 'three')
  kept = [row for row in new if row['entry'] != 'optax:lion']
  assert [row for row in kept if row in old] == old
  assert set(study_of(workdir, 'three')['ranking']) == {
    'sgd',
    'adam',
    'optax:lion',
  }
  again = compare(
    workdir,
    'four',
    f'--extend={workdir}/two',
    '--optimizers=sgd',
    code=2,
  )
  assert 'something new' in again.stderr


def test_an_extension_is_of_the_same_study_or_refused(tmp_path, finished):
  workdir, _ = finished
  base = [f'--extend={workdir}/two', '--optimizers=momentum']
  for flag, word in (
    ('--precision=float64', '--precision=float32'),
    ('--epochs=3', '--epochs'),
    ('--seed=0', '--seed'),
  ):
    found = compare(tmp_path, 'other', *base, flag, code=2)
    assert word in found.stderr
    assert found.stderr.count('\n') == 1
  assert not (tmp_path / 'other').exists()


def test_rows_that_are_not_all_there_are_refused(tmp_path, finished):
  workdir, _ = finished
  broken = tmp_path / 'two'
  shutil.copytree(workdir / 'two', broken)
  lines = (broken / 'rows.jsonl').read_bytes().splitlines(keepends=True)
  (broken / 'rows.jsonl').write_bytes(b''.join(lines[:-3]))
  found = compare(tmp_path, 'unused', f'--rescore={broken}', code=2)
  assert 'rows.jsonl' in found.stderr
  assert 'Traceback' not in found.stderr
  # One digit of one figure is another.
  text = (workdir / 'two' / 'rows.jsonl').read_text()
  place = text.index('"test_cost": 0.') + len('"test_cost": 0.')
  other = chr(ord(text[place]) ^ 1)
  (broken / 'rows.jsonl').write_text(text[:place] + other + text[place + 1 :])
  flags = f'--extend={broken}', '--optimizers=momentum'
  found = compare(tmp_path, 'unused', *flags, code=2)
  assert 'SHA-256' in found.stderr
  assert not (tmp_path / 'unused').exists()


@pytest.fixture(scope='module')
def broken(tmp_path_factory, finished):
  """A copy of the study to damage, and its study.json as it was."""
  workdir, _ = finished
  copy = tmp_path_factory.mktemp('broken') / 'two'
  shutil.copytree(workdir / 'two', copy)
  return copy, (copy / 'study.json').read_bytes()


def damaged_study_is_refused(broken, harm):
  run, whole = broken
  (run / 'study.json').write_bytes(damage.done(whole, harm))
  with pytest.raises(UserError) as caught:
    studies.stored(str(run))
  said = str(caught.value)
  assert said.startswith(f'{run}/study.json is no study as compare writes it (')
  assert said.isprintable()


@hypothesis.given(damage.DAMAGES)
@hypothesis.settings(
  derandomize=True, deadline=None, max_examples=40, database=None
)
def test_a_damaged_study_is_refused(broken, harm):
  damaged_study_is_refused(broken, harm)


@pytest.mark.claims
@hypothesis.given(damage.DAMAGES)
@hypothesis.settings(
  derandomize=True, deadline=None, max_examples=500, database=None
)
def test_a_damaged_study_is_refused_five_hundred_times(broken, harm):
  damaged_study_is_refused(broken, harm)


@pytest.mark.parametrize(
  'what',
  [
    ['--rescore={}'],
    pytest.param(
      ['--extend={}', '--optimizers=momentum'], marks=pytest.mark.claims
    ),
  ],
)
def test_a_damaged_study_is_one_sentence(tmp_path, broken, what):
  run, whole = broken
  # One certificate now says something else, and all else follows from rows.
  altered = whole.replace(b'"verdict": "identical"', b'"verdict": "ideltical"')
  assert altered != whole
  (run / 'study.json').write_bytes(altered)
  arguments = [one.format(run) for one in what]
  found = compare(tmp_path, 'unused', *arguments, code=2)
  said = found.stderr.splitlines()[-1]
  assert said.startswith(f'compare: {run}/study.json is no study')
  assert 'not as it was written' in said
  assert 'Traceback' not in found.stderr
  assert not (tmp_path / 'unused').exists()


@pytest.mark.parametrize(
  'text', ['[]', '{"protocol": {}}', '{"protocol": 7}', '{"programs": []}']
)
def test_a_sealed_study_of_other_parts_is_refused(tmp_path, text):
  (tmp_path / 'study.json').write_bytes(seals.seal(text.encode()))
  with pytest.raises(UserError, match='is no study'):
    studies.stored(str(tmp_path))


def test_a_planted_failure_is_marked_ranked_last_and_counted(tmp_path):
  entry = 'tests.plugin:fails_at_7'
  studies = {}
  for name, rate in (('bad', '200'), ('good', '0.5')):
    compare(
      tmp_path,
      name,
      f'--optimizers=sgd@2,{entry}@{rate}',
      '--rates=1',
      '--tuning_seeds=1',
      '--report_seeds=3',
      '--epochs=1',
      drawn=name == 'bad',
    )
    studies[name] = rows_of(tmp_path, name), study_of(tmp_path, name)
  rows, study = studies['bad']
  lanes = [row for row in rows if row['entry'] == f'{entry}@200']
  report = [row for row in lanes if row['phase'] == 'report']
  # Two widenings take it from 200 to 2, which fails as well.
  for row in lanes:
    assert row['learning_rate'] > 1
    assert row['failed'] == 'diverged'
    assert row['diverged_at'] == 7
    assert row['validation_cost'] is None
  assert len(report) == 3
  mine = [row for row in rows if row['entry'] == 'sgd@2']
  healthy = [row for row in studies['good'][0] if row['entry'] == 'sgd@2']
  same = [row for row in mine if row in healthy]
  assert len([row for row in same if row['phase'] == 'report']) == 3
  assert study['ranking'] == ['sgd@2', f'{entry}@200']
  assert study['entries'][f'{entry}@200']['failures']['diverged'] == 3


def test_a_wild_rate_saturates_and_is_never_a_number_to_be_proud_of(tmp_path):
  compare(
    tmp_path,
    'wild',
    '--optimizers=sgd@1e6,adam+b1=0.91+b2=0.9991+eps=1e-7@0.03',
    '--rates=1',
    '--tuning_seeds=1',
    '--report_seeds=3',
    '--epochs=1',
    drawn=True,
  )
  rows, study = rows_of(tmp_path, 'wild'), study_of(tmp_path, 'wild')
  wild = [row for row in rows if row['learning_rate'] >= 1e6]
  assert wild
  for row in wild:
    assert row['failed'] == 'saturated'
    assert row['validation_cost'] is not None
  assert study['ranking'][-1] == 'sgd@1e6'
  tables = (tmp_path / 'wild' / 'tables.txt').read_text()
  assert max(map(len, tables.splitlines())) <= 100


def test_certificates_of_any_two_entries():
  pairs = 'tests.plugin:heavy_ball+mu=0.9=momentum,rmsprop=adam'
  found = scripts.run('compare', f'--pairs={pairs}')
  _, same, other = found.stdout.splitlines()
  assert 'identical' in same
  assert 'differs' in other


def test_starts_batch_sizes_and_costs_are_crossed(tmp_path):
  compare(
    tmp_path,
    'crossed',
    '--optimizers=optax:sgd',
    '--init=normal,scaled',
    '--batch_sizes=10,full',
    '--cost=quadratic,cross_entropy',
    '--metric=test_accuracy',
    '--rates=2',
    '--tuning_seeds=1',
    '--report_seeds=2',
    '--epochs=1',
  )
  study = study_of(tmp_path, 'crossed')
  assert set(study['ranking']) == {
    f'optax:sgd m={m} {init} {cost}'
    for m in (10, 1197)
    for init in ('normal', 'scaled')
    for cost in ('quadratic', 'cross_entropy')
  }
  rows = scripts.lines_of(tmp_path / 'crossed')
  ends = {
    row['cost']: row
    for row in rows
    if (row['phase'], row['batch_size'], row['init'], row['learning_rate'])
    == ('tuning', 10, 'scaled', 1)
  }
  # Each is held to its own cost, and they are not on one scale.
  assert ends['quadratic']['validation_cost'] <= 0.5
  assert ends['cross_entropy']['validation_cost'] > 0.5
  orders = {
    (program['batch_size'], program['orders'])
    for program in study['programs']
    if program['phase'] == 'report'
  }
  assert len(orders) == 2


def test_the_orders_are_those_of_the_seeds_however_the_lanes_are_cut(
  tmp_path, here
):
  def orders(block):
    here(
      'compare',
      *scripts.named(tmp_path, f'by-{block}'),
      '--optimizers=optax:sgd',
      '--rates=2',
      '--tuning_seeds=3',
      '--report_seeds=1',
      '--epochs=1',
      '--batch_size=400',
      f'--lane_block={block}',
    )
    found = scripts.json_of(tmp_path / f'by-{block}', 'study.json')['programs']
    return [(one['phase'], one['seeds'], one['orders']) for one in found]

  found = orders(1)
  assert orders(2) == found
  assert len({digest for *_, digest in found}) > 1


def test_a_problem_of_ones_own_goes_from_lanes_to_report(tmp_path):
  compare(
    tmp_path,
    'own',
    '--problem=tests.plugin:small_convolution',
    '--optimizers=sgd@0.1,adam',
    '--rates=2',
    '--tuning_seeds=1',
    '--report_seeds=3',
    '--epochs=3',
    drawn=True,
  )
  study = study_of(tmp_path, 'own')
  best = study['entries'][study['ranking'][0]]
  assert best['figures']['test_accuracy']['mean'] > 0.8
  assert 'small_convolution' in (tmp_path / 'own' / 'report.html').read_text()


@pytest.mark.parametrize(
  ('more', 'word'),
  [([], '--metric=test_accuracy'), (['--snapshots=3'], '--snapshots')],
)
def test_costs_of_two_kinds_are_compared_by_accuracy(tmp_path, more, word):
  arguments = ['--cost=quadratic,cross_entropy', *more]
  if more:
    arguments.append('--metric=test_accuracy')
  found = compare(tmp_path, 'bad', *arguments, code=2)
  scripts.sentence(found, 2, '--cost=quadratic,cross_entropy', word)


@pytest.mark.parametrize(
  ('arguments', 'word'),
  [
    (['--problem=tests.plugin:nothing'], 'imported'),
    (['--problem=tests.plugin:heavy_ball'], 'expected'),
    (['--problem=tests.plugin:small_convolution', '--cost=quadratic'], 'cost'),
  ],
)
def test_a_problem_that_does_not_fit_is_one_sentence(tmp_path, arguments, word):
  found = compare(tmp_path, 'bad', *arguments, code=2)
  assert found.stderr.count('\n') == 1
  assert word in found.stderr
