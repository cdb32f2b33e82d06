"""Names of keyframes."""

from __future__ import annotations

import dataclasses

import pytest

from lerf_ros.frames import KeyframeId


def test_names_are_ordered_by_source_then_number_and_read_well() -> None:
    ids = [KeyframeId('left', 10), KeyframeId('front', 11), KeyframeId('left', 9)]
    assert [str(id_) for id_ in sorted(ids)] == ['front:11', 'left:9', 'left:10']


def test_names_are_values() -> None:
    assert len({KeyframeId('left', 1), KeyframeId('left', 1), KeyframeId('right', 1)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        KeyframeId('left', 1).index = 2  # type: ignore[misc]
