"""Pictures to ask for: of what is there, and of what is not."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('mujoco', reason='the simulator needs the package mujoco')

from lerf_ros.evaluation.picture_questions import absent_exemplars, exemplars_of, whole_box
from lerf_ros.simulation import HELD_OUT_SEED, TabletopScene


@pytest.fixture(scope='module')
def scene():
    with TabletopScene(9001) as scene:
        yield scene


def test_each_object_seen_whole_has_a_picture(scene):
    found = exemplars_of(scene)
    assert len(found) >= 0.7 * len(scene.objects)
    for obj, exemplar in found:
        exemplar.check()
        assert obj.name in exemplar.name
        u0, v0, u1, v1 = exemplar.box_uv
        assert 0 < u0 < u1 < exemplar.image.shape[1]
        assert 0 < v0 < v1 < exemplar.image.shape[0]


def test_what_is_too_thin_or_cut_off_is_not_asked_for():
    def box_of(rows, cols):
        mask = np.zeros((60, 90), bool)
        mask[rows, cols] = True
        return whole_box(mask)

    assert box_of(slice(20, 40), slice(30, 50)) == (30, 20, 50, 40)
    assert box_of(slice(20, 25), slice(10, 80)) is None
    assert box_of(slice(0, 20), slice(30, 50)) is None
    assert box_of(slice(20, 30), slice(30, 40)) is None


def test_pictures_are_the_same_each_time(scene):
    first, second = exemplars_of(scene), exemplars_of(scene)
    assert [e.box_uv for _, e in first] == [e.box_uv for _, e in second]
    assert all((a.image == b.image).all() for (_, a), (_, b) in zip(first, second, strict=True))


def test_absent_pictures_show_nothing_of_the_scene(scene):
    names = {f'picture of the {obj.name}' for obj in scene.objects}
    absent = absent_exemplars(scene, 12)
    assert len(absent) == 12
    assert not names & {exemplar.name for exemplar in absent}


@pytest.mark.usefixtures('unchecked')  # no scene is made for its seed alone
@pytest.mark.parametrize('seed', [0, 9999, HELD_OUT_SEED, HELD_OUT_SEED + 3, HELD_OUT_SEED + 40])
def test_scenes_borrow_only_from_their_own_kind(seed, monkeypatch):
    asked = []

    class Elsewhere:
        def __init__(self, seed):
            self.seed = seed
            self.objects = ()
            asked.append(seed)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    pictures = [(type('Thing', (), {'colour': 'red', 'category': 'mug'}), object())] * 5
    monkeypatch.setattr('lerf_ros.evaluation.picture_questions.TabletopScene', Elsewhere)
    monkeypatch.setattr('lerf_ros.evaluation.picture_questions.exemplars_of', lambda _: pictures)
    absent_exemplars(Elsewhere(seed), 30)
    others = asked[1:]
    assert len(others) == 6
    assert seed not in others
    assert all(
        other >= 0 and (other < HELD_OUT_SEED) == (seed < HELD_OUT_SEED) for other in others
    )
