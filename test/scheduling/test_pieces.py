"""Tests of lerf_ros.scheduling.pieces."""

import pytest
import torch

from lerf_ros.scheduling.pieces import Pieces, each_within, finish


@each_within(torch.no_grad)
def modes(count: int) -> Pieces[list[bool]]:
    """Notes in each piece whether gradients are recorded."""
    seen = []
    for _ in range(count):
        seen.append(torch.is_grad_enabled())
        yield
    return seen


def test_finish_does_all_pieces_and_gives_the_result():
    assert finish(modes(3)) == [False, False, False]


def test_the_context_holds_within_pieces_only():
    pieces = modes(3)
    for _ in range(3):
        next(pieces)
        assert torch.is_grad_enabled()


def test_an_error_leaves_the_context():
    @each_within(torch.no_grad)
    def failing() -> Pieces[None]:
        yield
        raise RuntimeError('no more')

    pieces = failing()
    next(pieces)
    with pytest.raises(RuntimeError, match='no more'):
        next(pieces)
    assert torch.is_grad_enabled()
