"""A growing surface is sent as differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scenery import CAMERA, mapped, named, orbit, picture, see

from lerf_ros.config import QueryOptions
from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.viewer.chunks import CHUNK_VOXELS, ChunkedSurface


def grown(views: int) -> SurfaceMap:
    return mapped(views=views, noise_m=0.001)


def test_every_point_is_in_the_chunk_of_its_place() -> None:
    points = grown(8).points()
    cut = ChunkedSurface()
    assert cut.update(points)
    rows = np.concatenate([chunk.rows for chunk in cut.chunks.values()])
    assert sorted(rows) == list(range(len(points)))
    side_m = CHUNK_VOXELS * points.voxel_m
    for chunk in cut.chunks.values():
        assert (np.abs(chunk.positions - chunk.centre_m) <= side_m / 2 + 1e-6).all()
        np.testing.assert_array_equal(chunk.keys, points.keys[chunk.rows])


def test_what_nobody_would_see_is_not_sent_again() -> None:
    points = grown(8).points()
    cut = ChunkedSurface()
    cut.update(points)
    before = dict(cut.chunks)
    assert not cut.update(points)
    # Towards the middle of its chunk: a point that leaves it is sent with the other one.
    moved = points.positions.copy()
    for chunk in before.values():
        moved[chunk.rows] += 1e-3 * (chunk.centre_m - chunk.positions)
    assert not cut.update(replace(points, positions=moved))
    assert all(cut.chunks[cell] is chunk for cell, chunk in before.items())


def test_small_changes_add_up_to_one_that_is_sent() -> None:
    points = grown(8).points()
    cut = ChunkedSurface()
    cut.update(points)
    colours = points.colours.astype(int)
    sent = [
        cut.update(replace(points, colours=np.clip(colours + 6 * n, 0, 255).astype(np.uint8)))
        for n in range(1, 9)
    ]
    assert 1 <= sum(sent) < 4


def test_only_what_changed_gets_a_new_version() -> None:
    points = grown(8).points()
    cut = ChunkedSurface()
    cut.update(points)
    before = dict(cut.chunks)
    cell = max(before, key=lambda cell: len(before[cell].keys))
    gone = before[cell].rows[::2]
    keep = np.setdiff1d(np.arange(len(points)), gone)
    fewer = replace(
        points,
        positions=points.positions[keep],
        colours=points.colours[keep],
        normals=points.normals[keep],
        views=points.views[keep],
        confidence=points.confidence[keep],
        visible_height_m=points.visible_height_m[keep],
        seen_by=points.seen_by[keep],
        keys=points.keys[keep],
    )
    assert cut.update(fewer)
    assert {c for c in before if cut.chunks.get(c) is not before[c]} == {cell}


def test_an_empty_surface_has_no_chunks() -> None:
    cut = ChunkedSurface()
    cut.update(grown(3).points())
    assert cut.update(SurfaceMap(QueryOptions()).points())
    assert cut.chunks == {}


def test_a_camera_that_looks_again_changes_little() -> None:
    surface = grown(16)
    cut = ChunkedSurface()
    cut.update(surface.points())
    before = dict(cut.chunks)
    pose = orbit(16)[3]
    depth, balls = see(pose)
    surface.integrate(named(3), depth, picture(balls), CAMERA, pose)
    cut.update(surface.points())
    changed = [cell for cell in cut.chunks if cut.chunks[cell] is not before.get(cell)]
    assert len(changed) < 0.5 * len(before)
