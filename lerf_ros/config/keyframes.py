"""Which frames become keyframes."""

from __future__ import annotations

from dataclasses import dataclass

from lerf_ros.options import Section, option


@dataclass(frozen=True)
class KeyframeOptions(Section):
    """Which frames of the stream become keyframes."""

    min_translation_m: float = option(
        0.04, 'Camera motion that makes a new keyframe.', unit='m', low=0.0, high=10.0, live=True
    )
    min_rotation_deg: float = option(
        5.0, 'Camera turn that makes a new keyframe.', unit='deg', low=0.0, high=180.0, live=True
    )
    min_interval_s: float = option(
        0.1, 'Least time between two keyframes.', unit='s', low=0.0, high=60.0, live=True
    )
    max_interval_s: float = option(
        0.0,
        'A camera at rest gives a keyframe this often; 0 never.',
        unit='s',
        low=0.0,
        high=3600.0,
        live=True,
    )
    max_view_overlap: float = option(
        0.95,
        'A frame is passed over if more than this share of it was seen from there; 1 keeps it.',
        low=0.0,
        high=1.0,
        live=True,
    )
    view_parallax_deg: float = option(
        5.0,
        'A point was seen from there if the directions to both cameras differ by less.',
        unit='deg',
        low=0.0,
        high=90.0,
        live=True,
    )
    view_memory: int = option(
        1000, 'Keyframes that are remembered to tell what was seen.', low=1, high=100_000
    )
    min_sharpness: float = option(
        0.4,
        'A frame below this share of the usual sharpness waits for a sharper one; 0 never.',
        low=0.0,
        high=1.0,
        live=True,
    )
    blur_wait_s: float = option(
        0.3,
        'A blurred frame is kept if none is sharper so soon.',
        unit='s',
        low=0.0,
        high=10.0,
        live=True,
    )
    max_width: int = option(
        640, 'Wider images are shrunk to this width.', unit='px', low=32, high=8192
    )
    jpeg_quality: int = option(92, 'JPEG quality of keyframe images.', low=10, high=100, live=True)
    max_depth_m: float = option(
        10.0, 'Depth beyond this counts as unknown.', unit='m', low=0.1, high=1000.0, live=True
    )
    max_hole_m2: float = option(
        0.5,
        'Holes in the depth up to this size, such as screens and panes, are closed where what '
        'surrounds them lies in one plane; 0 leaves them open.',
        unit='m2',
        low=0.0,
        high=100.0,
        live=True,
    )

    def check_together(self) -> None:
        """Raises a ValueError where keyframes must and must not come."""
        if self.max_interval_s:
            self.require_order('min_interval_s', 'max_interval_s')
