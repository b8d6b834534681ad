"""What is on a picture, in words and numbers: two that look alike are alike."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch
from matplotlib.patches import Patch
from matplotlib.text import Annotation
from matplotlib.text import Text

# What is asked of an artist, where it has that.
OF_ALL = ('alpha', 'zorder', 'label', 'visible', 'clip_on')
OF = {
  Line2D: (
    *('xydata', 'color', 'linestyle', 'linewidth', 'drawstyle'),
    *('marker', 'markersize', 'markerfacecolor', 'markeredgecolor'),
  ),
  Text: (
    *('text', 'position', 'fontsize', 'color', 'rotation', 'weight'),
    *('horizontalalignment', 'verticalalignment', 'linespacing'),
  ),
  Annotation: ('anncoords',),
  FancyArrowPatch: ('mutation_scale', 'edgecolor', 'linewidth'),
  Patch: ('facecolor', 'edgecolor', 'linewidth', 'linestyle', 'hatch'),
  Collection: (
    *('offsets', 'sizes', 'array', 'linewidths', 'linestyles'),
    *('facecolors', 'edgecolors', 'clim'),
  ),
  AxesImage: ('array', 'extent', 'clim', 'interpolation'),
  Legend: ('alignment',),
  Axes: ('title', 'position', 'aspect', 'axis_on', 'facecolor'),
}


def rounded(value: Any) -> str:
  """Numbers to six digits of the largest; a long array as its digest."""
  if value is None or isinstance(value, (str, bool)):
    return repr(value)
  try:
    numbers = np.ma.filled(np.ma.asarray(value, float), np.nan)
  except (TypeError, ValueError):
    return str(value)
  sound = np.abs(numbers[np.isfinite(numbers)])
  scale = float(sound.max()) if sound.size and sound.max() > 0 else 1.0
  with np.errstate(invalid='ignore'):
    # Off by a little: halves, which are common, round alike on every processor.
    whole = np.round(numbers / scale + 1.2e-7, 6) + 0.0
  if whole.size <= 8:
    return f'{scale:.5g} x {whole.tolist()}'
  digest = hashlib.sha256(np.ascontiguousarray(whole).tobytes()).hexdigest()
  return f'{scale:.5g} x {whole.shape} {digest[:12]}'


def shape_of(artist: Any) -> list[Any]:
  """The numbers that no getter gives."""
  if isinstance(artist, FancyArrowPatch):
    style = artist.get_arrowstyle()
    kept = {
      name: value for name, value in vars(style).items() if value is not None
    }
    return [type(style).__name__, str(kept), artist.shrinkA, artist.shrinkB]
  if isinstance(artist, Patch):
    path = artist.get_patch_transform().transform_path(artist.get_path())
    return [path.vertices]
  if isinstance(artist, Annotation):
    return [artist.xy, artist.xyann]
  if hasattr(artist, '_vec'):  # surfaces of three dimensions
    return [artist._vec]
  if isinstance(artist, Collection):
    vertices = [path.vertices for path in artist.get_paths()]
    return [np.concatenate(vertices)] if vertices else []
  if isinstance(artist, Legend):
    return [artist._ncols, artist._loc]
  if isinstance(artist, Axes):
    return [
      part
      for axis in (artist.xaxis, artist.yaxis, getattr(artist, 'zaxis', None))
      if axis is not None
      for places in [axis.get_majorticklocs()]
      for part in (
        axis.get_scale(),
        axis.get_view_interval(),
        axis.get_label_text(),
        places,
        axis.get_major_formatter().format_ticks(places),
        axis.get_minorticklocs(),
      )
    ] + [getattr(artist, 'elev', None), getattr(artist, 'azim', None)]
  return []


def with_parts(artists: Iterable[Any]) -> Iterator[Any]:
  """And the arrows and boxes of texts, which are no children of theirs."""
  for artist in artists:
    yield artist
    if isinstance(artist, Text):
      parts = artist.get_bbox_patch(), getattr(artist, 'arrow_patch', None)
      yield from (part for part in parts if part is not None)


def described(figure: Any) -> dict[str, str]:
  """For every kind of thing on the picture, a digest of all of its like."""
  kinds = defaultdict(list)
  kinds['figure'].append(rounded(figure.get_size_inches()) + str(figure.dpi))
  for artist in with_parts(figure.findobj()):
    asked = [
      name for kind in OF if isinstance(artist, kind) for name in OF[kind]
    ]
    if not asked:
      continue
    said = [
      f'{name} {rounded(getattr(artist, f"get_{name}")())}'
      for name in (*OF_ALL, *asked)
      if hasattr(artist, f'get_{name}') and name != 'label'
    ]
    said += [str(artist.get_label()).lstrip('_')] * (
      not str(artist.get_label()).startswith('_')
    )
    said += map(rounded, shape_of(artist))
    kinds[type(artist).__name__].append('; '.join(said))
  return {
    kind: hashlib.sha256('\n'.join(lines).encode()).hexdigest()[:12]
    for kind, lines in sorted(kinds.items())
  }
