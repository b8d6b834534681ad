"""What processes tell each other, where threads stand in for them."""

import threading
import types
from concurrent import futures

import jax
import numpy as np
import pytest

from gd_jax.types import UserError
from gd_jax.world import mesh

COUNTS = (1, 3, 2)  # devices of each process


@pytest.fixture
def crowd(monkeypatch):
  """Runs a function in as many processes as there are counts of devices."""
  here = threading.local()

  def run(function, counts=COUNTS):
    owners = [i for i, count in enumerate(counts) for _ in range(count)]
    devices = [types.SimpleNamespace(process_index=i) for i in owners]
    met = threading.Barrier(len(counts), timeout=20)
    told: list[np.ndarray] = [np.zeros(0)] * len(counts)

    def collect(mine):
      told[here.process] = mine
      met.wait()
      whole = np.stack(told)  # of one length, as JAX asks it
      met.wait()
      return whole

    def one(process):
      here.process = process
      try:
        return function(process)
      except Exception:
        met.abort()
        raise

    monkeypatch.setattr(jax, 'devices', lambda: devices)
    monkeypatch.setattr(jax, 'process_count', lambda: len(counts))
    monkeypatch.setattr(jax, 'process_index', lambda: here.process)
    monkeypatch.setattr(mesh, '_collect', collect)
    with futures.ThreadPoolExecutor(len(counts)) as pool:
      return list(pool.map(one, range(len(counts))))

  return run


def whole(rows):
  """What all processes together have; some leaf is smaller than a word."""
  return {
    'alive': np.arange(rows) % 3 == 0,
    'costs': np.geomspace(1e-300, 1e300, rows * 4).reshape(rows, 2, 2),
    'updates': np.arange(rows, dtype=np.int32)[:, None],
    'none': None,
  }


def test_everyone_has_his_own_rows_and_gathers_all(crowd):
  def talk(process):
    share = mesh.share([])
    mine = share.mine(whole(12))
    found = share.gather(mine)
    assert not share.stopping()
    return share.devices, mine['updates'][:, 0].tolist(), found

  answers = crowd(talk)
  rows = [mine for _, mine, _ in answers]
  assert rows == [[0, 1], [2, 3, 4, 5, 6, 7], [8, 9, 10, 11]]
  for devices, _, found in answers:
    assert devices == 6
    assert found['none'] is None
    for name, expected in whole(12).items():
      if expected is not None:
        assert found[name].dtype == expected.dtype
        np.testing.assert_array_equal(found[name], expected)


def test_a_leaf_of_one_byte_is_gathered_as_any_other(crowd):
  found = crowd(
    lambda process: mesh.share([]).gather(np.full(COUNTS[process], process > 0))
  )
  for one in found:
    assert one.tolist() == [False, True, True, True, True, True]


def test_all_stop_after_the_epoch_in_which_one_told(crowd):
  def talk(process):
    signals = []
    share = mesh.share(signals)
    mine = share.mine(np.arange(6))
    heard = []
    for epoch in range(5):
      if (process, epoch) == (1, 1):
        signals.append(15)
      if (process, epoch) == (2, 3):
        signals.append(2)
      heard.append((share.stopping(), list(signals)))
      share.gather(mine)
    return heard

  assert crowd(talk) == [
    [(False, []), (False, []), (True, [15]), (True, [15]), (True, [15])],
    [(False, []), (False, [15])] + [(True, [15, 15])] * 3,
    [(False, []), (False, []), (True, [15])] + [(True, [15, 2])] * 2,
  ]


@pytest.mark.parametrize(
  ('counts', 'early', 'said', 'first'),
  [
    ((1, 2), False, [[0], [1]], [0]),  # as JSON has it
    ((2,), True, [(0,)], (0,)),
  ],
)
def test_two_are_several_and_one_is_alone(crowd, counts, early, said, first):
  def talk(process):
    share = mesh.share([15] * (process == 0))
    mine = share.mine(np.arange(6))
    before = share.stopping()
    found = share.gather(mine).tolist()
    everyone = mesh.everyone((process,))
    one = mesh.from_first(lambda: (process,))
    return before, share.stopping(), found, everyone, one

  expected = (early, True, list(range(6)), said, first)
  assert crowd(talk, counts) == [expected] * len(counts)


def test_the_greatest_of_two_signals_is_told(crowd):
  def talk(process):
    signals = [[], [2], [15, 9]][process]
    share = mesh.share(signals)
    share.gather(share.mine(np.arange(6)))
    return signals, share.stopping()

  found = crowd(talk)
  assert found == [([15], True), ([15, 2], True), ([15, 15, 9], True)]


def test_words_of_any_length_are_heard_in_order(crowd):
  said = ['', 'é' * 100, {'a': [1, None, 0.1]}]
  assert crowd(lambda process: mesh.everyone(said[process])) == [said] * 3


def test_the_first_alone_is_asked(crowd):
  asked = []

  def talk(process):
    return mesh.from_first(lambda: asked.append(process) or {'of': process})

  assert crowd(talk) == [{'of': 0}] * 3
  assert asked == [0]


def test_those_who_agree_go_on(crowd):
  agreed = {'flags': {'seed': 0}}
  assert crowd(lambda process: mesh.agree(agreed)) == [None] * 3


@pytest.mark.parametrize('odd', [1, 2])
def test_those_who_differ_are_told_the_same_lines(crowd, odd):
  def talk(process):
    seed = 7 if process == odd else 3
    with pytest.raises(UserError) as error:
      mesh.agree({'flags': {'seed': seed, 'odd': process == odd}})
    return str(error.value)

  said = crowd(talk)
  assert said == [
    f'process 0 (there) and process {odd} (now) differ: start all of them with '
    'the same flags, versions and data:\n'
    '  flags.odd: false there, true now;\n'
    '  flags.seed: 3 there, 7 now'
  ] * len(COUNTS)


def test_what_is_sent_is_a_word_and_the_leaves_and_zeros():
  leaves = [np.array([1, 2], np.uint8), np.array([[3], [4]], np.uint16)]
  sent = mesh.packed(leaves, [2, 3], 0, 258)
  assert sent.dtype == np.uint8
  word = [2, 1, 0, 0, 0, 0, 0, 0]
  assert sent.tolist() == [*word, 1, 2, 3, 0, 4, 0, 0, 0, 0]
  assert len(mesh.packed(leaves, [2, 2], 1, 0)) == 8 + 6


def test_one_process_alone_collects_its_own():
  mine = np.arange(5, dtype=np.uint8)
  found = mesh._collect(mine)
  assert found.dtype == np.uint8
  np.testing.assert_array_equal(found, mine[None])


def test_one_device_of_each_process_meets_in_their_order(monkeypatch):
  owners = [1, 0, 0, 1, 2]
  devices = [
    types.SimpleNamespace(process_index=i, id=k) for k, i in enumerate(owners)
  ]
  lines = []

  def row(devices):
    lines.append([device.id for device in devices])
    return alone

  alone = mesh.row(jax.devices()[:1])
  monkeypatch.setattr(jax, 'devices', lambda: devices)
  monkeypatch.setattr(mesh, 'row', row)
  apart, _ = mesh._meeting.__wrapped__()
  assert lines == [[1, 0, 4]]
  assert apart == jax.NamedSharding(alone, jax.P('lanes'))


def test_who_hears_no_other_is_told_why_in_one_line(monkeypatch):
  def tell(parts):
    raise RuntimeError(
      '[external/xla/pjrt/a.cc:12] Connection [x] closed by peer\nand more'
    )

  given = []

  def make(*arguments):
    given.append(arguments)

  mine = np.arange(3, dtype=np.uint8)
  monkeypatch.setattr(mesh, '_meeting', lambda: ('apart', tell))
  monkeypatch.setattr(jax, 'process_count', lambda: 2)
  monkeypatch.setattr(jax, 'make_array_from_process_local_data', make)
  with pytest.raises(UserError) as error:
    mesh._collect(mine)
  assert str(error.value) == (
    'another process of this run has ended or is far behind (Connection [x] '
    'closed by peer): see what it said, and start all of them again with '
    '--resume.'
  )
  ((sharding, local, shape),) = given
  assert (sharding, local.tolist(), shape) == ('apart', [[0, 1, 2]], (2, 3))


def test_blocks_lie_apart_and_the_rest_everywhere():
  two = mesh.row(jax.devices()[:2])
  assert two.axis_names == ('lanes',)
  assert two.axis_types == (jax.sharding.AxisType.Auto,)
  assert list(two.devices) == jax.devices()[:2]
  given = {'a': np.arange(4.0), 'b': np.ones((2, 3))}
  for put, shapes in (
    (mesh.put_blocks, {'a': (2,), 'b': (1, 3)}),
    (mesh.put_everywhere, {'a': (4,), 'b': (2, 3)}),
  ):
    found = put(two, given)
    for name, leaf in found.items():
      parts = leaf.addressable_shards
      assert [part.device for part in parts] == jax.devices()[:2]
      assert {part.data.shape for part in parts} == {shapes[name]}
      np.testing.assert_array_equal(leaf, given[name])
