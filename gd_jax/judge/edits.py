"""The disputed conventions, one at a time, and which explain an optimizer.

An edit changes a rule of `conventions` in one place where the libraries or the
papers disagree. What an optimizer does otherwise is the smallest set of edits
that leads where it went.
"""

import itertools
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from gd_jax.judge import conventions
from gd_jax.judge.conventions import Course
from gd_jax.judge.conventions import Rule


class Edit(NamedTuple):
  """One disputed convention, as a change of a rule."""

  group: str  # a rule can be edited once in each
  words: str  # what the edited rule does
  fields: dict[str, Any]


def edits(rule: Rule) -> list[Edit]:
  """Every single convention in which an optimizer may differ from `rule`."""
  found = [
    Edit('sign', 'adds where it should subtract', {'sign': -1.0}),
    Edit('count', 'has its schedule count from 1', {'counted_from': 1}),
    *_decays(rule),
  ]
  if rule.mu:
    mean = {'v_gain': 1 - rule.mu}
    inside = {'rate_inside': not rule.rate_inside}
    where = 'outside' if rule.rate_inside else 'inside'
    look = 'does not look ahead' if rule.look_ahead else 'looks ahead'
    found += [
      Edit('rate', f'has the rate {where} the momentum buffer', inside),
      Edit('gain', 'averages where the other sums (1 - mu)', mean),
      Edit('look', look, {'look_ahead': not rule.look_ahead}),
    ]
  if rule.divides:
    found += [*_placements(rule), *_starts(rule)]
  if rule.b1:
    found += _corrections()
    swapped = {
      'b1': rule.b2,
      'b2': rule.b1,
      'm_gain': 1 - rule.b2,
      's_gain': 1 - rule.b1,
    }
    found.append(Edit('betas', 'has b1 and b2 swapped', swapped))
  return found


def _decays(rule: Rule) -> list[Edit]:
  amounts = [x for x in (0.0, 1e-4, 1e-2) if x != rule.decay]
  found = [
    Edit('decay', f'has a weight decay of {x:g}', {'decay': x}) for x in amounts
  ]
  if rule.decay:
    coupled = 'couples its weight decay to the gradient'
    bare = 'decays the weights without the rate'
    found += [
      Edit('decay', coupled, {'coupled': True}),
      Edit('decay', bare, {'decay_by_rate': False}),
    ]
  return found


def _placements(rule: Rule) -> list[Edit]:
  own = rule.eps or rule.eps_root
  found = []
  for eps in dict.fromkeys((own, 1e-8, 1e-7, 1e-10, 1e-16)):
    value = '' if eps == own else f' = {eps:g}'
    found += [
      Edit('eps', f'has eps{value} {where}', {'eps_hat': False} | fields)
      for where, fields in (
        ('inside the root', {'eps': 0.0, 'eps_root': eps}),
        ('outside the root', {'eps': eps, 'eps_root': 0.0}),
        (
          'outside the root, before the correction',
          {'eps': eps, 'eps_root': 0.0, 'eps_hat': True},
        ),
      )
      if Rule(**(rule._asdict() | fields)) != rule
      and (rule.s_corrected or 'eps_hat' not in fields)
    ]
  return found


def _starts(rule: Rule) -> list[Edit]:
  found = [
    Edit('start', f'starts its squares at {start:g}', {'s_start': start})
    for start in (0.0, 0.1, 1.0)
    if start != rule.s_start
  ]
  found += [
    Edit('betas', f'has a decay of {b2:g}', {'b2': b2, 's_gain': 1 - b2})
    for b2 in (0.9, 0.99, 0.999)
    if rule.b2 not in (1.0, b2)
  ]
  if rule.b2 != 1 and not rule.s_corrected:
    words = 'corrects its averages for their start at 0'
    found.append(Edit('correction', words, {'s_corrected': True}))
  return found


def _corrections() -> list[Edit]:
  neither = {'m_corrected': False, 's_corrected': False}
  return [
    Edit('correction', 'has no bias correction', neither),
    Edit('correction', 'does not correct m', {'m_corrected': False}),
    Edit('correction', 'does not correct v', {'s_corrected': False}),
    Edit('correction', 'has its bias correction count from 2', {'first': 2}),
  ]


def explain(
  rule: Rule, courses: Sequence[Course], tolerance: float
) -> list[str]:
  """What the optimizer that went the courses does, and `rule` does not.

  Returns:
    The fewest conventions, at most three, that together explain all of it to
    the tolerance; [] where none tried does.
  """
  # Few rules survive the first updates, and only those go all the way.
  first = [c._replace(positions=c.positions[:4]) for c in courses]
  single = edits(rule)
  for size in (1, 2, 3):
    groups = [
      group
      for group in itertools.combinations(single, size)
      if len({edit.group for edit in group}) == size
    ]
    near = (
      conventions.distances([_changed(rule, group) for group in groups], first)
      < 1e-3
    )
    groups = list(itertools.compress(groups, near))
    if groups:
      apart = conventions.distances(
        [_changed(rule, group) for group in groups], courses
      )
      if np.min(apart) <= tolerance:
        return [edit.words for edit in groups[int(np.argmin(apart))]]
  return []


def _changed(rule: Rule, group: Sequence[Edit]) -> Rule:
  for edit in group:
    rule = rule._replace(**edit.fields)
  return rule
