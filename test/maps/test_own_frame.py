"""A map far from the world's origin is the map that it would be at zero."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from colour_encoder import ColourEncoder

from lerf_ros.config import LerfConfig
from lerf_ros.frames import PosedFrame
from lerf_ros.maps.atlas import Atlas, make_map
from lerf_ros.maps.own_frame import FAR_M, OwnFrame
from lerf_ros.maps.submap import Submap
from lerf_ros.query.request import QueryRequest, QueryResult, Region
from lerf_ros.simulation import TabletopOptions, TabletopScene

UTM_M = np.array([500_000.0, 5_400_000.0, 100.0])
CONFIG = LerfConfig.from_flat(
    {
        'training.rays_per_step': 256,
        'training.language_rays_per_step': 128,
        'field.table_log2': 14,
        'field.language_table_log2': 12,
        'query.voxel_m': 0.02,
        'query.scales': 6,
        'features.pyramid_levels': 3,
    }
)
CUT = CONFIG.replace({'atlas.submap_side_m': 0.8, 'atlas.overlap_m': 0.2})
QUESTION = QueryRequest(positives=('red', 'blue'), with_points=True)
STEPS = 15
AROUND_M, MOVE_M = np.array([0.5, 0.5, 0.5]), np.array([0.1, 0.0, 0.0])


@pytest.fixture(scope='module')
def frames() -> list[PosedFrame]:
    options = TabletopOptions(
        width=160, height=120, objects=(('red', 'mug'), ('blue', 'book'), ('yellow', 'ball'))
    )
    with TabletopScene(seed=9050, options=options) as scene:
        return list(scene.frames('orbit', 20.0, 0.3))[:4]


def shifted(frames: list[PosedFrame], by_m: np.ndarray) -> list[PosedFrame]:
    result = []
    for frame in frames:
        pose = frame.camera_to_world.copy()
        pose[:3, 3] += by_m
        result.append(replace(frame, camera_to_world=pose))
    return result


def learned(config: LerfConfig, frames: list[PosedFrame]) -> Atlas | Submap:
    live_map = make_map(config, ColourEncoder())
    for frame in frames:
        live_map.ingest(frame)
    for _ in range(STEPS):
        live_map.step()
    return live_map


def assert_same_places(there: list[QueryResult], here: list[QueryResult]) -> None:
    """The answers are equal but for the way, to less than a millimetre."""
    for far, near in zip(there, here, strict=True):
        assert far.confidence == pytest.approx(near.confidence, abs=1e-3)
        assert len(far.maxima) == len(near.maxima) > 0
        for a, b in zip(far.maxima, near.maxima, strict=True):
            np.testing.assert_allclose(a.position_m - UTM_M, b.position_m, rtol=0, atol=1e-3)
            box_m = a.box_to_world[:3, 3] - UTM_M
            np.testing.assert_allclose(box_m, b.box_to_world[:3, 3], rtol=0, atol=1e-3)
            np.testing.assert_allclose(a.box_size_m, b.box_size_m, rtol=0, atol=1e-3)
            np.testing.assert_allclose(a.viewpoints - UTM_M, b.viewpoints, rtol=0, atol=1e-3)
            assert a.relevancy == pytest.approx(b.relevancy, abs=1e-3)
        np.testing.assert_allclose(far.positions - UTM_M, near.positions, rtol=0, atol=1e-3)


@pytest.mark.parametrize('config', [CONFIG, CUT], ids=['one map', 'submaps'])
def test_a_map_at_utm_coordinates_equals_the_one_at_zero(
    config: LerfConfig, frames: list[PosedFrame], tmp_path: Path
) -> None:
    near, far = learned(config, frames), learned(config, shifted(frames, UTM_M))
    here, there = near.query(QUESTION), far.query(QUESTION)
    assert_same_places(there, here)
    assert there[0].maxima[0].position_m.dtype == np.float64
    surface = far.surface()
    assert len(surface) == len(near.surface())
    np.testing.assert_allclose(surface.positions - UTM_M, near.surface().positions, atol=1e-4)
    came = np.stack([frame.camera_to_world for frame in shifted(frames, UTM_M)])
    np.testing.assert_allclose(far.keyframe_poses(), came, rtol=0, atol=1e-6)

    # Where to look, and from where, is said in the world's frame.
    around = Region.between(tuple(UTM_M - AROUND_M), tuple(UTM_M + AROUND_M))
    at_zero = replace(around, box_to_world=around.box_to_world - _matrix(UTM_M))
    assert_same_places(
        far.query(replace(QUESTION, region=around)), near.query(replace(QUESTION, region=at_zero))
    )
    pose = frames[1].camera_to_world
    views = [
        live_map.render(frames[1].camera, pose + _matrix(by_m))
        for live_map, by_m in ((near, np.zeros(3)), (far, UTM_M))
    ]
    np.testing.assert_allclose(views[1].depth_m, views[0].depth_m, atol=2e-3)

    # A file keeps the place, and a loop closure moves it.
    path = tmp_path / 'far.map'
    far.save(path)
    again = make_map(config, ColourEncoder())
    again.load(path)
    np.testing.assert_array_equal(again.own_frame.origin_m, UTM_M)
    if config is CONFIG:
        assert_same_places(again.query(QUESTION), here)
    stamps = [frame.stamp_ns for frame in frames]
    moved = np.stack([frame.camera_to_world for frame in shifted(frames, UTM_M + MOVE_M)])
    assert again.correct(stamps, moved) == len(frames)
    np.testing.assert_allclose(again.keyframe_poses(), moved, rtol=0, atol=1e-6)
    again.close()


def _matrix(by_m: np.ndarray) -> np.ndarray:
    matrix = np.zeros((4, 4))
    matrix[:3, 3] = by_m
    return matrix


def test_boxes_and_bounds_are_said_in_the_world(frames: list[PosedFrame]) -> None:
    names = dict(zip('xyz', UTM_M.tolist(), strict=True))
    box = {f'field.centre_{axis}_m': value for axis, value in names.items()}
    config = CONFIG.replace(
        {**box, 'field.half_extent_m': 0.6, 'query.region_max_x_m': names['x'] + 0.05}
    )
    live_map = Submap(config, ColourEncoder())
    for frame in shifted(frames[:3], UTM_M):
        live_map.ingest(frame)
    assert live_map.trainer.field is not None
    assert live_map.trainer.field.scene_box.centre_m == (0.0, 0.0, 0.0)
    positions = live_map.surface().positions
    assert len(positions)
    assert positions[:, 0].max() < UTM_M[0] + 0.05
    live_map.configure(config.replace({'training.language_weight': 0.5}))
    assert live_map.trainer.config.field.centre_x_m == 0.0


def test_a_map_near_the_origin_stays_in_the_worlds_frame() -> None:
    assert OwnFrame.around(np.array([FAR_M, -FAR_M, 3.0])).is_world
    far = OwnFrame.around(np.array([FAR_M + 1, 0.2, 14.9]))
    np.testing.assert_array_equal(far.origin_m, [100, 0, 10])
    with pytest.raises(ValueError, match='origin_m'):
        OwnFrame.of_file({'origin_m': [0.0, float('nan'), 0.0]})
    assert OwnFrame.of_file({}).is_world


def test_a_map_that_is_reset_begins_anew(frames: list[PosedFrame]) -> None:
    live_map = Submap(CONFIG, ColourEncoder())
    live_map.ingest(shifted(frames, UTM_M)[0])
    assert not live_map.own_frame.is_world
    live_map.reset()
    assert live_map.own_frame.is_world
    keyframe = live_map.ingest(frames[0])
    kept = live_map.trainer.store.pose(keyframe.id)
    np.testing.assert_allclose(kept, frames[0].camera_to_world, rtol=0, atol=1e-6)
    assert torch.isfinite(live_map.trainer.store.sample_rays(8).rays.origins_world).all()
