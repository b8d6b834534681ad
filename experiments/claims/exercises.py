"""Four exercises with their answers, and where the textbooks are loose."""

from gd_jax.pictures.page import Exercise

EXERCISES = (
  Exercise(
    'The best direction',
    'You may take one step of length eps. In which direction does the cost '
    'fall most, and why can no other be better?',
    'Against the gradient: d = -eps g/|g|. To first order the cost changes by '
    'g . d, and Cauchy-Schwarz says |g . d| <= |g| |d|, so no step of length '
    'eps changes it by less than -eps |g|. This one does so exactly.\n\n'
    'T07 tries 10,000 random directions; none beats it.',
  ),
  Exercise(
    'One variable',
    'What does gradient descent mean when C depends on one variable only? '
    'Draw the parabola of T01 and the first three steps from x = -0.9 with '
    'eta 0.03.',
    'The gradient is the slope of the tangent, and a step goes against it: to '
    'the right where the curve falls, to the left where it rises, far where it '
    'is steep.\n\n'
    'From -0.9 the slope is -22.8, so x becomes -0.9 + 0.03 times 22.8 = '
    '-0.216, then 0.22176, then 0.50193. Each step is 0.64 of the last.',
  ),
  Exercise(
    'Online learning',
    'With mini-batches of one example the network learns from each at once. '
    'Name one advantage and one disadvantage against mini-batches of 20.',
    'Advantage: 20 times as many updates an epoch, and noise that leaves '
    'saddles (T05). Disadvantage: the variance of the gradient is 20 times as '
    'large, so that it zig-zags between the valleys of single examples (T09) '
    'and needs a smaller rate to settle (T24); nor can the hardware work on 20 '
    'examples at once.',
  ),
  Exercise(
    'Ranking outputs',
    'An image shows a 4. Rank these ten outputs from the highest cost to the '
    'lowest: all 1; all 0.5; a confident 9; all 0; all 0.1; 0.6 on 4 with 0.3 '
    'on 9; a confident 4.',
    'All 1 (4.5), all 0.5 (1.25), a confident 9 (1), all 0 (0.5), all 0.1 '
    '(0.45), leaning to 4 (0.125), a confident 4 (0).\n\n'
    'A confidently wrong answer misses in two outputs; an unsure one misses a '
    'little in all ten, and that can cost more (T14).',
  ),
)

LOOSE = (
  'Variants that move like a ball do not need second derivatives: heavy ball '
  'needs one more vector (T39).',
  'The "third output" for a 3 and the "7th position" for a 6: digit d has '
  'index d, counted from zero.',
  'The cost C_x is printed once without its square; it is |y - a|^2 / 2.',
  'That a mini-batch of 10 is 6,000 times faster than 60,000 examples counts '
  'examples; seconds gain less.',
  "Batch descent sticks in a saddle only from the saddle's own axis (T05).",
  'Divergence is decided by 2/lambda_max, not by nearness to the minimum '
  '(T02).',
  'The floor of the bowl is 0 only if the data can be fitted (T09).',
)
