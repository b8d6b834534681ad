"""The words and figures that stand beside a tournament's pictures."""

from collections.abc import Mapping
from typing import Any

from gd_jax.pictures import readings

SIGNS = {'better': '+', 'worse': '-', 'equivalent': '=', 'unresolved': '?'}


def number(value: readings.Value, spec: str = '.4g') -> str:
  """A figure, or a dash where there is none."""
  return '-' if value is None else format(value, spec)


def figure(quantity: str, value: readings.Value) -> str:
  """A value of a quantity in its drawn unit, with as many places as others."""
  if readings.is_accuracy(quantity):
    spec = '.2f'
  else:
    spec = ',.0f' if quantity == 'updates_to_target' else '#.4g'
  return number(readings.drawn(quantity, value), spec)


def pair_words(study: Mapping[str, Any], a: str, b: str) -> list[str]:
  """Everything known of a against b, line by line; the word is about a."""
  pair = next(
    pair
    for pair in study['pairs']
    if not pair['null'] and {pair['a'], pair['b']} == {a, b}
  )
  turned = pair['a'] != a
  word = study['matrix'][a][b]
  return [
    f'{readings.label(a, 60)} against {readings.label(b, 60)}: {word}'
  ] + figures_of_pair(pair, study['metric'], turned=turned)


def figures_of_pair(
  pair: Mapping[str, Any], metric: str, *, turned: bool = False
) -> list[str]:
  """The paired interval, the margin and the p-values; `turned` is b - a."""
  wins, losses = pair['wins'], pair['losses']
  low, high = pair['low'], pair['high']
  sign = 1
  if turned:
    wins, losses, sign = losses, wins, -1
    low, high = high, low
  mean, low, high, margin = (
    None if value is None else readings.drawn(metric, factor * value)
    for value, factor in (
      (pair['mean'], sign),
      (low, sign),
      (high, sign),
      (pair['margin'], 1),
    )
  )
  lines = [
    f'paired difference {number(mean, "+.3g")}, unadjusted 95 % interval '
    f'{number(low, "+.3g")} to {number(high, "+.3g")}'
    if mean is not None
    else 'no mean difference: a seed has no number',
    f'margin {number(margin, ".3g")}, TOST p {pair["p_margin"]:.2g} '
    f'(Holm {pair["p_margin_adjusted"]:.2g})',
    f'{pair["test"]} p {pair["p_zero"]:.2g} (Holm '
    f'{pair["p_zero_adjusted"]:.2g})',
    f'better on {wins}, worse on {losses} of {pair["seeds"]} seeds',
  ]
  if pair['seeds_to_resolve']:
    lines.append(f'about {pair["seeds_to_resolve"]} seeds would resolve it')
  return lines


def failures_in_words(failures: Mapping[str, Any]) -> str:
  """Such as: 3 of 20 failed, up to 36 %: 2 diverged, 1 saturated."""
  kinds = [
    f'{failures[kind]} {words}'
    for kind, words in (
      ('diverged', 'diverged'),
      ('saturated', 'saturated'),
      ('dead_outputs', 'with a class never predicted'),
    )
    if failures[kind]
  ]
  return failures_in_short(failures) + (': ' + ', '.join(kinds)) * bool(kinds)


def failures_in_short(failures: Mapping[str, Any]) -> str:
  """Such as: 3 of 20 failed, up to 36 %."""
  return (
    f'{failures["failed"]} of {failures["lanes"]} failed, up to '
    f'{100 * failures["failed_up_to"]:.0f} %'
  )


def point_words(point: readings.Point, title: str) -> list[str]:
  """What stands at a point of a learning curve."""
  return [
    f'epoch {point.epoch}, {point.step:,} updates: {title}',
    f'median {number(point.middle)}, middle 80 % {number(point.low)} to '
    f'{number(point.high)}',
    f'{point.seeds - point.numbers} of {point.seeds} seeds diverged',
  ]
