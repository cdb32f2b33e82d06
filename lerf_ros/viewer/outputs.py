"""What can be shown, by LERF's names, as colours of points and of rendered views.

``rgb``, ``depth`` and ``accumulation`` are of the map; ``relevancy_i`` is that of the i-th phrase
asked, and ``composited_i`` lays it over the colours where it is above the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from lerf_ros.drawing.heat_maps import COLOUR_MAPS, MAPPINGS, coloured, depth_picture, levels
from lerf_ros.viewer.state import Drawing

__all__ = ['COLOUR_MAPS', 'MAPPINGS', 'Paint', 'output_names', 'paint_points', 'paint_view']

Array = np.ndarray

OF_THE_MAP = ('rgb', 'depth', 'accumulation')
# What is not relevant is shown darker and grey, so that relevance stands out.
DIMMED = 0.55


@dataclass(frozen=True)
class Paint:
    """How a person wants to see the map.

    Attributes:
        output: One of :func:`output_names`.
        mapping: How relevancy becomes brightness: 'raw', 'centred' or 'normalised'.
        colour_map: How brightness becomes colour.
        opacity: Of relevancy over the picture, in [0, 1].
        threshold: Relevancy below this is not composited, in [0, 1].
    """

    output: str = 'rgb'
    mapping: str = 'normalised'
    colour_map: str = 'turbo'
    opacity: float = 0.8
    threshold: float = 0.5

    @property
    def phrase(self) -> int | None:
        """The number of the phrase that is shown; None for an output of the map."""
        kind, _, number = self.output.partition('_')
        return int(number) if kind in ('relevancy', 'composited') else None


def output_names(phrases: int) -> tuple[str, ...]:
    """Returns what can be shown when so many phrases have been asked."""
    asked = [f'{kind}_{i}' for kind in ('relevancy', 'composited') for i in range(phrases)]
    return (*OF_THE_MAP, *asked)


def paint_points(
    paint: Paint,
    colours: UInt8[Array, 'n 3'],
    *,
    relevancy: Float[Array, ' n'] | None = None,
    top: float | None = None,
    distance_m: Float[Array, ' n'] | None = None,
    confidence: Float[Array, ' n'] | None = None,
) -> UInt8[Array, 'n 3']:
    """Returns the colours of points.

    Args:
        paint: What is wanted.
        colours: Their own RGB.
        relevancy: Of the phrase that is shown, NaN where unknown.
        top: The relevancy that counts as the greatest where it is normalised.
        distance_m: From who looks, for 'depth'.
        confidence: For 'accumulation', in [0, 1].
    """
    if paint.output == 'depth' and distance_m is not None:
        return depth_picture(distance_m[:, None])[:, 0]
    if paint.output == 'accumulation' and confidence is not None:
        return coloured(confidence.astype(np.float64)[:, None], paint.colour_map)[:, 0]
    if paint.phrase is None or relevancy is None:
        return colours
    return _relevant(paint, colours[:, None], relevancy[:, None], top)[:, 0]


def paint_view(
    paint: Paint, drawing: Drawing, top: float | None
) -> UInt8[Array, 'height width 3']:
    """Returns the picture of a rendered view; `drawing` holds the one phrase that is shown."""
    if paint.output == 'depth':
        return depth_picture(drawing.depth_m)
    if paint.output == 'accumulation':
        return coloured(np.clip(drawing.accumulation, 0, 1), paint.colour_map)
    if paint.phrase is None or not drawing.relevancy:
        return drawing.image
    return _relevant(paint, drawing.image, drawing.relevancy[0], top)


def _relevant(
    paint: Paint,
    image: UInt8[Array, 'height width 3'],
    relevancy: Float[Array, 'height width'],
    top: float | None,
) -> UInt8[Array, 'height width 3']:
    level = levels(relevancy, paint.mapping, top)
    known = np.isfinite(relevancy)
    if paint.output.startswith('composited'):
        known = known & (np.nan_to_num(relevancy) >= paint.threshold)
        under = image.astype(np.float64)
    else:
        under = DIMMED * image.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    share = paint.opacity * known[..., None]
    blend = (1 - share) * under + share * coloured(level, paint.colour_map)
    return np.round(blend).astype(np.uint8)
