"""Labels that do not cover each other."""

from __future__ import annotations

import numpy as np
import pytest

from lerf_ros.viewer.label_layout import HEIGHT_PX, label_width, raised


def overlap(feet_uv: np.ndarray, widths_px: np.ndarray) -> bool:
    for first in range(len(feet_uv)):
        for second in range(first):
            apart = np.abs(feet_uv[first] - feet_uv[second])
            reach = (widths_px[first] + widths_px[second]) / 2
            if apart[0] < reach and apart[1] < HEIGHT_PX:
                return True
    return False


@pytest.mark.parametrize('seed', range(20))
def test_no_label_covers_another(seed: int) -> None:
    generator = np.random.default_rng(seed)
    feet_uv = generator.uniform(0, 120, (14, 2))
    widths_px = generator.uniform(30, 160, 14)
    assert overlap(feet_uv, widths_px)
    raise_px = raised(feet_uv, widths_px)
    assert (raise_px >= 0).all()
    assert raise_px[0] == 0
    assert not overlap(feet_uv - np.stack([np.zeros(14), raise_px], axis=1), widths_px)


def test_labels_with_room_stay() -> None:
    feet_uv = np.array([[0.0, 0.0], [200.0, 0.0], [0.0, 40.0]])
    np.testing.assert_array_equal(raised(feet_uv, np.full(3, 100.0)), np.zeros(3))


def test_letters_of_any_script_have_a_width() -> None:
    assert label_width('red mug 0.94') < label_width('purple hat 0.94')
    assert label_width('红色的杯子') > label_width('abcde')
