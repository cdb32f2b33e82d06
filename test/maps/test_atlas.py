"""Tests of lerf_ros.maps.atlas: two small rooms, walked through, with submaps that sleep."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('mujoco', reason='the simulator needs the package mujoco')

from colour_encoder import ColourEncoder

from lerf_ros.config import LerfConfig
from lerf_ros.frames import KeyframeId
from lerf_ros.geometry import inverse_transform, transform_points
from lerf_ros.maps import atlas_query, reading_store
from lerf_ros.maps.anchor import named_by_stamp, residual_large, rigid_fit
from lerf_ros.maps.atlas import Atlas, make_map
from lerf_ros.maps.atlas_answer import SAME_M
from lerf_ros.maps.atlas_folder import DESCRIPTION
from lerf_ros.maps.atlas_nodes import share_networks
from lerf_ros.maps.cells import CellGrid, cell_shares
from lerf_ros.maps.errors import NotReadyError
from lerf_ros.maps.submap import Submap
from lerf_ros.query import maxima, reading
from lerf_ros.query.engine import QueryRequest, Region
from lerf_ros.query.phrase import parse_phrase
from lerf_ros.simulation import SENSORS, FlatOptions, FlatScene, gl

try:
    gl.make_current()
except RuntimeError as error:
    pytest.skip(str(error), allow_module_level=True)

CONFIG = LerfConfig.from_flat(
    {
        'training.rays_per_step': 256,
        'training.language_rays_per_step': 128,
        'field.table_log2': 14,
        'field.language_table_log2': 12,
        'features.pyramid_levels': 4,
        'query.voxel_m': 0.03,
        'query.max_range_m': 3.0,
        'query.scales': 8,
        'atlas.submap_side_m': 3.0,
        'atlas.awake_submaps': 2,
    }
)
RED = QueryRequest(positives=('red',))
WORDS = ('red', 'blue', 'green', 'yellow', 'orange', 'purple')


@pytest.fixture(scope='module')
def frames():
    options = FlatOptions(area_m2=30.0, width=160, height=120, samples=0)
    with FlatScene(5, options) as scene:
        path = scene.path(130.0, 0.5)
        return [
            scene.shoot(pose, i, i * 2_000_000_000, SENSORS['usual'])[0]
            for i, pose in enumerate(path)
        ]


def mapped(frames, steps: int, config: LerfConfig = CONFIG) -> Atlas:
    """Takes in frames, with some steps after each."""
    atlas = Atlas(config, ColourEncoder())
    for frame in frames:
        atlas.ingest(frame)
        for _ in range(steps):
            atlas.step()
    return atlas


@pytest.fixture(scope='module')
def atlas(frames):
    atlas = mapped(frames, steps=2)
    yield atlas
    atlas.close()


@pytest.fixture
def saved(atlas, tmp_path) -> Path:
    atlas.save(tmp_path / 'map')
    return tmp_path / 'map'


def str_of(id_: KeyframeId) -> tuple[str, int]:
    return id_.source, id_.index


def places(live_map, words=WORDS) -> np.ndarray:
    return np.array(
        [live_map.query(QueryRequest(positives=(w,)))[0].maxima[0].position_m for w in words]
    )


def test_options_say_whether_there_is_an_atlas():
    assert isinstance(make_map(CONFIG, ColourEncoder()), Atlas)
    one = CONFIG.replace({'atlas.submap_side_m': 0.0})
    assert isinstance(make_map(one, ColourEncoder()), Submap)


def test_an_empty_atlas_says_that_it_is_empty(tmp_path, frames):
    atlas = Atlas(CONFIG, ColourEncoder())
    assert not atlas.ready()
    with pytest.raises(NotReadyError, match='no keyframe'):
        atlas.query(RED)
    with pytest.raises(NotReadyError, match='no keyframe'):
        atlas.render(frames[0].camera, frames[0].camera_to_world)
    with pytest.raises(NotReadyError, match='no map to save'):
        atlas.save(tmp_path / 'map')


def test_submaps_begin_where_the_camera_looks_and_few_are_awake(atlas, frames):
    assert 3 <= len(atlas.nodes) <= 12
    assert 1 <= len(atlas.nodes.awake()) <= 2
    assert atlas.keyframe_count == len(frames)
    for node in atlas.nodes:
        assert node.asleep == node.file.exists() or not node.asleep
        for pose in node.poses.values():
            assert np.isfinite(pose).all()
    assert sum(node.keyframe_count for node in atlas.nodes) >= len(frames)
    ids = {id_ for node in atlas.nodes for id_ in node.poses}
    assert ids == {KeyframeId('camera', i) for i in range(len(frames))}


def test_a_question_reads_a_few_places_wherever_they_sleep(atlas):
    (result,) = atlas.query(RED)
    assert result.maxima
    assert len(result.positions) < len(atlas.whole_surface())
    for maximum in result.maxima:
        assert maximum.point_indices.max() < len(result.positions)
        own = result.positions[maximum.point_indices]
        assert np.linalg.norm(own.mean(axis=0) - maximum.position_m) < 0.5
    separate = [
        np.linalg.norm(a.position_m - b.position_m)
        for i, a in enumerate(result.maxima)
        for b in result.maxima[:i]
    ]
    assert not separate or min(separate) > 0.02
    awake = [node.name for node in atlas.nodes.awake()]
    atlas.query(QueryRequest(positives=WORDS))
    assert [node.name for node in atlas.nodes.awake()] == awake, 'questions wake nobody'


def test_further_places_are_read_as_far_as_they_promise_as_much(atlas, monkeypatch):
    phrase = atlas._query._embed.object_phrase(parse_phrase('red'))
    most = CONFIG.atlas.patches

    def read_where(others: float, best: float = 0.2) -> int:
        def promises(indices, phrase):
            found = [np.full(len(index), others, np.float32) for index in indices]
            found[0][0] = best
            return found

        monkeypatch.setattr(atlas_query, 'promises', promises)
        return len(atlas._query.patches(phrase, atlas.nodes))

    assert read_where(0.17) == most
    assert read_where(0.15) == atlas_query.LEAST_PATCHES
    # Nothing is promised anywhere: the likeliest are looked at all the same.
    assert read_where(-0.02, best=-0.01) == atlas_query.LEAST_PATCHES


def test_where_submaps_overlap_a_place_is_read_in_each_that_promises(atlas, monkeypatch):
    # One of them may have seen it from afar, or hardly at all.
    known = [node for node in atlas.nodes if node.index and len(node.index)]
    learnt = [node for node in known if node.step_count >= atlas_query.LEARNT_STEPS]
    cells = [
        (node, transform_points(node.submap_to_world, node.index.centres.astype(np.float64)))
        for node in learnt or known
    ]
    place, owners = next(
        (here, [node, other])
        for node, places in cells
        for other, others in cells
        for here in places
        if other is not node and np.linalg.norm(others - here, axis=1).min() < 0.12
    )
    distance_m = {id(node.index): np.linalg.norm(places - place, axis=1) for node, places in cells}

    def promises(indices, phrase):
        return [np.exp(-distance_m[id(index)]).astype(np.float32) for index in indices]

    monkeypatch.setattr(atlas_query, 'promises', promises)
    patches = atlas._query.patches(
        atlas._query._embed.object_phrase(parse_phrase('red')), atlas.nodes
    )
    assert {patch.node.name for patch in patches[:2]} == {node.name for node in owners}
    for node in owners:
        own = [patch.centre for patch in patches if patch.node is node]
        apart = [np.linalg.norm(a - b) for i, a in enumerate(own) for b in own[:i]]
        assert min(apart, default=np.inf) > CONFIG.atlas.patch_m / 2


def test_maxima_that_have_no_place_in_the_answer_are_not_looked_for(atlas, monkeypatch):
    described = []
    describe = maxima.describe
    monkeypatch.setattr(maxima, 'describe', lambda *a: described.append(0) or describe(*a))

    def found():
        described.clear()
        # The fewer are asked for, the more have no place.
        requests = [
            QueryRequest(positives=(word,), max_maxima=count)
            for word in WORDS
            for count in (1, 2, 3)
        ]
        results = [atlas.query(request)[0] for request in requests]
        return [result.maxima for result in results], len(described)

    # Pieces that are large hold things with points enough for an answer.
    atlas.configure(CONFIG.replace({'atlas.patches': 8, 'atlas.patch_m': 1.2}))
    some, fewer = found()
    monkeypatch.setattr(atlas_query, 'displacing', lambda *_: 0.0)
    everything, all_ = found()
    atlas.configure(CONFIG)
    assert fewer < all_
    assert [len(each) for each in some] == [len(each) for each in everything]
    for ours, theirs in zip(some, everything, strict=True):
        np.testing.assert_allclose(ours[0].position_m, theirs[0].position_m)
        # A place that is not looked for leaves its points to others, which makes these a little
        # hotter or cooler; none is lost for a cooler one elsewhere.
        least = min(maximum.relevancy for maximum in ours)
        for maximum in theirs:
            beside = [np.linalg.norm(maximum.position_m - own.position_m) for own in ours]
            assert min(beside) < SAME_M or maximum.relevancy <= least + 1e-6


def test_what_was_read_of_a_place_serves_the_next_questions(atlas, monkeypatch):
    read, real = [], reading.read_embeddings
    atlas.configure(CONFIG.replace({'atlas.read_submaps': 20}))
    first = {word: atlas.query(QueryRequest(positives=(word,)))[0] for word in WORDS}

    def counted(field, positions, scales_m):
        read.append(len(positions))
        return real(field, positions, scales_m)

    monkeypatch.setattr(reading, 'read_embeddings', counted)
    again = {word: atlas.query(QueryRequest(positives=(word,)))[0] for word in WORDS}
    assert sum(read) == 0
    atlas._query._engines.clear()
    fresh = {word: atlas.query(QueryRequest(positives=(word,)))[0] for word in WORDS}
    assert sum(read) > 0
    for word in WORDS:
        for answer in (again[word], fresh[word]):
            assert answer.confidence == pytest.approx(first[word].confidence, abs=1e-3)
            best, expected = answer.maxima[0], first[word].maxima[0]
            np.testing.assert_allclose(best.position_m, expected.position_m, atol=1e-3)


def test_a_region_bounds_the_answers_whatever_the_submap(atlas):
    node = next(node for node in atlas.nodes if node.asleep and len(node.index or ()))
    low, high = node.centre_m - node.half_m, node.centre_m + node.half_m
    box = Region.between(tuple(map(float, low)), tuple(map(float, high)))
    (result,) = atlas.query(QueryRequest(positives=('red',), region=box))
    for maximum in result.maxima:
        assert ((maximum.position_m >= low) & (maximum.position_m <= high)).all()


def test_a_saved_atlas_answers_as_before_and_goes_on_learning(atlas, saved, frames):
    again = Atlas(CONFIG, ColourEncoder())
    again.load(saved)
    assert again.id == atlas.id
    assert again.keyframe_count == atlas.keyframe_count
    assert not again.nodes.awake()
    # Those awake were read anew for the file, so compare with a second reading of the same.
    third = Atlas(CONFIG, ColourEncoder())
    third.load(saved)
    assert np.allclose(places(again), places(third))
    again.ingest(frames[0])
    assert again.ready()
    again.step()
    again.close()
    assert np.allclose(places(third), places(third)), 'the folder is not touched'
    third.close()


def test_the_folder_of_an_atlas_goes_with_it(saved):
    atlas = Atlas(CONFIG, ColourEncoder())
    atlas.load(saved)
    folder = atlas.nodes._sleeping_place()
    assert any(folder.iterdir())
    del atlas
    gc.collect()
    assert not folder.exists()
    assert any(saved.iterdir())


def test_a_folder_that_is_not_there_is_named(saved):
    atlas = Atlas(CONFIG, ColourEncoder())
    atlas.load(saved)
    missing = saved.with_name('gone')
    with pytest.raises(FileNotFoundError, match=f'{missing}: there is no map of rooms'):
        atlas.load(missing)
    assert len(atlas.nodes)  # what was there stays
    atlas.close()


def test_submaps_sleep_where_the_options_say(frames, saved, tmp_path):
    place = tmp_path / 'large disk' / 'maps'
    config = CONFIG.replace({'atlas.folder': str(place)})
    atlas = mapped(frames[:1], steps=1, config=config)
    assert [*place.iterdir()] == [atlas.nodes._sleeping_place()]
    atlas.load(saved)  # and so do those of a map that is loaded
    assert [*place.iterdir()] == [atlas.nodes._sleeping_place()]
    assert {node.file.parent for node in atlas.nodes} == {*place.iterdir()}
    atlas.close()
    assert not [*place.iterdir()]


def test_an_atlas_of_another_encoder_or_frame_is_refused(saved):
    other = Atlas(CONFIG.replace({'node.world_frame': 'odom'}), ColourEncoder())
    with pytest.raises(ValueError, match='world_frame'):
        other.load(saved)
    strange = ColourEncoder()
    strange.fingerprint = 'another'
    with pytest.raises(ValueError, match='encoder'):
        Atlas(CONFIG, strange).load(saved)
    (saved / DESCRIPTION).write_text('{')
    with pytest.raises(ValueError, match='atlas'):
        Atlas(CONFIG, ColourEncoder()).load(saved)


def test_a_damaged_submap_leaves_the_others(atlas, saved, caplog):
    again = Atlas(CONFIG, ColourEncoder())
    damaged_file, missing_file, *_ = sorted(saved.glob('submap_*.lerf'))
    damaged_file.write_bytes(damaged_file.read_bytes()[:1000])
    missing_file.unlink()
    again.load(saved)
    for word in WORDS:
        assert again.query(QueryRequest(positives=(word,)))
    again.whole_surface()
    damaged = [node for node in again.nodes if node.damaged]
    assert [node.name for node in damaged] == [0, 1]
    assert 'left out' in caplog.text
    again.close()


def test_a_file_in_the_way_is_not_replaced(atlas, tmp_path):
    (tmp_path / 'note').write_text('mine')
    with pytest.raises(OSError, match='something else'):
        atlas.save(tmp_path / 'note')
    assert (tmp_path / 'note').read_text() == 'mine'
    assert sorted(path.name for path in tmp_path.iterdir()) == ['note']


def test_a_full_disk_keeps_a_submap_awake(frames, monkeypatch, caplog):
    def full(self, path, keep_keyframes=None):
        raise OSError('No space left on device')

    monkeypatch.setattr(Submap, 'save', full)
    atlas = mapped(frames[:40:2], steps=1)
    assert not any(node.asleep for node in atlas.nodes if node.keyframe_count)
    assert 'stays awake' in caplog.text
    assert atlas.query(RED)[0].maxima
    atlas.close()


def test_what_unpacking_took_goes_back_once(atlas, monkeypatch):
    released = []
    monkeypatch.setattr(reading_store, 'release_memory', lambda: released.append(True))
    atlas._query.clear()
    asleep = next(node for node in atlas.nodes if node.asleep and node.keyframe_count)
    first = atlas.reading(asleep)
    assert first is not None
    assert atlas.reading(asleep) is first
    assert len(released) == 1
    # What lies unpacked takes nothing when it is read back.
    query = atlas._query
    query._store.keep(*query._readings.popitem())
    again = atlas.reading(asleep)
    assert again is not first
    assert len(released) == 1
    for name, weight in first.field.state_dict().items():
        assert torch.equal(weight, again.field.state_dict()[name])


def test_what_lies_unpacked_follows_a_submap_that_learns_on(frames):
    atlas = mapped(frames[:40:2], steps=1)
    asleep = next(node for node in atlas.nodes if node.asleep and node.keyframe_count)

    def leave_memory():
        query = atlas._query
        while query._readings:
            query._store.keep(*query._readings.popitem())

    before = atlas.reading(asleep)
    leave_memory()
    assert atlas.reading(asleep).step == before.step
    # Whoever keyframes look into wakes up, and falls asleep again further on.
    back = next(frame for frame in frames if frame.stamp_ns in asleep.stamps.values())
    atlas.ingest(back)
    assert not asleep.asleep
    for _ in range(3):
        asleep.submap.step()
    atlas.nodes.sleep(asleep)
    after = atlas.reading(asleep)
    assert after.step >= before.step + 3
    leave_memory()
    again = atlas.reading(asleep)
    assert again is not after
    assert again.step == after.step
    tables = [each.field.language.hash_grids[0].table for each in (before, after, again)]
    assert torch.equal(tables[1], tables[2])
    assert not torch.equal(tables[0], tables[1])
    atlas.close()


def test_what_falls_asleep_while_people_ask_lies_unpacked(frames, monkeypatch):
    atlas = mapped(frames[:40:2], steps=1)
    node = max(atlas.nodes.awake(), key=lambda node: node.keyframe_count)
    atlas.nodes.sleep(node)
    assert not list(node.file.parent.glob('*.unpacked'))  # nobody has asked yet
    atlas.query(RED)
    submap = atlas.nodes.wake(node)
    for _ in range(2):
        submap.step()
    learnt = {name: each.clone() for name, each in submap.trainer.field.state_dict().items()}
    step, points = submap.step_count, submap.surface()
    atlas.nodes.sleep(node)
    assert node.file.with_suffix('.unpacked').is_file()
    with monkeypatch.context() as patch:
        patch.setattr(reading_store, 'load_reading', None)  # nothing is unpacked
        asleep = atlas.reading(node)
    assert (asleep.step, asleep.points.voxel_m) == (step, points.voxel_m)
    np.testing.assert_array_equal(asleep.points.positions, points.positions)
    for name, each in asleep.field.state_dict().items():
        assert torch.equal(each, learnt[name])
    assert atlas.query(RED)[0].maxima
    atlas.close()


def test_a_submap_that_wakes_goes_on_with_what_it_had(frames, tmp_path):
    config = CONFIG.replace({'atlas.sleeping_keyframes': 2})
    atlas = mapped(frames[:40:2], steps=1, config=config)
    node = max(atlas.nodes.awake(), key=lambda node: node.keyframe_count)
    held = node.submap.trainer.store.ids
    assert len(held) > 2
    atlas.nodes.sleep(node)
    atlas.save(tmp_path / 'map')
    assert not list((tmp_path / 'map').glob('*.rehearsal'))  # a map that is saved stays small
    submap = atlas.nodes.wake(node)
    assert submap.trainer.store.ids == held
    # What comes next is the newest, and what falls asleep again is not less.
    back = next(frame for frame in frames if frame.stamp_ns in node.stamps.values())
    atlas.ingest(back)
    assert submap.trainer.store.ids == [*held, KeyframeId('camera', atlas.keyframe_count - 1)]
    atlas.nodes.sleep(node)
    assert len(atlas.nodes.wake(node).trainer.store) == len(held) + 1
    atlas.close()
    assert not node.file.parent.exists()


def test_others_fall_asleep_before_one_wakes(frames, monkeypatch):
    atlas = mapped(frames[:40:2], steps=1)
    load, beside = Submap.load, []

    def counted(self, path, held=None):
        beside.append(len(atlas.nodes.awake()))
        load(self, path, held)

    monkeypatch.setattr(Submap, 'load', counted)
    asleep = [node for node in atlas.nodes if node.asleep and node.keyframe_count]
    for node in asleep:
        atlas.nodes.wake(node)
        assert len(atlas.nodes.awake()) == CONFIG.atlas.awake_submaps
    assert len(beside) == len(asleep) > 0
    assert max(beside) < CONFIG.atlas.awake_submaps
    atlas.close()


def test_a_new_submap_speaks_as_its_neighbour_does(atlas):
    (first, *_) = atlas.nodes.awake()
    teacher = first.submap.trainer.field
    pupil = Submap(CONFIG, ColourEncoder())
    pupil.trainer.config = CONFIG
    other = type(teacher)(
        CONFIG.field, teacher.scene_box, teacher.embedding_size, 0, seed=9, device='cpu'
    )
    share_networks(teacher, other)
    known, got = teacher.state_dict(), other.state_dict()
    tables = [name for name in got if name.endswith('table')]
    assert tables
    assert all(torch.equal(known[name], got[name]) for name in got if name not in tables)
    assert not any(torch.equal(known[name], got[name]) for name in tables)


def test_a_loop_closure_moves_submaps_as_wholes(saved, monkeypatch):
    atlas = Atlas(CONFIG, ColourEncoder())
    atlas.load(saved)
    before = places(atlas)
    angle = np.radians(3.0)
    shift = np.eye(4)
    shift[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    shift[:3, 3] = [0.1, -0.05, 0.0]
    poses = {id_: pose for node in atlas.nodes for id_, pose in node.poses.items()}
    stamps = {id_: stamp for node in atlas.nodes for id_, stamp in node.stamps.items()}
    ids = list(poses)
    wanted = np.stack([*(shift @ poses[id_] for id_ in ids), np.eye(4)])
    # A time without a keyframe is left alone.
    assert atlas.correct([*(stamps[id_] for id_ in ids), 7_000_000], wanted) == len(ids)
    assert np.allclose(
        atlas.keyframe_poses(), [shift @ poses[id_] for id_ in sorted(ids, key=str_of)]
    )
    assert atlas.pose_epoch == 1
    assert not atlas.nodes.awake(), 'nothing was bent, so nobody had to wake up'
    moved = before @ shift[:3, :3].T + shift[:3, 3]
    monkeypatch.setattr(reading_store, 'load_reading', None)  # what was read is still right
    assert np.allclose(places(atlas), moved, atol=1e-4)
    with pytest.raises(ValueError, match='no keyframes with the ids'):
        atlas.update_poses([KeyframeId('nobody', 1)], np.eye(4)[None])
    with pytest.raises(ValueError, match='stamps of keyframes'):
        atlas.correct([7_000_000], np.eye(4)[None])
    atlas.close()


def test_a_keyframe_moves_within_its_submap_only_where_it_must(saved):
    atlas = Atlas(CONFIG, ColourEncoder())
    atlas.load(saved)
    node = max(atlas.nodes, key=lambda node: node.keyframe_count)
    ids = list(node.poses)
    poses = np.stack([node.poses[id_] for id_ in ids])
    poses[0, :3, 3] += [0.3, 0.0, 0.0]
    atlas.update_poses(ids, poses)
    large = residual_large(node.submap_to_world, np.stack([node.poses[i] for i in ids]), poses,
                           0.03, 1.0)  # fmt: skip
    assert not large.any(), 'what a move of the whole cannot explain was moved inside'
    assert node.submap is not None
    atlas.close()


def test_the_best_move_of_a_submap_is_found():
    rng = np.random.default_rng(0)
    local = np.stack([np.eye(4) for _ in range(5)])
    local[:, :3, 3] = rng.normal(size=(5, 3))
    wanted = np.eye(4)
    wanted[:2, :2] = [[0.0, -1.0], [1.0, 0.0]]
    wanted[:3, 3] = [1.0, 2.0, 3.0]
    assert np.allclose(rigid_fit(local, wanted @ local), wanted)
    assert not residual_large(wanted, local, wanted @ local, 1e-6, 1e-3).any()
    with pytest.raises(ValueError, match='poses: expected'):
        rigid_fit(local[:0], local[:0])


def test_points_belong_to_the_cube_that_holds_them():
    grid = CellGrid((0.0, 0.0, 1.0), 2.0, 0.5)
    points = np.array([[0.0, 0.0, 1.0], [0.9, 0.0, 0.1], [1.1, 0.0, 1.0], [0.0, -1.2, 1.0]])
    assert grid.indices_of(points).tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0], [0, -1, 0]]
    # The largest first, and among equals the one seen first.
    shares = [((0, 0, 0), 0.5), ((1, 0, 0), 0.25), ((0, -1, 0), 0.25)]
    assert list(cell_shares(grid, points).items()) == shares
    assert grid.half_m == 1.5
    local = inverse_transform(np.eye(4))
    assert np.array_equal(local, np.eye(4))


def test_stamps_that_went_through_seconds_still_name_their_keyframes():
    stamps = {KeyframeId('camera', i): 1_700_000_000_123_456_789 + i * 10**8 for i in range(3)}
    told = [round(stamp / 1e9 * 1e9) for stamp in stamps.values()]
    assert told != list(stamps.values())
    poses = np.stack([np.eye(4) * 1.0 for _ in range(4)])
    poses[:, 0, 3] = range(4)
    unknown = told[0] + 10**7
    ids, found = named_by_stamp([told[2], unknown, told[0], told[0]], poses, stamps)
    assert ids == [KeyframeId('camera', 0), KeyframeId('camera', 2)]
    # Of two poses for one time the later one counts.
    assert found[:, 0, 3].tolist() == [3.0, 0.0]
    with pytest.raises(ValueError, match='got 1 of which none is'):
        named_by_stamp([unknown], poses[:1], stamps)
    with pytest.raises(ValueError, match='got 0 of which none is'):
        named_by_stamp([], poses[:0], stamps)
