"""Tests of colours in the photograph encoder."""

from __future__ import annotations

import pytest
import torch

from lerf_ros.features.colours import COLOURS, SAME_COLOUR, colour_named
from lerf_ros.query.phrase import TextEmbedder, parse_phrase

RGB = {
    'red': (0.8, 0.1, 0.1),
    'orange': (0.95, 0.5, 0.1),
    'yellow': (0.9, 0.85, 0.1),
    'green': (0.15, 0.5, 0.15),
    'blue': (0.1, 0.2, 0.75),
    'purple': (0.45, 0.2, 0.55),
    'pink': (0.95, 0.55, 0.75),
    'brown': (0.4, 0.25, 0.15),
    'black': (0.08, 0.08, 0.08),
    'white': (0.97, 0.97, 0.97),
    'grey': (0.5, 0.5, 0.5),
}


def box_of_colour(colour: str) -> torch.Tensor:
    image = torch.full((3, 96, 96), 0.7)
    image[:, 18:78, 22:74] = torch.tensor(RGB[colour])[:, None, None]
    return image


@pytest.mark.parametrize('colour', COLOURS)
@pytest.mark.parametrize('alone', [False, True])
def test_a_thing_is_closest_to_its_own_colour(encoder, colour, alone):
    image = box_of_colour(colour)
    if alone:
        embedding = encoder.encode_images(image[None, :, 14:82, 14:82])[0]
    else:
        embedding = encoder.encode_windows(image, torch.tensor([[14.0, 14.0, 82.0, 82.0]]))[0]
    cosines = encoder.encode_texts([f'{each} mug' for each in COLOURS]) @ embedding
    assert COLOURS[int(cosines.argmax())] == colour


def test_a_colour_changes_no_kind(encoder):
    plain, white, red = encoder.encode_texts(['mug', 'white mug', 'red mug'])
    others = encoder.kinds[encoder.other_kinds('mug')]
    assert torch.allclose(others @ white, others @ plain, atol=0.01)
    assert torch.equal(encoder.other_kinds('white mug'), encoder.other_kinds('mug'))
    assert float(white @ red) < float(white @ plain) < 1
    assert torch.equal(plain, encoder.encode_texts(['empty old mug'])[0])


@pytest.mark.parametrize(
    ('phrase', 'colours'),
    [
        ('white mug', ('white',)),
        ('the dark violet book', ('purple',)),
        ('red and blue chair', ('red', 'blue')),
        ('scarlet cup', ('red',)),
        ('red gizmo', ('red',)),
        ('orange', ()),
        ('mug', ()),
    ],
)
def test_colours_are_those_before_the_thing(encoder, phrase, colours):
    assert encoder.words.meaning(phrase).colours == colours


def test_other_words_for_a_colour_name_it():
    assert all(colour_named(word) == colour for word, colour in SAME_COLOUR.items())
    assert all(colour_named(colour) == colour for colour in COLOURS)
    assert colour_named('mug') == ''


def test_a_thing_in_another_colour_is_a_distractor(encoder):
    embed = TextEmbedder(encoder)
    plain, white = (embed.object_phrase(parse_phrase(text)) for text in ('mug', 'white mug'))
    assert len(white.distractors) == len(plain.distractors) + len(COLOURS) - 1
    assert float((white.distractors @ white.positives[0]).max()) < 0.99
    # Grey foxes are another kind, to which red ones are not compared for their colour.
    fox = embed.object_phrase(parse_phrase('red fox'))
    assert len(fox.distractors) == int(encoder.other_kinds('red fox').sum())


def test_pictures_as_questions_ask_nothing_of_the_colour_words(encoder):
    embedding = encoder.encode_images(box_of_colour('red')[None])
    assert float((encoder.encode_texts(['red mug']) @ encoder.looks(embedding).T).abs().max()) == 0


def test_in_a_pale_room_a_slight_tint_is_a_colour(encoder):
    """What hardly varies among the things of a room tells them apart by slight differences."""

    def window(image: torch.Tensor) -> torch.Tensor:
        return encoder.encode_windows(image, torch.tensor([[14.0, 14.0, 82.0, 82.0]]))[0]

    def tinted(share: float) -> torch.Tensor:
        return window((1 - share) * box_of_colour('white') + share * box_of_colour('blue'))

    pale = torch.stack([tinted(share) for share in (0, 0, 0, 0.05, 0.1, 0.5)])
    blue, plain, red = encoder.encode_texts(['blue mug', 'mug', 'red mug'])
    told = encoder.in_scene(torch.stack([blue, plain, red]), pale)
    assert torch.equal(told[1], plain)
    colour = told - torch.stack([blue, plain, red])
    assert float(colour[:, : encoder.kinds.shape[1] - 11].abs().max()) == 0
    by_word = pale @ (told[0] - told[1])
    assert int(by_word.argmax()) == 5
    # Its mean is that of no colour at all.
    assert float(by_word.mean()) == pytest.approx(0, abs=0.02)
    among_colours = torch.stack([window(box_of_colour(each)) for each in COLOURS])
    there = encoder.in_scene(torch.stack([blue, plain]), among_colours)
    less = pale @ (there[0] - there[1])
    assert float(by_word[5] - by_word[0]) > 1.5 * float(less[5] - less[0])
