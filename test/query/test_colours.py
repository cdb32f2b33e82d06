from __future__ import annotations

import numpy as np
import pytest

from lerf_ros.query.colours import OTHER_COLOUR, colour_factors, colour_named
from lerf_ros.query.distractors import COLOURS


@pytest.mark.parametrize(
    ('text', 'colour'),
    [('dark purple', 'purple'), ('Violet', 'purple'), ('gray', 'grey'), ('old', ''), ('', '')],
)
def test_a_colour_is_named(text, colour):
    assert colour_named(text) == colour


def test_no_colour_changes_nothing():
    assert colour_factors(np.zeros((3, 3), np.uint8), '') is None


@pytest.mark.parametrize('light', [0.75, 1.0, 1.2])
def test_a_colour_is_told_in_more_or_less_light(light):
    seen = {'red': (190, 40, 35), 'blue': (45, 75, 165), 'green': (55, 125, 65),
            'purple': (105, 65, 135), 'black': (30, 28, 30)}  # fmt: skip
    rgb = np.clip(np.array(list(seen.values())) * light, 0, 255).astype(np.uint8)
    for row, colour in enumerate(seen):
        factors = colour_factors(rgb, colour)
        assert factors.argmax() == row
        assert factors[row] > 0.6
        # A dark blue may pass for a purple, but the purple is the better one.
        assert np.delete(factors, row).max() < factors[row] - 0.2


def test_a_thing_of_another_colour_stays_an_answer():
    rgb = np.random.default_rng(0).integers(0, 256, (500, 3)).astype(np.uint8)
    for colour in COLOURS:
        factors = colour_factors(rgb, colour)
        assert factors.min() >= OTHER_COLOUR
        assert factors.max() <= 1
