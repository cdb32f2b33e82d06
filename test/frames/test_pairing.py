"""Images, info and depth are paired by stamp, whatever order they come in."""

from __future__ import annotations

import itertools

import pytest

from lerf_ros.frames.pairing import Pairer

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


def test_depth_too_far_away_is_not_taken_and_the_image_goes_without() -> None:
    pairer: Pairer = Pairer(with_depth=True, slop_ns=30 * MS)
    assert feed(pairer, ('image', 100), ('info', 100), ('depth', 60)) == []
    # Depth comes in order: with this one it is certain that none fits.
    assert feed(pairer, ('depth', 140)) == [(100, 'image100', 'info100', None)]
    assert pairer.without_depth == 1
    assert pairer.depth_gap_ns in (-40 * MS, 40 * MS)


def test_depth_that_never_comes_costs_the_depth_only() -> None:
    pairer: Pairer = Pairer(with_depth=True, slop_ns=30 * MS, wait_s=0.5)
    assert feed(pairer, ('image', 100), ('info', 100)) == []
    assert pairer.expire(0.4) == []
    (found,) = pairer.expire(0.5)
    assert (found.stamp_ns, found.depth) == (100 * MS, None)


def test_a_lone_info_is_valid_for_all_images() -> None:
    # Latched and published once, with no stamp at all.
    pairer: Pairer = Pairer(with_depth=False, slop_ns=0, wait_s=0.5)
    assert feed(pairer, ('info', 0), ('image', 100)) == []  # its own may still come
    assert [found.info for found in pairer.expire(0.5)] == ['info0']
    assert feed(pairer, ('image', 133), ('image', 166)) == [
        (133, 'image133', 'info0', None),
        (166, 'image166', 'info0', None),
    ]


def test_an_info_a_microsecond_off_is_that_of_its_image() -> None:
    pairer: Pairer = Pairer(with_depth=False, slop_ns=0)
    pairer.add('info', 100 * MS + 1000, 'info')
    (found,) = pairer.add('image', 100 * MS, 'image')
    assert found.info == 'info'


def test_without_any_info_images_are_lost_and_said() -> None:
    pairer: Pairer = Pairer(with_depth=False, slop_ns=0, wait_s=0.5)
    feed(pairer, ('image', 100))
    assert pairer.expire(1.0) == []
    assert (pairer.unpaired, pairer.take_lost(), pairer.take_lost()) == (1, [100 * MS], [])


def test_a_restart_by_a_tenth_of_a_second_is_one() -> None:
    pairer: Pairer = Pairer(with_depth=False, slop_ns=0)
    parts = [(kind, stamp) for stamp in (1000, 1100, 1000, 1100) for kind in ('info', 'image')]
    assert [stamp for stamp, *_ in feed(pairer, *parts)] == [1000, 1100, 1000, 1100]
    assert pairer.jumps == 1


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
    assert pairer.waiting == 10
