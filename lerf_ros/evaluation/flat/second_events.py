"""What comes after a flat has been mapped: it is loaded anew, and a loop is closed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from lerf_ros.config import LerfConfig
from lerf_ros.evaluation.flat.asking import ask
from lerf_ros.evaluation.flat.truth import FlatQuestion, FlatTruth
from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.geometry import Array, inverse_transform
from lerf_ros.maps.atlas import Atlas, make_map
from lerf_ros.maps.errors import NotReadyError
from lerf_ros.maps.submap import Submap
from lerf_ros.query.engine import QueryRequest

# By how much all poses are corrected.
CLOSURE_M, CLOSURE_DEG = 0.1, 3.0


def saved_and_loaded(
    live_map: Atlas | Submap, config: LerfConfig, encoder: LanguageEncoder, phrase: str
) -> dict[str, Any]:
    """Returns the size of the map's files, and how long it takes to load and ask them.

    Args:
        live_map: The map.
        config: Its options.
        encoder: Its encoder.
        phrase: What is asked.
    """
    with tempfile.TemporaryDirectory(prefix='lerf_flat_') as folder:
        path = Path(folder) / 'map'
        live_map.save(path)
        files = [path] if path.is_file() else [*path.rglob('*')]
        map_mb = sum(file.stat().st_size for file in files if file.is_file()) / 1e6
        loaded = make_map(config, encoder)
        started = time.perf_counter()
        loaded.load(path)
        try:
            loaded.query(QueryRequest(positives=(phrase,)))
            load_and_ask_s = time.perf_counter() - started
        except NotReadyError:
            load_and_ask_s = None
        loaded.close()
    return {'map_mb': map_mb, 'load_and_ask_s': load_and_ask_s}


def loop_closed(
    live_map: Atlas | Submap, truth: FlatTruth, present: Sequence[FlatQuestion]
) -> dict[str, Any]:
    """Corrects all poses, asks again, and returns how fast and how truly answers follow.

    Args:
        live_map: The map; it stays corrected.
        truth: The truth before the correction.
        present: Questions about what is there.
    """
    if not isinstance(live_map, Atlas) or not present:
        return dict.fromkeys(('closure_follow_s', 'closure_within_25cm'))
    closure = closure_pose()
    stamps = {id_: stamp for node in live_map.nodes for id_, stamp in node.stamps.items()}
    ordered = sorted(stamps, key=lambda id_: (id_.source, id_.index))
    poses = live_map.keyframe_poses()
    started = time.perf_counter()
    live_map.correct([stamps[id_] for id_ in ordered], closure @ poses)
    live_map.query(QueryRequest(positives=(present[0].phrase,)))
    follow_s = time.perf_counter() - started
    answers = ask(live_map, truth, present, inverse_transform(closure))
    within = float(np.mean([answer.within for answer in answers]))
    return {'closure_follow_s': follow_s, 'closure_within_25cm': within}


def closure_pose() -> Float[Array, '4 4']:
    """Returns what takes old poses to corrected ones: 10 cm aside and turned by 3 degrees."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler('z', CLOSURE_DEG, degrees=True).as_matrix()
    pose[:2, 3] = CLOSURE_M / np.sqrt(2)
    return pose
