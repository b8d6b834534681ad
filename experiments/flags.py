"""Every flag that two scripts share, defined once, with its default.

A script lists the flags it honours, `start.run` refuses the others. Each help
text names the unit and what an empty value means.
"""

import difflib
import math
import re
import textwrap
from collections.abc import Iterable

from absl import flags

from gd_jax.descent import schedules
from gd_jax.descent import train
from gd_jax.descent import twins
from gd_jax.model import costs
from gd_jax.model import mlp

PRECISIONS = {  # name -> (dtype of the parameters, matmul precision)
  'float32': ('float32', 'highest'),
  'tensorfloat32': ('float32', 'tensorfloat32'),
  'bfloat16': ('float32', 'bfloat16'),
  'float64': ('float64', 'highest'),
}
FULL = 'full'
LARGEST = 2**31 - 1


class _Number(flags.FloatParser):
  """A finite number above a bound; nan passes absl's own bounds."""

  def __init__(self, above: float | None = None, most: float | None = None):
    super().__init__()
    self.above = above
    self.most = most
    self.syntactic_help = 'a finite number'
    if above is not None:
      self.syntactic_help += f' above {above:g}'
    if most is not None:
      self.syntactic_help += f', at most {most:g}'

  def parse(self, argument):
    """Parses one value; ValueError says what was expected."""
    try:
      value = float(argument)
    except (TypeError, ValueError):
      value = math.nan
    low = -math.inf if self.above is None else self.above
    high = math.inf if self.most is None else self.most
    if not math.isfinite(value) or not low < value <= high:
      raise ValueError(f'expected {self.syntactic_help}')
    return value


class _Whole(flags.ArgumentParser):
  """A whole number of at least `least`, or one of the `words`."""

  def __init__(self, least: int, words: tuple[str, ...], most: int):
    self.least = least
    self.most = most
    self.words = words
    self.syntactic_help = f'a whole number from {least}'
    if most < LARGEST:
      self.syntactic_help += f' to {most}'
    self.syntactic_help += ''.join(f' or {word!r}' for word in words)

  def parse(self, argument):
    """Parses one value; ValueError says what was expected."""
    text = str(argument).strip()
    if text in self.words:
      return text
    if not (text.isascii() and text.isdigit()):
      raise ValueError(f'expected {self.syntactic_help}')
    # int() refuses thousands of digits in words of its own.
    if len(text.lstrip('0')) > len(str(LARGEST)) or int(text) > self.most:
      raise ValueError(f'expected at most {self.most}')
    if int(text) < self.least:
      raise ValueError(f'expected {self.syntactic_help}')
    return int(text)


class _Word(flags.ArgumentParser):
  """One of some words."""

  def __init__(self, words: tuple[str, ...]):
    self.words = words
    self.syntactic_help = f'one of {", ".join(words)}'

  def parse(self, argument):
    """Parses one word; ValueError says what was expected."""
    if argument not in self.words:
      raise ValueError(f'expected {self.syntactic_help}')
    return argument


class _Each(flags.ArgumentParser):
  """A comma-separated list, each element parsed by `element`."""

  syntactic_help = 'a comma-separated list'

  def __init__(self, element: flags.ArgumentParser):
    self.element = element

  def parse(self, argument):
    """Parses the list; an empty text is an empty list."""
    if isinstance(argument, (list, tuple)):
      return list(argument)
    if not argument.strip():
      return []
    return [self.element.parse(part) for part in argument.split(',')]


def _define(parser, name, default, text):
  return flags.DEFINE(
    parser, name, default, text, serializer=flags.ArgumentSerializer()
  )


def number(name, default, text, *, above=None, most=None):
  """Defines a flag for a finite number above `above`, at most `most`."""
  return _define(_Number(above, most), name, default, text)


def numbers(name, default, text, *, above=None):
  """Defines a flag for a comma-separated list of finite numbers."""
  return _define(_Each(_Number(above)), name, default, text)


def whole(name, default, text, *, least=0, words=(), most=LARGEST):
  """Defines a flag for a whole number in [least, most], or a word."""
  return _define(_Whole(least, words, most), name, default, text)


def wholes(name, default, text, *, least=1, words=()):
  """Defines a flag for a comma-separated list of whole numbers."""
  return _define(_Each(_Whole(least, words, LARGEST)), name, default, text)


def words(name, default, text, allowed):
  """Defines a flag for a comma-separated list of some words."""
  return _define(_Each(_Word(allowed)), name, default, text)


DATASET = flags.DEFINE_string(
  'dataset',
  'digits',
  'Images to learn: digits (shipped, 8x8), mnist or any other TFDS image set '
  '(fashion_mnist, kmnist, emnist/letters, cifar10, ...), or FILE.npz with '
  'x_train, y_train, x_test, y_test.',
)
DATA_DIR = flags.DEFINE_string(
  'data_dir',
  None,
  'Folder where TFDS keeps prepared sets; empty means ~/tensorflow_datasets '
  'or $TFDS_DATA_DIR.',
)
MANUAL_DIR = flags.DEFINE_string(
  'manual_dir',
  None,
  "Folder with a set's original files, for a machine without network, such as "
  "MNIST's four .gz files; TFDS verifies them.",
)
VALIDATION_SIZE = whole(
  'validation_size',
  None,
  'Examples held out of the train split to choose by; empty means 300 of '
  'digits, 10000 of mnist, a sixth of any other set.',
)
LAYER_SIZES = wholes(
  'layer_sizes',
  [],
  'Neurons a layer, inputs first, such as 784,30,10; empty means inputs,30,'
  'classes of the dataset.',
)
INIT = words(
  'init',
  ['scaled'],
  'Spread of the random weights: normal is N(0,1), scaled N(0,1/n_in). compare '
  'takes several, normal,scaled, and crosses the entries with them.',
  tuple(mlp.SCALES),
)
ACTIVATION = flags.DEFINE_enum(
  'activation', 'sigmoid', list(mlp.ACTIVATIONS), 'Of the hidden neurons.'
)
COST = words(
  'cost',
  ['quadratic'],
  'Of one example: quadratic is 1/2 |y - a|^2, cross_entropy '
  '-sum y ln a + (1 - y) ln(1 - a). compare takes both, quadratic,'
  'cross_entropy, and crosses the entries with them.',
  tuple(costs.COSTS),
)
REDUCTION = flags.DEFINE_enum(
  'reduction',
  'mean',
  train.REDUCTIONS,
  'Of the costs in a mini-batch; sum is the learning rate times m.',
)
GRADIENTS = flags.DEFINE_enum(
  'gradients',
  'mean',
  train.GRADIENTS,
  'mean differentiates the mean of the vmapped costs (fast); per_example '
  'averages the vmapped gradients. Equal but for rounding.',
)
PRECISION = flags.DEFINE_enum(
  'precision',
  'float32',
  list(PRECISIONS),
  'Of the arithmetic; tensorfloat32 and bfloat16 are float32 with coarser '
  'matrix products where the device has them.',
)
PLATFORM = flags.DEFINE_enum(
  'platform',
  None,
  ['cpu', 'gpu', 'tpu'],
  'Device to run on; empty means the best that JAX finds.',
)
BATCH_SIZE = whole(
  'batch_size',
  10,
  'Examples an update, m; 1 is online learning, full is batch descent.',
  least=1,
  words=(FULL,),
)
BATCH_SIZES = wholes(
  'batch_sizes',
  [],
  'Mini-batch sizes, such as 1,10,100,full: compare crosses its entries with '
  'them, and empty means --batch_size alone; benchmark times each, and empty '
  'means 10,100,full.',
  words=(FULL,),
)
EPOCHS = whole('epochs', 5, 'Passes over the training examples.', least=1)
SEED = whole('seed', 0, 'Of the start and of the order of examples.')
ENTRY = (
  f'{", ".join(twins.TWINS)} are ours; optax:lion or MODULE:FACTORY is '
  'anything else; then +key=value for hyperparameters and @RATE for the '
  'centre of its grid: adam+b1=0.95@0.003.'
)
OPTIMIZERS = flags.DEFINE_string(
  'optimizers',
  None,
  f'Entries, separated by commas: {ENTRY} Empty means '
  'sgd,momentum,nesterov,adagrad,rmsprop,adam in compare and sgd in descend, '
  'which also knows backtracking and optax:scale_by_backtracking_linesearch.',
)
LEARNING_RATE = number(
  'learning_rate',
  None,
  "eta, the first step's length per unit of gradient; empty means the "
  "optimizer's own.",
  above=0,
)
SCHEDULE = flags.DEFINE_string(
  'schedule',
  'constant',
  'Shape that multiplies the learning rate, of the updates made: '
  f'{", ".join(schedules.SCHEDULES)}; write NAME+key=value, such as '
  'cosine+steps=5000 or step+every=1000+factor=0.5, and +warmup=100 after any.',
)
CHECKPOINT_EVERY = whole(
  'checkpoint_every', 1, 'Epochs between two checkpoints.', least=1
)
SNAPSHOTS = whole(
  'snapshots',
  0,
  'Parameters kept, spread over the run with start and end, for inspect_run; 0 '
  'keeps none.',
  most=10_000,
)
RESUME = flags.DEFINE_bool(
  'resume', False, 'Go on with the run --name from its newest checkpoint.'
)
WORKDIR = flags.DEFINE_string(
  'workdir', 'runs', 'Folder that holds the run directories.'
)
NAME = flags.DEFINE_string(
  'name',
  None,
  'Run directory inside workdir; empty means the experiment and the time.',
)
JSON = flags.DEFINE_bool(
  'json', False, 'Print the rows as JSON lines on stdout, words on stderr.'
)
PROFILE = flags.DEFINE_bool(
  'profile',
  False,
  'Trace some updates of every program by jax.profiler into the run directory, '
  'profile/. They are made once more for it: no number of the run changes.',
)
QUIET = flags.DEFINE_bool(
  'quiet', False, 'Say nothing but errors; with --json, print the rows alone.'
)
DISTRIBUTED = flags.DEFINE_bool(
  'distributed',
  False,
  'This is one of several processes, on one machine or many, which JAX finds '
  'through Slurm, Open MPI, GKE or Cloud TPU. Lanes are dealt to the devices '
  'of all of them; process 0 writes.',
)
COORDINATOR = flags.DEFINE_string(
  'coordinator',
  None,
  'HOST:PORT where process 0 runs and all meet: several processes without a '
  'cluster. Needs --num_processes and --process_id.',
)
NUM_PROCESSES = whole(
  'num_processes', None, 'How many processes meet there.', least=1
)
PROCESS_ID = whole(
  'process_id', None, 'Which of them this one is, from 0; give each its own.'
)
SEVERAL = (DISTRIBUTED, COORDINATOR, NUM_PROCESSES, PROCESS_ID)
# Of every script.
EVERY = (PLATFORM, WORKDIR, NAME, JSON, QUIET)
# Of whatever trains a network.
TRAINING = (
  SCHEDULE,
  BATCH_SIZE,
  EPOCHS,
  SEED,
  REDUCTION,
  GRADIENTS,
  PRECISION,
  SNAPSHOTS,
)

GROUPS = {
  'Data': (DATASET, DATA_DIR, MANUAL_DIR, VALIDATION_SIZE),
  'Network': (LAYER_SIZES, INIT, ACTIVATION, COST),
  'Descent': (
    BATCH_SIZE,
    EPOCHS,
    LEARNING_RATE,
    SCHEDULE,
    REDUCTION,
    GRADIENTS,
    SEED,
  ),
  'Device': (PLATFORM, PRECISION),
  'Several processes': SEVERAL,
  'Run directory': (
    WORKDIR,
    NAME,
    RESUME,
    CHECKPOINT_EVERY,
    SNAPSHOTS,
    PROFILE,
    JSON,
    QUIET,
  ),
}


def in_groups(holders: Iterable[flags.FlagHolder], own: str) -> dict:
  """{title: holders of that group}; those of no shared group stand in `own`."""
  wanted = list(holders)
  shared = {holder.name for group in GROUPS.values() for holder in group}
  groups = {own: [h for h in wanted if h.name not in shared]}
  names = {holder.name for holder in wanted}
  for title, group in GROUPS.items():
    groups[title] = [h for h in group if h.name in names]
  return {title: group for title, group in groups.items() if group}


def help_text(doc: str, groups: dict) -> str:
  """What --help prints: the script's lab note, then its flags by subject."""
  lines = [doc.strip(), '']
  for title, holders in groups.items():
    lines += [f'{title}:', '']
    for holder in holders:
      flag = flags.FLAGS[holder.name]
      text = flag.help or ''
      if isinstance(flag, flags.EnumFlag):
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


def parse(argv: list[str], holders: Iterable[flags.FlagHolder]) -> list[str]:
  """Parses argv for a script that honours `holders`; returns positionals.

  Raises:
    flags.Error: with one sentence, for an unknown flag, one that the script
      does not honour, one given twice or one with a bad value.
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
      wants = name in names and not flags.FLAGS[name].boolean
      # absl would take the next flag for the value; -0.5 is one.
      if wants and '=' not in argument and re.match('--|-[A-Za-z]', after):
        raise flags.Error(
          f'--{name} has no value but is followed by {after}: give it one, '
          f'or write --{name}={after} if that is meant.'
        )
  for name in given:
    if given.count(name) > 1:
      raise flags.Error(f'--{name} is given twice: give it once.')
    if name not in names and name in {holder.name for holder in SEVERAL}:
      raise flags.Error(
        f'--{name} has no meaning here: only compare works in several '
        'processes, every other script uses the devices of one.'
      )
    if name not in names and not name[:1].isdigit():
      near = difflib.get_close_matches(name, names, 1)
      mend = f'did you mean --{near[0]}?' if near else 'see --help.'
      raise flags.Error(f'there is no flag --{name} here: {mend}')
  try:
    return flags.FLAGS(argv)[1:]
  except (flags.IllegalFlagValueError, ValueError) as error:
    text = str(error).removeprefix('flag ').replace('\n', ' ')
    if 'boolean' in text:
      text = f'{text.split(":")[0]}: expected true or false'
    raise flags.Error(text.rstrip('.') + '.') from error


def refuse_empty(holders: Iterable[flags.FlagHolder]) -> None:
  """Refuses --name= where an empty text would be taken for no flag at all.

  Raises:
    flags.Error: naming the flag.
  """
  for holder in holders:
    if holder.present and holder.value == '':
      raise flags.Error(
        f'--{holder.name}= is empty: give it a value or leave it out.'
      )


def check_several(values: dict) -> None:
  """Refuses flags of several processes that do not fit one another.

  Raises:
    flags.Error: naming them.
  """
  names = [holder.name for holder in SEVERAL[1:]]
  missing = [name for name in names if values.get(name) is None]
  if values.get('distributed') and len(missing) < len(names):
    raise flags.Error(
      '--distributed lets JAX find the processes: leave out --'
      f'{next(name for name in names if name not in missing)}, or '
      '--distributed.'
    )
  if missing and len(missing) < len(names):
    raise flags.Error(
      f'--{missing[0]} is missing: --coordinator=HOST:PORT --num_processes=N '
      '--process_id=I belong together.'
    )
  if not missing and values['process_id'] >= values['num_processes']:
    raise flags.Error(
      f'--process_id={values["process_id"]} is none of '
      f'--num_processes={values["num_processes"]} processes: they count from 0.'
    )


def resolved(holders: Iterable[flags.FlagHolder]) -> dict:
  """{name: value} of every flag that the script honours."""
  return {holder.name: holder.value for holder in holders}
