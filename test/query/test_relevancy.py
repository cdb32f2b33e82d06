from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from lerf_ros.config import FieldOptions
from lerf_ros.field.model import LerfField
from lerf_ros.field.scene_box import SceneBox
from lerf_ros.query.phrase import Phrase
from lerf_ros.query.reading import folded_cosines, read_embeddings
from lerf_ros.query.relevancy import (
    SCALE_BLEND,
    blend_scales,
    naive_relevancy,
    naive_scale_relevancy,
    phrase_matrix,
    phrase_relevancy,
    relevancy,
    scale_relevancy,
    search_scales,
)

TEMPERATURE = 10.0


def made_phrase(positives: int, size: int, seed: int = 0) -> Phrase:
    generator = torch.Generator().manual_seed(seed)
    texts = F.normalize(torch.randn(positives + 4, size, generator=generator), dim=1)
    return Phrase('thing', texts[:positives], texts[positives:], texts[:0], TEMPERATURE)


def made_field(size: int, options: FieldOptions | None = None) -> LerfField:
    field = LerfField(options or FieldOptions(), SceneBox((0.0, 0.0, 0.0), 0.6), size, seed=3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        # Fresh grids are nearly zero: larger features exercise the layers.
        for parameter in field.language.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return field


def test_half_is_as_close_to_the_phrase_as_to_the_closest_negative():
    phrase = Phrase('x', torch.eye(3)[:1], torch.eye(3)[1:], torch.eye(3)[:0], TEMPERATURE)
    between = F.normalize(torch.tensor([[1.0, 1.0, 0.0]]), dim=1)
    assert naive_relevancy(between, phrase, TEMPERATURE).item() == pytest.approx(0.5)
    exact = naive_relevancy(torch.eye(3)[:1], phrase, TEMPERATURE).item()
    assert exact == pytest.approx(1 / (1 + math.exp(-10)), abs=1e-6)
    assert naive_relevancy(torch.eye(3)[1:2], phrase, TEMPERATURE).item() < 1e-4


@pytest.mark.parametrize('positives', [1, 3])
def test_one_logistic_is_the_least_softmax(positives):
    phrase = made_phrase(positives, 64)
    embeddings = F.normalize(torch.randn(500, 64, generator=torch.Generator().manual_seed(2)))
    texts = torch.cat([phrase.positives, phrase.negatives])
    fast = relevancy(embeddings @ texts.T, positives, TEMPERATURE)
    assert fast == pytest.approx(naive_relevancy(embeddings, phrase, TEMPERATURE), abs=1e-6)


# Longer and shorter than the head is wide: the norm takes another form.
@pytest.mark.parametrize('size', [16, 64, 512])
@pytest.mark.parametrize('depth', [1, 2, 3])
def test_folded_and_read_relevancy_equal_the_naive_one(size, depth):
    field = made_field(size, FieldOptions(language_depth=depth))
    phrase = made_phrase(1, size)
    texts = torch.cat([phrase.positives, phrase.negatives])
    positions = torch.rand(300, 3, generator=torch.Generator().manual_seed(4)) - 0.5
    scales_m = search_scales(0.02, 0.5, 7)
    with torch.no_grad():
        naive = naive_scale_relevancy(field, positions, scales_m, phrase, TEMPERATURE)
        folded = relevancy(folded_cosines(field, positions, scales_m, texts), 1, TEMPERATURE)
        read = relevancy(read_embeddings(field, positions, scales_m) @ texts.T, 1, TEMPERATURE)
    assert naive.std() > 0.01
    assert folded == pytest.approx(naive, abs=5e-6)
    assert read == pytest.approx(naive, abs=5e-6)


def test_a_field_without_a_known_head_is_read_too():
    class Plain:
        def language_features(self, positions_world):
            return positions_world

        def embed(self, features, scale_m):
            return torch.cat([features, scale_m[:, None]], dim=1)

    positions = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    read = read_embeddings(Plain(), positions, torch.tensor([0.1, 0.4]))
    assert read.shape == (5, 2, 4)
    assert read[:, 1] == pytest.approx(
        F.normalize(torch.cat([positions, torch.full((5, 1), 0.4)], dim=1), dim=1)
    )


def test_nothing_to_read_gives_nothing():
    field = made_field(16)
    assert folded_cosines(field, torch.zeros(0, 3), torch.ones(2), torch.eye(16)[:3]).shape == (
        0,
        2,
        3,
    )


def test_equal_texts_of_several_phrases_are_read_once():
    first, second = made_phrase(1, 8), made_phrase(1, 8, seed=1)
    second = Phrase('y', second.positives, first.negatives, second.distractors, TEMPERATURE)
    matrix, rows = phrase_matrix([first, second])
    assert len(matrix) == 6
    assert torch.equal(matrix[rows[1]], torch.cat([second.positives, first.negatives]))


def test_scales_have_even_ratios():
    scales = search_scales(0.02, 0.5, 6)
    assert scales[0].item() == pytest.approx(0.02)
    assert scales[-1].item() == pytest.approx(0.5)
    ratios = scales[1:] / scales[:-1]
    assert ratios == pytest.approx(ratios[:1].expand(5))
    assert search_scales(0.1, 0.4, 1).item() == pytest.approx(0.2)


def test_blended_scales_are_means_over_trained_neighbours():
    generator = torch.Generator().manual_seed(5)
    log_odds = torch.randn(40, 5, generator=generator)
    trained = torch.rand(40, 5, generator=generator) > 0.3
    blended = blend_scales(log_odds, trained)
    for point in range(40):
        for scale in range(5):
            weights = {scale: 1.0, scale - 1: SCALE_BLEND, scale + 1: SCALE_BLEND}
            known = [each for each in weights if 0 <= each < 5 and trained[point, each]]
            if scale in known:
                total = sum(weights[each] * float(log_odds[point, each]) for each in known)
                mean = total / sum(weights[each] for each in known)
                assert float(blended[point, scale]) == pytest.approx(mean, abs=1e-5)


def test_only_the_scales_of_phrases_with_rivals_are_blended():
    phrase = made_phrase(1, 16)
    cosines = torch.rand(30, 4, 1 + len(phrase.negatives), generator=torch.Generator())
    trained = torch.ones(30, 4, dtype=torch.bool)
    trained[:, 3] = False
    plain = scale_relevancy(cosines, phrase, trained)
    assert torch.equal(plain[:, :3], phrase_relevancy(cosines, phrase)[:, :3])
    assert float(plain[:, 3].max()) == 0
    rivalled = replace(phrase, rivals=phrase.negatives[:0])
    assert not torch.equal(scale_relevancy(cosines, rivalled, trained), plain)
    # One scale alone, as a request may ask for, has no neighbours.
    alone = torch.zeros(30, 4, dtype=torch.bool)
    alone[:, 1] = True
    assert torch.allclose(scale_relevancy(cosines, rivalled, alone)[:, 1], plain[:, 1])
