"""What people say, in the words that an encoder learnt: the thing alone, in the number it knows.

People ask a robot in sentences, 'Where is the red mug?', and programs in names, 'red_mug'. An
encoder was taught by captions, and a small one by few of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_QUOTES = '"\'`\u2018\u2019\u201c\u201d\u00ab\u00bb'
_MANNERS = r'(?:please|can you|could you|would you|robot|hey|hi|ok)[ ,]+'
_REQUEST = (
    r'(?:find|locate|show me|look for|search for|go to|point (?:to|at)|bring me|get me|give me|'
    r"where(?: is|'s|\u2019s| are)|is there|are there|do you see|i am looking for|i'm looking for)"
)
_BEGINNING = re.compile(rf'^(?:{_MANNERS})*(?:{_REQUEST} +)?', re.IGNORECASE)
_ARTICLE = re.compile(r'^(?:(?:all|any|some|the|an?|my|your|our) +)+', re.IGNORECASE)
_END = re.compile(r'[,.?! ]+(?:please)?[,.?! ]*$', re.IGNORECASE)


def thing_asked_for(text: str) -> str:
    """Returns a text without what makes a sentence or a name of it; never nothing.

    Args:
        text: For example ``'Where is the red_mug?'``, which gives ``'red mug'``.
    """
    spaced = ' '.join(text.replace('_', ' ').split())
    kept = _END.sub('', spaced)
    for pattern in (_BEGINNING, _ARTICLE):
        kept = pattern.sub('', kept.strip(_QUOTES + ' '))
    kept = _END.sub('', kept).strip(_QUOTES + ' ')
    return kept if re.search(r'\w', kept) else spaced


def in_known_words(text: str, knows: Callable[[str], bool]) -> str:
    """Returns a text with words that are not known in the other number, where that one is.

    Args:
        text: Words.
        knows: Tells whether a word is known.
    """
    return ' '.join(
        word if knows(word) else next(filter(knows, _other_numbers(word)), word)
        for word in text.split()
    )


def _other_numbers(word: str) -> Iterator[str]:
    """Yields what a word may be the plural or the singular of, the likeliest first."""
    for ending, singulars in (('ies', ('y',)), ('ves', ('f', 'fe')), ('es', ('',)), ('s', ('',))):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            for singular in singulars:
                yield word[: -len(ending)] + singular
    yield word + 's'
