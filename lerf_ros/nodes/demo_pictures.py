"""The demo's pictures: a view, its relevancy, and the map from above."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from lerf_ros.bridge.clouds import cloud_array, cloud_colours
from lerf_ros.nodes.demo_world import Verdict, World
from lerf_ros.nodes.map_client import MapClient
from lerf_ros.query.pictures import heat_overlay, mark_place, top_view, turbo

Picture = UInt8[np.ndarray, 'height width 3']

PANEL_HEIGHT_PX = 360
LABEL_HEIGHT_PX = 26
TEXT_COLOUR = (255, 255, 255)
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


def heated(image: Picture, relevancy: Float[np.ndarray, 'height width'] | None) -> Picture:
    """Lays relevancy over a picture in grey; what is closer to a negative is not coloured."""
    grey = (image.mean(axis=-1, keepdims=True).repeat(3, axis=-1) * 0.7).astype(np.uint8)
    return image if relevancy is None else heat_overlay(grey, relevancy, 'centred')


def depth_picture(depth_m: Float[np.ndarray, 'height width']) -> Picture:
    """Colours depth, near red and far blue; black where there is none."""
    known = np.isfinite(depth_m)
    if not known.any():
        return np.zeros((*depth_m.shape, 3), np.uint8)
    low, high = np.percentile(depth_m[known], [2, 98])
    level = np.clip((high - np.nan_to_num(depth_m, nan=high)) / max(high - low, 1e-3), 0, 1)
    return np.where(known[..., None], turbo(level), 0).astype(np.uint8)


def labelled(image: Picture, words: str) -> Picture:
    """Returns a panel of the common height with words in its corner."""
    width = round(image.shape[1] * PANEL_HEIGHT_PX / image.shape[0])
    panel = cv2.resize(np.ascontiguousarray(image), (width, PANEL_HEIGHT_PX))
    panel[:LABEL_HEIGHT_PX] = panel[:LABEL_HEIGHT_PX] // 3
    cv2.putText(panel, words, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.55, TEXT_COLOUR, 1, cv2.LINE_AA)
    return panel


def save(picture: Picture, path: Path) -> Path:
    """Writes a picture.

    Raises:
        OSError: It cannot be written.
    """
    if not cv2.imwrite(str(path), picture[..., ::-1]):
        raise OSError(f'{path}: the picture could not be written')
    return path
