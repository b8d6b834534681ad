"""The textbook's page: its chapters in teaching order."""

from experiments.claims import downhill
from experiments.claims import learning
from experiments.claims import rates
from experiments.claims import rows
from experiments.claims import valleys
from experiments.claims import views
from experiments.claims import weights

INTRO = (
  'A ball in a valley, a step against the slope, and what follows from it. '
  'Every claim of the textbooks stands here with the number that settles it, '
  'the number that was found when this page was made, and the command that '
  'made it. All of it uses the optimizers that train the networks.'
)

_ELSEWHERE = rows.Part(
  'Proven elsewhere',
  'These take PyTorch, or many seeds on MNIST. The command beside each '
  'proves it.',
  tuple(
    rows.Row(name, claim, '', expected, command)
    for name, claim, expected, command in (
      ('T33', 'The shaky walker arrives first', 'seconds to 90 %', rows.CLAIMS),
      (
        'T34',
        'Online learning against m = 20',
        '20 times the updates',
        rows.CLAIMS,
      ),
      ('T35', 'Does the noise generalise better?', 'as found', rows.CLAIMS),
      ('T26', "PyTorch's SGD", "torch.optim.SGD's weights", 'make torch'),
      (
        'T27',
        '784-30-10 from N(0, 1)',
        'median in [94.70, 95.35] %',
        rows.CLAIMS,
      ),
      ('T28', 'From the scaled start', 'mean in [95.50, 95.88] %', rows.CLAIMS),
      ('T29', '784-100-10', 'every seed >= 97.5 %', rows.CLAIMS),
      ('T30', 'eta far too small or large', '< 30 %; 7 to 14 %', rows.CLAIMS),
      (
        'T31',
        'From N(0, 1) outputs often die',
        'plateaus counted',
        rows.CLAIMS,
      ),
    )
  ),
)

CHAPTERS = (
  downhill.PART,
  valleys.PART,
  rates.PART,
  weights.PART,
  learning.PART,
  views.PART,
  _ELSEWHERE,
)
