"""What is on a picture, in words and numbers: two that look alike are alike."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.figure import SubFigure
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch
from matplotlib.patches import Patch
from matplotlib.text import Annotation
from matplotlib.text import Text

# What is asked of an artist, where it has that.
OF_ALL = ('alpha', 'zorder', 'label', 'visible', 'clip_on', 'rasterized')
OF = {
  Line2D: (
    *('xydata', 'color', 'linestyle', 'linewidth', 'drawstyle'),
    *('marker', 'markersize', 'markerfacecolor', 'markeredgecolor'),
    *('markeredgewidth', 'antialiased'),
  ),
  Text: (
    *('text', 'position', 'fontsize', 'color', 'rotation', 'weight'),
    *('horizontalalignment', 'verticalalignment', 'linespacing'),
    *('fontfamily', 'parse_math'),
  ),
  Annotation: ('anncoords', 'annotation_clip'),
  FancyArrowPatch: ('mutation_scale', 'edgecolor', 'linewidth'),
  Patch: ('facecolor', 'edgecolor', 'linewidth', 'linestyle', 'hatch'),
  Collection: (
    *('offsets', 'sizes', 'array', 'linewidths', 'linestyles'),
    *('facecolors', 'edgecolors', 'clim', 'antialiaseds'),
  ),
  AxesImage: ('array', 'extent', 'clim', 'interpolation'),
  Legend: ('alignment',),
  Axes: (
    *('title', 'position', 'aspect', 'box_aspect', 'facecolor'),
    *('xmargin', 'ymargin', 'axisbelow'),
  ),
  SubFigure: ('facecolor',),
}


def rounded(value: Any) -> str:
  """Numbers to six digits of the largest; a long array as its digest."""
  if value is None or isinstance(value, (str, bool)):
    return repr(value)
  try:
    if isinstance(value, np.ma.MaskedArray):
      value = value.astype(float).filled(np.nan)
    numbers = np.asarray(value, float)
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
  if isinstance(artist, Legend):
    return [artist._ncols, artist._loc, artist._outside_loc]
  if isinstance(artist, Line2D):
    return [*depth_of(artist), str(artist._unscaled_dash_pattern)]
  if isinstance(artist, SubFigure):
    return [artist.bbox_relative.extents]
  if isinstance(artist, Axes):
    return layout_of(artist)
  return [*depth_of(artist), *shades_of(artist)]


def depth_of(artist: Any) -> list[Any]:
  """Where something lies: in space, where it is there."""
  if hasattr(artist, 'get_data_3d'):
    return list(artist.get_data_3d())
  if hasattr(artist, '_faces'):
    # A face of fewer corners than others is filled up with anything.
    nothing = np.asarray(artist._invalid_vertices)[..., None]
    return [np.where(nothing, np.nan, artist._faces), artist._facecolor3d]
  if hasattr(artist, '_3dverts_codes'):
    pieces = [vertices for vertices, _ in artist._3dverts_codes]
  elif isinstance(artist, Collection):
    pieces = [path.vertices for path in artist.get_paths()]
  else:
    pieces = []
  return [np.concatenate(pieces)] if pieces else []


def shades_of(artist: Any) -> list[Any]:
  """What colours numbers become."""
  if not hasattr(artist, 'get_cmap') or artist.get_array() is None:
    return []
  places = np.linspace(0, 1, 13)
  boundaries = getattr(artist.norm, 'boundaries', None)
  return [artist.get_cmap()(places), boundaries]


def layout_of(axes: Any) -> list[Any]:
  """The axes' scales, ticks and views, and their place among others."""
  found = [axes.axison, getattr(axes, '_box_aspect', None)]
  found += [getattr(axes, name, None) for name in ('elev', 'azim')]
  found.append(getattr(axes, 'computed_zorder', None))
  for axis in (axes.xaxis, axes.yaxis, getattr(axes, 'zaxis', None)):
    if axis is None:
      continue
    major, minor = axis.get_majorticklocs(), axis.get_minorticklocs()
    view = axis.get_view_interval()
    found += [axis.get_scale(), view]
    if axis.get_scale() == 'log':
      found.append(np.log10(view))
    found += [axis.get_label_text(), axis.labelpad]
    found += [major, axis.get_major_formatter().format_ticks(major)]
    found += [minor, axis.get_minor_formatter().format_ticks(minor)]
    found += [tick.get_pad() for tick in axis.get_major_ticks()[:1]]
  for siblings in (axes.get_shared_x_axes(), axes.get_shared_y_axes()):
    found.append(len(siblings.get_siblings(axes)))
  bar = getattr(axes, '_colorbar_info', {})
  found += [f'{key} {bar[key]}' for key in sorted(bar) if key != 'parents']
  spec = axes.get_subplotspec()
  if spec is not None:
    grid = spec.get_gridspec()
    found += [grid.get_geometry(), grid.get_width_ratios()]
    found += [grid.get_height_ratios(), (spec.num1, spec.num2)]
  return found


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
    if hasattr(artist, '_faces'):  # asked for, they are sorted by depth
      asked.remove('facecolors')
      asked.remove('edgecolors')
    said = [
      f'{name} {rounded(getattr(artist, f"get_{name}")())}'
      for name in (*OF_ALL, *asked)
      if hasattr(artist, f'get_{name}') and name != 'label'
    ]
    said += [str(artist.get_label()).lstrip('_')] * (
      not str(artist.get_label()).startswith('_')
    )
    said += map(rounded, shape_of(artist))
    said += [str(vars(effect)) for effect in artist.get_path_effects() or ()]
    kinds[type(artist).__name__].append('; '.join(said))
  return {
    kind: hashlib.sha256('\n'.join(lines).encode()).hexdigest()[:12]
    for kind, lines in sorted(kinds.items())
  }
