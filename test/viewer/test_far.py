"""The page of a map far from the origin: near numbers for the browser, far ones in words."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
from colour_encoder import ColourEncoder

from lerf_ros.config import LerfConfig
from lerf_ros.query.request import QueryRequest
from lerf_ros.runtime.host import MapHost
from lerf_ros.scheduling.worker import CONTROL
from lerf_ros.simulation import TabletopOptions, TabletopScene
from lerf_ros.viewer.exports import answer_json
from lerf_ros.viewer.map_access import MapAccess

UTM_M = np.array([500_000.0, 5_400_000.0, 100.0])
CONFIG = LerfConfig.from_flat(
    {
        'training.rays_per_step': 64,
        'training.language_rays_per_step': 32,
        'field.table_log2': 12,
        'field.language_table_log2': 12,
        'features.pyramid_levels': 3,
        'query.voxel_m': 0.03,
    }
)
TIMEOUT_S = 120.0


def test_a_page_shows_what_is_near_and_says_where_it_is() -> None:
    options = TabletopOptions(width=96, height=72, objects=(('red', 'mug'), ('blue', 'book')))
    with TabletopScene(seed=9050, options=options) as scene:
        frames = list(scene.frames('orbit', 20.0, 0.2))[:3]
    host = MapHost(CONFIG, ColourEncoder())
    try:
        for frame in frames:
            pose = frame.camera_to_world.copy()
            pose[:3, 3] += UTM_M
            far = replace(frame, camera_to_world=pose)
            host.submit(lambda far=far: host.map.ingest(far), CONTROL).result(TIMEOUT_S)
        host.submit(host.map.step, CONTROL).result(TIMEOUT_S)
        access = MapAccess(host)
        snapshot = access.look().result(TIMEOUT_S)
        assert np.abs(snapshot.surface.positions).max() < 10
        assert snapshot.surface.positions.dtype == np.float32
        came = np.stack([frame.camera_to_world for frame in frames])
        np.testing.assert_allclose(snapshot.poses, came, rtol=0, atol=1e-6)
        picture = access.picture(snapshot.ids[0]).result(TIMEOUT_S)
        np.testing.assert_allclose(picture.camera_to_world, came[0], rtol=0, atol=1e-6)

        answer = access.ask(QueryRequest(('red',))).result(TIMEOUT_S)
        place_m = answer.results[0].maxima[0].position_m
        assert np.abs(place_m).max() < 10
        (said,) = json.loads(answer_json(answer))['results']
        np.testing.assert_allclose(
            said['maxima'][0]['position'], place_m + UTM_M, rtol=0, atol=1e-6
        )

        view = access.draw(frames[0].camera, came[0], ('red',)).result(TIMEOUT_S)
        assert np.isfinite(view.accumulation).all()
        assert access.like(place_m, ('red', 'blue')).result(TIMEOUT_S).texts
    finally:
        host.stop(10.0)
