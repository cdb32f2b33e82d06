"""Holes in the depth: which are closed, with what, and what stays open."""

from __future__ import annotations

import numpy as np
import pytest

from lerf_ros.config import KeyframeOptions, QueryOptions
from lerf_ros.frames import KeyframeId, PosedFrame
from lerf_ros.frames.holes import without_holes
from lerf_ros.frames.resizing import limited
from lerf_ros.geometry import Array, PinholeCamera
from lerf_ros.surface.cloud import SurfaceMap

CAMERA = PinholeCamera(280.0, 280.0, 160.0, 120.0, 320, 240)
ROWS, COLUMNS = np.mgrid[:240, :320]
RNG = np.random.default_rng(0)


def plane(inverse: float, along_rows: float = 0.0, along_columns: float = 0.0) -> Array:
    """Depth of a plane: 1 / depth is linear in the picture."""
    return (1 / (inverse + along_rows * ROWS + along_columns * COLUMNS)).astype(np.float32)


def noisy(depth_m: Array) -> Array:
    noise = 0.0025 * depth_m**2 * RNG.standard_normal(depth_m.shape)
    return (depth_m + noise).astype(np.float32)


def closed(depth_m: Array, max_hole_m2: float = 0.5, visible: Array | None = None) -> Array:
    return without_holes(depth_m, CAMERA, max_hole_m2, visible)


WALL = plane(0.45, 1e-4, -3e-4)
SCREEN = (slice(60, 110), slice(100, 180))


def wall_with_screen() -> Array:
    depth_m = noisy(WALL)
    depth_m[SCREEN] = np.nan
    return depth_m


def test_a_screen_gets_the_plane_of_what_is_around_it_however_slanted() -> None:
    depth_m = wall_with_screen()
    filled = closed(depth_m)
    assert np.abs(filled[SCREEN] - WALL[SCREEN]).max() < 0.02
    outside = np.isfinite(depth_m)
    assert np.array_equal(filled[outside], depth_m[outside])
    assert np.isnan(depth_m[SCREEN]).all()  # what came in is left alone


def test_a_screen_at_the_edge_of_the_picture_is_closed_from_its_other_sides() -> None:
    depth_m = noisy(WALL)
    depth_m[:50, 200:290] = np.nan
    assert np.abs(closed(depth_m)[:50, 200:290] - WALL[:50, 200:290]).max() < 0.03


def test_a_frame_in_front_of_the_wall_may_be_seen_as_well() -> None:
    depth_m = wall_with_screen()
    bezel = np.zeros(depth_m.shape, bool)
    bezel[58:112, 98:182] = True
    bezel[SCREEN] = False
    depth_m[bezel] -= 0.08
    filled = closed(depth_m)
    assert np.abs(filled[SCREEN] - (WALL - 0.08)[SCREEN]).max() < 0.1


def test_the_shadow_of_a_thing_stays_open() -> None:
    # Structured light leaves a strip unknown beside what stands in front of the wall.
    depth_m = wall_with_screen()
    depth_m[20:220, 180:300] = 1.2
    depth_m[20:220, 150:180] = np.nan
    depth_m[60:110, 100:150] = 2.2
    assert np.isnan(closed(depth_m)[20:220, 150:180]).all()


def test_a_doorway_stays_open_where_it_is_large_or_shows_the_floor_behind() -> None:
    depth_m = wall_with_screen()
    assert np.isnan(closed(depth_m, max_hole_m2=0.05)[SCREEN]).all()
    behind = (slice(110, 113), SCREEN[1])
    depth_m[behind] = 3.6
    assert np.isnan(closed(depth_m)[SCREEN]).all()


def test_narrow_gaps_and_pictures_without_depth_stay_as_they_are() -> None:
    depth_m = noisy(WALL)
    depth_m[60:200, 100:106] = np.nan
    assert closed(depth_m) is depth_m
    for unknown in (np.nan, np.inf, 0.0):
        nothing = np.full_like(WALL, unknown)
        assert closed(nothing) is nothing


def test_what_some_sources_write_where_depth_is_unknown_is_a_hole_as_well() -> None:
    for unknown in (np.inf, 0.0):
        depth_m = wall_with_screen()
        depth_m[SCREEN] = unknown
        depth_m[200:210, 300:] = unknown
        assert np.abs(closed(depth_m)[SCREEN] - WALL[SCREEN]).max() < 0.02


def test_a_small_hole_which_may_hide_a_small_thing_stays_open() -> None:
    near = noisy(plane(1.6))
    near[100:130, 100:130] = np.nan  # 7 cm
    assert closed(near) is near
    far = noisy(plane(0.4))
    far[100:130, 100:130] = np.nan  # 27 cm
    assert np.isfinite(closed(far)).all()


def test_what_a_mask_hides_is_no_hole() -> None:
    depth_m = wall_with_screen()
    visible = np.ones(depth_m.shape, bool)
    visible[SCREEN] = False
    assert np.isnan(closed(depth_m, visible=visible)[SCREEN]).all()


@pytest.mark.parametrize(('max_hole_m2', 'known'), [(0.5, True), (0.0, False)])
def test_keyframes_are_closed_as_the_option_says(max_hole_m2: float, known: bool) -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    frame = PosedFrame(image, wall_with_screen(), CAMERA, np.eye(4), 0)
    depth_m = limited(frame, KeyframeOptions(max_hole_m2=max_hole_m2)).depth
    assert depth_m is not None
    assert np.isfinite(depth_m[SCREEN]).all() == known
    # What is too far for a map is not known either, closed or not.
    near = limited(frame, KeyframeOptions(max_hole_m2=max_hole_m2, max_depth_m=1.0)).depth
    assert near is not None
    assert np.isnan(near).all()


def test_a_surface_that_was_closed_goes_when_keyframes_see_through_it() -> None:
    surface = SurfaceMap(QueryOptions(voxel_m=0.03, min_views=1, max_range_m=4.0))
    image = np.zeros((240, 320, 3), np.uint8)

    def in_screen() -> int:
        points = surface.points().positions.astype(np.float64)
        u = CAMERA.fx * points[:, 0] / points[:, 2] + CAMERA.cx
        v = CAMERA.fy * points[:, 1] / points[:, 2] + CAMERA.cy
        inside = (u > 110) & (u < 170) & (v > 70) & (v < 100)
        return int((inside & (points[:, 2] < 2.6)).sum())

    surface.integrate(
        KeyframeId('camera', 0), closed(wall_with_screen()), image, CAMERA, np.eye(4)
    )
    assert in_screen() > 50
    for index in range(1, 6):
        depth_m = wall_with_screen()
        depth_m[SCREEN] = 3.5
        surface.integrate(KeyframeId('camera', index), depth_m, image, CAMERA, np.eye(4))
    assert in_screen() == 0
