"""Training on balls on a floor, whose colour, depth and class are known everywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
import spheres
import torch
import torch.nn.functional as F

from lerf_ros.frames import Keyframe, KeyframeId, PosedFrame
from lerf_ros.geometry import PinholeCamera, backproject, look_at, transform_points
from lerf_ros.training import skipped_steps
from lerf_ros.training.trainer import Trainer

FIRST = KeyframeId('camera', 0)


def make_trainer(config, count=12, **arguments):
    trainer = Trainer(config, embedding_size=spheres.EMBEDDING_SIZE)
    for keyframe, pyramid, _ in spheres.keyframes(count, **arguments):
        trainer.add_keyframe(keyframe, pyramid)
    return trainer


def psnr(image, truth):
    return -10 * math.log10(np.mean((image / 255.0 - truth / 255.0) ** 2))


def surface_accuracy(trainer):
    """Share of surface points whose nearest class embedding is the right one."""
    generator = np.random.default_rng(0)
    points, labels = [], []
    for index, (centre, radius) in enumerate(zip(spheres.CENTRES, spheres.RADII, strict=True)):
        normals = generator.normal(size=(50, 3))
        normals[:, 2] = np.abs(normals[:, 2])
        points.append(centre + radius * normals / np.linalg.norm(normals, axis=1)[:, None])
        labels += [index] * 50
    floor = np.zeros((50, 3))
    floor[:, :2] = generator.uniform(0.22, 0.3, (50, 2))
    points.append(floor)
    labels += [spheres.FLOOR] * 50
    positions = torch.from_numpy(np.concatenate(points)).float()
    with torch.no_grad():
        features = trainer.field.language_features(positions)
        # The finest tiles, 4 px, are 3 to 5 cm high from where the cameras are.
        embedding = trainer.field.embed(features, torch.full((len(positions),), 0.045))
    found = (F.normalize(embedding, dim=-1) @ spheres.class_embeddings().T).argmax(dim=-1)
    return float((found == torch.tensor(labels)).float().mean())


@pytest.fixture(scope='module')
def learnt(config):
    """A trainer after 200 steps, with its last report; to be looked at only."""
    trainer = make_trainer(config)
    for _ in range(200):
        report = trainer.step()
    return trainer, report


def test_geometry_colour_and_language_are_learnt(learnt):
    trainer, report = learnt
    camera = trainer.store.keyframe(FIRST).frame.camera
    pose = spheres.pose(0.5, 12)
    image, depth_m, _ = spheres.trace(camera, pose)
    view = trainer.render(camera, pose)
    assert psnr(view.image, image) > 18
    assert np.median(np.abs(view.depth_m - depth_m)) < 0.01
    assert surface_accuracy(trainer) > 0.9
    assert report.step == 200
    assert not report.skipped
    assert set(report.losses) >= {'colour', 'depth', 'free_space', 'language'}


def test_a_depth_guide_leads_to_the_same_picture(learnt):
    trainer, _ = learnt
    frame = trainer.store.keyframe(KeyframeId('camera', 3)).frame
    free = trainer.render(frame.camera, frame.camera_to_world)
    guided = trainer.render(frame.camera, frame.camera_to_world, frame.depth)
    assert np.median(np.abs(free.depth_m - guided.depth_m)) < 0.01


def test_pictures_without_depth_are_learnt(config):
    trainer = make_trainer(config, depth=False)
    assert trainer.field is not None
    first = trainer.step().losses['colour']
    for _ in range(60):
        report = trainer.step()
    assert report.losses['colour'] < first
    assert 'interlevel' in report.losses
    assert 'distortion' in report.losses


def test_the_same_seed_gives_the_same_weights(config):
    states = []
    for _ in range(2):
        trainer = make_trainer(config, 3)
        for _ in range(5):
            trainer.step()
        states.append(trainer.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_wrong_depth_in_part_of_the_pictures_is_outvoted(config):
    trainer = Trainer(config, embedding_size=spheres.EMBEDDING_SIZE)
    for index, (keyframe, pyramid, _) in enumerate(spheres.keyframes(12)):
        if index % 4 == 0:
            keyframe.frame.depth[10:50, 20:60] *= 0.7
        trainer.add_keyframe(keyframe, pyramid)
    for _ in range(200):
        trainer.step()
    frame = trainer.store.keyframe(FIRST).frame
    _, truth, _ = spheres.trace(frame.camera, frame.camera_to_world)
    view = trainer.render(frame.camera, frame.camera_to_world)
    error = np.abs(view.depth_m - truth)[10:50, 20:60]
    assert np.median(error) < 0.03


def test_an_empty_store_cannot_train(config):
    trainer = Trainer(config, embedding_size=16)
    assert trainer.field is None
    with pytest.raises(ValueError, match='at least one keyframe'):
        trainer.step()
    with pytest.raises(ValueError, match='no field yet'):
        trainer.state_dict()


@pytest.mark.parametrize('depth', [True, False])
def test_one_keyframe_is_enough_to_begin(config, depth):
    trainer = make_trainer(config, 1, depth=depth)
    report = trainer.step()
    assert math.isfinite(report.loss)
    assert not report.skipped


def test_depth_that_is_all_holes_counts_as_none(config):
    trainer = Trainer(config, embedding_size=spheres.EMBEDDING_SIZE)
    for keyframe, pyramid, _ in spheres.keyframes(8):
        keyframe.frame.depth[:] = np.nan
        trainer.add_keyframe(keyframe, pyramid)
    report = trainer.step()
    assert math.isfinite(report.loss)
    assert report.losses['depth'] == 0


def test_poses_far_outside_the_box_do_no_harm(config):
    trainer = make_trainer(config, 3)
    far = trainer.store.pose(FIRST)
    far[:3, 3] += 1e5
    trainer.store.update_poses([FIRST], far[None])
    for _ in range(3):
        report = trainer.step()
    assert math.isfinite(report.loss)
    view = trainer.render(trainer.store.keyframe(FIRST).frame.camera.resized(8, 6), far)
    assert np.isfinite(view.depth_m).all()


@pytest.mark.parametrize('backend', ['native', 'torch'])
def test_numbers_that_are_not_finite_are_skipped_counted_and_told(
    config, caplog, monkeypatch, backend
):
    monkeypatch.setattr(skipped_steps, '_TELL_STEPS', 3)
    trainer = make_trainer(config.replace({'field.backend': backend}), 2)
    trainer.step()
    before = {name: value.clone() for name, value in trainer.state_dict().items()}
    handle = trainer.field.radiance.colour_net.register_forward_hook(
        lambda module, inputs, output: output * float('nan')
    )
    report = trainer.step()
    handle.remove()
    assert report.skipped
    assert trainer.skipped_count == 1
    after = trainer.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before if name != 'step_count')
    assert not caplog.text
    assert not trainer.step().skipped
    assert '1 of the last 3 steps skipped' in caplog.text
    caplog.clear()
    for _ in range(3):
        assert not trainer.step().skipped
    assert not caplog.text
    assert trainer.skipped_count == 1


def test_a_step_leaves_the_number_of_threads_as_it_was(config):
    trainer = make_trainer(config, 1)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        trainer.step()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_keyframes_from_one_place_are_learnt(config):
    """A camera that only turns: no baseline, and without depth nothing says how far things are."""
    for depth in (True, False):
        trainer = Trainer(config, embedding_size=spheres.EMBEDDING_SIZE)
        camera = PinholeCamera.from_vertical_fov(80, 60, 45.0)
        for index in range(8):
            target = np.array([0.05 * np.cos(index), 0.05 * np.sin(index), 0.03])
            pose = look_at(np.array([0.6, 0.0, 0.45]), target)
            image, depth_m, labels = spheres.trace(camera, pose)
            depth_m = np.where(np.isfinite(depth_m), depth_m, np.nan)
            frame = PosedFrame(image, depth_m if depth else None, camera, pose, index)
            trainer.add_keyframe(
                Keyframe(KeyframeId('camera', index), frame), spheres.pyramid_of(labels)
            )
        assert trainer.field is not None
        losses = [trainer.step().losses['colour'] for _ in range(60)]
        assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:5])
        assert trainer.skipped_count == 0
        view = trainer.render(camera.resized(8, 6), pose)
        assert np.isfinite(view.depth_m).all()


def test_depth_of_no_number_teaches_nothing_false(config):
    """NaN, infinite, zero and negative depth in parts of a picture count as unknown."""
    trainer = Trainer(config, embedding_size=spheres.EMBEDDING_SIZE)
    for keyframe, pyramid, _ in spheres.keyframes(4):
        keyframe.frame.depth[:15] = np.nan
        keyframe.frame.depth[15:20] = np.inf
        keyframe.frame.depth[20:25] = 0
        keyframe.frame.depth[25:30] = -1
        trainer.add_keyframe(keyframe, pyramid)
    batch = trainer.store.sample_rays(500, torch.Generator().manual_seed(0))
    assert bool(torch.isnan(batch.rays.depth_guide_m[batch.uv[:, 1] < 30]).all())
    assert bool((batch.rays.depth_guide_m[batch.uv[:, 1] > 31] > 0).all())
    for _ in range(5):
        assert math.isfinite(trainer.step().loss)
    assert trainer.skipped_count == 0


def test_corrected_poses_take_effect_on_the_next_step(config):
    trainer = make_trainer(config, 4)
    id_ = KeyframeId('camera', 2)
    moved = trainer.store.pose(id_)
    moved[:3, 3] += [0.0, 0.0, 0.5]
    trainer.store.update_poses([id_], moved[None])
    batch = trainer.store.sample_rays(2000, torch.Generator().manual_seed(0))
    origins = batch.rays.origins_world[batch.slots == 2]
    torch.testing.assert_close(
        origins[0].double(), torch.from_numpy(moved[:3, 3]), atol=1e-6, rtol=0
    )


def test_a_configured_box_is_kept(config):
    trainer = Trainer(
        config.replace({'field.half_extent_m': 0.7, 'field.centre_z_m': 0.2}), embedding_size=16
    )
    keyframe, pyramid, _ = next(spheres.keyframes(1))
    trainer.add_keyframe(keyframe, pyramid)
    assert trainer.field.scene_box.half_extent_m == 0.7
    assert trainer.field.scene_box.centre_m == (0.0, 0.0, 0.2)
    trainer.step()
    with pytest.raises(ValueError, match='begun to learn'):
        trainer.fix_scene_box()


def test_surface_points_answer_as_the_pictures_were_described(learnt):
    """What a query reads at a surface point is what was supervised through rendering."""
    trainer, _ = learnt
    similarities = []
    for keyframe, pyramid, _ in list(spheres.keyframes(12))[::3]:
        frame = keyframe.frame
        uv = np.random.default_rng(0).uniform([0, 0], [80, 60], (300, 2))
        depth_m = frame.depth[uv[:, 1].astype(int), uv[:, 0].astype(int)].astype(np.float64)
        points = backproject(frame.camera, uv, depth_m)
        points = torch.from_numpy(transform_points(frame.camera_to_world, points)).float()
        tile_px = torch.full((300,), 6.0)
        scale_m = tile_px * torch.from_numpy(depth_m).float() / frame.camera.fy
        with torch.no_grad():
            embedding = trainer.field.embed(trainer.field.language_features(points), scale_m)
        target = pyramid.lookup(torch.from_numpy(uv).float(), tile_px)
        similarities.append(F.cosine_similarity(embedding, target, dim=-1))
    assert float(torch.cat(similarities).mean()) > 0.95


def test_a_basis_of_embeddings_learns_as_well(config):
    trainer = make_trainer(config.replace({'field.language_basis': 8}))
    assert 0 < int(trainer.field.language_head.last.used) <= 8
    for _ in range(200):
        trainer.step()
    assert surface_accuracy(trainer) > 0.9
