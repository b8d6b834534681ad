"""What can be typed where an optimizer is asked for, and all of Optax."""

import functools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from gd_jax.descent import batches
from gd_jax.descent import entries
from gd_jax.descent import schedules
from gd_jax.descent import specs
from gd_jax.descent import train
from gd_jax.descent import twins
from gd_jax.model import mlp
from gd_jax.types import Layer
from gd_jax.types import UserError
from gd_jax.world import data
from tests import plugin

SHAPES = (Layer(np.zeros((3, 4), np.float32), np.zeros(3, np.float32)),)


@pytest.mark.parametrize(
  ('text', 'implementation', 'name', 'hyperparameters', 'centre', 'source'),
  [
    ('sgd', 'ours', 'sgd', {}, 1.0, 'table'),
    ('momentum', 'ours', 'momentum', {}, 0.1, 'table'),
    ('nesterov+mu=0.5', 'ours', 'nesterov', {'mu': 0.5}, 0.1, 'table'),
    ('adagrad', 'ours', 'adagrad', {}, 1.0, 'table'),
    ('rmsprop', 'ours', 'rmsprop', {}, 0.01, 'table'),
    ('adam+b1=0.95@0.003', 'ours', 'adam', {'b1': 0.95}, 0.003, 'entry'),
    ('adamw+eps=1e+3', 'ours', 'adamw', {'eps': 1000.0}, 0.01, 'table'),
    (' sgd@1e-1 ', 'ours', 'sgd', {}, 0.1, 'entry'),
    ('optax:lion', 'optax', 'lion', {}, 0.0003, 'table'),
    ('optax:contrib.muon', 'optax', 'contrib.muon', {}, 0.01, 'table'),
    ('optax.contrib:muon', 'optax', 'contrib.muon', {}, 0.01, 'table'),
    ('optax:sgd', 'optax', 'sgd', {}, 1.0, 'table'),
    ('optax:adagrad', 'optax', 'adagrad', {}, 1.0, 'table'),
    (
      'optax:sgd+momentum=0.95+nesterov=True',
      'optax',
      'sgd',
      {'momentum': 0.95, 'nesterov': True},
      0.1,
      'table',
    ),
    ('optax:yogi', 'optax', 'yogi', {}, 0.01, 'unknown'),
    ('optax:adafactor', 'optax', 'adafactor', {}, 0.01, 'unknown'),
    ('optax:contrib.momo', 'optax', 'contrib.momo', {}, 1.0, 'factory'),
    (
      "optax:polyak_sgd+variant='sps+'",
      'optax',
      'polyak_sgd',
      {'variant': 'sps+'},
      1.0,
      'factory',
    ),
    (
      'optax:contrib.prodigy+betas=(0.8,0.9)',
      'optax',
      'contrib.prodigy',
      {'betas': (0.8, 0.9)},
      1.0,
      'factory',
    ),
    (
      'tests.plugin:heavy_ball+mu=0.8@0.3',
      'module',
      'tests.plugin:heavy_ball',
      {'mu': 0.8},
      0.3,
      'entry',
    ),
    (
      'tests.plugin:needs_cost',
      'module',
      'tests.plugin:needs_cost',
      {},
      0.25,
      'factory',
    ),
  ],
)
def test_an_entry_says_all_that_was_typed(
  text, implementation, name, hyperparameters, centre, source
):
  entry = entries.parse(text)
  assert entry.text == text.strip()
  assert entry[1:3] == (implementation, name)
  assert entry.hyperparameters == hyperparameters
  assert (entry.centre, entry.centre_source) == (centre, source)


@pytest.mark.parametrize(
  ('text', 'told'),
  [
    ('adm', r'sgd, momentum, .*, or MODULE:ATTRIBUTE.* mean adam\?'),
    ('lion', r'did you mean optax:lion\?'),
    ('', "optimizer '' is unknown"),
    ('optax:lionn', r'optax has no lionn.*contrib.muon.*did you mean lion\?'),
    ('tests.plugin:heavy', r'one of as_a_pair, .*did you mean heavy_ball\?'),
    ('optax:', 'expected MODULE:ATTRIBUTE'),
    ('..x:y', 'expected MODULE:ATTRIBUTE'),
    ('my module:x', 'expected MODULE:ATTRIBUTE'),
    ('no_such_module:x', 'ModuleNotFoundError.*PYTHONPATH'),
    ('adam+b3=1', 'b3 is no hyperparameter.*b1, b2, eps, eps_root'),
    ('adam+learning_rate=1', 'write @RATE instead'),
    ('adam+b1=x', "value 'x', which is no literal"),
    ('adam+b1=__import__("os").getcwd()', 'no literal'),
    ('adam+b1=' + '(' * 250, 'no literal'),
    ('adam+b1', r'a \+ without a value'),
    ('adam+b1=0.9+b1=0.8', 'each key once'),
    ('adam+b 1=0.9', 'a new key is expected'),
    ('adam@', 'positive finite learning rate'),
    ('adam@nan', 'positive finite learning rate'),
    ('adam@-1', 'positive finite learning rate'),
    ('adam@inf', 'positive finite learning rate'),
    ('adam\n', 'one line'),
    ('ad\x1b[31mam', 'one line'),
    ('ad\u202eam', 'one line of at most 300 ASCII'),
    ('adam+b1=0.' + '1' * 300, 'at most 300'),
    ('tests.plugin:NOT_A_FACTORY', 'expected a factory.*found a float'),
    ('tests.plugin:no_rate', 'keyword argument learning_rate.*takes mu'),
    ('tests.plugin:positional', 'keyword argument learning_rate'),
    ('tests.plugin:needs_more', r'needs \+rank=\.\.\. too'),
    ('os:system', 'keyword argument learning_rate.*takes command'),
    ('builtins:print', 'keyword argument learning_rate'),
    ('optax:contrib.mechanize', 'keyword argument learning_rate'),
    ('optax:scale_by_adam', 'one link of an optax.chain'),
    ('optax:scale_by_rprop', 'one link of an optax.chain'),
    ('optax:lbfgs', r'cost as a function.*optax:lbfgs\+linesearch=None'),
    ('optax:contrib.sophia', 'cost as a function'),
    ('optax:contrib.dpsgd', 'the gradient of every single example'),
    ('optax:contrib.schedule_free', 'evaluated at other parameters'),
    ('optax:contrib.schedule_free_sgd', 'evaluated at other parameters'),
    ('optax:contrib.schedule_free_adamw', 'evaluated at other parameters'),
  ],
)
def test_a_misspelled_entry_is_refused_in_one_sentence(text, told):
  with pytest.raises(UserError, match=told) as refused:
    entries.parse(text)
  assert str(refused.value).isprintable()
  assert str(refused.value).endswith(('.', '?'))


@pytest.mark.parametrize(
  ('text', 'told'),
  [
    ('number', r'returns \(init, update\).*returns a float'),
    ('fails', 'factory fails with RuntimeError: not today: check'),
    ('wrong_state', 'the structure or the dtype of its state'),
    ('wrong_update', 'unlike the parameters'),
    ('two_arguments', 'update fails with TypeError.*takes 2 positional'),
    ("heavy_ball+mu='a'", 'update fails with TypeError'),
  ],
)
def test_a_factory_of_the_wrong_shape_is_refused(text, told):
  entry = entries.parse(f'tests.plugin:{text}')
  with pytest.raises(UserError, match=told) as refused:
    entries.check(entry, SHAPES)
  assert str(refused.value).isprintable()


@pytest.mark.parametrize('name', ['as_a_pair', 'own_type', 'needs_cost'])
def test_a_stranger_s_optimizer_of_the_right_shape_is_taken(name):
  entries.check(entries.parse(f'tests.plugin:{name}'), SHAPES)


def test_reading_an_entry_calls_no_factory():
  # Each would raise when called; `fails` does so in check above.
  assert entries.parse('tests.plugin:fails').factory is plugin.fails


def test_build_hands_on_rate_schedule_and_hyperparameters():
  g = jnp.array(2.0)
  half = schedules.parse('step+every=1+factor=0.5')
  for text in ('momentum+mu=0.5', 'optax:sgd+momentum=0.5'):
    optimizer = entries.build(entries.parse(text), 0.25, half)
    state, changes = optimizer.init(g), []
    for _ in range(3):
      change, state = optimizer.update(g, state)
      changes.append(change)
    # v = 2, 3, 3.5 at rates 1/4, 1/8, 1/16.
    np.testing.assert_allclose(changes, [-0.5, -0.375, -0.21875], 1e-15)


@pytest.mark.parametrize('method', tuple(twins.TWINS))
def test_a_twin_is_optax_s_with_the_same_grid(method):
  for rate in ('', '@0.7'):
    entry = entries.parse(method + rate)
    twin = entries.twin(entry)
    assert twin.implementation == 'optax'
    assert twin.centre == entry.centre
    assert twin.text.endswith(rate)
  named = entries.twin(entries.parse('nesterov+mu=0.95')).text
  assert named == 'optax:sgd+momentum=0.95+nesterov=True'


@pytest.mark.parametrize(
  ('text', 'parts'),
  [
    ('adam=optax:adam', ['adam', 'optax:adam']),
    ('adam+b1=0.8=optax:adam', ['adam+b1=0.8', 'optax:adam']),
    ('adam+eps=1e+3=sgd', ['adam+eps=1e+3', 'sgd']),
    ('sgd=adam+b1=0.8@3', ['sgd', 'adam+b1=0.8@3']),
  ],
)
def test_a_pair_is_cut_where_no_key_stands(text, parts):
  assert [entry.text for entry in entries.parse_pair(text)] == parts


@pytest.mark.parametrize(
  ('text', 'count'), [('adam', 1), ('a=b=c', 3), ('adam+b1=0.8', 1)]
)
def test_a_pair_of_one_or_three_is_refused(text, count):
  with pytest.raises(UserError, match=f'names {count} .*expected A=B'):
    entries.parse_pair(text)


def test_a_list_is_cut_outside_of_brackets_and_quotes():
  text = "sgd, optax:x+betas=(0.9,[1,2])@1,optax:y+a='b,c',z"
  assert specs.split(text) == [
    'sgd',
    'optax:x+betas=(0.9,[1,2])@1',
    "optax:y+a='b,c'",
    'z',
  ]


PIECES = ['adam', 'optax', ':', '.', '+', '=', '@', 'b1', '0.9', 'x', '"', ',']


@hypothesis.settings(derandomize=True, deadline=None, max_examples=150)
@hypothesis.given(
  st.text(max_size=20) | st.lists(st.sampled_from(PIECES)).map(''.join)
)
def test_whatever_is_typed_is_an_entry_or_a_sentence(text):
  try:
    entry, told = entries.parse(text), ''
  except UserError as error:
    entry, told = None, str(error)
  assert told.isascii()
  assert told.isprintable()
  assert entry is None or entry.text == text.strip(' ')


# What a factory needs beside its rate, and what no schedule reaches.
HALVES = schedules.step(every=2, factor=0.5)
GIVEN = {'noisy_sgd': '+key=1'}
OPTIMIZE = 'xla_backend_optimization_level'
NO_SCHEDULE = {'optimistic_adam', 'polyak_sgd', 'rprop', 'sm3'}


@functools.cache
def digits():
  """Parameters, the cost of an example and the mini-batches of an epoch."""
  dataset = data.load('digits')
  order = batches.epoch_order(0, 0, len(dataset.train.y), 32)
  with jax.enable_x64(False):
    params = mlp.init(jax.random.key(0), (64, 10))

  def cost_of(params, image):
    a = mlp.predict(params, image.x.astype(jnp.float32) / dataset.scale)
    return 0.5 * jnp.sum(jnp.square(jax.nn.one_hot(image.y, 10) - a))

  return params, cost_of, batches.gather(dataset.train, order)


def daily(name):
  """What Optax itself only lists as contributed is a claim."""
  contributed = 'contrib.' in name and name not in twins.REFUSED
  marks = pytest.mark.claims if contributed else ()
  return pytest.param(name, marks=marks)


@pytest.mark.filterwarnings('ignore:`optimistic_adam` is deprecated')
@pytest.mark.parametrize('name', [*map(daily, twins.names())])
def test_every_optimizer_of_optax_trains_an_epoch_or_says_why_not(name):
  text = f'optax:{name}{GIVEN.get(name, "")}'
  if name in twins.REFUSED:
    with pytest.raises(UserError, match='is refused: it'):
      entries.parse(text)
    return
  entry = entries.parse(text)
  params, cost_of, epoch = digits()

  # Optimizing the machine code would take longer than the epoch.
  @functools.partial(jax.jit, compiler_options={OPTIMIZE: '0'})
  @jax.vmap
  def train_at(rate):
    optimizer = entries.build(entry, rate)
    step = train.make_step(cost_of, optimizer)
    return train.run_batches(step, train.start(params, optimizer), epoch)

  with jax.enable_x64(False):
    entries.check(entry, params)
    state, sums = train_at(jnp.array([entry.centre, entry.centre / 2]))
    for new, old in zip(
      *map(jax.tree.leaves, (state.params, params)), strict=True
    ):
      assert new.dtype == np.float32
      assert np.all(np.isfinite(new))
      assert np.all(np.any(np.asarray(new) != np.asarray(old), axis=-1))
    assert np.all(np.isfinite(sums.cost))
    if name in NO_SCHEDULE:
      with pytest.raises(UserError, match='takes no schedule, only a number'):
        entries.check(entry, params, HALVES)
    else:
      entries.check(entry, params, HALVES)


def test_only_of_lbfgs_no_line_search_makes_an_optimizer():
  without = {'linesearch': None}
  assert twins.refusal('lbfgs', without) == ''
  assert twins.refusal('lbfgs', {}) == twins.REFUSED['lbfgs']
  assert twins.refusal('contrib.sophia', without) != ''
