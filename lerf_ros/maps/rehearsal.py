"""Rehearsal: keyframes with which a submap goes on learning when it wakes, beside its file.

That file is what a saved map consists of, so it is small and holds a few keyframes. A submap that
learnt on with these alone would be taught what is new, and forget the rest. Here more of them lie
as they lie in memory, until the submap wakes; a saved map has none of them.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from lerf_ros.keyframes.store import KeyframeStore

logger = logging.getLogger(__name__)

_ENDING = '.rehearsal'
_KEYFRAMES = 'keyframes'


def keep_rehearsal(file: Path, store: KeyframeStore, most: int) -> None:
    """Lays keyframes of a submap that falls asleep beside its file; a full disk is only told of.

    Args:
        file: Where the submap sleeps.
        store: Its keyframes.
        most: Most of them, evenly over their order; 0 for none.
    """
    drop_rehearsal(file)
    if not most:
        return
    described, arrays = store.state(most)
    held = {name: values.cpu().contiguous() for name, values in arrays.items()}
    try:
        save_file(held, file.with_suffix(_ENDING), {_KEYFRAMES: json.dumps(described)})
    except (OSError, SafetensorError) as error:
        logger.warning('%s will wake with few keyframes: %s', file.name, error)
        drop_rehearsal(file)


def take_rehearsal(file: Path, store: KeyframeStore) -> None:
    """Brings the keyframes beside a submap's file back to it; what is damaged is only told of."""
    place = file.with_suffix(_ENDING)
    if not place.is_file():
        return
    try:
        with safe_open(place, framework='pt') as held:
            described = json.loads((held.metadata() or {})[_KEYFRAMES])
            arrays = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118
        store.load_state(described, arrays)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        logger.warning('%s wakes with few keyframes: %s', file.name, error)
    drop_rehearsal(file)


def drop_rehearsal(file: Path) -> None:
    """Removes the keyframes beside a submap's file."""
    file.with_suffix(_ENDING).unlink(missing_ok=True)
