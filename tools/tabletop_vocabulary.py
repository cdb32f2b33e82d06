"""Byte-pair merges for the shipped encoder's tokenizer, in the format open_clip reads."""

from __future__ import annotations

import gzip
import itertools
from collections import Counter
from pathlib import Path

from lerf_ros.features.open_clip.module import open_clip


def learn_merges(words: list[str], count: int) -> list[tuple[str, str]]:
    """Returns the merges that shorten the words most, greedily.

    Words that come first in the list weigh more, so that they become single tokens.
    """
    to_unicode = open_clip().tokenizer.bytes_to_unicode()
    pieces = []
    for rank, word in enumerate(words):
        symbols = [to_unicode[byte] for byte in word.encode()]
        symbols[-1] += '</w>'
        pieces.append((symbols, 3 if rank < len(words) // 3 else 1))
    merges: list[tuple[str, str]] = []
    while len(merges) < count:
        pairs: Counter[tuple[str, str]] = Counter()
        for symbols, weight in pieces:
            for pair in itertools.pairwise(symbols):
                pairs[pair] += weight
        if not pairs:
            break
        # Ties go to the first in the alphabet: the result depends on nothing but the words.
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for symbols, _ in pieces:
            index = 0
            while index < len(symbols) - 1:
                if (symbols[index], symbols[index + 1]) == best:
                    symbols[index : index + 2] = [''.join(best)]
                index += 1
    return merges


def write_vocabulary(path: Path, words: list[str], count: int) -> int:
    """Writes the merges; returns the vocabulary's size as the tokenizer counts it."""
    merges = learn_merges(words, count)
    text = '\n'.join(['#merges', *(' '.join(merge) for merge in merges)])
    # No time stamp: equal merges make equal files.
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return 2 * 256 + len(merges) + 2
