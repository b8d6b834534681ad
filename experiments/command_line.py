"""The command line of a script: what it may say, and its --help."""

import difflib
import re
import textwrap
from collections.abc import Iterable

from absl import flags as absl_flags

from experiments import flags

Holders = Iterable[absl_flags.FlagHolder]


def in_groups(holders: Holders, own: str) -> dict:
  """{title: holders of that group}; those of no shared group stand in `own`."""
  wanted = list(holders)
  shared = {holder.name for group in flags.GROUPS.values() for holder in group}
  groups = {own: [h for h in wanted if h.name not in shared]}
  names = {holder.name for holder in wanted}
  for title, group in flags.GROUPS.items():
    groups[title] = [h for h in group if h.name in names]
  return {title: group for title, group in groups.items() if group}


def help_text(doc: str, groups: dict) -> str:
  """What --help prints: the script's lab note, then its flags by subject."""
  lines = [doc.strip(), '']
  for title, holders in groups.items():
    lines += [f'{title}:', '']
    for holder in holders:
      flag = absl_flags.FLAGS[holder.name]
      text = flag.help or ''
      if isinstance(flag, absl_flags.EnumFlag):
        text = text.partition('>: ')[2]
        text += f' One of {", ".join(flag.parser.enum_values)}.'
      if flag.default is not None and flag.default != []:
        shown = flag.default
        if isinstance(shown, list):
          shown = ','.join(map(str, shown))
        if isinstance(shown, bool):
          shown = str(shown).lower()
        text += f' Default: {shown}.'
      lines.append(f'  --{holder.name}')
      lines += textwrap.wrap(
        text, 78, initial_indent='      ', subsequent_indent='      '
      )
    lines.append('')
  return '\n'.join(lines)


def parse(argv: list[str], holders: Holders) -> list[str]:
  """Parses argv for a script that honours `holders`; returns positionals.

  Raises:
    absl_flags.Error: with one sentence, for an unknown flag, one that the
      script does not honour, one given twice or one with a bad value.
  """
  names = {holder.name for holder in holders}
  given = []
  for argument, after in zip(argv[1:], [*argv, ''][2:], strict=True):
    if argument == '--':
      break
    if argument.startswith('-') and len(argument) > 1:
      name = argument.lstrip('-').split('=', 1)[0].replace('-', '_')
      boolean = name.removeprefix('no')
      given.append(boolean if name not in names and boolean in names else name)
      wants = name in names and not absl_flags.FLAGS[name].boolean
      # absl would take the next flag for the value; -0.5 is one.
      if wants and '=' not in argument and re.match('--|-[A-Za-z]', after):
        raise absl_flags.Error(
          f'--{name} has no value but is followed by {after}: give it one, '
          f'or write --{name}={after} if that is meant.'
        )
  for name in given:
    if given.count(name) > 1:
      raise absl_flags.Error(f'--{name} is given twice: give it once.')
    if name not in names and name in {holder.name for holder in flags.SEVERAL}:
      raise absl_flags.Error(
        f'--{name} has no meaning here: only compare works in several '
        'processes, every other script uses the devices of one.'
      )
    if name not in names and not name[:1].isdigit():
      near = difflib.get_close_matches(name, names, 1)
      mend = f'did you mean --{near[0]}?' if near else 'see --help.'
      raise absl_flags.Error(f'there is no flag --{name} here: {mend}')
  try:
    return absl_flags.FLAGS(argv)[1:]
  except (absl_flags.IllegalFlagValueError, ValueError) as error:
    text = str(error).removeprefix('flag ').replace('\n', ' ')
    if 'boolean' in text:
      text = f'{text.split(":")[0]}: expected true or false'
    raise absl_flags.Error(text.rstrip('.') + '.') from error


def refuse_empty(holders: Holders) -> None:
  """Refuses --name= where an empty text would be taken for no flag at all.

  Raises:
    absl_flags.Error: naming the flag.
  """
  for holder in holders:
    if holder.present and holder.value == '':
      raise absl_flags.Error(
        f'--{holder.name}= is empty: give it a value or leave it out.'
      )


def check_several(values: dict) -> None:
  """Refuses flags of several processes that do not fit one another.

  Raises:
    absl_flags.Error: naming them.
  """
  names = [holder.name for holder in flags.SEVERAL[1:]]
  missing = [name for name in names if values.get(name) is None]
  if values.get('distributed') and len(missing) < len(names):
    raise absl_flags.Error(
      '--distributed lets JAX find the processes: leave out --'
      f'{next(name for name in names if name not in missing)}, or '
      '--distributed.'
    )
  if missing and len(missing) < len(names):
    raise absl_flags.Error(
      f'--{missing[0]} is missing: --coordinator=HOST:PORT --num_processes=N '
      '--process_id=I belong together.'
    )
  if not missing and values['process_id'] >= values['num_processes']:
    raise absl_flags.Error(
      f'--process_id={values["process_id"]} is none of '
      f'--num_processes={values["num_processes"]} processes: they count from 0.'
    )


def resolved(holders: Holders) -> dict:
  """{name: value} of every flag that the script honours."""
  return {holder.name: holder.value for holder in holders}
