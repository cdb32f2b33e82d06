from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from scenery import CENTRES, DIRECTIONS, BallField, mapped

from lerf_ros.query.maxima import MIN_SUPPORT, describe
from lerf_ros.query.phrase import Phrase
from lerf_ros.query.reading import FieldReader
from lerf_ros.query.scene import Scene
from lerf_ros.query.scene_graph import SceneGraph
from lerf_ros.query.second_look import POINTS_OF_EACH, look_again

SCALES_M = torch.tensor([0.05, 0.1, 0.2])
PHRASE = Phrase(
    'ball 0', DIRECTIONS[:1], DIRECTIONS[5:6], DIRECTIONS[1:3], 10.0, rivals=DIRECTIONS[3:4]
)


@pytest.fixture(scope='module')
def graph():
    return SceneGraph.of(mapped(noise_m=0.001).points())


def scene_of(graph):
    count = len(graph.surface)
    trained = torch.ones(count, len(SCALES_M), dtype=torch.bool)
    trained[:, 2] = False
    everywhere = np.ones(count, bool)
    reader = FieldReader(BallField(), SCALES_M)
    return Scene(graph, SCALES_M, trained, everywhere, everywhere, reader, None, None, 0, 0)


def ball_of(graph, points):
    """Which of the first two balls each point is closer to."""
    positions = graph.surface.positions[points]
    away = [np.linalg.norm(positions - centre, axis=1) for centre in CENTRES[:2]]
    return torch.from_numpy(np.argmin(away, axis=0))


def blind(surface, points, scales_m):
    """Keyframes that show nothing."""
    shown = torch.zeros(len(points), len(scales_m), DIRECTIONS.shape[1])
    return shown, torch.zeros(shown.shape[:2], dtype=torch.bool)


def at_every_scale(vectors):
    unit = torch.nn.functional.normalize(vectors, dim=-1)
    return unit[:, None].expand(-1, len(SCALES_M), -1).clone()


def maxima_of(graph, *sizes):
    """The field's maxima: ball 1, ball 0, and a few points of ball 0."""
    found = []
    for ball, size in zip((1, 0, 0), sizes, strict=False):
        near = np.linalg.norm(graph.surface.positions - CENTRES[ball], axis=1) < 0.06
        points = np.flatnonzero(near)[:size]
        found.append(describe(graph, points, np.full(len(points), 0.9), 0.05))
    return found


def test_keyframes_tell_apart_what_the_field_has_blurred(graph):
    asked = []

    def read(points):  # ball 1 is a little more like what was asked for
        mixed = (
            DIRECTIONS[0]
            + DIRECTIONS[1] * torch.where(ball_of(graph, points) == 1, 0.4, 0.5)[:, None]
        )
        embeddings = at_every_scale(mixed)
        embeddings[:, 2] = DIRECTIONS[0]  # nobody has learnt this scale
        return embeddings

    def views(surface, points, scales_m):
        asked.append(len(points))
        shown = at_every_scale(DIRECTIONS[ball_of(graph, points)])[:, : len(scales_m)]
        return shown, torch.ones(shown.shape[:2], dtype=torch.bool)

    scene, found = scene_of(graph), maxima_of(graph, 400, 400, MIN_SUPPORT - 1)
    wrong, right, small = found
    assert look_again(scene, blind, PHRASE, found, read) == [wrong, right, small]
    assert look_again(scene, views, PHRASE, found, read) == [right, wrong, small]
    assert max(asked) <= POINTS_OF_EACH < len(right.point_indices)
    assert look_again(scene, views, PHRASE, [], read) == []


def test_a_place_is_worth_what_it_is_closer_to_the_phrase_than_to_all_else(graph):
    ambiguous, clear, small = maxima_of(graph, 400, 400, MIN_SUPPORT - 1)

    def read(points):  # ball 1 is closer to the phrase, and as close to another kind
        at_ball_1 = (ball_of(graph, points) == 1)[:, None]
        alike = DIRECTIONS[0] + DIRECTIONS[2]
        alone = 0.6 * DIRECTIONS[0] + 0.8 * DIRECTIONS[7]
        return at_every_scale(torch.where(at_ball_1, alike, alone))

    ordered = look_again(scene_of(graph), blind, PHRASE, [ambiguous, clear, small], read)
    assert ordered == [clear, ambiguous, small]


def test_what_is_around_a_place_counts_and_what_is_smaller_or_far_larger_does_not(graph):
    first, second = maxima_of(graph, 400, 400)

    def read(points, told_at):
        embeddings = at_every_scale((DIRECTIONS[0] + DIRECTIONS[1]).expand(len(points), -1))
        embeddings[ball_of(graph, points) == 0, told_at] = DIRECTIONS[0]
        return embeddings

    scene = replace(scene_of(graph), trained=torch.ones(len(graph.surface), 3, dtype=torch.bool))

    def counts(found_at_m):
        found = [replace(each, scale_m=found_at_m) for each in (first, second)]
        ordered = partial(look_again, scene, blind, PHRASE, found)
        return [ordered(partial(read, told_at=scale)) == found[::-1] for scale in range(3)]

    assert counts(0.05) == [True, True, False]
    assert counts(0.1) == [False, True, True]
    assert counts(0.2) == [False, False, True]


def test_a_place_on_a_thing_that_looks_like_nothing_is_worth_less(graph):
    featureless, clear, small = maxima_of(graph, 400, 400, MIN_SUPPORT - 1)

    def read(points):  # ball 1 is as close to the phrase, and closer to the negative
        at_ball_1 = (ball_of(graph, points) == 1)[:, None]
        nothing = 0.6 * DIRECTIONS[0] + 0.8 * DIRECTIONS[5]
        alone = 0.6 * DIRECTIONS[0] + 0.8 * DIRECTIONS[7]
        return at_every_scale(torch.where(at_ball_1, nothing, alone))

    ordered = look_again(scene_of(graph), blind, PHRASE, [featureless, clear, small], read)
    assert ordered == [clear, featureless, small]
