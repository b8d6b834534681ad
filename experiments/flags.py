"""Every flag that two scripts share, defined once, with its default.

A script lists the flags it honours, `start.run` refuses the others. Each help
text names the unit and what an empty value means.
"""

from absl import flags

from experiments import kinds
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
VALIDATION_SIZE = kinds.whole(
  'validation_size',
  None,
  'Examples held out of the train split to choose by; empty means 300 of '
  'digits, 10000 of mnist, a sixth of any other set.',
)
LAYER_SIZES = kinds.wholes(
  'layer_sizes',
  [],
  'Neurons a layer, inputs first, such as 784,30,10; empty means inputs,30,'
  'classes of the dataset.',
)
INIT = kinds.words(
  'init',
  ['scaled'],
  'Spread of the random weights: normal is N(0,1), scaled N(0,1/n_in). compare '
  'takes several, normal,scaled, and crosses the entries with them.',
  tuple(mlp.SCALES),
)
ACTIVATION = flags.DEFINE_enum(
  'activation', 'sigmoid', list(mlp.ACTIVATIONS), 'Of the hidden neurons.'
)
COST = kinds.words(
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
BATCH_SIZE = kinds.whole(
  'batch_size',
  10,
  'Examples an update, m; 1 is online learning, full is batch descent.',
  least=1,
  words=(FULL,),
)
BATCH_SIZES = kinds.wholes(
  'batch_sizes',
  [],
  'Mini-batch sizes, such as 1,10,100,full: compare crosses its entries with '
  'them, and empty means --batch_size alone; benchmark times each, and empty '
  'means 10,100,full.',
  words=(FULL,),
)
EPOCHS = kinds.whole('epochs', 5, 'Passes over the training examples.', least=1)
SEED = kinds.whole('seed', 0, 'Of the start and of the order of examples.')
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
LEARNING_RATE = kinds.number(
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
CHECKPOINT_EVERY = kinds.whole(
  'checkpoint_every', 1, 'Epochs between two checkpoints.', least=1
)
SNAPSHOTS = kinds.whole(
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
NUM_PROCESSES = kinds.whole(
  'num_processes', None, 'How many processes meet there.', least=1
)
PROCESS_ID = kinds.whole(
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
