"""Tables by name: the usual one, and harder ones.

`clutter` is a pile: things touch, lie on each other and hide each other. `twins` has several alike
of one colour and category: who asks for one must be told of all. `small` has things of 2 to 5 cm,
the thin ones a little longer.
"""

from __future__ import annotations

from lerf_ros.simulation.scene import TabletopOptions

WORLDS = {
    'usual': TabletopOptions(),
    'clutter': TabletopOptions(
        min_objects=20, max_objects=32, min_gap_m=0.0, stacked_share=0.3, settle_s=2.5
    ),
    'twins': TabletopOptions(min_objects=5, max_objects=8, alike=3),
    'small': TabletopOptions(min_objects=8, max_objects=14, size_m=(0.02, 0.05)),
}
