"""Tests of what the shipped encoder is trained on: nothing held out, nothing untrue."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
sys.path.insert(0, str(TOOLS))

import tabletop_captions as captions  # noqa: E402
import tabletop_rooms  # noqa: E402
import tabletop_views  # noqa: E402
from tabletop_batches import draw_captions  # noqa: E402
from tabletop_colours import RECOLOURED, recolour, without_colours  # noqa: E402
from tabletop_loss import OPEN, contrast_loss, own_matrices, relevancy_loss, truth_matrix  # noqa: E402
from tabletop_optimizer import orthogonalised  # noqa: E402
from tabletop_training import mix, pool  # noqa: E402
from tabletop_truth import Truth, label_names, look, visible_instances, window_truth  # noqa: E402
from tabletop_vocabulary import learn_merges  # noqa: E402

from lerf_ros.features.windows import pool_windows  # noqa: E402
from lerf_ros.simulation import HELD_OUT_SEED, excluded_pairs  # noqa: E402

RED, BLUE = (captions.COLOUR_LIST.index(name) for name in ('red', 'blue'))
MUG, BOWL = (captions.CATEGORY_LIST.index(name) for name in ('mug', 'bowl'))


def view() -> tuple[np.ndarray, list[dict]]:
    """A red mug with a handle at the left, a blue bowl at the right, on a table."""
    labels = np.full((60, 100), tabletop_views.TABLE, np.uint8)
    labels[20:40, 10:30] = 0
    labels[25:35, 30:36] = 1
    labels[20:40, 60:80] = 16
    objects = [
        {'category': 'mug', 'colour': 'red', 'texture': 'plain', 'parts': ['body', 'handle']},
        {'category': 'bowl', 'colour': 'blue', 'texture': 'dotted', 'parts': ['body']},
    ]
    return labels, objects


def truth_of(boxes: list[list[float]]) -> Truth:
    labels, objects = view()
    visible = np.bincount(labels.ravel(), minlength=256)
    return window_truth([look(labels, visible, label_names(objects), np.array(boxes))])


def test_scenes_of_the_evaluation_are_refused():
    with pytest.raises(ValueError, match='seed: expected less than'):
        tabletop_views.render_scene(HELD_OUT_SEED, 1)
    with pytest.raises(ValueError, match='seed: expected less than'):
        tabletop_rooms.render_flat(HELD_OUT_SEED, 1)


def test_pictures_of_rooms_say_what_they_show(tmp_path):
    gl = pytest.importorskip('lerf_ros.simulation.gl')
    try:
        gl.make_current()
    except RuntimeError as error:
        pytest.skip(str(error))
    tabletop_rooms.render_rooms(tmp_path, 3, 1, 10, 1)
    views = tabletop_views.Views(tmp_path)
    assert 5 <= len(views) <= 10
    seen = [{(o['colour'], o['category']) for o in views[index][2]} for index in range(len(views))]
    # From all of the walk: one room does not hold half of what ten views of five rooms show.
    assert len(set().union(*seen)) > 2 * max(map(len, seen))
    for image, labels, objects in (views[index] for index in range(len(views))):
        assert image.shape == (tabletop_views.HEIGHT, tabletop_views.WIDTH, 3)
        assert image.std() > 5
        shown = np.unique(labels[labels < tabletop_views.TABLE])
        assert len(shown)
        assert set(np.unique(labels[labels >= tabletop_views.TABLE])) <= {
            tabletop_views.ELSEWHERE,
            tabletop_rooms.UNNAMED,
        }
        for label in shown:
            number, part = divmod(int(label), 16)
            assert part < len(objects[number]['parts'])
            pair = objects[number]['colour'], objects[number]['category']
            assert pair not in excluded_pairs()


def test_no_drawn_caption_names_an_excluded_pair():
    rng = np.random.default_rng(0)
    truth = truth_of([[8, 18, 38, 42], [58, 18, 82, 42]] * 40)
    nothing_own = np.full((80, 3), -1)
    drawn = draw_captions(truth, nothing_own, rng, 80, 40, 30)
    excluded = {
        (captions.COLOUR_LIST.index(colour), captions.CATEGORY_LIST.index(category))
        for colour, category in excluded_pairs()
    }
    named = {(colour, category) for _, category, colour, _, _ in drawn.rows}
    assert not named & excluded
    assert len(named) > 10


def test_absent_nouns_name_nothing_that_can_be_shown():
    assert len(captions.ABSENT_NOUNS) > 300
    assert not set(captions.ABSENT_NOUNS) & captions.known_words()


def test_a_window_around_an_object_shows_it_and_its_parts():
    truth = truth_of([[8, 18, 38, 42], [30, 24, 37, 36], [58, 18, 82, 42], [40, 0, 58, 18]])
    assert truth.objects[0, 0].tolist() == [MUG, RED, captions.TEXTURE_LIST.index('plain')]
    assert truth.object_scores[0, 0] == 1
    assert truth.object_scores[0, 1] == 0
    handle = captions.PART_LIST.index('handle')
    assert truth.parts[1, 0].tolist() == [MUG, RED, handle]
    assert truth.part_scores[1, 0] == 1
    assert truth.objects[2, 0, :2].tolist() == [BOWL, BLUE]
    assert truth.object_scores[3, 0] == 0
    assert truth.surroundings[3].tolist() == [1, 0]


def test_captions_are_true_where_all_they_name_agrees():
    truth = truth_of([[8, 18, 38, 42], [30, 24, 37, 36], [58, 18, 82, 42], [40, 0, 58, 18]])
    handle = captions.PART_LIST.index('handle')
    rows = [
        (captions.OBJECT, MUG, RED, -1, -1),
        (captions.OBJECT, MUG, -1, -1, -1),
        (captions.OBJECT, -1, BLUE, -1, -1),
        (captions.OBJECT, MUG, BLUE, -1, -1),
        (captions.PART, MUG, -1, -1, handle),
        (captions.TABLE, -1, -1, -1, -1),
        (captions.NEVER, -1, -1, -1, -1),
    ]
    matrix = truth_matrix(truth, np.array(rows)).round().int().tolist()
    assert matrix[0][:4] == [1, 1, 0, 0]
    assert matrix[1][4] == 1
    assert matrix[2] == [0, 0, 1, 0, 0, 0, 0]
    assert matrix[3] == [0, 0, 0, 0, 0, 1, 0]


def test_a_recoloured_thing_keeps_its_kind_and_has_no_known_colour():
    labels, objects = view()
    visible = np.bincount(labels.ravel(), minlength=256)
    names = label_names(objects)
    seen = look(labels, visible, without_colours(names), np.array([[8, 18, 38, 42]]))
    as_it_is = look(labels, visible, names, np.array([[58, 18, 82, 42]]))
    truth = window_truth([seen, as_it_is])
    handle = captions.PART_LIST.index('handle')
    rows = np.array(
        [
            (captions.OBJECT, MUG, -1, -1, -1),
            (captions.OBJECT, MUG, BLUE, -1, -1),
            (captions.OBJECT, -1, BLUE, -1, -1),
            (captions.OBJECT, BOWL, BLUE, -1, -1),
            (captions.PART, MUG, RED, -1, handle),
            (captions.NEVER, -1, -1, -1, -1),
        ]
    )
    matrix = truth_matrix(truth, rows)
    assert matrix[0].round().tolist()[:4] == [1, OPEN, OPEN, 0]
    assert matrix[1].round().tolist() == [0, 0, 1, 1, 0, 0]
    around_handle = np.array([(MUG, RECOLOURED, handle), (-1, -1, -1)])
    relevant, best = own_matrices(
        torch.tensor([[0.9, 0.0, 0.0, 0.0, OPEN, 0.0]] * 2), around_handle, rows
    )
    assert relevant[0, 4] == best[0, 4] == OPEN
    nothing_own = np.full((2, 3), -1)
    drawn = draw_captions(truth, nothing_own, np.random.default_rng(0), 2, 0, 0)
    assert all(row[2] != RECOLOURED for row in drawn.rows)
    # What is open neither attracts nor competes.
    cosines = torch.tensor([[0.5, 0.9, -0.5]], requires_grad=True)
    contrast_loss(cosines, torch.tensor([[1.0, OPEN, 0.0]])).backward()
    assert abs(float(cosines.grad[0, 1])) < 1e-5 < float(cosines.grad[0, 2])


def test_recolouring_changes_colours_and_keeps_shapes():
    labels, _ = view()
    picture = np.full((*labels.shape, 3), 90, np.uint8)
    picture[labels < tabletop_views.TABLE] = (160, 40, 40)
    picture[30:, :50][labels[30:, :50] == 0] = (80, 20, 20)  # in its own shadow
    changed = [recolour(picture, labels, np.random.default_rng(seed)) for seed in range(20)]
    assert len({tuple(each[22, 12] // 32) for each in changed}) > 8
    for each in changed:
        assert (each[labels == tabletop_views.TABLE] == 90).all()
        lit, shaded = each[22, 12].astype(int), each[32, 12].astype(int)
        assert (shaded <= lit).all()
        assert (each[labels == 0].reshape(-1, 3) == lit).all(axis=1).any()


def test_a_crop_around_a_part_is_a_picture_of_that_part():
    # The box around the handle's neighbourhood shows the body as well, and both captions are true
    # of it. What it was cut around is the handle.
    body, handle = (captions.PART_LIST.index(name) for name in ('body', 'handle'))
    rows = np.array(
        [
            (captions.PART, MUG, -1, -1, body),
            (captions.PART, MUG, RED, -1, handle),
            (captions.PART, -1, -1, -1, handle),
            (captions.PART, MUG, BLUE, -1, handle),
            (captions.OBJECT, MUG, RED, -1, -1),
        ]
    )
    truth = torch.tensor([[1.0, 0.4, 0.4, 0.0, 0.8]] * 2)
    around_handle, around_object = (MUG, RED, handle), (-1, -1, -1)
    relevant, best = own_matrices(truth, np.array([around_handle, around_object]), rows)
    assert best[0].tolist() == pytest.approx([0.0, 1.0, 1.0, 0.0, 0.8])
    assert relevant[0].tolist() == pytest.approx([OPEN, 1.0, 1.0, 0.0, 0.8])
    assert torch.equal(best[1], truth[1])
    assert torch.equal(relevant[1], truth[1])


def test_captions_name_what_a_crop_was_cut_around():
    truth = truth_of([[8, 18, 38, 42]] * 40)
    handle = captions.PART_LIST.index('handle')
    own_parts = np.tile([MUG, RED, handle], (40, 1))
    drawn = draw_captions(truth, own_parts, np.random.default_rng(0), 40, 0, 0)
    named = [row[4] for row in drawn.rows if row[0] == captions.PART]
    assert len(named) > 10
    assert set(named) == {handle}


def test_weights_can_stay_halfway():
    model = torch.nn.Linear(2, 1)
    model.register_buffer('count', torch.tensor(7))
    before = {name: torch.full_like(value, 4) for name, value in model.state_dict().items()}
    torch.nn.init.constant_(model.weight, 2.0)
    mix(model, {'weight': before['weight'], 'count': before['count']}, 0.25)
    assert model.weight.tolist() == [[2.5, 2.5]]
    assert int(model.count) == 7


def test_boxes_of_things_hold_their_pixels():
    labels, _ = view()
    instances = {
        (instance.object, instance.part): instance for instance in visible_instances(labels)
    }
    assert instances[(0, -1)].box == (10, 20, 36, 40)
    assert instances[(0, 1)].box == (30, 25, 36, 35)
    assert instances[(1, -1)].pixels == 400


def test_pooling_in_training_is_the_pooling_of_the_encoder():
    cells = torch.rand(2, 5, 12, 9)
    boxes = torch.tensor([[[0.5, 1.0, 6.2, 7.7], [0.0, 0.0, 9.0, 12.0]]] * 2)
    expected = [pool_windows(c, b) for c, b in zip(cells, boxes, strict=True)]
    assert torch.allclose(pool(cells, boxes), torch.cat(expected), atol=1e-5)


def test_losses_fall_as_answers_get_right():
    truth = torch.eye(4)
    right, wrong = 2 * truth - 1, 1 - 2 * truth
    threshold = torch.zeros(4, 2)
    assert contrast_loss(10 * right, truth) < 1e-3 < contrast_loss(10 * wrong, truth)
    assert relevancy_loss(right, threshold, truth, 10.0) < 1e-3
    assert relevancy_loss(wrong, threshold, truth, 10.0) > 5


def test_what_is_left_open_teaches_nothing():
    cosines = torch.zeros(1, 3, requires_grad=True)
    truth = torch.tensor([[1.0, OPEN, 0.0]])
    relevancy_loss(cosines, torch.zeros(1, 2), truth, 10.0).backward()
    assert cosines.grad[0, 1] == 0
    assert cosines.grad[0, 0] < 0 < cosines.grad[0, 2]


def test_two_true_captions_do_not_compete():
    logits = torch.tensor([[9.0, 9.0, -9.0]])
    assert contrast_loss(logits, torch.tensor([[1.0, 1.0, 0.0]])) < 1e-3


def test_orthogonalised_singular_values_are_near_one():
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalised(torch.randn(16, 60), iterations=5))
    assert values.min() > 0.5
    assert values.max() < 1.5


def test_merges_make_words_whole_and_agree_with_the_most_frequent_pair():
    words = ['mug', 'mugs', 'jug', 'rug', 'bug', 'hug', 'tug']
    merges = learn_merges(words, 50)
    assert merges[0] == ('u', 'g</w>')
    assert {f'{word}</w>' for word in words} <= {''.join(merge) for merge in merges}
