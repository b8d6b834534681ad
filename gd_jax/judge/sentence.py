"""The one sentence: who won, by how much, how sure, and what is undecided."""

from collections.abc import Sequence

from gd_jax.judge import records
from gd_jax.judge.intervals import ALPHA
from gd_jax.judge.pairs import Pair
from gd_jax.judge.verdicts import OPPOSITE
from gd_jax.judge.verdicts import Verdicts


def sentence(verdicts: Verdicts) -> str:
  """One sentence for a newcomer: ASCII, no line break, one full stop."""
  clauses = [_nobody(verdicts)]
  if not clauses[0]:
    clauses = [_winner(verdicts), _lead(verdicts), _sure(verdicts)]
    clauses.append(_undecided(verdicts))
  clauses.append(_null(verdicts))
  return '; '.join(clause for clause in clauses if clause) + '.'


def _nobody(verdicts: Verdicts) -> str:
  """Why there is no comparison at all; empty when there is one."""
  ranking, strips = verdicts.ranking, verdicts.values.values()
  if len(ranking) < 2:
    found = f'{ranking[0]} ran alone' if ranking else 'no entry has run'
    return f'Nothing to compare: {found}'
  if any(v is not None for strip in strips for v in strip):
    failed = set(verdicts.hopeless) == set(ranking)
    return 'Nobody won: every seed of every entry failed' if failed else ''
  if verdicts.metric == records.UPDATES_TO_TARGET:
    return 'Nobody won: no seed of any entry stayed finite and hit the target'
  return 'Nobody won: every seed of every entry diverged'


def _winner(verdicts: Verdicts) -> str:
  leader, *others = verdicts.ranking
  if verdicts.seeds < verdicts.seeds_needed:
    return (
      f'Nobody has won yet: {_count(verdicts.seeds, "seed")} cannot decide '
      f'{_count(len(verdicts.pairs), "pair")}, which takes '
      f'{verdicts.seeds_needed} at least, but {leader} is ahead'
    )
  facing = {other: _facing(verdicts, leader, other) for other in others}
  found = {
    word: [other for other, pair in facing.items() if pair.word == word]
    for word in OPPOSITE
  }
  if found['better'] == others:
    return f'{leader} won against {_names(others)}'
  parts = []
  if found['unresolved']:
    parts.append(
      f'No winner yet: {leader} is ahead but not told apart from '
      f'{_names(found["unresolved"])}'
    )
  elif found['worse']:
    parts.append(f'No clear winner: {leader} is the best that never failed')
  else:
    parts.append(f'{_names([leader, *found["equivalent"]])} share the win')
  if found['worse']:
    parts.append(f'worse than {_names(found["worse"])} on most seeds')
  if found['equivalent']:
    margin = max(facing[other].margin or 0.0 for other in found['equivalent'])
    parts.append(
      f'{leader} is equivalent to {_names(found["equivalent"])} within '
      f'{_show_differences(verdicts.metric, margin)}'
    )
  if found['better']:
    parts.append(f'better than {_names(found["better"])}')
  return ', '.join(parts[:-1]) + (', and ' if parts[:-1] else '') + parts[-1]


def _lead(verdicts: Verdicts) -> str:
  """By how much the first leads the second."""
  metric, (leader, second, *_) = verdicts.metric, verdicts.ranking
  of_what = metric.replace('_', ' ').replace('updates', 'number of updates')
  pair = _facing(verdicts, leader, second)
  if pair.mean is None:
    return (
      f'{leader} is ahead of {second} on {pair.wins} and behind on '
      f'{pair.losses} of {_count(pair.seeds, "seed")}'
    )
  strip = [v for v in verdicts.values[leader] if v is not None]
  interval = ''
  if pair.low is not None and pair.high is not None:
    upwards = (
      (pair.low, pair.high) if pair.mean >= 0 else (-pair.high, -pair.low)
    )
    interval = (
      f' (unadjusted 95 % interval {_show_differences(metric, *upwards)})'
    )
  return (
    f'{leader} has a mean {of_what} of '
    f'{_show(metric, sum(strip) / len(strip))} over '
    f'{_count(pair.seeds, "seed")}, '
    f'{_show_differences(metric, abs(pair.mean))} '
    f'{"higher" if pair.mean >= 0 else "lower"} than {second}{interval}'
  )


def _sure(verdicts: Verdicts) -> str:
  words = {pair.word for pair in verdicts.pairs if not pair.null}
  told = ['better or worse'] if words & {'better', 'worse'} else []
  told += ['equivalent'] if 'equivalent' in words else []
  if not told:
    return ''
  text = f'the risk of even one false {told[0]} is held to {100 * ALPHA:g} %'
  return text + (f', and so is that of a false {told[1]}' if told[1:] else '')


def _undecided(verdicts: Verdicts) -> str:
  """How many pairs have no word, and what would give them one."""
  real = [pair for pair in verdicts.pairs if not pair.null]
  undecided = [pair for pair in real if pair.word == 'unresolved']
  if not undecided:
    return 'no pair is undecided'
  text = f'{len(undecided)} of {_count(len(real), "pair")} undecided'
  known = [p.seeds_to_resolve for p in undecided if p.seeds_to_resolve]
  if known and verdicts.seeds > 1:
    all_of_them = 'them' if len(known) > 1 else 'it'
    some = f'{len(known)} of them'
    text += f', and about {max(known):,} seeds would probably settle '
    text += all_of_them if len(known) == len(undecided) else some
  if len(known) < len(undecided):
    text += f', {len(undecided) - len(known)} being beyond any number of seeds'
  return text


def _null(verdicts: Verdicts) -> str:
  false = {pair.word for pair in verdicts.pairs if pair.null}
  if not false & {'better', 'worse'}:
    return ''
  return (
    'beware, the null pair got a false word, as one honest study in twenty may'
  )


def _facing(verdicts: Verdicts, entry: str, other: str) -> Pair:
  """The pair of two entries, turned so that it is about `entry`."""
  for pair in verdicts.pairs:
    if not pair.null and {pair.a, pair.b} == {entry, other}:
      return pair if pair.a == entry else _turned(pair)
  raise ValueError(f'{entry} and {other} are no pair of this study')


def _turned(pair: Pair) -> Pair:
  def minus(value: float | None) -> float | None:
    return None if value is None else -value

  return pair._replace(
    a=pair.b,
    b=pair.a,
    word=OPPOSITE[pair.word],
    wins=pair.losses,
    losses=pair.wins,
    mean=minus(pair.mean),
    low=minus(pair.high),
    high=minus(pair.low),
  )


def _names(names: Sequence[str]) -> str:
  return ' and '.join(filter(None, [', '.join(names[:-1]), *names[-1:]]))


def _count(n: int, noun: str) -> str:
  return f'{n} {noun}' if n == 1 else f'{n} {noun}s'


def _show(metric: str, value: float) -> str:
  if metric == 'test_accuracy':
    return f'{100 * value:.2f} %'
  return f'{value:.3g}' if metric == 'test_cost' else f'{value:,.0f}'


def _show_differences(metric: str, *values: float) -> str:
  """One difference, or the two ends of an interval, with the unit once."""
  if metric == 'test_accuracy':
    return f'{" to ".join(f"{100 * v + 0.0:.2f}" for v in values)} points'
  if metric == 'test_cost':
    return ' to '.join(f'{v + 0.0:.3g}' for v in values)
  return f'{" to ".join(f"{v + 0.0:,.0f}" for v in values)} updates'
