"""The web viewer."""

from __future__ import annotations

from dataclasses import dataclass

from lerf_ros.options import Section, option


@dataclass(frozen=True)
class ViewerOptions(Section):
    """The web page that shows the map."""

    enabled: bool = option(False, 'Whether the field node shows its map on a web page.')
    host: str = option(
        '127.0.0.1',
        'Address of the page; 0.0.0.0 lets every machine that reaches this one steer the map.',
    )
    port: int = option(
        8080, 'Port of the page; the next free one where it is taken.', low=1, high=65_535
    )
    cloud_period_s: float = option(
        1.0,
        'Time between two looks at the surface; none while no page is open.',
        unit='s',
        low=0.1,
        high=60.0,
    )
    view_width_px: int = option(
        320, 'Width of a rendered view when it is refined.', unit='px', low=32, high=1920
    )
    max_cameras: int = option(
        200, 'Most keyframe cameras drawn, spread over all of them.', low=1, high=5000
    )
