"""Rehearsal: keyframes with which a submap goes on learning when it wakes, beside its file.

That file is what a saved map consists of, so it is small and holds a few keyframes. A submap that
learnt on with these alone would be taught what is new, and forget the rest. Here more of them lie
as they lie in memory, until the submap wakes, and then take the place of those in the file, which
are as they were too, but for pictures that were compressed. A saved map has none of them.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from lerf_ros.keyframes.store import KeyframeState, KeyframeStore
from lerf_ros.maps.submap import Submap

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


def load_rehearsed(submap: Submap, file: Path) -> None:
    """Wakes a submap with the keyframes beside its file, or with those in it where that fails.

    Raises:
        ValueError: The file itself is no map, is damaged, or does not fit.
        OSError: It cannot be read.
    """
    held = _held_beside(file)
    drop_rehearsal(file)
    if held is not None:
        try:
            submap.load(file, held)
        except (OSError, ValueError) as error:
            logger.warning('%s wakes with few keyframes: %s', file.name, error)
        else:
            return
    submap.load(file)


def _held_beside(file: Path) -> KeyframeState | None:
    """Returns the keyframes beside a submap's file; what is damaged is only told of."""
    place = file.with_suffix(_ENDING)
    if not place.is_file():
        return None
    try:
        with safe_open(place, framework='pt') as held:
            described = json.loads((held.metadata() or {})[_KEYFRAMES])
            arrays = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        logger.warning('%s wakes with few keyframes: %s', file.name, error)
        return None
    return described, arrays


def drop_rehearsal(file: Path) -> None:
    """Removes the keyframes beside a submap's file."""
    file.with_suffix(_ENDING).unlink(missing_ok=True)
