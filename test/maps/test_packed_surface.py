"""Tests of lerf_ros.maps.packed_surface: a surface in few bytes is the surface that it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lerf_ros.config import QueryOptions
from lerf_ros.frames import KeyframeId
from lerf_ros.geometry import PinholeCamera
from lerf_ros.maps.packed_surface import packed, unpacked
from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.surface.depth_view import voxel_corners, voxel_keys

CAMERA = PinholeCamera(60.0, 60.0, 32.0, 24.0, 64, 48)
VOXEL_M = 0.02


@pytest.fixture(scope='module')
def surface() -> SurfaceMap:
    """A wall that 20 keyframes saw, more than a voxel remembers, one after the other."""
    rng = np.random.default_rng(0)
    surface = SurfaceMap(QueryOptions(voxel_m=VOXEL_M))
    for index in range(20):
        pose = np.eye(4)
        pose[:3, 3] = rng.uniform(-0.1, 0.1, 3) - [0, 0, 2.0]
        depth_m = (0.9 + 0.01 * rng.random((48, 64))).astype(np.float32)
        image = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        surface.integrate(KeyframeId('camera', index), depth_m, image, CAMERA, pose)
    return surface


def test_keys_lead_back_to_the_voxels_that_hold_the_positions():
    positions = np.random.default_rng(1).uniform(-30, 30, (1000, 3))
    corners = voxel_corners(voxel_keys(positions, VOXEL_M), VOXEL_M)
    inside = positions - corners
    assert (inside > -1e-9).all()
    assert (inside < VOXEL_M + 1e-9).all()


def test_a_packed_surface_is_small_and_the_same_within_its_steps(surface):
    state = surface.state_dict()
    small = packed(state, VOXEL_M)
    back = unpacked(small, VOXEL_M)
    order = np.argsort(state['keys'].numpy())
    for name, value in back.items():
        assert value.dtype == state[name].dtype, name
        assert value.shape == state[name].shape, name
        step = {'positions': VOXEL_M / 255, 'colours': 0.5, 'normals': 0.5 / 127, 'hits': 1 / 16}
        step |= {'misses': 1 / 16, 'heights': 2e-3}
        off = np.abs(value.numpy().astype(float) - state[name].numpy()[order])
        assert off.max() <= step.get(name, 0) + 1e-6, name
    assert (voxel_keys(back['positions'].numpy(), VOXEL_M) == back['keys'].numpy()).all()
    size = sum(value.numel() * value.element_size() for value in small.values())
    assert size < 0.5 * sum(state[name].numel() * state[name].element_size() for name in small)


def test_a_packed_surface_goes_on_growing_as_the_full_one(surface):
    state = surface.state_dict()
    again = SurfaceMap(QueryOptions(voxel_m=VOXEL_M))
    again.load_state_dict({**state, **unpacked(packed(state, VOXEL_M), VOXEL_M)})
    full = SurfaceMap(QueryOptions(voxel_m=VOXEL_M))
    full.load_state_dict(state)
    pose = np.eye(4)
    pose[2, 3] = -2.0
    depth_m, image = np.full((48, 64), 0.9, np.float32), np.zeros((48, 64, 3), np.uint8)
    for each in (again, full):
        each.integrate(KeyframeId('camera', 99), depth_m, image, CAMERA, pose)
    ours, theirs = again.state_dict(), full.state_dict()
    rows, others = (torch.argsort(state['keys']) for state in (ours, theirs))
    # The oldest keyframe gives way in both.
    for name in ('keys', 'views', 'seen_by'):
        assert torch.equal(ours[name][rows], theirs[name][others]), name


def test_nothing_is_packed_to_nothing():
    state = SurfaceMap(QueryOptions(voxel_m=VOXEL_M)).state_dict()
    back = unpacked(packed(state, VOXEL_M), VOXEL_M)
    assert all(len(value) == 0 for value in back.values())
