"""Long work cut into short pieces: a job that arrives meanwhile waits for one piece only.

Such work is a generator that yields between its pieces and returns its result.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import Any, ParamSpec, TypeVar

P = ParamSpec('P')
T = TypeVar('T')

Pieces = Generator[None, None, T]


def finish(pieces: Pieces[T]) -> T:
    """Does all pieces at once; returns the result."""
    while True:
        try:
            next(pieces)
        except StopIteration as stop:
            return stop.value


def each_within(
    make_context: Callable[[], AbstractContextManager[Any]],
) -> Callable[[Callable[P, Pieces[T]]], Callable[P, Pieces[T]]]:
    """Decorates work so that each of its pieces runs within a context, and nothing between them.

    A context that is entered inside such work, such as ``torch.no_grad()``, would also hold for
    whatever else the thread does between two pieces.
    """

    def decorate(function: Callable[P, Pieces[T]]) -> Callable[P, Pieces[T]]:
        @functools.wraps(function)
        def decorated(*args: P.args, **kwargs: P.kwargs) -> Pieces[T]:
            pieces = function(*args, **kwargs)
            while True:
                with make_context():
                    try:
                        next(pieces)
                    except StopIteration as stop:
                        return stop.value
                yield

        return decorated

    return decorate
