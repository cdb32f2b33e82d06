"""Simulated tables and flats: random scenes of named objects, with pictures, depth and the truth.

Needs the package mujoco and an off-screen OpenGL. `TabletopScene` and `FlatScene` are the
entrances.
"""

from lerf_ros.simulation.captions import (
    AbsentPhrase,
    absent_phrases,
    category_names,
    colour_names,
    object_names,
    part_names,
    side_colours,
)
from lerf_ros.simulation.catalogue import (
    CATEGORIES,
    COLOURS,
    HELD_OUT_SEED,
    TEXTURES,
    excluded_pairs,
)
from lerf_ros.simulation.flat import FlatObject, FlatOptions, FlatScene
from lerf_ros.simulation.layout import allowed_pairs
from lerf_ros.simulation.scene import TabletopOptions, TabletopScene
from lerf_ros.simulation.sensor import SENSORS, SensorOptions
from lerf_ros.simulation.truth import SceneObject, ScenePart, View
from lerf_ros.simulation.worlds import WORLDS

__all__ = [
    'CATEGORIES',
    'COLOURS',
    'HELD_OUT_SEED',
    'SENSORS',
    'TEXTURES',
    'WORLDS',
    'AbsentPhrase',
    'FlatObject',
    'FlatOptions',
    'FlatScene',
    'SceneObject',
    'ScenePart',
    'SensorOptions',
    'TabletopOptions',
    'TabletopScene',
    'View',
    'absent_phrases',
    'allowed_pairs',
    'category_names',
    'colour_names',
    'excluded_pairs',
    'object_names',
    'part_names',
    'side_colours',
]
