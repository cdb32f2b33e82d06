"""The demo's pictures: a view, its relevancy, and the map from above."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from lerf_ros.bridge.clouds import cloud_array, cloud_colours
from lerf_ros.drawing.heat_maps import depth_picture, heated
from lerf_ros.drawing.marks import mark_place
from lerf_ros.drawing.panels import PANEL_HEIGHT_PX, labelled, save
from lerf_ros.drawing.top_views import top_view
from lerf_ros.nodes.demo_world import Verdict, World
from lerf_ros.nodes.map_client import MapClient

PICTURES = 4


def draw_pictures(
    client: MapClient, world: World, verdicts: list[Verdict], output: Path
) -> list[Path]:
    """Writes one picture a phrase, of the first few with an answer, and one of the whole map.

    Each shows a camera's view, the rendered relevancy of the phrase over the same view with the
    maximum marked, and the relevancy cloud from above.
    """
    frame = world.views(1)[0]
    answered = [verdict for verdict in verdicts if verdict.found is not None]
    paths = []
    for verdict in answered[:PICTURES]:
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
    size = (frame.camera.width // 2, frame.camera.height // 2)
    image, depth_m, _ = client.render(frame.camera.resized(*size), frame.camera_to_world)
    panels = [
        labelled(frame.image, 'camera'),
        labelled(image, 'rendered map'),
        labelled(depth_picture(depth_m), 'rendered depth'),
    ]
    paths.append(save(np.concatenate(panels, axis=1), output / 'map.png'))
    return paths
