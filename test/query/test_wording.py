"""Questions as people and programs put them are about the same thing."""

from __future__ import annotations

import pytest
import torch

from lerf_ros.config import LerfConfig
from lerf_ros.features.load import load_encoder
from lerf_ros.query.phrase import TextEmbedder, embed_phrase, parse_phrase
from lerf_ros.query.wording import in_known_words, thing_asked_for

WAYS = (
    'red mug',
    'red mugs',
    'red_mug',
    'red_mugs',
    'the red mug',
    'a red mug',
    'find the red mug',
    'Find the red mug!',
    'please find the red mug',
    'Can you find my red mug, please?',
    'Where is the red mug?',
    "Where's the red mug",
    'where are the red mugs?',
    'show me all the red mugs.',
    'look for "red mug"',
    '"red mug"',
    '\u201cred mug\u201d',
    '  red   mug ',
)


@pytest.fixture(scope='module')
def embed() -> TextEmbedder:
    return TextEmbedder(load_encoder(LerfConfig().features, torch.device('cpu')))


@pytest.mark.parametrize('text', WAYS)
def test_one_thing_in_many_words_is_one_phrase(embed: TextEmbedder, text: str) -> None:
    phrase = parse_phrase(text)
    found = embed_phrase(embed, phrase.asked, (phrase.object,), meant=phrase.object)
    wanted = embed_phrase(embed, 'red mug', ('red mug',))
    torch.testing.assert_close(found.positives, wanted.positives)
    assert torch.equal(found.distractors, wanted.distractors)
    assert found.text == ' '.join(text.split()), 'the reply names it as it was asked'


def test_a_part_may_be_asked_for_in_a_sentence() -> None:
    phrase = parse_phrase('Where is the blue_mug; the handle?')
    assert (phrase.object, phrase.part) == ('blue mug', 'handle')
    assert phrase.text == 'Where is the blue_mug; the handle?'
    assert phrase.meant == 'blue mug; handle'


@pytest.mark.parametrize(
    ('text', 'thing'),
    [
        ('the', 'the'),
        ('find', 'find'),
        ('Where is it?', 'it'),
        ('theatre', 'theatre'),
        ('finder', 'finder'),
        ('another mug', 'another mug'),
        ('get well card', 'get well card'),
        ('where the wild things are', 'where the wild things are'),
        ('can opener', 'can opener'),
        ("children's book", "children's book"),
        ('7up?', '7up'),
        ('la tasse rouge', 'la tasse rouge'),
    ],
)
def test_nothing_else_is_taken_away(text: str, thing: str) -> None:
    assert thing_asked_for(text) == thing


def test_only_words_that_are_not_known_change_their_number(embed: TextEmbedder) -> None:
    known = {'scissors', 'knife', 'berry', 'box', 'mug', 'legs', 'glass'}.__contains__
    asked = 'scissors knives berries boxes mugs leg glass glasses dress'
    assert in_known_words(asked, known) == 'scissors knife berry box mug legs glass glass dress'
    # What a list does not hold in any number stays as it is.
    assert in_known_words('zebras', known) == 'zebras'
    assert embed.in_its_words('scissors') == 'scissors'
    assert embed.in_its_words('screwdrivers') == 'screwdriver'
    assert embed.in_its_words('blue knives') == 'blue knife'
