"""Phrases: what is asked, split into object and part, with embeddings.

A positive may name a part after a semicolon: ``'mug; handle'``. The part is then searched inside
the mug's own points.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from lerf_ros.features.encoder import KindEncoder, NamingEncoder, VocabularyEncoder
from lerf_ros.query.distractors import coloured_alike, distractors, recoloured, spans
from lerf_ros.query.wording import in_known_words, thing_asked_for

if TYPE_CHECKING:
    from lerf_ros.features.encoder import LanguageEncoder
    from lerf_ros.query.scene_kinds import SceneKinds

# LERF's negatives: words that fit everything and nothing. A point is relevant as far as it is
# closer to the phrase than to the closest of them.
CANONICAL_NEGATIVES = ('object', 'things', 'stuff', 'texture')

MAX_PHRASE_LENGTH = 256

# Names whose embeddings are as close as this mean the same thing to an encoder that was taught
# them. To the shipped one other words for a thing are .96 or closer, all but one; the closest two
# things, a spoon and a bowl, .66.
SAME_THING = 0.8


@dataclass(frozen=True)
class PhraseText:
    """One positive as text.

    Attributes:
        text: As it was asked.
        object: The object, without what makes a sentence of it.
        part: The part of it, empty for the whole.
        asked: The object as it was asked.
    """

    text: str
    object: str
    part: str = ''
    asked: str = ''

    @property
    def meant(self) -> str:
        """Object and part as they were understood."""
        return f'{self.object}; {self.part}' if self.part else self.object

    @property
    def part_texts(self) -> tuple[str, ...]:
        """Ways to say the part; their mean embedding stands for it."""
        return (f'{self.part} of the {self.object}', f'{self.object} {self.part}', self.part)


@dataclass(frozen=True, eq=False)
class Phrase:
    """What a point is compared with.

    Attributes:
        text: The phrase as text.
        positives: Unit embeddings; a point is as close to the phrase as to the closest of them.
        negatives: Unit embeddings.
        distractors: Unit embeddings of what else the best place could be; they do not change
            relevancy, only the confidence that the phrase names something in the scene.
        temperature: The encoder's factor of cosines.
        background: For a picture, one more negative at each scale searched; None for words.
        background_share: How much the cosine with that negative counts.
        framed: Whether it is a picture of which a box says how large the thing is.
        doubt: Why the encoder may not know what is asked, in a sentence; empty where it does.
        rivals: Unit embeddings of other kinds that the scene looks like: see
            :mod:`lerf_ros.query.relevancy`; None for none.
    """

    text: str
    positives: Float[Tensor, 'k d']
    negatives: Float[Tensor, 'm d']
    distractors: Float[Tensor, 'q d']
    temperature: float
    background: Float[Tensor, 's d'] | None = None
    background_share: float = 1.0
    framed: bool = False
    doubt: str = ''
    rivals: Float[Tensor, 'r d'] | None = None

    @property
    def rival_count(self) -> int:
        """Number of rivals."""
        return 0 if self.rivals is None else len(self.rivals)

    @property
    def compared(self) -> Float[Tensor, 'c d']:
        """Positives, negatives and rivals: all that an embedding is compared with."""
        rivals = self.positives[:0] if self.rivals is None else self.rivals
        return torch.cat([self.positives, self.negatives, rivals])


class TextEmbedder:
    """Embeds texts, and remembers the last ones: distractors and negatives come again and again.

    Args:
        encoder: Maps texts to unit vectors.
        limit: Most texts remembered.
    """

    def __init__(self, encoder: LanguageEncoder, limit: int = 4096) -> None:
        self._encoder = encoder
        self._limit = limit
        self._known: dict[str, Tensor] = {}
        # Of the last question: an atlas asks it of several places, one after the other.
        self._last: tuple[tuple[PhraseText, tuple[str, ...]], Phrase] | None = None

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, 'n d']:
        """Returns a unit vector for each text."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if len(self._known) + len(new) > self._limit:
            self._known.clear()
            new = list(dict.fromkeys(texts))
        if new:
            self._known.update(zip(new, self._encoder.encode_texts(new), strict=True))
        return torch.stack([self._known[text] for text in texts])

    @property
    def temperature(self) -> float:
        """The encoder's factor of cosines of words."""
        return self._encoder.temperature

    def in_its_words(self, text: str) -> str:
        """Returns a text in the number, singular or plural, that the encoder knows."""
        if not isinstance(self._encoder, VocabularyEncoder):
            return text
        return in_known_words(text, self._encoder.knows_word)

    def object_phrase(
        self,
        text: PhraseText,
        negatives: Sequence[str] = (),
        scene: SceneKinds | None = None,
    ) -> Phrase:
        """Returns the phrase of the object that was asked for.

        Args:
            text: What was asked.
            negatives: What it must not be mistaken for; the encoder's own, and its other kinds, if
                empty.
            scene: What the scene looks like, for an encoder with a list of kinds.
        """
        question = text, tuple(negatives)
        if self._last is None or self._last[0] != question:
            phrase = embed_phrase(self, text.asked, (text.object,), negatives, meant=text.object)
            self._last = question, phrase
        phrase = self._last[1]
        if scene is None or not isinstance(self._encoder, KindEncoder):
            return phrase
        rivals = None
        if not negatives:
            others = self._encoder.other_kinds(text.object)
            rivals = self._encoder.kinds[scene.common[others[scene.common]]]
        return replace(
            phrase,
            positives=self._encoder.in_scene(phrase.positives, scene.seen),
            negatives=self._encoder.in_scene(phrase.negatives, scene.seen),
            distractors=self._encoder.in_scene(phrase.distractors, scene.seen),
            rivals=rivals,
        )

    def part_phrase(self, text: PhraseText, negatives: Sequence[str] = ()) -> Phrase:
        """Returns the phrase of the part that was asked for."""
        return embed_phrase(self, text.text, text.part_texts, negatives, meant=text.meant)

    def negatives(self) -> Float[Tensor, 'm d']:
        """Returns what a phrase is compared with where the question says nothing of it."""
        if isinstance(self._encoder, KindEncoder):
            return self._encoder.negatives
        return self(CANONICAL_NEGATIVES)

    def distractors(self, text: str) -> Float[Tensor, 'q d']:
        """Returns what else than the text the best place could be."""
        if isinstance(self._encoder, KindEncoder):
            kinds = self._encoder.kinds[self._encoder.other_kinds(text)]
            others = recoloured(text) if self._encoder.reads_colour(text) else []
            return torch.cat([kinds, self(others)]) if others else kinds
        if isinstance(self._encoder, NamingEncoder):
            things = self(coloured_alike(text, self._encoder.things))
            same = things @ self([text])[0] >= SAME_THING
            if not same.any():
                # "my striped mug", "mug with a lid": some of the words are its name.
                said = self(coloured_alike(text, spans(text)))
                same = (things @ said.T >= SAME_THING).any(dim=1)
            others = recoloured(text)
            return torch.cat([things[~same], self(others)]) if others else things[~same]
        return self(distractors(text))

    def doubt(self, text: str) -> str:
        """Returns why the encoder may not know the text, in a sentence; empty where it does."""
        return self._encoder.doubt(text) if isinstance(self._encoder, KindEncoder) else ''


def parse_phrase(text: str, name: str = 'positives') -> PhraseText:
    """Splits a positive into object and part.

    Args:
        text: For example ``'red mug'`` or ``'red mug; handle'``.
        name: Name of the argument, for errors.

    Raises:
        ValueError: Object or part has no letter or digit, there are several parts, or the phrase
            is too long.
    """
    pieces = [' '.join(piece.split()) for piece in text.split(';')]
    if len(pieces) > 1 and not pieces[-1]:
        pieces = pieces[:-1]
    if len(pieces) > 2:
        raise ValueError(f"{name}: expected 'object' or 'object; part', got {_shown(text)}")
    if not all(_has_word(piece) for piece in pieces):
        raise ValueError(
            f'{name}: expected words to look for, got {_shown(text)}, which holds no letter or '
            'digit where a word should be'
        )
    if len(text) > MAX_PHRASE_LENGTH:
        raise ValueError(
            f'{name}: expected at most {MAX_PHRASE_LENGTH} characters, got {len(text)}'
        )
    meant = [thing_asked_for(piece) for piece in pieces]
    return PhraseText(text, meant[0], meant[1] if len(meant) > 1 else '', pieces[0])


def join_part(text: str, part: str) -> str:
    """Returns object and part, given as two fields, as one phrase; an empty part changes nothing.

    Raises:
        ValueError: Both fields name a part.
    """
    if not part.strip():
        return text
    if ';' in text:
        raise ValueError(f'parts: {_shown(text)} already names a part, got {_shown(part)} as well')
    return f'{text}; {part}'


def embed_phrase(
    embed: TextEmbedder,
    text: str,
    texts: Sequence[str],
    negatives: Sequence[str] = (),
    *,
    meant: str = '',
) -> Phrase:
    """Returns a phrase whose positive is the mean of some texts' embeddings.

    Args:
        embed: Maps texts to unit vectors.
        text: The phrase, as it will be reported.
        texts: Ways to say it.
        negatives: What it must not be mistaken for; the encoder's own negatives if empty.
        meant: The phrase as it was understood; `text` if empty.
    """
    meant = embed.in_its_words(meant or text)
    positive = embed([embed.in_its_words(each) for each in texts]).mean(dim=0, keepdim=True)
    return Phrase(
        text=text,
        positives=torch.nn.functional.normalize(positive, dim=-1),
        negatives=embed(negatives) if negatives else embed.negatives(),
        distractors=embed.distractors(meant),
        temperature=embed.temperature,
        doubt=embed.doubt(meant),
    )


def _has_word(text: str) -> bool:
    return any(unicodedata.category(letter)[0] in 'LN' for letter in text)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + '...')
