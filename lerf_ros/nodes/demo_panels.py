"""The demo's pictures: a view, its relevancy, and the map from above."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lerf_ros.bridge.clouds import cloud_array, cloud_colours
from lerf_ros.drawing.heat_maps import depth_picture, heated
from lerf_ros.drawing.marks import mark_place
from lerf_ros.drawing.panels import PANEL_HEIGHT_PX, labelled, save
from lerf_ros.drawing.top_views import top_view
from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import inverse_transform, project, transform_points
from lerf_ros.nodes.demo_world import Verdict, World
from lerf_ros.nodes.map_client import MapClient

PICTURES = 12
# Views among which one is looked for that shows the place.
VIEWS = 10


def draw_pictures(
    client: MapClient, world: World, verdicts: list[Verdict], output: Path
) -> list[Path]:
    """Writes one picture a phrase, of the first few with an answer, and one of the whole map.

    Each shows a camera's view, the rendered relevancy of the phrase over the same view with the
    maximum marked, and the relevancy cloud from above.
    """
    views = world.views(VIEWS)
    answered = [v for v in verdicts if v.found is not None and v.kind == 'word']
    paths = []
    for verdict in answered[:PICTURES]:
        frame = best_view(views, np.array(verdict.found))
        _, _, relevancy = client.render(frame.camera, frame.camera_to_world, verdict.phrase)
        response = client.query([verdict.phrase], max_maxima=1, with_cloud=True)
        points = cloud_array(response.results[0].cloud)
        found = np.array(verdict.found)
        panels = [
            labelled(frame.image, f'camera: "{verdict.phrase}"'),
            labelled(
                mark_place(
                    heated(frame.image, relevancy), found, frame.camera, frame.camera_to_world
                ),
                f'relevancy {verdict.relevancy:.2f}',
            ),
            labelled(
                top_view(
                    np.stack([points[axis] for axis in 'xyz'], axis=-1),
                    cloud_colours(points),
                    points['relevancy'],
                    found[None],
                    PANEL_HEIGHT_PX,
                    'centred',
                ),
                'cloud from above',
            ),
        ]
        name = re.sub(r'[^\w]+', '_', verdict.phrase).strip('_') or 'phrase'
        paths.append(save(np.concatenate(panels, axis=1), output / f'{name}.png'))
    frame = views[len(views) // 2]
    size = (frame.camera.width // 2, frame.camera.height // 2)
    image, depth_m, _ = client.render(frame.camera.resized(*size), frame.camera_to_world)
    panels = [
        labelled(frame.image, 'camera'),
        labelled(image, 'rendered map'),
        labelled(depth_picture(depth_m), 'rendered depth'),
    ]
    paths.append(save(np.concatenate(panels, axis=1), output / 'map.png'))
    return paths


def best_view(views: Sequence[PosedFrame], place_world: Float[np.ndarray, '3']) -> PosedFrame:
    """Returns the view that shows a place nearest to its middle, else the middle view."""

    def off_middle(frame: PosedFrame) -> float:
        camera = frame.camera
        (uv,), (depth_m,) = project(
            camera, transform_points(inverse_transform(frame.camera_to_world), place_world[None])
        )
        u, v = uv / (camera.width, camera.height)
        inside = depth_m > 0 and 0 <= u < 1 and 0 <= v < 1
        return float(np.hypot(u - 0.5, v - 0.5)) if inside else math.inf

    best = min(views, key=off_middle)
    return best if off_middle(best) < math.inf else views[len(views) // 2]
