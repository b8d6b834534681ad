"""The text of the textbook's page: the claims in teaching order."""

from collections.abc import Callable
from typing import NamedTuple

from experiments.claims import insight_proofs as insights
from experiments.claims import network_proofs as networks
from experiments.claims import proofs
from experiments.claims import terrain_proofs
from experiments.claims.proofs import Proof


class Row(NamedTuple):
  """A claim of the textbooks; `prove` is None where the page cannot."""

  name: str
  claim: str
  equation: str
  expected: str
  command: str
  prove: Callable[[], Proof] | None = None


class Part(NamedTuple):
  """Rows under one heading."""

  title: str
  text: str
  rows: tuple[Row, ...]


_DESCEND = 'python -m experiments.descend '
_HERE = 'python -m experiments.textbook --rows='
_INSPECT = 'python -m experiments.inspect_run '
_CLAIMS = 'make claims'

INTRO = (
  'A ball in a valley, a step against the slope, and what follows from it. '
  'Every claim of the textbooks stands here with the number that settles it, '
  'the number that was found when this page was made, and the command that '
  'made it. All of it uses the optimizers that train the networks.'
)

_FIRST = Part(
  'One step downhill',
  'The gradient says which way is up and how steep; the learning rate eta says '
  'how far to go the other way: w <- w - eta grad C.',
  (
    Row(
      'T01',
      'One variable: steps against the slope shrink as the slope does',
      'f(x) = 6x² − 12x + 3, f′ = 12x − 12; x_k = 1 − 1.9 · 0.64^k',
      'gradient -22.8; then -0.216, 0.22176, 0.50193; minimum f(1) = -3',
      _DESCEND + '--surface=parabola --start=-0.9 --learning_rates=0.03',
      proofs.one_variable,
    ),
    Row(
      'T07',
      'Of all steps of one length, the one against the gradient is best',
      '|g · d| ≤ |g||d|, so g · d ≥ −eps|g|, attained by d = −eps g/|g|',
      'equality for -eps g/|g|; no random direction beats it',
      _HERE + 'T07',
      proofs.best_direction,
    ),
    Row(
      'T06',
      'The law of motion: for small eta the cost must fall',
      'dv = −eta g gives dC = −eta |g|² to first order',
      'dC/(-eta |g|^2) tends to 1; the error halves with eta',
      _HERE + 'T06',
      proofs.motion,
    ),
    Row(
      'T02',
      'Too small crawls, right converges, too large overshoots',
      'parabola: limit 1/6 = 2/12; any bowl: 2/lambda_max',
      'monotone up to 1/12 (there in one step), zig-zag up to 1/6, then '
      'divergence',
      _DESCEND + '--surface=parabola --start=-0.9',
      proofs.goldilocks,
    ),
  ),
)

_TERRAIN = Part(
  'Valleys, saddles, plateaus',
  'With two variables there is a landscape. Where a descent ends depends on '
  'where it begins, and not every place where it rests is a minimum.',
  (
    Row(
      'T03',
      'Two variables, three starts, one minimum',
      'f = 6x² + 9y² − 12x − 14y + 3, gradient (12x − 12, 18y − 14)',
      '(1, 7/9), value -76/9 = -8.4444; stable for eta < 1/9',
      _DESCEND + '--surface=bowl',
      terrain_proofs.two_variables,
    ),
    Row(
      'T08',
      'The gradient stands at right angles to the contour',
      'g · tangent = 0; along the contour dC = O(h²)',
      'dot product 0; orders 1 and 2',
      _DESCEND + '--surface=two_minima',
      terrain_proofs.right_angles,
    ),
    Row(
      'T04',
      'Two minima of unequal depth: the start decides the end',
      'f = −2 exp(−½((x+1)² + (y−1)²)) − exp(−½((x−1)² + (y+1)²))',
      'minima (-0.98038, 0.98038) f = -2.01903 and (0.89397, -0.89397) f = '
      '-1.04418; saddle (0.36407, -0.36407) f = -0.97850; about 45 % deep, '
      '32 % shallow, 23 % neither after 200 steps',
      _DESCEND + '--surface=two_minima',
      terrain_proofs.two_minima,
    ),
    Row(
      'T05',
      'Saddles and plateaus hold batch descent; single examples leave',
      'f_s = x² − y² + y⁴/2 + s·y, s = ±1',
      'full batch keeps y = 0 exactly; online |y| = eta after one step, mean '
      'cost near -1/2; on the plateau a gradient below 1e-4',
      _DESCEND + "--surface=saddle --start='1,0' --online",
      terrain_proofs.saddles,
    ),
    Row(
      'T37',
      'Noise escapes a shallow minimum',
      'g + sd n, n ~ N(0, 1); 300 noisy and 100 quiet steps, eta 0.1',
      'nobody without noise; about 0.01, 0.55, 0.91 at sd 0.5, 1, 2',
      _DESCEND + "--start='0.89,-0.89' --noise=1 --steps=400 "
      '--quiet_steps=100 --seeds=500',
      terrain_proofs.escape,
    ),
    Row(
      'T10',
      'Many dimensions are seen through slices and projections',
      '',
      'values on a slice equal the cost there; explained variance is stated',
      _INSPECT + '--views=trajectories,surroundings',
      insights.projections,
    ),
  ),
)

_RATES = Part(
  'How far to step',
  'A rate can be searched for, momentum can be carried along, and against '
  'noise the rate has to shrink.',
  (
    Row(
      'T38',
      'Backtracking finds a rate: the linear model stays good, yet not slow',
      'halve eta until C′ ≤ C − ½ eta |g|², double it after success',
      'from first etas 1e-3 to 1e3 on three functions the cost never rises',
      _DESCEND + '--surface=rosenbrock '
      '--optimizers=backtracking,optax:scale_by_backtracking_linesearch '
      '--learning_rates=0.001,1,1000',
      proofs.backtracks,
    ),
    Row(
      'T39',
      'A hiker has no momentum; a ball may roll uphill for a moment',
      'v ← mu v + g, w ← w − eta v: one more vector, no second derivative',
      'below 1/9 descent never rises, heavy ball does',
      _DESCEND + '--surface=bowl --start=west --optimizers=sgd,momentum',
      proofs.hiker,
    ),
    Row(
      'T40',
      'Momentum moves more efficiently through a ravine',
      'condition number 100 at best settings: 99/101 and 9/11 a step',
      'error factor 0.980 for descent, 0.818 for heavy ball',
      _DESCEND + '--surface=ravine --start=west --learning_rates=0.033 '
      '--optimizers=momentum+mu=0.6694',
      proofs.ravine,
    ),
    Row(
      'T24',
      'A learning rate that shrinks gets closer than a constant one',
      'constant: variance eta s²/(lambda (2 − eta lambda))',
      '0.001524 for curvature 12, noise sd 1, eta 0.03; to 0 with eta ~ 1/t',
      _DESCEND + '--surface=noisy_parabola --schedule=inverse_time+steps=10 '
      '--seeds=100',
      proofs.shrinking_rate,
    ),
  ),
)

_NEURONS = Part(
  'Neurons',
  'The cost of a neuron is such a landscape over its weights: a bowl as long '
  'as it is linear, something richer with sigmoids.',
  (
    Row(
      'T09',
      'A linear neuron has a bowl; each example alone has a valley',
      'E = ½ Σ (t − y)², y = w · x',
      'descent ends at the least-squares solution; the limit of the mean E/n '
      'is n = 4 times that of the sum',
      _DESCEND + '--surface=neuron --start=west --online --learning_rates=0.5 '
      '--animate',
      terrain_proofs.linear_neuron,
    ),
    Row(
      'T41',
      'Linear neurons draw straight lines; XOR needs sigmoids',
      'least squares on XOR: ½ four times',
      'E = 1/2 exactly; 2-2-1 reaches E < 0.01 from a stated share of starts',
      _HERE + 'T41',
      networks.xor,
    ),
    Row(
      'T12',
      'Counting weights and biases',
      'Σ n_out (n_in + 1)',
      '13,002 for 784-16-16-10; 23,860 for 784-30-10',
      _HERE + 'T12',
      networks.counts,
    ),
    Row(
      'T43',
      'All weights are one long vector, and one rule moves it',
      'w ← w − eta grad C, whatever the dimension',
      'ravel and unravel are inverse; the update of the vector is that of the '
      'tree',
      _HERE + 'T43',
      networks.one_vector,
    ),
    Row(
      'T13',
      'The quadratic cost lies between 0 and 5',
      'C = 1/2n Σ |y − a|²',
      '0 <= C <= 5 for ten outputs, 0 only when a = y',
      _HERE + 'T13',
      networks.bounds,
    ),
    Row(
      'T14',
      'An unsure network can cost more than a confidently wrong one',
      'C = ½ |y − a|² for ten outputs and a 4',
      '4.5, 1.25, 1, 0.5, 0.45, 0.125, 0',
      _DESCEND + '--lesson=rank',
      proofs.ranked,
    ),
  ),
)

_TRAINING = Part(
  'A network that learns',
  'The same rule moves thousands of weights, on the images that are shipped.',
  (
    Row(
      'T11',
      'MNIST: 60,000 + 10,000 images of 28x28 = 784 numbers',
      '',
      'shapes, one-hot labels, SHA-256 of the files',
      'make mnist',
    ),
    Row(
      'T15',
      'Random weights are utter trash',
      '',
      'accuracy near 10 %, mean cost above 1',
      _HERE + 'T15',
      networks.trash,
    ),
    Row(
      'T16',
      'The cost is smooth, accuracy is not',
      '',
      'every nudge of a weight moves the cost, hardly any the accuracy',
      _HERE + 'T16',
      networks.smooth,
    ),
    Row(
      'T17',
      'The gradient of C is the mean of the gradients of its examples',
      'grad C = 1/n Σ grad C_x',
      'equal to rounding, through an epoch of updates too',
      _HERE + 'T17',
      networks.mean_of_gradients,
    ),
    Row(
      'T19',
      'An epoch sees every example once; the next is reshuffled',
      '60,000 / 10 = 6,000 steps',
      '6,000 steps (5,000 with 10,000 held out)',
      _HERE + 'T19',
      networks.epochs,
    ),
    Row(
      'T20',
      'Batch, mini-batch and online are one code and one number',
      '',
      'each equal to a loop over single examples',
      _HERE + 'T20',
      networks.one_number,
    ),
    Row(
      'T21',
      'Summing instead of averaging is the learning rate times m',
      'eta Σ = (eta m) · mean',
      'equal where every mini-batch is full, and not where the last is short',
      _HERE + 'T21',
      networks.summing,
    ),
    Row(
      'T25',
      'Momentum, Nesterov, Adagrad, RMSprop, Adam',
      '',
      "Optax's, step by step, to 1e-13",
      _HERE + 'T25',
      networks.twins,
    ),
  ),
)

# What is shown on MNIST stands on the page where TFDS has prepared it.
_ON_MNIST = insights.HAS_MNIST

_INSIDE = Part(
  'Inside a run',
  'Noise, curvature and the shape of the valley, seen round trained networks.',
  (
    Row(
      'T18',
      'Polling: the mini-batch gradient is unbiased, its variance falls as 1/m',
      'E |g_m − g|² = tr(S)/m · (N − m)/(N − 1)',
      'slope -1 inside its interval; the factor itself at m = N/2',
      _INSPECT + '--views=polls',
      insights.polling,
    ),
    Row(
      'T32',
      'A poll is cheap and points in the generally correct direction',
      'cos = g_m · g / (|g_m||g|)',
      '6,000 times fewer examples; cosines 0.68, 0.95, 0.99, 1.00 at m = 1, '
      '10, 100, 1000 at the start, 0.07, 0.11, 0.31, 0.71 after an epoch at '
      'eta 3',
      _INSPECT + '--views=polls',
      insights.direction if _ON_MNIST else None,
    ),
    Row(
      'T22',
      'Some weights matter more; Adam undoes it',
      'dC = g_j d',
      'dC over g d is 1; Adam moves each weight by about eta',
      _INSPECT + '--views=weights',
      insights.importance,
    ),
    Row(
      'T23',
      'Second derivatives: too many to write down, cheap to multiply by',
      'H v = d/dt grad C(w + t v)',
      '5e11 for a million weights; equal to the dense matrix; a few gradients',
      _INSPECT + '--views=sharpness',
      insights.products,
    ),
    Row(
      'T36',
      'Many equally good minima',
      'C(w_1 + t (w_2 − w_1))',
      'costs within a few per cent, weights far apart, a barrier between',
      _INSPECT + 'A B --views=between,trajectories',
      insights.minima if _ON_MNIST else None,
    ),
    Row(
      'T42',
      'Projection shows clusters of the data',
      '',
      '9.70 + 7.10 = 16.8 % of the variance',
      _INSPECT + '--views=data',
      insights.clusters if _ON_MNIST else None,
    ),
  ),
)

_ELSEWHERE = Part(
  'Proven elsewhere',
  'These take PyTorch, or many seeds on MNIST. The command beside each '
  'proves it.',
  tuple(
    Row(name, claim, '', expected, command)
    for name, claim, expected, command in (
      ('T33', 'The shaky walker arrives first', 'seconds to 90 %', _CLAIMS),
      (
        'T34',
        'Online learning against m = 20',
        '20 times the updates',
        _CLAIMS,
      ),
      ('T35', 'Does the noise generalise better?', 'as found', _CLAIMS),
      ('T26', "PyTorch's SGD", "torch.optim.SGD's weights", 'make torch'),
      ('T27', '784-30-10 from N(0, 1)', 'median in [94.70, 95.35] %', _CLAIMS),
      ('T28', 'From the scaled start', 'mean in [95.50, 95.88] %', _CLAIMS),
      ('T29', '784-100-10', 'every seed >= 97.5 %', _CLAIMS),
      ('T30', 'eta far too small or large', '< 30 %; 7 to 14 %', _CLAIMS),
      ('T31', 'From N(0, 1) outputs often die', 'plateaus counted', _CLAIMS),
    )
  ),
)

CHAPTERS = (
  _FIRST,
  _TERRAIN,
  _RATES,
  _NEURONS,
  _TRAINING,
  _INSIDE,
  _ELSEWHERE,
)
