"""The store: what goes in comes out, wherever it rests meanwhile."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import spheres
import torch

from lerf_ros.config import TrainingOptions
from lerf_ros.features.dense import FeatureMap
from lerf_ros.frames import Keyframe, KeyframeId, PosedFrame
from lerf_ros.geometry import PinholeCamera
from lerf_ros.keyframes import cold_storage
from lerf_ros.keyframes.store import NEWEST, KeyframeStore


def named(index):
    return KeyframeId(spheres.SOURCE, index)


def make_store(count=6, dense_size=0, size=(80, 60), **options):
    store = KeyframeStore(TrainingOptions(**options), spheres.EMBEDDING_SIZE, dense_size)
    pyramids = {}
    for keyframe, pyramid, _ in spheres.keyframes(count, *size):
        dense = None
        if dense_size:
            generator = torch.Generator().manual_seed(keyframe.id.index)
            features = torch.randn(6, 8, dense_size, generator=generator)
            dense = FeatureMap(features, pyramid.width, pyramid.height)
        store.add(keyframe, pyramid, dense)
        pyramids[keyframe.id] = (keyframe, pyramid, dense)
    return store, pyramids


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_rays_carry_the_pixels_depth_and_direction_of_their_keyframe():
    store, data = make_store()
    batch = store.sample_rays(500, generator())
    for index in range(0, 500, 25):
        keyframe, _, _ = data[store.device_ids[int(batch.slots[index])]]
        u, v = batch.uv[index].tolist()
        row, col = int(v), int(u)
        expected = keyframe.frame.image[row, col] / 255
        np.testing.assert_allclose(batch.rgb[index], expected, atol=1e-6)
        depth_m = keyframe.frame.depth[row, col]
        np.testing.assert_allclose(batch.rays.depth_guide_m[index], depth_m, rtol=1e-3)
        camera, pose = keyframe.frame.camera, keyframe.frame.camera_to_world
        ray = np.array([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, 1.0])
        np.testing.assert_allclose(
            batch.rays.directions_world[index], pose[:3, :3] @ ray, atol=1e-5
        )


def test_embeddings_equal_the_lookup_of_one_pyramid():
    store, data = make_store()
    batch = store.sample_rays(300, generator(), language_rays=200)
    assert len(batch.embedding) == 200
    for index in range(0, 200, 10):
        keyframe, pyramid, _ = data[store.device_ids[int(batch.slots[index])]]
        tile_px = batch.scale_per_depth[index : index + 1] * keyframe.frame.camera.fy
        expected = pyramid.lookup(batch.uv[index : index + 1], tile_px)
        torch.testing.assert_close(batch.embedding[index : index + 1], expected, atol=2e-3, rtol=0)


def test_dense_features_equal_the_lookup_of_one_map():
    store, data = make_store(dense_size=5)
    batch = store.sample_rays(200, generator())
    for index in range(0, 200, 10):
        _, _, dense = data[store.device_ids[int(batch.slots[index])]]
        expected = dense.lookup(batch.uv[index : index + 1])
        torch.testing.assert_close(batch.dense[index : index + 1], expected, atol=5e-3, rtol=0)


def test_pictures_are_held_half_as_wide_and_features_as_they_were_seen():
    whole, data = make_store(size=(80, 60))
    store, _ = make_store(size=(80, 60), store_width=40)
    arrays, narrow = whole._arrays(named(0)), store._arrays(named(0))
    assert len(narrow['colour']) == len(narrow['depth']) == 40 * 30
    torch.testing.assert_close(narrow['embedding'], arrays['embedding'])
    batch = store.sample_rays(300, generator(), language_rays=200)
    for index in range(0, 200, 10):
        keyframe, pyramid, _ = data[store.device_ids[int(batch.slots[index])]]
        camera, pose = keyframe.frame.camera, keyframe.frame.camera_to_world
        uv = 2 * batch.uv[index]  # in the whole picture
        ray = [(uv[0] - camera.cx) / camera.fx, (uv[1] - camera.cy) / camera.fy, 1.0]
        np.testing.assert_allclose(
            batch.rays.directions_world[index], pose[:3, :3] @ np.array(ray), atol=1e-5
        )
        row, col = int(uv[1]) // 2 * 2, int(uv[0]) // 2 * 2
        mean = keyframe.frame.image[row : row + 2, col : col + 2].mean(axis=(0, 1)) / 255
        np.testing.assert_allclose(batch.rgb[index], mean, atol=1.1 / 255)
        tile_px = batch.scale_per_depth[index : index + 1] * camera.fy
        expected = pyramid.lookup(uv[None], tile_px)
        torch.testing.assert_close(batch.embedding[index : index + 1], expected, atol=2e-3, rtol=0)


def test_narrow_pictures_come_back_after_saving_and_take_more_company():
    store, _ = make_store(size=(80, 60), store_width=40)
    described, arrays = store.state()
    again = KeyframeStore(TrainingOptions(store_width=40), spheres.EMBEDDING_SIZE)
    again.load_state(described, arrays)
    camera = again.keyframe(named(1)).frame.camera
    assert (camera.width, camera.height) == (40, 30)
    for keyframe, pyramid, _ in spheres.keyframes(8, 80, 60):
        if keyframe.id not in again:
            again.add(keyframe, pyramid)
    assert len(again) == 8
    assert len(again.sample_rays(100, generator())) == 100
    assert again.device_bytes < make_store(8, size=(80, 60))[0].device_bytes


def test_cameras_of_different_sizes_mix():
    store, _ = make_store(3)
    larger, pyramid, _ = next(spheres.keyframes(1, 120, 96))
    store.add(Keyframe(named(50), larger.frame), pyramid)
    batch = store.sample_rays(2000, generator())
    own = batch.slots == 3
    assert float(batch.uv[own].amax()) > 96
    u, v = batch.uv[own][0].tolist()
    np.testing.assert_allclose(batch.rgb[own][0] * 255, larger.frame.image[int(v), int(u)])
    for id_ in store.ids:
        assert store.keyframe(id_).frame.image.shape[1] == (120 if id_ == named(50) else 80)


def test_a_keyframe_comes_back_as_it_went_in():
    store, data = make_store()
    keyframe = data[named(4)][0]
    back = store.keyframe(named(4))
    np.testing.assert_array_equal(back.frame.image, keyframe.frame.image)
    np.testing.assert_allclose(back.frame.depth, keyframe.frame.depth, rtol=1e-3)
    assert back.frame.camera == keyframe.frame.camera
    assert back.frame.stamp_ns == keyframe.frame.stamp_ns


# Of such pictures, about 150 kB each with their features, one megabyte holds seven.
LARGE = (160, 120)
SCARCE = {'size': LARGE, 'store_device_mb': 1}


@pytest.mark.parametrize('host_mb', [0, 100])
def test_keyframes_beyond_the_budget_take_turns(host_mb):
    store, data = make_store(16, store_host_mb=host_mb, **SCARCE)
    assert len(store) == 16
    assert store.on_device == 7
    assert (store._cold.on_disk > 0) == (host_mb == 0)
    seen = set()
    for step in range(400):
        store.sample_rays(8, generator(step))
        seen |= set(store.device_ids)
    assert seen == set(store.ids)
    for id_, (keyframe, _, _) in data.items():
        np.testing.assert_array_equal(store.keyframe(id_).frame.image, keyframe.frame.image)
    store.close()


def test_budgets_bound_what_is_held_in_memory():
    store = KeyframeStore(
        TrainingOptions(store_device_mb=1, store_host_mb=1), spheres.EMBEDDING_SIZE
    )
    keyframe, pyramid, _ = next(spheres.keyframes(1))
    for index in range(150):  # of 30 kB each
        store.add(Keyframe(named(index), keyframe.frame), pyramid)
        assert 0 < store.device_bytes <= 2**20
        cold = [a for arrays in store._cold._host.values() for a in arrays.values()]
        assert sum(a.numel() * a.element_size() for a in cold) <= 2**20
    assert store._cold.on_disk > 75
    batch = store.sample_rays(500, generator())
    assert len(batch) == 500
    for index in (0, 75, 149):
        np.testing.assert_array_equal(
            store.keyframe(named(index)).frame.image, keyframe.frame.image
        )
    store.close()


def slot_bytes(size):
    arrays = store_of_one(size)._arrays(named(0)).values()
    return sum(values.numel() * values.element_size() for values in arrays)


def store_of_one(size):
    return make_store(1, size=size)[0]


@pytest.mark.parametrize(('small', 'large'), [(40, 40), (80, 8), (10, 30), (1, 20), (40, 1)])
def test_two_cameras_of_different_sizes_share_one_budget(small, large):
    store = KeyframeStore(
        TrainingOptions(store_device_mb=1, store_host_mb=1), spheres.EMBEDDING_SIZE
    )
    cameras = {
        'small': list(spheres.keyframes(6)),
        'large': list(spheres.keyframes(6, *LARGE)),
    }
    generator_ = np.random.default_rng(0)
    sources = generator_.permutation(['small'] * small + ['large'] * large)
    taken = {}
    for number, source in enumerate(sources):
        keyframe, pyramid, _ = cameras[source][number % 6]
        id_ = KeyframeId(str(source), number)
        store.add(Keyframe(id_, keyframe.frame), pyramid)
        taken[id_] = keyframe
        assert store.device_bytes <= 2**20
        assert len(store.sample_rays(64, generator(number))) == 64
    assert set(store.ids[-NEWEST:]) <= set(store.device_ids)
    # The budget is used, and each camera has its part of it.
    assert store.device_bytes > 2**20 - 2 * slot_bytes(LARGE)
    held = [id_.source for id_ in store.device_ids]
    parts = [held.count('small') / small, held.count('large') / large]
    if small >= large > 1:
        assert 0.4 < parts[0] / parts[1] < 2.5
    else:
        assert all(part > 0 for part in parts)
    # All take turns, and rays carry what their own keyframe shows.
    seen = set()
    for step in range(8 * len(sources)):
        batch = store.sample_rays(32, generator(step))
        store.report_errors(batch.slots, torch.rand(32))
        seen |= set(store.device_ids)
        assert store.device_bytes <= 2**20
    assert len(seen) > 0.8 * len(sources)
    ids = store.device_ids
    for index in range(32):
        id_ = ids[int(batch.slots[index])]
        u, v = batch.uv[index].tolist()
        expected = taken[id_].frame.image[int(v), int(u)] / 255
        np.testing.assert_allclose(batch.rgb[index], expected, atol=1e-6)
        pyramid = next(p for k, p, _ in cameras[id_.source] if k is taken[id_])
        tile_px = batch.scale_per_depth[index : index + 1] * taken[id_].frame.camera.fy
        found = pyramid.lookup(batch.uv[index : index + 1], tile_px)
        torch.testing.assert_close(batch.embedding[index : index + 1], found, atol=2e-3, rtol=0)
    for id_ in list(taken)[:: max(1, len(taken) // 20)]:
        back = store.keyframe(id_).frame
        np.testing.assert_array_equal(back.image, taken[id_].frame.image)
    loaded = KeyframeStore(TrainingOptions(store_device_mb=1), spheres.EMBEDDING_SIZE)
    loaded.load_state(*store.state())
    assert set(loaded.ids) == set(store.device_ids)
    assert len(loaded.sample_rays(64, generator())) == 64
    store.close()


def test_dense_features_of_two_sizes_are_each_their_own():
    store, data = make_store(2, dense_size=5)
    for keyframe, pyramid, _ in spheres.keyframes(2, *LARGE):
        features = torch.randn(9, 12, 5, generator=generator(keyframe.id.index))
        dense = FeatureMap(features, pyramid.width, pyramid.height)
        id_ = KeyframeId('large', keyframe.id.index)
        store.add(Keyframe(id_, keyframe.frame), pyramid, dense)
        data[id_] = (keyframe, pyramid, dense)
    batch = store.sample_rays(200, generator(), language_rays=150)
    assert len(batch.dense) == 150
    for index in range(0, 150, 10):
        _, _, dense = data[store.device_ids[int(batch.slots[index])]]
        expected = dense.lookup(batch.uv[index : index + 1])
        torch.testing.assert_close(batch.dense[index : index + 1], expected, atol=5e-3, rtol=0)
    assert len(store.sample_rays(20, generator(), language_rays=0).embedding) == 0


def test_the_newest_keyframes_stay_on_the_device():
    store, _ = make_store(16, **SCARCE)
    for step in range(100):
        store.sample_rays(8, generator(step))
        assert set(store.ids[-NEWEST:]) <= set(store.device_ids)


def test_files_on_disk_go_with_the_store():
    store, _ = make_store(10, store_host_mb=0, **SCARCE)
    folder = store._cold._folder.name
    assert len(list(cold_storage.Path(folder).iterdir())) > 0
    store.close()
    assert not cold_storage.Path(folder).exists()


def test_replay_favours_the_newest_and_the_worst_with_a_floor():
    store, _ = make_store(12)
    slots = torch.arange(12)
    errors = torch.full((12,), 0.01)
    errors[3] = 1.0
    store.report_errors(slots, errors)
    share = store._replay.chances(store.tables.newest)
    assert float(share[3]) > 2 * float(share[0])
    assert float(share[11]) > 1.5 * float(share[0])
    assert float(share.min() / share.sum()) > 0.5 / 12 * 0.9


def test_state_brings_the_keyframes_back():
    store, _ = make_store(4, dense_size=3)
    moved = store.pose(named(1))
    moved[:3, 3] += 1
    store.update_poses([named(1)], moved[None])
    described, arrays = store.state()
    other = KeyframeStore(TrainingOptions(), spheres.EMBEDDING_SIZE, 3)
    other.load_state(described, arrays)
    assert other.ids == store.ids
    np.testing.assert_allclose(other.pose(named(1)), moved)
    first, second = (s.sample_rays(50, generator()) for s in (store, other))
    torch.testing.assert_close(first.rgb, second.rgb)
    torch.testing.assert_close(first.embedding, second.embedding)
    torch.testing.assert_close(first.dense, second.dense)


def test_keyframes_of_a_file_join_those_that_are_there_as_old_as_they_are():
    store, _ = make_store(9)
    few, all_of_them = store.state(3), store.state()
    assert [numbers['order'] for numbers in few[0]] == [0, 4, 8]  # evenly, the last one always
    assert store.state(0) == ([], {})
    other = KeyframeStore(TrainingOptions(), spheres.EMBEDDING_SIZE)
    other.load_state(*few)
    moved = other.pose(named(4))
    moved[:3, 3] += 1
    other.update_poses([named(4)], moved[None])
    other.load_state(*all_of_them)
    assert other.ids == store.ids
    np.testing.assert_allclose(other.pose(named(4)), moved)  # it was known
    for id_ in store.ids:
        np.testing.assert_array_equal(
            other.keyframe(id_).frame.image, store.keyframe(id_).frame.image
        )
        torch.testing.assert_close(other.embeddings(id_), store.embeddings(id_))
    assert int(other.tables.newest.sum()) == int(store.tables.newest.sum())


def test_keyframes_of_a_file_that_find_no_room_leave_no_trace(monkeypatch):
    store, _ = make_store(4)
    other, place = KeyframeStore(TrainingOptions(), spheres.EMBEDDING_SIZE), KeyframeStore._place

    def full_after_two(self, id_, arrays):
        if len(self) > 2:
            raise OSError('No space left on device')
        place(self, id_, arrays)

    with monkeypatch.context() as patch:
        patch.setattr(KeyframeStore, '_place', full_after_two)
        with pytest.raises(OSError, match='No space'):
            other.load_state(*store.state())
    assert other.ids == store.ids[:2]
    assert len(other.sample_rays(50, generator()).rgb) == 50
    other.load_state(*store.state())  # and there is room again
    assert other.ids == store.ids


def test_bad_keyframes_are_refused_and_leave_no_trace():
    store, data = make_store(2)
    keyframe, pyramid, _ = data[named(0)]
    with pytest.raises(ValueError, match='in the store already'):
        store.add(keyframe, pyramid)
    fresh = Keyframe(named(9), keyframe.frame)
    with pytest.raises(ValueError, match='expected one of a'):
        store.add(fresh, dataclasses.replace(pyramid, width=20))
    with pytest.raises(ValueError, match='levels as before'):
        store.add(fresh, dataclasses.replace(pyramid, levels=pyramid.levels[:1]))
    with pytest.raises(ValueError, match='no dense features'):
        store.add(fresh, pyramid, FeatureMap(torch.zeros(2, 2, 3), 80, 60))
    bad = dataclasses.replace(
        pyramid.levels[0], embeddings=pyramid.levels[0].embeddings * float('nan')
    )
    with pytest.raises(ValueError, match='finite'):
        store.add(fresh, dataclasses.replace(pyramid, levels=(bad, pyramid.levels[1])))
    assert store.ids == [named(0), named(1)]


def test_bad_poses_are_refused_and_none_is_applied():
    store, _ = make_store(3)
    good, bad = store.pose(named(0)), store.pose(named(1))
    good[:3, 3] += 1
    bad[0, 0] = float('nan')
    with pytest.raises(ValueError, match='finite'):
        store.update_poses([named(0), named(1)], np.stack([good, bad]))
    with pytest.raises(ValueError, match='no keyframes with the ids'):
        store.update_poses([named(77)], good[None])
    with pytest.raises(ValueError, match='one pose an id'):
        store.update_poses([named(0), named(1)], good[None])
    assert not np.allclose(store.pose(named(0)), good)


def test_depth_that_is_no_depth_becomes_unknown():
    camera = PinholeCamera.from_vertical_fov(80, 60, 45.0)
    depth = np.full((60, 80), 1.0, np.float32)
    depth[0], depth[1], depth[2], depth[3] = np.nan, np.inf, -1.0, 0.0
    frame = PosedFrame(np.zeros((60, 80, 3), np.uint8), depth, camera, np.eye(4), 0)
    store, data = make_store(1)
    store.add(Keyframe(named(5), frame), data[named(0)][1])
    back = store.keyframe(named(5)).frame.depth
    assert np.isnan(back[:4]).all()
    assert (back[4:] == 1).all()


def test_an_empty_store_has_no_rays():
    store = KeyframeStore(TrainingOptions(), 16)
    with pytest.raises(ValueError, match='at least one keyframe'):
        store.sample_rays(10)


def test_keyframes_of_two_cameras_may_share_their_numbers():
    store, data = make_store(3, store_host_mb=0)
    other = {}
    for keyframe, pyramid, _ in spheres.keyframes(3):
        keyframe.frame.image[:] = 255 - keyframe.frame.image
        named_otherwise = Keyframe(KeyframeId('cameras/left', keyframe.id.index), keyframe.frame)
        store.add(named_otherwise, pyramid)
        other[named_otherwise.id] = keyframe
    loaded = KeyframeStore(TrainingOptions(), spheres.EMBEDDING_SIZE)
    loaded.load_state(*store.state())
    assert loaded.ids == store.ids == [*data, *other]
    for id_, keyframe in other.items():
        image = loaded.keyframe(id_).frame.image
        np.testing.assert_array_equal(image, keyframe.frame.image)
        assert (image != loaded.keyframe(named(id_.index)).frame.image).any()


def half_hidden(keyframe, seed=0):
    """The keyframe behind a mask that hides half of it, here and there."""
    frame = keyframe.frame
    size = (frame.camera.height, frame.camera.width)
    visible = np.random.default_rng(seed).random(size) > 0.5
    return Keyframe(keyframe.id, dataclasses.replace(frame, visible=visible))


def test_rays_are_drawn_where_the_picture_is_visible_and_evenly():
    store = KeyframeStore(TrainingOptions(), spheres.EMBEDDING_SIZE)
    masks = {}
    for keyframe, pyramid, _ in spheres.keyframes(4, 16, 12):
        hidden = half_hidden(keyframe) if keyframe.id.index % 2 else keyframe
        masks[keyframe.id] = hidden.frame.visible
        store.add(hidden, pyramid)
    batch = store.sample_rays(40_000, generator())
    columns, rows = batch.uv.long().unbind(dim=-1)
    for slot, id_ in enumerate(store.device_ids):
        own = batch.slots == slot
        drawn = np.zeros((12, 16), int)
        np.add.at(drawn, (rows[own].numpy(), columns[own].numpy()), 1)
        visible = masks[id_]
        frame = store.keyframe(id_).frame
        if visible is None:
            assert frame.visible is None
            assert (drawn > 0).all()
            continue
        np.testing.assert_array_equal(drawn > 0, visible)
        assert drawn.max() < 4 * np.median(drawn[visible]), 'about as often as each other'
        np.testing.assert_array_equal(frame.visible, visible)
        row, col = int(rows[own][0]), int(columns[own][0])
        np.testing.assert_allclose(batch.rgb[own][0] * 255, frame.image[row, col], atol=1e-4)


@pytest.mark.parametrize('host_mb', [0, 100])
def test_masks_stay_with_keyframes_that_rest_elsewhere(host_mb):
    store = KeyframeStore(
        TrainingOptions(store_device_mb=1, store_host_mb=host_mb), spheres.EMBEDDING_SIZE
    )
    masks = {}
    for keyframe, pyramid, _ in spheres.keyframes(16, *LARGE):
        hidden = half_hidden(keyframe, keyframe.id.index)
        masks[keyframe.id] = hidden.frame.visible
        store.add(hidden, pyramid)
    assert store.on_device < len(store)
    for id_, visible in masks.items():
        np.testing.assert_array_equal(store.keyframe(id_).frame.visible, visible)
    described, arrays = store.state()
    other = KeyframeStore(TrainingOptions(), spheres.EMBEDDING_SIZE)
    other.load_state(described, arrays)
    for id_ in other.ids:
        np.testing.assert_array_equal(other.keyframe(id_).frame.visible, masks[id_])
