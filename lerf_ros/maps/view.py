"""What a camera would see of a map, drawn in short pieces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8

from lerf_ros.field.view import RenderedView
from lerf_ros.geometry import PinholeCamera
from lerf_ros.scheduling.pieces import Pieces

# Rays rendered in one piece of a view: about as long as a training step takes.
PIECE_RAYS = {'cpu': 4096, 'cuda': 65_536}
# A view shows something where at least this much of the ray's light comes from the map.
OPAQUE = 0.5


@dataclass(frozen=True, eq=False)
class MapView:
    """What a camera would see of the map.

    Attributes:
        image: RGB picture.
        depth_m: Depth along the optical axis, NaN where the map holds nothing.
        relevancy: Relevancy of a phrase, NaN where the map holds nothing; None without a phrase.
        stamp_ns: Stamp of the last keyframe in the map.
    """

    image: UInt8[np.ndarray, 'height width 3']
    depth_m: Float32[np.ndarray, 'height width']
    relevancy: Float32[np.ndarray, 'height width'] | None
    stamp_ns: int


def rendered_pieces(
    render: Callable[[PinholeCamera, Float[np.ndarray, '4 4']], RenderedView],
    camera: PinholeCamera,
    camera_to_world: Float[np.ndarray, '4 4'],
    device: torch.device,
) -> Pieces[RenderedView]:
    """Renders a view strip by strip.

    Args:
        render: Renders a camera from a pose.
        camera: Intrinsics of the view.
        camera_to_world: Pose of the view.
        device: Where it renders.
    """
    rows = max(1, PIECE_RAYS.get(device.type, PIECE_RAYS['cpu']) // camera.width)
    strips = []
    for first in range(0, camera.height, rows):
        height = min(rows, camera.height - first)
        strips.append(
            render(replace(camera, cy=camera.cy - first, height=height), camera_to_world)
        )
        yield
    return RenderedView(
        *(
            np.concatenate([getattr(strip, name) for strip in strips])
            for name in ('image', 'depth_m', 'accumulation')
        )
    )


def opaque_depth(view: RenderedView) -> Float32[np.ndarray, 'height width']:
    """Returns the depth of a view where the map holds something, NaN elsewhere."""
    return np.where(view.accumulation > OPAQUE, view.depth_m, np.nan).astype(np.float32)
