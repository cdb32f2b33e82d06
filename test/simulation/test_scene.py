"""The simulated tabletop: reproducible scenes, exact truth, realistic sensors."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

pytest.importorskip('mujoco', reason='the simulator needs the package mujoco')

from lerf_ros.geometry import (
    PinholeCamera,
    backproject,
    inverse_transform,
    look_at,
    pixel_centres,
    project,
    transform_points,
)
from lerf_ros.simulation import (
    CATEGORIES,
    HELD_OUT_SEED,
    SensorOptions,
    TabletopOptions,
    TabletopScene,
    gl,
)

SEEDS = (0, 1, HELD_OUT_SEED)
SMALL = TabletopOptions(width=160, height=120, samples=0, shadow_size=256)
DOWN = look_at(np.array([0.0, -0.01, 0.9]), np.zeros(3))

try:
    gl.make_current()
except RuntimeError as error:
    pytest.skip(str(error), allow_module_level=True)


@pytest.fixture(scope='module', params=SEEDS)
def scene(request):
    with TabletopScene(request.param) as scene:
        yield scene


def test_the_same_seed_gives_the_same_arrays():
    def arrays():
        with TabletopScene(7, SMALL) as scene:
            truth = [o.box_to_world for o in scene.objects]
            frames = list(scene.frames('handheld', seconds=0.3, rate_hz=10))
            names = [o.names for o in scene.objects]
            return names, [*truth, *(f.image for f in frames), *(f.depth for f in frames)]

    names_a, first = arrays()
    names_b, second = arrays()
    assert names_a == names_b
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_seed_gives_another_scene():
    with TabletopScene(1, SMALL) as a, TabletopScene(2, SMALL) as b:
        assert [o.name for o in a.objects] != [o.name for o in b.objects]
        assert np.abs(a.render(DOWN).image.astype(int) - b.render(DOWN).image).mean() > 2


def test_numbers_and_names(scene):
    assert 6 <= len(scene.objects) <= 14
    assert [o.index for o in scene.objects] == list(range(len(scene.objects)))
    names = [o.name for o in scene.objects]
    assert len(set(names)) == len(names)
    for o in scene.objects:
        assert o.names[0] == o.name == f'{o.colour} {o.category}'
        assert o.category in o.category_names
        assert [p.index for p in o.parts] == list(range(len(o.parts)))


def test_objects_rest_on_the_table_apart_from_each_other(scene):
    for o in scene.objects:
        assert abs(o.box_min_world[2]) < 0.006
        assert (np.abs(o.box_min_world[:2]) < (0.5, 0.4)).all()
        assert (np.abs(o.box_max_world[:2]) < (0.5, 0.4)).all()
    for a, b in itertools.combinations(scene.objects, 2):
        assert np.linalg.norm(a.surface_centre_world - b.surface_centre_world) > 0.03


def test_boxes_and_centres_agree(scene):
    for o in scene.objects:
        assert (o.surface_centre_world > o.box_min_world).all()
        assert (o.surface_centre_world < o.box_max_world).all()
        local = transform_points(inverse_transform(o.box_to_world), o.surface_centre_world)
        assert (np.abs(local) < o.box_size_m / 2).all()
        assert 0.03 < o.box_size_m.max() < 0.32
        for p in o.parts:
            assert (p.box_min_world >= o.box_min_world - 1e-9).all()
            assert (p.box_max_world <= o.box_max_world + 1e-9).all()


def test_every_object_is_seen_from_the_orbit(scene):
    most = np.zeros(len(scene.objects), dtype=int)
    for pose in scene.path('orbit', seconds=8, rate_hz=1):
        ids = scene.render(pose).objects
        most = np.maximum(most, np.bincount(ids[ids >= 0], minlength=len(most)))
    assert most.min() > 60, dict(zip([o.name for o in scene.objects], most, strict=True))


def test_masks_and_depth_lie_in_the_boxes(scene):
    for pose in scene.path('handheld', seconds=3, rate_hz=1):
        view = scene.render(pose)
        points = transform_points(
            pose, backproject(scene.camera, pixel_centres(scene.camera), view.depth)
        )
        assert ((view.objects >= 0) == (view.parts >= 0)).all()
        for o in scene.objects:
            for p in o.parts:
                seen = points[(view.objects == o.index) & (view.parts == p.index)]
                assert (seen >= p.box_min_world - 1e-3).all()
                assert (seen <= p.box_max_world + 1e-3).all()


def test_depth_of_the_table_is_that_of_its_plane():
    with TabletopScene(3) as scene:
        for pose in scene.path('wrist', seconds=3, rate_hz=1):
            view = scene.render(pose)
            rays = (
                transform_points(
                    pose,
                    backproject(scene.camera, pixel_centres(scene.camera), np.ones((240, 320))),
                )
                - pose[:3, 3]
            )
            depth = -pose[2, 3] / rays[..., 2]
            where = pose[:3, 3] + depth[..., None] * rays
            inside = (np.abs(where[..., :2]) < (0.49, 0.39)).all(axis=-1) & (view.objects < 0)
            inside &= rays[..., 2] < 0
            assert inside.sum() > 5000
            assert np.abs(view.depth - depth)[inside].max() < 1e-4


def test_depth_of_a_box_is_that_of_its_lid():
    wanted = TabletopOptions(objects=(('red', 'dice'),))
    with TabletopScene(HELD_OUT_SEED + 1, wanted) as scene:
        cube = scene.objects[0]
        top = cube.box_max_world[2]
        at = np.array([*cube.surface_centre_world[:2], 0.0])
        view = scene.render(look_at(at + np.array([0, -0.001, 0.6]), at))
        row, col = scene.camera.height // 2, scene.camera.width // 2
        assert view.objects[row, col] == 0
        # The dots of the lid stand 0.6 mm proud of the cube.
        assert 0.6 - top - 1e-4 < view.depth[row, col] < 0.6 - top + 1e-3


def test_an_off_centre_camera_sees_the_same_points():
    camera = PinholeCamera(fx=210.0, fy=250.0, cx=120.0, cy=90.0, width=200, height=160)
    pose = look_at(np.array([0.5, 0.2, 0.5]), np.zeros(3))
    wanted = TabletopOptions(objects=(('blue', 'ball'),))
    with TabletopScene(HELD_OUT_SEED, wanted) as scene:
        view = scene.render(pose, camera)
        centre = scene.objects[0].surface_centre_world
        uv, _ = project(camera, transform_points(inverse_transform(pose), centre))
        rows, cols = np.nonzero(view.objects == 0)
        assert abs(cols.mean() + 0.5 - uv[0]) < 1.0
        assert abs(rows.mean() + 0.5 - uv[1]) < 1.0


@pytest.mark.parametrize(('colour', 'channel'), [('red', 0), ('green', 1), ('blue', 2)])
def test_colours_are_rgb(colour, channel):
    wanted = TabletopOptions(objects=((colour, 'ball'),))
    with TabletopScene(HELD_OUT_SEED + 5, wanted) as scene:
        view = scene.render(DOWN)
        mean = view.image[view.objects == 0].mean(axis=0)
        assert mean.argmax() == channel


def test_every_category_comes_to_rest_as_it_was_put():
    """In its pose or, for things that roll, on its side: never through or off the table."""
    for category in CATEGORIES:
        wanted = dataclasses.replace(SMALL, objects=(('red', category),))
        with TabletopScene(HELD_OUT_SEED + 2, wanted) as scene:
            assert abs(scene.objects[0].box_min_world[2]) < 0.004, category


def test_frames_carry_pose_time_and_camera():
    with TabletopScene(4, SMALL) as scene:
        path = scene.path('orbit', seconds=0.4, rate_hz=10)
        frames = list(scene.frames('orbit', seconds=0.4, rate_hz=10))
        assert [f.stamp_ns for f in frames] == [0, 100_000_000, 200_000_000, 300_000_000]
        for frame, pose in zip(frames, path, strict=True):
            np.testing.assert_allclose(frame.camera_to_world, pose, atol=1e-9)
            assert frame.camera == scene.camera
            assert frame.depth.dtype == np.float32
            known = np.isfinite(frame.depth)
            assert 0.7 < known.mean() < 1.0
            exact = scene.render(pose).depth
            assert np.median(np.abs(frame.depth - exact)[known]) < 0.005
            assert (frame.depth != exact)[known].mean() > 0.9


def test_a_perfect_sensor_changes_nothing():
    perfect = SensorOptions(
        **{
            f.name: type(f.default)(0)
            for f in dataclasses.fields(SensorOptions)
            if f.name != 'depth_range_m'
        },
        depth_range_m=(0.0, 100.0),
    )
    with TabletopScene(4, SMALL) as scene:
        frame = next(scene.frames('orbit', seconds=0.1, rate_hz=10, sensor=perfect))
        view = scene.render(frame.camera_to_world)
        np.testing.assert_array_equal(frame.image, view.image)
        np.testing.assert_array_equal(frame.depth, view.depth)


def test_a_tracker_may_be_off_and_a_camera_without_depth():
    poor = SensorOptions(pose_noise_m=0.004, pose_noise_deg=0.4, without_depth=True)
    with TabletopScene(4, SMALL) as scene:
        frames = list(scene.frames('orbit', seconds=2, rate_hz=10, sensor=poor))
        poses = scene.path('orbit', seconds=2, rate_hz=10)
        assert all(frame.depth is None for frame in frames)
        off_m = [f.camera_to_world[:3, 3] - p[:3, 3] for f, p in zip(frames, poses, strict=True)]
        assert 0.002 < np.std(off_m) < 0.006
        turns = [
            f.camera_to_world[:3, :3].T @ p[:3, :3] for f, p in zip(frames, poses, strict=True)
        ]
        angles = np.degrees([np.arccos(np.clip((np.trace(t) - 1) / 2, -1, 1)) for t in turns])
        assert 0.3 < np.sqrt(np.mean(angles**2)) < 1.2
        # The picture is taken from where the camera is, not from where it is said to be.
        truth = scene.render(poses[3]).image.astype(float)
        said = scene.render(frames[3].camera_to_world).image.astype(float)
        seen = frames[3].image.astype(float)
        assert np.abs(seen - truth).mean() < np.abs(seen - said).mean()


def test_paths_stay_in_the_room_and_look_at_the_table():
    with TabletopScene(5, SMALL) as scene:
        for kind in ('orbit', 'handheld', 'wrist'):
            poses = scene.path(kind, seconds=4, rate_hz=5)
            assert poses.shape == (20, 4, 4)
            np.testing.assert_array_equal(poses, scene.path(kind, seconds=4, rate_hz=5))
            assert (poses[:, 2, 3] > 0.15).all()
            assert (np.linalg.norm(poses[:, :3, 3], axis=1) < 1.1).all()
            ahead = poses[:, :3, 3] - poses[:, :3, 2] * (poses[:, 2, 3] / poses[:, 2, 2])[:, None]
            assert (np.abs(ahead[:, :2]) < (0.5, 0.4)).all()
        with pytest.raises(ValueError, match='orbit, handheld, wrist'):
            scene.path('spiral')


def test_a_larger_picture_than_the_scene_was_made_for():
    with TabletopScene(6, SMALL) as scene:
        small = scene.render(DOWN)
        large = scene.render(DOWN, scene.camera.resized(640, 480))
        assert large.image.shape == (480, 640, 3)
        same = large.objects[2::4, 2::4] == small.objects
        assert same.mean() > 0.97
        again = scene.render(DOWN)
        np.testing.assert_array_equal(again.objects, small.objects)


def test_two_scenes_may_take_turns():
    with TabletopScene(3) as one:
        pose = one.path('orbit', 1.0, 1.0)[0]
        alone = one.render(pose).image
        with TabletopScene(4) as other:
            others = other.render(pose).image
            assert np.array_equal(one.render(pose).image, alone)
            assert np.array_equal(other.render(pose).image, others)
            assert not np.array_equal(others, alone)
        assert np.array_equal(one.render(pose).image, alone)


def test_a_closed_scene_says_so():
    scene = TabletopScene(6, SMALL)
    scene.close()
    scene.close()
    with pytest.raises(RuntimeError, match='closed'):
        scene.render(DOWN)


@pytest.mark.parametrize(
    ('seed', 'objects', 'message'),
    [
        (-1, (), 'seed'),
        (HELD_OUT_SEED, (('red', 'mug'), ('red', 'mug')), 'at most once'),
        (HELD_OUT_SEED, (('red', 'unicorn'),), 'known'),
    ],
)
def test_bad_requests_are_explained(seed, objects, message):
    with pytest.raises(ValueError, match=message):
        TabletopScene(seed, TabletopOptions(objects=objects))
