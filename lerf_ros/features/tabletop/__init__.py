"""The shipped small encoder: an open_clip model trained on simulated tabletops.

Beside this module lie its configuration (``tabletop.json``), its vocabulary (``bpe.txt.gz``), its
weights (``tabletop.safetensors``) and its existence calibration (``tabletop.existence.json``).
"""

from lerf_ros.features.tabletop.encoder import (
    TabletopEncoder,
    create_tabletop_model,
    load_tabletop_encoder,
)

__all__ = ['TabletopEncoder', 'create_tabletop_model', 'load_tabletop_encoder']
