"""Images, info and depth are paired by stamp, whatever order they come in."""

from __future__ import annotations

import itertools

import pytest

from lerf_ros.bridge.pairing import Pairer

MS = 1_000_000


def feed(pairer: Pairer, *parts: tuple[str, int]) -> list[tuple]:
    found = []
    for kind, stamp_ms in parts:
        found += pairer.add(kind, stamp_ms * MS, f'{kind}{stamp_ms}')
    return [(p.stamp_ns // MS, p.image, p.info, p.depth) for p in found]


@pytest.mark.parametrize('order', list(itertools.permutations(['image', 'info', 'depth'])))
def test_any_order_gives_the_frame_once(order: tuple[str, ...]) -> None:
    pairer: Pairer = Pairer(with_depth=True, slop_ns=30 * MS)
    found = feed(pairer, *((kind, 100) for kind in order))
    assert found == [(100, 'image100', 'info100', 'depth100')]


def test_without_depth_none_is_waited_for() -> None:
    pairer: Pairer = Pairer(with_depth=False, slop_ns=0)
    assert feed(pairer, ('image', 5), ('info', 5)) == [(5, 'image5', 'info5', None)]


def test_the_nearest_depth_within_the_slop() -> None:
    pairer: Pairer = Pairer(with_depth=True, slop_ns=30 * MS)
    found = feed(
        pairer, ('depth', 80), ('image', 100), ('info', 100), ('depth', 104), ('depth', 140)
    )
    assert found == [(100, 'image100', 'info100', 'depth104')]


def test_depth_too_far_away_is_not_taken() -> None:
    pairer: Pairer = Pairer(with_depth=True, slop_ns=30 * MS)
    parts = [('image', 100), ('info', 100), ('depth', 60), ('depth', 140)]
    assert feed(pairer, *parts) == []


def test_info_must_match_exactly() -> None:
    pairer: Pairer = Pairer(with_depth=False, slop_ns=30 * MS)
    assert feed(pairer, ('image', 100), ('info', 101)) == []


def test_one_topic_may_run_ahead() -> None:
    pairer: Pairer = Pairer(with_depth=True, slop_ns=10 * MS)
    ahead = [(kind, 100 + 33 * i) for i in range(6) for kind in ('image', 'info')]
    assert feed(pairer, *ahead) == []
    found = feed(pairer, *(('depth', 100 + 33 * i) for i in range(6)))
    assert [stamp for stamp, *_ in found] == [100 + 33 * i for i in range(6)]


def test_a_recording_that_starts_again_pairs_at_once() -> None:
    pairer: Pairer = Pairer(with_depth=True, slop_ns=10 * MS)
    feed(pairer, *((kind, 60_000) for kind in ('depth', 'info')))
    found = feed(pairer, *((kind, 100) for kind in ('image', 'info', 'depth')))
    assert found == [(100, 'image100', 'info100', 'depth100')]
    assert pairer.jumps == 1


def test_images_that_never_pair_are_counted_and_bounded() -> None:
    pairer: Pairer = Pairer(with_depth=False, slop_ns=0, capacity=10)
    feed(pairer, *(('image', i) for i in range(25)))
    assert pairer.unpaired == 15
