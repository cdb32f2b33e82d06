from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from scenery import WordEncoder

from lerf_ros.query.distractors import distractors
from lerf_ros.query.phrase import (
    CANONICAL_NEGATIVES,
    TextEmbedder,
    embed_phrase,
    join_part,
    parse_phrase,
)


def test_object_and_part_are_split_at_the_semicolon():
    phrase = parse_phrase('  red   mug ;handle ')
    assert (phrase.object, phrase.part) == ('red mug', 'handle')
    assert parse_phrase('red mug').part == ''
    # LERF's separator at the end is no empty part.
    assert parse_phrase('red mug;').part == ''


def test_part_is_said_with_its_object_and_alone():
    assert parse_phrase('mug; handle').part_texts == ('handle of the mug', 'mug handle', 'handle')


@pytest.mark.parametrize('text', ['', '   ', '?!', '; handle', 'mug; ...', '\t\n'])
def test_phrases_without_words_are_refused(text):
    with pytest.raises(ValueError, match='expected words to look for'):
        parse_phrase(text)


def test_words_of_any_script_are_words():
    assert parse_phrase('красная кружка').object == 'красная кружка'
    assert parse_phrase('7up').object == '7up'


def test_several_parts_and_endless_phrases_are_refused():
    with pytest.raises(ValueError, match="'object; part'"):
        parse_phrase('mug; handle; top')


def test_a_phrase_may_be_as_long_as_the_service_promises():
    text = (Path(__file__).parents[2] / 'srv' / 'QueryLanguage.srv').read_text()
    (promised,) = re.findall(r'at most (\d+) characters', text.split('---')[0])
    assert parse_phrase('x' * int(promised)).object
    with pytest.raises(ValueError, match=f'at most {promised} characters'):
        parse_phrase('x' * (int(promised) + 1))


def test_part_as_a_second_field():
    assert join_part('mug', 'handle') == 'mug; handle'
    assert join_part('mug', ' ') == 'mug'
    with pytest.raises(ValueError, match='already names a part'):
        join_part('mug; top', 'handle')


def test_canonical_negatives_unless_others_are_given():
    embed = TextEmbedder(WordEncoder())
    phrase = embed_phrase(embed, '1', ('1',))
    assert torch.equal(phrase.negatives, embed(CANONICAL_NEGATIVES))
    phrase = embed_phrase(embed, '1', ('1',), ('table', '2'))
    assert torch.equal(phrase.negatives, embed(['table', '2']))


def test_texts_are_encoded_once():
    encoder = WordEncoder()
    embed = TextEmbedder(encoder, limit=4)
    first = embed(['1', '2', '1'])
    assert torch.equal(embed(['2', '1']), first[1:])
    assert encoder.encoded == ['1', '2']
    # Beyond the limit the memory starts anew, and answers stay right.
    assert torch.equal(embed(['3', '4', 'table', '1'])[3], first[0])


class Taught(WordEncoder):
    """Was taught what '0' to '4' are, and a second word for '1'."""

    things = ('0', '1', 'one', '2')

    def _direction(self, text: str):
        return super()._direction({'one': '1', 'red one': 'red 1'}.get(text, text))


def test_an_encoder_that_was_taught_things_takes_them_for_others_but_not_for_itself():
    encoder = Taught()
    others = TextEmbedder(encoder).distractors('1')
    # 'one' is the same thing to it, though no word is shared.
    assert torch.equal(others, encoder.encode_texts(['0', '2']))
    coloured = TextEmbedder(encoder).distractors('red one')
    expected = encoder.encode_texts(['red 0', 'red 2'])
    assert torch.equal(coloured[:2], expected)
    # The same thing in other colours is another thing.
    assert torch.equal(coloured[2], encoder.encode_texts(['orange one'])[0])


def test_distractors_change_the_colour_and_the_thing_but_never_name_the_phrase():
    texts = distractors('red mug')
    assert 'blue mug' in texts
    assert 'red bowl' in texts
    assert 'red mug' not in texts
    assert 'crimson mug' not in distractors('red mug')
    assert 'red mug' not in distractors('crimson mug')
    assert 'mug' not in distractors('mug')
    assert 'bowl' in distractors('mug')
