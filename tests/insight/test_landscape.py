"""Slices, lines and projections against the cost itself and numpy.linalg."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import flatten_util

from gd_jax.insight import landscape
from gd_jax.insight import mistakes
from gd_jax.insight import principal
from gd_jax.insight import totals
from tests.insight import networks as nets


def directions():
  return landscape.stacked(nets.direction(2), nets.direction(3))


def test_T10_a_slice_holds_the_cost_at_its_points():
  where = landscape.grid(np.linspace(-1, 1, 7), np.linspace(-2, 2, 5))
  assert where.shape == (35, 2)
  assert where[1].tolist() == [pytest.approx(-2 / 3), -2]
  found = [
    jax.jit(landscape.slice_of(split, nets.MESH))(
      nets.params(), directions(), where, nets.dealt()
    )
    for split in (landscape.whole(nets.SCORES_OF), nets.SPLIT)
  ]
  for k, (a, b) in enumerate(where):
    vector = (
      nets.flat(nets.params())
      + a * nets.flat(nets.direction(2))
      + b * nets.flat(nets.direction(3))
    )
    point = flatten_util.ravel_pytree(nets.params())[1](vector)
    scores = jax.vmap(nets.SCORES_OF, (None, 0))(point, nets.images())
    for scored in found:
      assert float(scored.cost[k]) == pytest.approx(
        float(nets.mean_cost(point)), abs=1e-12
      )
      assert float(scored.accuracy[k]) == pytest.approx(
        float(scores.accuracy.mean())
      )


def test_points_on_no_plane_have_the_mean_cost_of_each():
  # One more than are looked at side by side.
  several = [nets.params(seed) for seed in range(landscape.SIDE_BY_SIDE + 1)]
  points = jax.tree.map(lambda *leaves: jnp.stack(leaves), *several)
  found = jax.jit(landscape.costs_at(nets.COST_OF, nets.MESH))(
    points, nets.dealt()
  )
  wanted = [float(nets.mean_cost(point)) for point in several]
  np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_filter_normalisation_by_its_definition():
  d, params = nets.direction(), nets.params()
  found = landscape.filter_normalised(d, params)
  for layer, old, own in zip(found, d, params, strict=True):
    for row, before, weights in zip(layer.w, old.w, own.w, strict=True):
      wanted = before * np.linalg.norm(weights) / np.linalg.norm(before)
      np.testing.assert_allclose(row, wanted, rtol=0, atol=1e-14)
    assert (np.asarray(layer.b) == 0).all()
  none = jax.tree.map(jnp.zeros_like, d)
  assert not nets.flat(landscape.filter_normalised(none, params)).any()


def test_T10_principal_directions_are_those_of_the_covariance():
  rng = np.random.default_rng(0)
  points = rng.standard_normal((12, 9)) * np.arange(1, 10) + 3
  found = principal.of_points(points)
  values, vectors = np.linalg.eigh(np.cov(points.T, bias=True))
  np.testing.assert_allclose(found.share, values[::-1][:2] / values.sum())
  overlap = np.abs(found.directions @ vectors[:, ::-1][:, :2])
  np.testing.assert_allclose(overlap, np.eye(2), atol=1e-10)
  where = principal.coordinates(found, points)
  assert (where[-1] >= 0).all()
  share = where.var(axis=0) / points.var(axis=0).sum()
  np.testing.assert_allclose(share, found.share)


def test_T10_points_of_a_plane_are_on_it_and_the_plane_explains_them():
  rng = np.random.default_rng(1)
  basis = np.linalg.qr(rng.standard_normal((20, 2)))[0].T
  points = rng.standard_normal((6, 2)) @ basis + 5
  found = principal.of_points(points)
  assert found.share.sum() == pytest.approx(1)
  where = principal.coordinates(found, points)
  back = found.mean + where @ found.directions
  np.testing.assert_allclose(back, points, atol=1e-12)


def test_rows_in_chunks_give_the_directions_of_the_points():
  rng = np.random.default_rng(2)
  rows = rng.integers(0, 256, (9001, 5), dtype=np.uint8)
  rows[:, 1] //= 3
  found, whole = principal.of_rows(rows), principal.of_points(rows)
  np.testing.assert_allclose(found.share, whole.share)
  np.testing.assert_allclose(
    np.abs(found.directions @ whole.directions.T), np.eye(2), atol=1e-8
  )
  flat = rows.astype(float) - rows.astype(float).mean(axis=0)
  np.testing.assert_allclose(
    principal.coordinates(found, rows), flat @ found.directions.T
  )


def test_the_last_point_lies_on_the_positive_side():
  points = np.array([[0.0, 0.0], [4.0, 0.0], [2.0, 1.0], [-2.0, -1.0]])
  for turned in (points, points[:, ::-1], -points):
    found = principal.of_points(turned)
    assert (principal.coordinates(found, turned)[-1] > 0).all()
    np.testing.assert_allclose(
      found.directions @ found.directions.T, np.eye(2), atol=1e-12
    )
  assert principal.of_points(points, count=1).directions.shape == (1, 2)


def test_components_of_the_data_s_directions_add_up_to_something_positive():
  rows = np.array([[0, 9], [200, 9], [100, 29], [100, 0]], np.uint8)
  found = principal.of_rows(rows)
  assert (found.directions.sum(axis=1) > 0).all()
  np.testing.assert_allclose(found.mean, rows.mean(axis=0))
  assert found.share.sum() == pytest.approx(1)
  assert principal.of_rows(rows, count=1).directions.shape == (1, 2)


def test_points_that_never_moved_have_a_frame():
  found = principal.of_points(np.ones((3, 4)))
  assert found.share.tolist() == [0, 0]
  (low, high), _ = principal.frame(
    [principal.coordinates(found, np.ones((3, 4)))]
  )
  assert low < 0 < high


def test_a_frame_holds_every_path_with_a_margin():
  paths = [np.array([[0.0, 1.0], [8.0, 1.5]]), np.array([[4.0, 3.0]])]
  (left, right), (low, high) = principal.frame(paths, margin=0.25)
  assert (left, right) == (-2, 10)
  assert (low, high) == (0.5, 3.5)


def test_a_frame_is_nowhere_narrower_than_a_quarter_of_its_length():
  flat = [np.array([[0.0, 7.0], [16.0, 7.0]])]
  assert principal.frame(flat, margin=0.0) == ((0, 16), (5, 9))
  assert principal.frame(flat, margin=0.5) == ((-8, 24), (3, 11))
  spot = [np.array([[2.0, 3.0]])]
  assert principal.frame(spot, margin=0.0) == (
    (1.875, 2.125),
    (2.875, 3.125),
  )


def test_mistakes_by_hand():
  labels = np.array([0, 1, 2, 1, 0, 2])
  predicted = np.array([0, 2, 2, 0, 1, 1])
  assert mistakes.confusion(labels, predicted, 3).tolist() == [
    *([1, 1, 0], [1, 0, 1], [0, 1, 1]),
  ]
  cost = np.array([9.0, 0.5, 8.0, 0.75, 0.5, 0.25])
  answers = mistakes.Answers(cost, predicted)
  # The dearest first, equal ones in their order.
  assert mistakes.worst(answers, labels, 3).tolist() == [3, 1, 4]
  assert mistakes.worst(answers, labels, 9).tolist() == [3, 1, 4, 5]


def test_examples_are_dealt_in_equal_chunks():
  found = totals.deal(nets.images(), nets.MESH, most=10)
  images = nets.images()
  devices = nets.MESH.size
  chunks = found.weights.shape[0]
  assert chunks % devices == 0
  assert found.weights.shape[1] <= 10
  weights = np.asarray(found.weights).ravel()
  assert weights.tolist() == [1.0] * 47 + [0.0] * (weights.size - 47)
  np.testing.assert_array_equal(totals.flat(found.examples, 47).x, images.x)
  if devices == 2:
    assert found.weights.shape == (6, 8)
  # As many as fit exactly, and one more.
  for n, shape in ((20 * devices, (2, 10)), (20 * devices + 1, (3, 7))):
    dealt = totals.deal(nets.images(n), nets.MESH, most=10)
    assert dealt.weights.shape == (shape[0] * devices, shape[1])


def test_answers_confusion_and_the_dead():
  split = totals.deal(nets.images(), nets.MESH, most=10)
  found = totals.flat(
    jax.jit(mistakes.answers_of(nets.SCORES_OF, nets.MESH))(
      nets.params(), split
    ),
    nets.N,
  )
  labels = nets.images().y
  for k in range(nets.N):
    image = jax.tree.map(lambda leaf, k=k: leaf[k], nets.images())
    scores = nets.SCORES_OF(nets.params(), image)
    assert found.cost[k] == pytest.approx(float(scores.cost))
    assert found.predicted[k] == int(jnp.argmax(scores.predicted))
  matrix = mistakes.confusion(labels, found.predicted, 3)
  assert matrix.sum(axis=1).tolist() == np.bincount(labels).tolist()
  assert np.trace(matrix) == (found.predicted == labels).sum()
  wrong = mistakes.worst(found, labels, 5)
  assert (found.predicted[wrong] != labels[wrong]).all()
  others = found.cost[(found.predicted != labels)]
  assert sorted(others)[::-1][:5] == pytest.approx(found.cost[wrong].tolist())


def test_T31_a_class_that_is_all_but_never_named_is_dead():
  assert mistakes.dead(np.repeat([0, 1, 2], [290, 305, 5]), 3) == [2]
  assert mistakes.dead(np.array([0, 2, 2, 0]), 4) == [1, 3]
  assert mistakes.dead(np.arange(4), 4) == []
  # A fair share is 200; a tenth of it is not less than a tenth.
  for named, dead in ((20, []), (19, [2])):
    answers = np.repeat([0, 1, 2], [300, 300 - named, named])
    assert mistakes.dead(answers, 3) == dead
