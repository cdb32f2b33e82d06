"""Tests of lerf_ros.maps.submap: the whole map, without ROS, on a small simulated table."""

import gc
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lerf_ros.config import LerfConfig
from lerf_ros.features.load import load_encoder
from lerf_ros.frames import KeyframeId, PosedFrame
from lerf_ros.geometry import inverse_transform, transform_points
from lerf_ros.maps.errors import NotReadyError
from lerf_ros.maps.poses import registration_of
from lerf_ros.maps.rendered_depth import EVERY_STEPS, FIRST_STEP
from lerf_ros.maps.submap import Submap
from lerf_ros.query.engine import QueryRequest
from lerf_ros.simulation import TabletopOptions, TabletopScene
from lerf_ros.training.device import resolve_device
from lerf_ros.training.trainer import RenderedView

CONFIG = LerfConfig.from_flat(
    {
        'training.rays_per_step': 256,
        'training.language_rays_per_step': 128,
        'field.table_log2': 14,
        'field.language_table_log2': 12,
        'query.voxel_m': 0.02,
        'query.scales': 8,
    }
)
QUESTION = QueryRequest(positives=('red mug',))


@pytest.fixture(scope='module')
def encoder():
    return load_encoder(CONFIG.features, torch.device('cpu'))


@pytest.fixture(scope='module')
def frames() -> list[PosedFrame]:
    options = TabletopOptions(
        width=160, height=120, objects=(('red', 'mug'), ('blue', 'book'), ('yellow', 'ball'))
    )
    with TabletopScene(seed=9050, options=options) as scene:
        return list(scene.frames('orbit', 20.0, 0.3))


def learnt_map(encoder, frames) -> Submap:
    live_map = Submap(CONFIG, encoder)
    for frame in frames[:3]:
        live_map.ingest(frame)
    for _ in range(5):
        live_map.step()
    return live_map


@pytest.fixture
def live_map(encoder, frames) -> Submap:
    """A map of the test's own."""
    return learnt_map(encoder, frames)


@pytest.fixture(scope='module')
def kept_map(encoder, frames) -> Submap:
    """A map that the tests ask and save, and leave as it is."""
    return learnt_map(encoder, frames)


def without_depth(frame: PosedFrame) -> PosedFrame:
    return PosedFrame(frame.image, None, frame.camera, frame.camera_to_world, frame.stamp_ns)


def test_an_empty_map_says_that_it_is_empty(encoder, frames):
    live_map = Submap(CONFIG, encoder)
    assert not live_map.ready()
    with pytest.raises(NotReadyError, match='no keyframe'):
        live_map.query(QUESTION)
    with pytest.raises(NotReadyError, match='no keyframe'):
        live_map.render(frames[0].camera, frames[0].camera_to_world)
    with pytest.raises(NotReadyError, match='no map to save'):
        live_map.save('nowhere.safetensors')


def test_intake_is_cut_into_one_job_a_level(encoder, frames):
    live_map = Submap(CONFIG, encoder)
    jobs = live_map.ingest_jobs(frames[0])
    assert len(jobs) == CONFIG.features.pyramid_levels + 1
    for job in jobs[:-1]:
        job()
    assert live_map.keyframe_count == 0
    jobs[-1]()
    assert live_map.keyframe_count == 1
    assert live_map.ready()


def test_a_map_answers_while_it_learns(live_map, frames):
    first = live_map.query(QUESTION)[0]
    assert first.stamp_ns == frames[2].stamp_ns
    assert first.maxima
    assert len(first.relevancy) == len(live_map.surface())
    live_map.step()
    assert live_map.trainer.step_count == 6
    assert live_map.query(QUESTION)[0].step >= first.step


def test_a_malformed_question_leaves_the_map_as_it_was(kept_map):
    with pytest.raises(ValueError, match='positives'):
        kept_map.query(QueryRequest(positives=()))
    assert kept_map.query(QUESTION)[0].maxima


def test_a_map_that_has_not_learned_does_not_guess(encoder, frames):
    live_map = Submap(CONFIG, encoder)
    live_map.ingest(frames[0])
    with pytest.raises(NotReadyError, match='learned'):
        live_map.query(QUESTION)


def test_reset_forgets_everything(live_map):
    live_map.reset()
    assert live_map.keyframe_count == 0
    assert len(live_map.surface()) == 0
    assert live_map.trainer.step_count == 0


def test_a_saved_map_answers_alike(kept_map, encoder, tmp_path):
    path = tmp_path / 'table.safetensors'
    before = kept_map.query(QUESTION)[0]
    kept_map.save(path)
    other = Submap(CONFIG, encoder)
    other.load(path)
    after = other.query(QUESTION)[0]
    assert other.keyframe_count == 3
    assert other.trainer.step_count == kept_map.trainer.step_count
    np.testing.assert_allclose(after.maxima[0].position_m, before.maxima[0].position_m, atol=0.02)


def test_a_damaged_file_leaves_the_map_as_it_was(kept_map, tmp_path):
    path = tmp_path / 'table.safetensors'
    kept_map.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    before = kept_map.trainer
    with pytest.raises(ValueError, match=r'table\.safetensors'):
        kept_map.load(path)
    assert kept_map.trainer is before
    assert kept_map.query(QUESTION)[0].maxima


def test_a_map_of_another_encoder_is_refused(kept_map, tmp_path):
    path = tmp_path / 'table.safetensors'
    kept_map.save(path)

    other = load_encoder(CONFIG.features, torch.device('cpu'))
    other.fingerprint = 'another'
    with pytest.raises(ValueError, match='encoder'):
        Submap(CONFIG, other).load(path)


SHIFT = np.array([0.1, -0.2, 0.3])


def shift_all(live_map):
    """Corrects all poses by one shift; returns the surface before and after."""
    ids = live_map.trainer.store.ids
    poses = np.stack([live_map.trainer.store.pose(id_) for id_ in ids])
    poses[:, :3, 3] += SHIFT
    before = live_map.surface().positions
    live_map.update_poses(ids, poses)
    return before, live_map.surface().positions


def assert_shifted(before, after):
    assert len(after) > 0.9 * len(before)
    np.testing.assert_allclose(after.mean(axis=0) - before.mean(axis=0), SHIFT, atol=0.005)
    assert np.ptp(after, axis=0) == pytest.approx(np.ptp(before, axis=0), abs=0.03)


def test_corrected_poses_move_the_surface_and_training_goes_on(live_map):
    assert_shifted(*shift_all(live_map))
    for _ in range(3):
        assert np.isfinite(live_map.step().loss)
    assert live_map.query(QUESTION)[0].maxima


def test_corrected_poses_move_the_surface_of_a_loaded_map(live_map, encoder, frames, tmp_path):
    epoch = live_map.pose_epoch
    live_map.save(tmp_path / 'a.map')
    other = Submap(CONFIG, encoder)
    other.load(tmp_path / 'a.map')
    assert other.pose_epoch == epoch
    assert_shifted(*shift_all(other))
    assert other.pose_epoch == epoch + 1
    other.save(tmp_path / 'a.map')
    other.reset()
    assert other.pose_epoch == 0
    other.load(tmp_path / 'a.map')
    assert other.pose_epoch == epoch + 1
    other.ingest(frames[3])
    assert np.isfinite(other.step().loss)
    assert other.query(QUESTION)[0].maxima


def test_a_bad_correction_moves_nothing(live_map):
    ids = live_map.trainer.store.ids
    poses = np.stack([live_map.trainer.store.pose(id_) for id_ in ids])
    poses[0, :3, 3] += SHIFT
    poses[1, 0, 0] = np.nan
    before, epoch = live_map.surface().positions, live_map.pose_epoch
    with pytest.raises(ValueError, match='finite'):
        live_map.update_poses(ids, poses)
    np.testing.assert_array_equal(live_map.surface().positions, before)
    with pytest.raises(ValueError, match='no keyframes'):
        live_map.update_poses([KeyframeId('elsewhere', 0)], poses[:1])
    assert live_map.pose_epoch == epoch


def test_a_map_that_is_replaced_leaves_no_files(encoder, frames, tmp_path):
    live_map = Submap(
        CONFIG.replace({'training.store_device_mb': 1, 'training.store_host_mb': 0}), encoder
    )
    for _ in range(3):
        for frame in frames[:4]:
            live_map.ingest(frame)
    live_map.step()
    folder = Path(live_map.trainer.store._cold._folder.name)
    assert list(folder.iterdir())
    live_map.save(tmp_path / 'a.map')
    live_map.load(tmp_path / 'a.map')
    assert not folder.exists()
    for _ in range(3):
        for frame in frames[:4]:
            live_map.ingest(frame)
    folder = Path(live_map.trainer.store._cold._folder.name)
    assert folder.exists()
    live_map.reset()
    assert not folder.exists()


def wall_seen(camera, camera_to_world):
    """What a trained field would show: a wall at 0.7 m, of which the left half is solid."""
    size = (camera.height, camera.width)
    solid = np.zeros(size, np.float32)
    solid[:, : camera.width // 2] = 1
    image = np.zeros((*size, 3), np.uint8)
    return RenderedView(image, np.full(size, 0.7, np.float32), solid)


def test_without_depth_the_surface_comes_from_the_field(encoder, frames, monkeypatch):
    live_map = Submap(CONFIG, encoder)
    for frame in frames:
        live_map.ingest(without_depth(frame))
    if live_map.trainer.field is None:
        live_map.trainer.fix_scene_box()
    live_map.step()
    with pytest.raises(NotReadyError, match='surface'):
        live_map.query(QUESTION)

    monkeypatch.setattr(live_map.trainer, 'render', wall_seen)
    live_map.trainer.step_count = FIRST_STEP - 1
    live_map.step()
    points = transform_points(
        inverse_transform(frames[0].camera_to_world), live_map.surface().positions
    )
    assert len(points) > 50
    np.testing.assert_allclose(points[:, 2], 0.7, atol=0.02)
    assert points[:, 0].max() < 0.02


def test_without_depth_corrections_and_loading_keep_the_surface(
    encoder, frames, monkeypatch, tmp_path
):
    live_map = Submap(CONFIG, encoder)
    for frame in frames:
        live_map.ingest(without_depth(frame))
    live_map.fix_scene_box()
    monkeypatch.setattr(live_map.trainer, 'render', wall_seen)
    live_map.trainer.step_count = FIRST_STEP - 1
    live_map.step()
    assert_shifted(*shift_all(live_map))
    live_map.save(tmp_path / 'a.map')
    other = Submap(CONFIG, encoder)
    other.load(tmp_path / 'a.map')
    before, after = shift_all(other)
    assert_shifted(before, after)
    # The keyframes of the file take their turns as well.
    monkeypatch.setattr(other.trainer, 'render', wall_seen)
    other.trainer.step_count = FIRST_STEP - 1
    other.step()
    assert other.surface_map.keyframe_count == 1
    other.trainer.step_count += EVERY_STEPS - 1
    other.step()
    assert other.surface_map.keyframe_count == 2


def test_a_map_keeps_no_pictures_beside_its_store(encoder, frames):
    live_map = Submap(CONFIG, encoder)
    frame = without_depth(frames[0])
    frame = PosedFrame(frame.image.copy(), None, frame.camera, frame.camera_to_world, 0)
    picture = weakref.ref(frame.image)
    live_map.ingest(frame)
    del frame
    live_map.ingest(without_depth(frames[1]))  # the encoder knows the last picture
    gc.collect()
    assert picture() is None


def test_an_unknown_device_is_named():
    with pytest.raises(ValueError, match=r'training\.device'):
        resolve_device('abacus')


def test_depth_corrects_the_pose_of_a_keyframe_where_that_is_wanted(encoder, frames):
    pytest.importorskip('small_gicp', reason='needs the package small_gicp')
    offsets_m = {}
    for limit_m in (0.0, 0.03):
        config = CONFIG.replace({'training.registration_limit_m': limit_m})
        live_map = Submap(config, encoder)
        for frame in frames[:3]:
            live_map.ingest(frame)
        pose = frames[3].camera_to_world.copy()
        pose[2, 3] += 0.006
        keyframe = live_map.ingest(replace(frames[3], camera_to_world=pose))
        kept = live_map.trainer.store.pose(keyframe.id)
        offsets_m[limit_m] = abs(kept[2, 3] - frames[3].camera_to_world[2, 3])
    assert offsets_m[0.0] == pytest.approx(0.006)
    assert offsets_m[0.03] < 0.004


@pytest.mark.parametrize(('voxel_m', 'corrects'), [(0.01, True), (0.02, False), (0.03, False)])
def test_voxels_too_coarse_to_tell_leave_poses_as_they_came(encoder, voxel_m, corrects):
    pytest.importorskip('small_gicp', reason='needs the package small_gicp')
    config = CONFIG.replace({'training.registration_limit_m': 0.02, 'query.voxel_m': voxel_m})
    assert (registration_of(config) is not None) == corrects


def test_without_the_package_poses_stay_and_a_sentence_says_why(
    encoder, frames, monkeypatch, caplog
):
    monkeypatch.setitem(sys.modules, 'small_gicp', None)  # as where it is not installed
    live_map = Submap(CONFIG.replace({'training.registration_limit_m': 0.03}), encoder)
    assert 'poses of keyframes stay as they came' in caplog.text
    assert "pip install 'lerf_ros[registration]'" in caplog.text
    for frame in frames[:2]:
        keyframe = live_map.ingest(frame)
    kept = live_map.trainer.store.pose(keyframe.id)
    np.testing.assert_allclose(kept, frames[1].camera_to_world, atol=1e-6)


def test_a_missing_folder_is_named_and_no_temporary_file(kept_map, tmp_path):
    path = tmp_path / 'nowhere' / 'table.safetensors'
    with pytest.raises(FileNotFoundError, match=r'there is no folder .*nowhere; make it first'):
        kept_map.save(path)
    assert not path.parent.exists()


def behind_a_mask(frame: PosedFrame) -> PosedFrame:
    """The frame without its left half, whose depth is known in the picture all the same."""
    visible = np.ones(frame.image.shape[:2], bool)
    visible[:, : visible.shape[1] // 2] = False
    return replace(frame, visible=visible)


def test_what_is_hidden_is_neither_drawn_nor_in_the_surface(encoder, frames, tmp_path):
    live_map = Submap(CONFIG, encoder)
    hidden = behind_a_mask(frames[0])
    live_map.ingest(hidden)
    local = transform_points(
        inverse_transform(hidden.camera_to_world), live_map.surface().positions
    )
    camera = hidden.camera
    columns = camera.fx * local[:, 0] / local[:, 2] + camera.cx
    assert columns.min() > camera.width / 2 - 2
    batch = live_map.trainer.store.sample_rays(500, torch.Generator().manual_seed(0))
    assert float(batch.uv[:, 0].min()) > camera.width / 2
    live_map.step()
    for keep in (None, 5):
        live_map.save(tmp_path / 'hidden.map', keep)
        other = Submap(CONFIG, encoder)
        other.load(tmp_path / 'hidden.map')
        kept = other.trainer.store.keyframe(other.trainer.store.ids[0]).frame
        np.testing.assert_array_equal(kept.visible, hidden.visible)


def test_an_encoder_does_not_see_what_is_hidden(encoder, frames):
    """Whatever is behind the mask, the features are the same."""
    found = []
    for colour in (0, 255):
        image = frames[0].image.copy()
        image[:, : image.shape[1] // 2] = colour
        live_map = Submap(CONFIG, encoder)
        keyframe = live_map.ingest(behind_a_mask(replace(frames[0], image=image)))
        found.append(live_map.trainer.store.embeddings(keyframe.id))
    torch.testing.assert_close(*found, rtol=0, atol=0)


def test_no_surface_is_rendered_where_a_picture_is_hidden(encoder, frames, monkeypatch):
    live_map = Submap(CONFIG, encoder)
    for frame in frames:
        live_map.ingest(behind_a_mask(without_depth(frame)))
    live_map.fix_scene_box()
    # The wall that would be seen is solid in the hidden half only.
    monkeypatch.setattr(live_map.trainer, 'render', wall_seen)
    live_map.trainer.step_count = FIRST_STEP - 1
    live_map.step()
    assert len(live_map.surface()) == 0
