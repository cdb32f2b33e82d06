"""The map seen from any pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8

from lerf_ros.field.model import LerfField
from lerf_ros.field.sampling import RayBundle
from lerf_ros.geometry import PinholeCamera, camera_directions, pixel_centres

# Rays at a time; a GPU waits for the host between chunks.
_CHUNK = {'cpu': 8192, 'cuda': 65_536}


@dataclass(frozen=True, eq=False)
class RenderedView:
    """The map seen from a pose.

    Attributes:
        image: RGB picture.
        depth_m: Depth along the optical axis, metres.
        accumulation: Opacity in [0, 1].
    """

    image: UInt8[np.ndarray, 'height width 3']
    depth_m: Float[np.ndarray, 'height width']
    accumulation: Float[np.ndarray, 'height width']


@torch.no_grad()
def render_view(
    field: LerfField,
    camera: PinholeCamera,
    camera_to_world: Float[np.ndarray, '4 4'],
    depth_guide_m: Float[np.ndarray, 'height width'] | None = None,
) -> RenderedView:
    """Renders a view.

    Args:
        field: The field.
        camera: Intrinsics of the view.
        camera_to_world: Pose of the view.
        depth_guide_m: About where each pixel's surface is, NaN where unknown; makes it fast.
    """
    device = next(field.parameters()).device
    rays = view_rays(camera, camera_to_world, depth_guide_m, device)
    parts = []
    count = _CHUNK.get(device.type, _CHUNK['cpu'])
    for first in range(0, len(rays), count):
        rendering = field.render(rays[first : first + count])
        parts.append((rendering.rgb, rendering.depth_m, rendering.accumulation))
    rgb, depth_m, accumulation = (torch.cat(values) for values in zip(*parts, strict=True))
    size = (camera.height, camera.width)
    image = rgb.clamp(0, 1).mul(255).round().byte().cpu().numpy()
    return RenderedView(
        image.reshape(*size, 3),
        depth_m.cpu().numpy().reshape(size),
        accumulation.cpu().numpy().reshape(size),
    )


def view_rays(
    camera: PinholeCamera,
    camera_to_world: Float[np.ndarray, '4 4'],
    depth_guide_m: Float[np.ndarray, 'height width'] | None,
    device: torch.device,
) -> RayBundle:
    """Returns the rays of every pixel of a view, row by row."""
    directions = camera_directions(camera, pixel_centres(camera)).reshape(-1, 3)
    directions_world = directions @ camera_to_world[:3, :3].T
    rays = torch.from_numpy(directions_world).float().to(device)
    origin = torch.from_numpy(np.asarray(camera_to_world[:3, 3])).float().to(device)
    if depth_guide_m is None:
        guide = torch.full((len(rays),), float('nan'), device=device)
    else:
        guide = torch.from_numpy(np.ascontiguousarray(depth_guide_m)).float().to(device)
    return RayBundle(origin.expand_as(rays), rays, guide.reshape(-1))
