"""Tests of the meaning of phrases."""

from __future__ import annotations

import json

import pytest
import torch

from lerf_ros.features.photo.packages import SHORT_NAMES, SYNONYMS
from lerf_ros.features.photo.sentences import SentenceEncoder
from lerf_ros.features.photo.words import OWN_WORDS, WordList


def kinds(encoder, phrase: str) -> set[str]:
    meaning = encoder.words.meaning(phrase)
    assert float(meaning.weights.sum()) == pytest.approx(1, abs=1e-5)
    return {encoder.words.names[i] for i in meaning.weights.nonzero().squeeze(1).tolist()}


def test_names_and_synonyms_are_looked_up(encoder):
    assert kinds(encoder, 'Rucksack') == {'backpack'}
    assert kinds(encoder, 'tennis balls') == {'tennis ball'}


def test_adjectives_say_nothing_to_it(encoder):
    assert kinds(encoder, 'the big red  backpack') == {'backpack'}
    assert encoder.words.meaning('striped backpack').known


def test_synonyms_that_are_other_things_are_dropped(encoder):
    assert kinds(encoder, 'file') != {'filing cabinet'}
    assert not encoder.words.meaning('chopper').known


@pytest.mark.usefixtures('unchecked')  # no sentence is asked for
def test_a_compound_is_a_kind_of_its_last_word(encoder):
    without = WordList(SYNONYMS.find(), SHORT_NAMES.find(), None, aliases=False)
    meaning = without.meaning('mug')
    assert meaning.known
    assert meaning.nearest == 'coffee mug'


def test_every_word_written_by_hand_means_classes_that_exist(encoder):
    own = json.loads(OWN_WORDS.read_text())
    names = set(encoder.words.names)
    assert set(own['other_things']) <= names
    for word, like in own['aliases'].items():
        assert like, word
        assert set(like) <= names, word
        assert encoder.words.meaning(word).known, word


def test_an_unknown_word_is_answered_with_its_nearest_kind_and_doubted(encoder):
    assert encoder.doubt('mug') == ''
    doubt = encoder.doubt('blue drinking vessel for coffee')
    assert 'no such kind' in doubt
    assert 'the nearest is' in doubt
    assert float(encoder.words.meaning('gramophone').weights.sum()) == pytest.approx(1, abs=1e-5)


def test_any_script_and_any_length_is_a_phrase(encoder):
    embeddings = encoder.encode_texts(['чашка', '茶杯', 'word ' * 400, '!?'])
    assert embeddings.isfinite().all()


def test_sentences_that_mean_the_same_are_close():
    from lerf_ros.features.photo.packages import TEXT_WEIGHTS, TOKENIZER

    try:
        sentences = SentenceEncoder(TEXT_WEIGHTS.find(), TOKENIZER.find())
    except ValueError as error:
        pytest.skip(str(error))
    texts = ['That is a happy person', 'That is a happy dog', 'Today is a sunny day']
    found = sentences.encode(texts)
    # The cosines that the model's own card gives.
    assert float(found[0] @ found[1]) == pytest.approx(0.695, abs=0.002)
    assert float(found[0] @ found[2]) == pytest.approx(0.257, abs=0.002)
    assert (sentences.encode(texts[:1])[0] - found[0]).abs().max() < 1e-5


def test_a_meaning_is_found_once():
    asked = []

    def sentences(texts):
        asked.append(texts)
        return torch.nn.functional.normalize(torch.ones(len(texts), 4), dim=-1)

    try:
        words = WordList(SYNONYMS.find(), SHORT_NAMES.find(), sentences)
    except ValueError as error:
        pytest.skip(str(error))
    first = words.meaning('frobnicator')
    assert not first.known
    assert ['frobnicator'] in asked
    count = len(asked)
    assert words.meaning('frobnicator') is first
    assert len(asked) == count
    assert words.meaning('mug').known
