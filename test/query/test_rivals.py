from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from kinds_encoder import Kinds, scene_of

from lerf_ros.query import rivals
from lerf_ros.query.phrase import Phrase, TextEmbedder, parse_phrase
from lerf_ros.query.relevancy import naive_relevancy, phrase_matrix, phrase_relevancy
from lerf_ros.query.rivals import contested_relevancy


def test_rivals_are_common_and_not_alike():
    encoder = Kinds()
    embed, scene = TextEmbedder(encoder), scene_of(4)
    phrase = embed.object_phrase(parse_phrase('dark purple mug'), scene=scene)
    own = encoder.encode_texts(['dark purple mug'])[0]
    assert phrase.rival_count == int((own[:4] < 0.3).sum())
    assert float((phrase.rivals @ own).max()) < 0.3
    # Who says what it must not be mistaken for is asked for nothing else.
    assert embed.object_phrase(parse_phrase('mug'), ['cup'], scene).rival_count == 0
    assert embed.object_phrase(parse_phrase('mug')).rival_count == 0


def test_the_readable_form_with_rivals_equals_the_fast_one():
    phrase = TextEmbedder(Kinds()).object_phrase(parse_phrase('mug'), scene=scene_of(6))
    assert phrase.rival_count
    embeddings = torch.nn.functional.normalize(torch.rand(200, phrase.positives.shape[1]), dim=1)
    fast = phrase_relevancy(embeddings @ phrase.compared.T, phrase)
    assert fast == pytest.approx(naive_relevancy(embeddings, phrase, phrase.temperature), abs=1e-5)
    matrix, rows = phrase_matrix([phrase, phrase])
    assert torch.equal(matrix[rows[1]], phrase.compared)


def test_a_place_that_looks_more_like_a_rival_loses_to_one_that_does_not():
    encoder = Kinds()
    phrase = TextEmbedder(encoder).object_phrase(
        parse_phrase('mug'), scene=scene_of(encoder.embedding_size)
    )
    own = phrase.positives[0]
    clear = torch.nn.functional.normalize(own + 0.5 * phrase.negatives[0], dim=0)
    mistaken = torch.nn.functional.normalize(own + 3 * phrase.rivals[0], dim=0)
    both = torch.stack([clear, mistaken])
    scores = phrase_relevancy(both @ phrase.compared.T, phrase)
    assert float(scores[0]) > 0.5 > float(scores[1])


def contested(look: torch.Tensor, *, allowed: np.ndarray | None = None, **changes: object):
    """Returns relevancies of places that look so, with and without rivals: (n), (n)."""
    axes = torch.eye(4)
    phrase = Phrase('mug', axes[:1], axes[3:], distractors=axes[1:2], temperature=10.0)
    phrase = replace(phrase, **changes)  # type: ignore[arg-type]
    embeddings = torch.nn.functional.normalize(look, dim=-1)[:, None]
    scores = phrase_relevancy(embeddings @ phrase.compared.T, phrase).numpy()
    trained = torch.ones(len(look), 1, dtype=torch.bool)
    everywhere = np.ones(len(look), bool) if allowed is None else allowed
    heights = contested_relevancy(
        scores, trained, everywhere, phrase, lambda some: embeddings[torch.from_numpy(some)]
    )
    return heights, scores[:, 0]


# Most like a mug, but more like a bowl; a mug seen dimly; nothing of both.
LOOKS = torch.tensor([[0.7, 0.9, 0.1, 0.0], [0.6, 0.2, 0.8, 0.2], [0.0, 0.1, 1.0, 0.0]])


def test_a_place_that_looks_more_like_a_distractor_is_no_peak():
    heights, scores = contested(LOOKS)
    assert scores.argmax() == 0
    assert heights.argmax() == 1
    axes = torch.eye(4)
    among = Phrase('mug', axes[:1], axes[3:], axes[1:2], 10.0, rivals=axes[1:2])
    exact = naive_relevancy(torch.nn.functional.normalize(LOOKS, dim=-1), among, 10.0)
    assert heights == pytest.approx(exact.numpy(), abs=1e-5)


def test_points_far_from_the_phrase_or_not_allowed_come_last_in_their_order(monkeypatch):
    monkeypatch.setattr(rivals, 'LEAST_CONTESTED', 1)
    heights, scores = contested(LOOKS)
    assert heights[0] > heights[1] > heights[2] > 0
    assert heights[1:] == pytest.approx(rivals.UNCONTESTED * scores[1:])
    heights, _ = contested(LOOKS, allowed=np.array([False, True, True]))
    assert heights.argmax() == 1
    nowhere, _ = contested(LOOKS, allowed=np.zeros(3, bool))
    assert nowhere == pytest.approx(rivals.UNCONTESTED * scores)


@pytest.mark.parametrize(
    'changes',
    [
        {'rivals': torch.eye(4)[2:3]},
        {'background': torch.eye(4)[2:3]},
        {'distractors': torch.zeros(0, 4)},
    ],
)
def test_other_phrases_keep_their_relevancy(changes):
    heights, scores = contested(LOOKS, **changes)
    assert np.array_equal(heights, scores)
