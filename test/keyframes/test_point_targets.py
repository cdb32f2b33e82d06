"""What keyframes say of points: drawn tiles tend to the interpolation, tile by tile."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import numpy as np
import pytest
import spheres
import torch
import torch.nn.functional as F

from lerf_ros.config import TrainingOptions
from lerf_ros.field.native import is_available, load_library
from lerf_ros.frames import Keyframe, KeyframeId
from lerf_ros.geometry import backproject, transform_points
from lerf_ros.keyframes.native_targets import (
    native_drawn_views,
    native_point_targets,
)
from lerf_ros.keyframes.point_targets import (
    PointViews,
    draw_scales,
    drawn_means,
    drawn_views,
    means_twin,
    point_targets,
)
from lerf_ros.keyframes.store import KeyframeStore
from lerf_ros.keyframes.view_means import view_means

COUNT = 6


def make_store():
    store = KeyframeStore(TrainingOptions(), spheres.EMBEDDING_SIZE)
    for keyframe, pyramid, _ in spheres.keyframes(COUNT):
        store.add(keyframe, pyramid)
    return store


def surface_points(store, count, seed=0):
    """Returns points that the first keyframe sees, and their pixels."""
    frame = store.keyframe(store.ids[0]).frame
    uv = np.random.default_rng(seed).uniform([4, 4], [76, 56], (count, 2))
    depth_m = frame.depth[uv[:, 1].astype(int), uv[:, 0].astype(int)].astype(np.float64)
    known = np.isfinite(depth_m)
    points = transform_points(
        frame.camera_to_world, backproject(frame.camera, uv[known], depth_m[known])
    )
    return torch.from_numpy(points).float(), torch.from_numpy(uv[known]).float()


def all_slots(store, count):
    return store.slots_of(store.ids).expand(count, COUNT)


def views_of(store, points, slots):
    return PointViews.of(store.tables, points, slots)


def reader_of(store):
    """What reads embeddings, and the table that holds them all."""
    return store.rows_of('embedding'), store._device.pools[0]._data['embedding']


def test_points_are_seen_where_they_were_taken_from():
    store = make_store()
    points, uv = surface_points(store, 200)
    views = views_of(store, points, all_slots(store, len(points)))
    first = int(store.slots_of(store.ids[:1])[0])
    assert bool(views.seen[:, first].all())
    torch.testing.assert_close(views.uv[:, first], uv, atol=0.01, rtol=0)
    camera = store.keyframe(store.ids[0]).frame.camera
    depth_m = camera.fy / views.px_per_m[:, first]
    offset = points - torch.from_numpy(store.pose(store.ids[0])[:3, 3]).float()
    axis = torch.from_numpy(store.pose(store.ids[0])[:3, 2]).float()
    torch.testing.assert_close(depth_m, offset @ axis, atol=1e-4, rtol=1e-4)


def test_nobody_and_what_lies_outside_or_behind_is_not_seen():
    store = make_store()
    pose = torch.from_numpy(store.pose(store.ids[0])).float()
    ahead, right = pose[:3, 2], pose[:3, 0]
    points = pose[:3, 3] + torch.stack([ahead, -ahead, 0.3 * ahead + right])
    slots = store.slots_of([store.ids[0], KeyframeId('camera', 12345)]).expand(3, 2)
    assert slots[0, 1] == -1
    assert views_of(store, points, slots).seen.tolist() == [[True, False]] + 2 * [[False] * 2]


def test_the_mean_of_many_draws_is_the_interpolation():
    store = make_store()
    points, _ = surface_points(store, 24)
    views = views_of(store, points, all_slots(store, len(points)))
    tables = store._tables
    read, table = reader_of(store)
    scale_m = draw_scales(tables, views, torch.linspace(0, 1, len(points)))
    expected, expected_valid = means_twin(table, tables, views, scale_m)
    total = torch.zeros_like(expected)
    draws = 3000
    generator = torch.Generator().manual_seed(0)
    for _ in range(draws):
        draw = torch.rand(len(points), COUNT, 3, generator=generator)
        means, valid = drawn_means(read, tables, views, scale_m, draw)
        assert torch.equal(valid, expected_valid)
        total += means
    assert int(valid.sum()) > 12
    torch.testing.assert_close(total / draws, expected, atol=0.03, rtol=0)


def test_a_single_draw_is_a_tile_of_the_picture():
    store = make_store()
    points, _ = surface_points(store, 50)
    views = views_of(store, points, all_slots(store, len(points))[:, :1])
    tables = store._tables
    read, _ = reader_of(store)
    scale_m = draw_scales(tables, views, torch.rand(len(points)))
    means, valid = drawn_means(read, tables, views, scale_m, torch.rand(len(points), 1, 3))
    assert bool(valid.all())
    tiles = store.embeddings(store.ids[0])
    assert float(torch.cdist(means, tiles).amin(dim=1).max()) < 1e-3


def test_a_scale_that_no_tile_shows_has_no_target():
    store = make_store()
    points, _ = surface_points(store, 10)
    views = views_of(store, points, all_slots(store, len(points)))
    tables = store._tables
    read, table = reader_of(store)
    for scale_m in (0.001, 2.0):
        wanted = torch.full((len(points),), scale_m)
        _, valid = drawn_means(read, tables, views, wanted, torch.rand(len(points), COUNT, 3))
        assert not valid.any()
        assert not means_twin(table, tables, views, wanted)[1].any()


def test_targets_of_two_sizes_are_those_of_each_alone():
    """Pictures of another size in the store change nothing of what the others say."""
    store, larger = make_store(), KeyframeStore(TrainingOptions(), spheres.EMBEDDING_SIZE)
    points, _ = surface_points(store, 40)
    for keyframe, pyramid, _ in spheres.keyframes(COUNT, 120, 96):
        id_ = KeyframeId('large', keyframe.id.index)
        for holder in (store, larger):
            holder.add(Keyframe(id_, keyframe.frame), pyramid)
    for alone in (make_store(), larger):
        expected, found = (
            holder.point_targets(
                points,
                holder.slots_of(alone.ids).expand(len(points), COUNT),
                torch.Generator().manual_seed(0),
            )
            for holder in (alone, store)
        )
        torch.testing.assert_close(found.embedding, expected.embedding)
        torch.testing.assert_close(found.scale_m, expected.scale_m)
        assert int(found.valid.sum()) > 20


def test_targets_are_unit_and_about_what_the_pyramids_say():
    store = make_store()
    points, uv = surface_points(store, 300)
    targets = store.point_targets(
        points, all_slots(store, len(points)), torch.Generator().manual_seed(0)
    )
    norms = targets.embedding[targets.valid].norm(dim=-1)
    torch.testing.assert_close(norms, torch.ones_like(norms))
    _, pyramid, _ = next(iter(spheres.keyframes(COUNT)))
    camera = store.keyframe(store.ids[0]).frame.camera
    views = views_of(store, points, all_slots(store, len(points))[:, :1])
    said = pyramid.lookup(uv, targets.scale_m * views.px_per_m[:, 0])
    assert camera.height == pyramid.height
    assert float(F.cosine_similarity(targets.embedding, said, dim=-1).mean()) > 0.9


def test_native_targets_are_those_of_the_readable_twin() -> None:
    if not is_available('point_targets'):
        pytest.skip('no native library, and no compiler')
    store = make_store()
    for keyframe, pyramid, _ in spheres.keyframes(3, width=64, height=48):  # a second pool
        store.add(replace(keyframe, id=KeyframeId('other', keyframe.id.index)), pyramid)
    points, _ = surface_points(store, 300)
    slots = store.slots_of(store.ids).repeat(len(points), 1)
    hidden = torch.rand(slots.shape, generator=torch.Generator().manual_seed(5)) < 0.3
    slots[hidden] = -1
    slots[:3] = -1
    tables = store.tables
    twin = point_targets(
        store.rows_of('embedding'),
        None,
        tables,
        PointViews.of(tables, points, slots),
        torch.Generator().manual_seed(3),
    )
    tried = native_point_targets(
        [pool.table('embedding') for pool in store._device.pools],
        tables,
        points,
        slots,
        torch.Generator().manual_seed(3),
    )
    assert len(store._device.pools) == 2
    assert torch.equal(tried.seen, twin.seen)
    assert 10 < int(twin.valid.sum()) < len(points)
    torch.testing.assert_close(tried.scale_m, twin.scale_m, rtol=1e-4, atol=1e-6)
    # At an edge between two cells rounding decides which one is taken.
    same = (tried.embedding - twin.embedding).abs().amax(dim=1) < 1e-4
    assert same.float().mean() > 0.99
    assert (tried.valid == twin.valid).float().mean() > 0.99


def test_views_are_drawn_in_cpp_as_by_the_readable_twin() -> None:
    if not is_available('point_targets'):
        pytest.skip('no native library, and no compiler')
    generator = torch.Generator().manual_seed(6)
    rows = 9
    slots = torch.randperm(rows, generator=generator)
    slots[[2, 5]] = -1
    slots = F.pad(slots, (0, 1), value=-1)
    seen_by = torch.randint(-1, rows, (50, 6), generator=generator, dtype=torch.int32)
    seen_by[7] = -1
    chosen = torch.randint(50, (200,), generator=generator)
    order = torch.rand(200, 6, generator=generator)
    for count in (1, 4, 8):
        twin = drawn_views(seen_by, slots, chosen, order, count)
        assert twin.shape == (200, min(count, 6))
        assert torch.equal(native_drawn_views(seen_by, slots, chosen, order, count), twin)
    assert bool((twin[chosen == 7] == -1).all())
    assert 0 < float((twin >= 0).float().mean()) < 1


def test_halves_become_floats_with_and_without_the_processors_help() -> None:
    if not is_available('point_targets'):
        pytest.skip('no native library, and no compiler')
    halves = torch.tensor(
        [0.0, -0.0, 1.0, -2.5, 65504.0, 6e-8, -6e-5, 0.333, 1e-3, 7.0, 0.1]
    ).half()
    plainly, as_used = torch.ones(11), torch.ones(11)
    library = load_library('point_targets')
    pointers = (ctypes.c_void_p(t.data_ptr()) for t in (plainly, as_used))
    library.lerf_add_halves(ctypes.c_void_p(halves.data_ptr()), ctypes.c_int(11), *pointers)
    assert torch.equal(plainly, 1 + halves.float())
    assert torch.equal(as_used, plainly)


def test_views_say_on_average_what_each_pyramid_says_alone():
    store = make_store()
    pyramids = [pyramid for _, pyramid, _ in spheres.keyframes(COUNT)]
    points, _ = surface_points(store, 40)
    slots = all_slots(store, len(points)).clone()
    slots[::3, 2] = -1  # nobody
    scales_m = torch.tensor([0.02, 0.05, 5.0])
    means, known = view_means(store, points, slots, scales_m)
    views = views_of(store, points, slots)
    for number, scale_m in enumerate(scales_m.tolist()):
        for point in range(len(points)):
            said = []
            for view in range(COUNT):
                pyramid = pyramids[view]
                tile_px = scale_m * views.px_per_m[point, view]
                sizes = [level.tile_px for level in pyramid.levels]
                if (
                    not views.seen[point, view]
                    or not 0.8 * sizes[0] <= tile_px <= 1.25 * sizes[-1]
                ):
                    continue
                uv = views.uv[point, view][None]
                said.append(pyramid.lookup(uv, tile_px[None])[0].float())
            assert bool(known[point, number]) == bool(said)
            if said:
                expected = F.normalize(torch.stack(said).mean(dim=0), dim=0)
                torch.testing.assert_close(means[point, number], expected, atol=2e-3, rtol=0)
    assert known[:, :2].any()
    assert not known[:, 2].any()
