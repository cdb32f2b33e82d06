"""Every option of the package, in one place: a module for each group.

Each option is a dataclass field with a default, a sentence, a unit and a range. ROS parameters,
``config/*.yaml``, the command line's help and the README's table all derive from what stands here.
The defaults are those of the ``tabletop`` variant: two CPU cores and an RGB-D camera. The YAML
files in ``config/`` hold only what other variants change.
"""

from lerf_ros.config.atlas import AtlasOptions
from lerf_ros.config.features import FeatureOptions
from lerf_ros.config.field import FieldOptions
from lerf_ros.config.keyframes import KeyframeOptions
from lerf_ros.config.lerf_config import LerfConfig, flat_options, load_yaml
from lerf_ros.config.node import NodeOptions
from lerf_ros.config.query import QueryOptions
from lerf_ros.config.training import TrainingOptions
from lerf_ros.config.variants import VARIANTS, load_variant
from lerf_ros.config.viewer import ViewerOptions

__all__ = [
    'VARIANTS',
    'AtlasOptions',
    'FeatureOptions',
    'FieldOptions',
    'KeyframeOptions',
    'LerfConfig',
    'NodeOptions',
    'QueryOptions',
    'TrainingOptions',
    'ViewerOptions',
    'flat_options',
    'load_variant',
    'load_yaml',
]
