"""The words and meshes of the simulated tabletop, and the pairs held out of training."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from lerf_ros.simulation import (
    CATEGORIES,
    COLOURS,
    HELD_OUT_SEED,
    TEXTURES,
    absent_phrases,
    allowed_pairs,
    excluded_pairs,
    object_names,
    side_colours,
)
from lerf_ros.simulation.catalogue import FINISHES, paint
from lerf_ros.simulation.layout import draw_pairs
from lerf_ros.simulation.shading import shaded
from lerf_ros.simulation.shapes import (
    Mesh,
    box,
    ellipsoid,
    extrude,
    face_areas,
    lathe,
    surface_centre,
    sweep,
)


def volume(mesh: Mesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    return float(np.einsum('ij,ij->i', a, np.cross(b, c)).sum() / 6)


def test_there_is_enough_to_see():
    assert len(CATEGORIES) >= 24
    assert len(COLOURS) >= 10
    assert len(TEXTURES) >= 4
    words = [w for c in CATEGORIES.values() for w in (c.name, *c.synonyms)]
    assert len(set(words)) == len(words), 'a word stands for two categories'


def test_excluded_pairs_are_a_known_share():
    pairs = excluded_pairs()
    assert len(pairs) == round(0.15 * len(CATEGORIES) * len(COLOURS))
    assert all(colour in COLOURS and category in CATEGORIES for colour, category in pairs)
    # Each word is still learnt from most of its pairs.
    for at, words in ((0, COLOURS), (1, CATEGORIES)):
        for word in words:
            share = sum(pair[at] == word for pair in pairs) / (len(pairs) / len(words))
            assert 0.5 < share < 1.7


def test_training_never_draws_an_excluded_pair_and_held_out_scenes_do():
    assert not excluded_pairs() & set(allowed_pairs(HELD_OUT_SEED - 1))
    assert excluded_pairs() <= set(allowed_pairs(HELD_OUT_SEED))
    hits = 0
    for i in range(60):
        rng = np.random.default_rng(i)
        assert not excluded_pairs() & set(draw_pairs(i, 12, rng))
        drawn = draw_pairs(HELD_OUT_SEED + i, 12, rng)
        assert len(set(drawn)) == 12
        hits += len(excluded_pairs() & set(drawn))
    assert hits > 60


def test_all_categories_are_drawn_about_equally():
    rng = np.random.default_rng(0)
    drawn = [category for i in range(250) for _, category in draw_pairs(i, 10, rng)]
    counts = np.array([drawn.count(category) for category in CATEGORIES])
    assert counts.min() > 0.5 * counts.mean()
    assert counts.max() < 1.7 * counts.mean()


@pytest.mark.parametrize('name', list(CATEGORIES))
def test_parts_are_solid_and_named(name):
    for seed in range(3):
        parts = CATEGORIES[name].build(np.random.default_rng(seed))
        assert len({part.name for part in parts}) == len(parts)
        assert any(part.finish == 'main' for part in parts)
        for part in parts:
            assert part.finish in ('main', 'contrast', *FINISHES)
            assert volume(part.mesh) > 0, f'{part.name} is inside out'
            drawn = shaded(part.mesh)
            np.testing.assert_allclose(np.linalg.norm(drawn.normals, axis=1), 1, atol=1e-9)
        points = np.concatenate([part.mesh.vertices for part in parts])
        assert 0.035 < np.ptp(points, axis=0).max() < 0.30


def test_volumes_and_areas_are_those_of_the_solids():
    assert volume(box((1, 2, 3))) == pytest.approx(6)
    assert volume(ellipsoid((1, 1, 1), segments=64)) == pytest.approx(4.18879, rel=0.01)
    assert volume(lathe([(0, 0), (1, 0), (1, 2), (0, 2)], 128)) == pytest.approx(6.2832, rel=1e-3)
    assert volume(sweep([(0, 0, 0), (0, 0, 2)], 1.0, 128)) == pytest.approx(6.2832, rel=1e-3)
    # A concave outline, an L.
    corner = extrude([(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)], 0.5)
    assert volume(corner) == pytest.approx(1.5)
    assert face_areas(corner.vertices, corner.faces).sum() == pytest.approx(6 + 8 * 0.5)


def test_surface_centre_does_not_depend_on_tessellation():
    ball = ellipsoid((1, 1, 1), (1, 2, 3))
    np.testing.assert_allclose(surface_centre(ball), (1, 2, 3), atol=1e-9)
    np.testing.assert_allclose(surface_centre(box((1, 1, 1), (4, 5, 6))), (4, 5, 6), atol=1e-9)


def test_normals_are_smooth_on_a_ball_and_sharp_on_a_box():
    ball = shaded(ellipsoid((1, 1, 1), segments=32))
    assert np.einsum('ij,ij->i', ball.normals, ball.vertices).min() > 0.99
    cube = shaded(box((1, 1, 1)))
    np.testing.assert_allclose(np.sort(np.abs(cube.normals), axis=1)[:, :2], 0, atol=1e-9)


@pytest.mark.parametrize('texture', list(TEXTURES))
@pytest.mark.parametrize('colour', list(COLOURS))
def test_a_texture_leaves_the_colour_its_name(texture, colour):
    rng = np.random.default_rng(3)
    rgb = COLOURS[colour].sample(rng)
    tile = paint(texture, rgb, rng) / 255
    assert (np.abs(tile - rgb).max(axis=-1) < 0.25).mean() >= 0.4
    # The mean of the tile is still nearest to its own colour.
    hues = {c: np.mean([COLOURS[c].sample(rng) for _ in range(20)], axis=0) for c in COLOURS}
    chroma = colorsys.rgb_to_hsv(*rgb)[1]
    if chroma > 0.3:
        mean = tile.mean(axis=(0, 1))
        tint = [np.dot(mean - mean.mean(), h - h.mean()) /
                (np.linalg.norm(h - h.mean()) + 1e-9) for h in hues.values()]  # fmt: skip
        assert tint[list(hues).index(colour)] > 0


def test_unknown_texture_is_named():
    with pytest.raises(ValueError, match='striped'):
        paint('furry', np.ones(3), np.random.default_rng(0))


def test_names_start_with_the_plain_one_and_tell_the_truth():
    names = object_names('grey', 'mug', 'striped')
    assert names[0] == 'grey mug'
    assert {'gray cup', 'striped grey mug'} <= set(names)
    assert not any('striped' in name for name in object_names('grey', 'mug', 'plain'))


def test_a_part_in_a_colour_of_its_own_makes_no_phrase_absent():
    assert {'grey'} <= side_colours('hammer')
    assert side_colours('bowl') == frozenset()
    phrases = absent_phrases([('red', 'hammer')], 500, np.random.default_rng(0))
    texts = [p.text for p in phrases]
    assert 'grey hammer' not in texts
    assert sum(text.endswith(' hammer') for text in texts) > 4


def test_absent_phrases_are_absent():
    present = [('red', 'mug'), ('blue', 'mug'), ('green', 'fork')]
    phrases = absent_phrases(present, 60, np.random.default_rng(0))
    assert len({p.text for p in phrases}) == len(phrases) > 40
    assert {p.kind for p in phrases} == {'colour', 'category', 'absent'}
    there = {name for pair in present for name in object_names(*pair, 'plain')}
    left_out = {f'{c} {k}' for c, k in excluded_pairs()}
    for phrase in phrases:
        assert phrase.text not in there
        assert phrase.text not in left_out
        if phrase.kind == 'absent':
            assert phrase.text in CATEGORIES
            assert phrase.text not in ('mug', 'fork')
        elif phrase.kind == 'colour':
            assert phrase.text.endswith((' mug', ' fork'))
        else:
            assert phrase.text.split()[0] in ('red', 'blue', 'green')
