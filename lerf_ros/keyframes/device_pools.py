"""The keyframes on the training device: pools by size, and one budget for all of them.

A keyframe's slot number counts over all pools, in the order in which keyframes came onto the
device; so the first one is the one that has been there the longest.
"""

from __future__ import annotations

from collections.abc import Callable, Set

import torch
from jaxtyping import Int
from torch import Tensor

from lerf_ros.frames import KeyframeId
from lerf_ros.keyframes.cold_storage import Arrays
from lerf_ros.keyframes.size_pool import SizePool

# A pool takes slots over from another one when it has less than this part of its share, and then
# all that are missing: memory is moved rarely.
CONTENT = 0.75
# Slots of a pool that is made anew, where there is room.
FIRST_SLOTS = 8


class DevicePools:
    """Pools of keyframes under one bound.

    Args:
        budget_bytes: Bound on the memory of all pools.
        least: Keyframes that are held even where they exceed the bound.
        device: Where they are held.
    """

    def __init__(self, budget_bytes: int, least: int, device: torch.device) -> None:
        self._budget_bytes, self._least, self._device = budget_bytes, least, device
        self._pools: dict[tuple[tuple[str, int], ...], SizePool] = {}
        self._pool_of: dict[KeyframeId, SizePool] = {}

    def __len__(self) -> int:
        return len(self._pool_of)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._pool_of

    @property
    def ids(self) -> list[KeyframeId]:
        """Names of the keyframes by slot."""
        return list(self._pool_of)

    @property
    def pools(self) -> list[SizePool]:
        """The pools; their order does not change."""
        return list(self._pools.values())

    @property
    def bytes(self) -> int:
        """Memory that all pools take."""
        return sum(pool.bytes for pool in self._pools.values())

    def places(self) -> list[tuple[int, int]]:
        """Returns the number of the pool, and the place in it, by slot."""
        numbers = {id(pool): number for number, pool in enumerate(self._pools.values())}
        return [(numbers[id(pool)], pool.places[id_]) for id_, pool in self._pool_of.items()]

    def read(self, id_: KeyframeId) -> Arrays:
        """Returns the arrays of a keyframe, valid until the pools change."""
        return self._pool_of[id_].read(id_)

    def remove(self, id_: KeyframeId) -> int:
        """Frees the slot of a keyframe; those behind move up. Returns its number."""
        slot = list(self._pool_of).index(id_)
        self._pool_of.pop(id_).remove(id_)
        return slot

    def put(
        self,
        id_: KeyframeId,
        arrays: Arrays,
        keep: Set[KeyframeId],
        evict: Callable[[KeyframeId], None],
    ) -> None:
        """Puts a keyframe into the last slot.

        Args:
            id_: The keyframe.
            arrays: Its arrays.
            keep: Keyframes that stay in any case.
            evict: Called for each keyframe that has to give way, to save and remove it.
        """
        size = tuple(sorted((name, len(values)) for name, values in arrays.items()))
        if size not in self._pools:
            self._pools[size] = SizePool(arrays, self._device)
        pool = self._pools[size]
        while pool.full:
            self._make_room(pool, keep, evict)
        pool.put(id_, arrays)
        self._pool_of[id_] = pool

    def _make_room(
        self, pool: SizePool, keep: Set[KeyframeId], evict: Callable[[KeyframeId], None]
    ) -> None:
        """Takes one step towards a free slot in a pool."""
        spare = (self._budget_bytes - self.bytes) // pool.slot_bytes
        if spare > 0:
            pool.grow(pool.capacity + min(max(pool.capacity, FIRST_SLOTS), spare))
            return
        own, few = self._oldest(pool, keep), len(self) < self._least
        if own is not None and not few and pool.capacity >= CONTENT * self._share(pool):
            evict(own)
            return
        others = [other for other in self.pools if other is not pool]
        idle = [other for other in others if not other.full]
        givers = [other for other in others if self._oldest(other, keep)]
        if idle:
            for other in idle:
                other.shrink()
        elif few:
            pool.grow(pool.capacity + 1)
        elif givers:
            giver = max(givers, key=lambda p: (p.capacity - self._share(p)) * p.slot_bytes)
            self._take_over(giver, pool, keep, evict)
        elif own is not None:
            evict(own)
        else:  # all that is here has to stay
            pool.grow(pool.capacity + 1)

    def _take_over(
        self,
        giver: SizePool,
        taker: SizePool,
        keep: Set[KeyframeId],
        evict: Callable[[KeyframeId], None],
    ) -> None:
        """Frees memory of a pool, as much as another lacks for its share or for one slot."""
        missing = max(1, self._share(taker) - taker.capacity) * taker.slot_bytes
        while (giver.capacity - len(giver.places)) * giver.slot_bytes < missing:
            oldest = self._oldest(giver, keep)
            freed = (giver.capacity - len(giver.places)) * giver.slot_bytes
            fair = len(giver.places) <= self._share(giver) and freed >= taker.slot_bytes
            if oldest is None or fair:
                break
            evict(oldest)
        giver.shrink()

    def _share(self, pool: SizePool) -> int:
        """Returns the slots of a pool if the same part of all sizes were on the device."""
        wanted = sum(len(other.known) * other.slot_bytes for other in self._pools.values())
        return int(len(pool.known) * min(1.0, self._budget_bytes / max(wanted, 1)))

    def _oldest(self, pool: SizePool, keep: Set[KeyframeId]) -> KeyframeId | None:
        """Returns which keyframe of a pool has been here the longest and may go."""
        return next((id_ for id_ in pool.places if id_ not in keep), None)


def gather(
    pools: list[SizePool],
    numbers: Int[Tensor, ' n'],
    read: Callable[[SizePool], Tensor],
) -> Tensor:
    """Reads rows from several pools into one tensor.

    Every pool is asked for every row, and what is of another one is thrown away: to ask each for
    its own alone, the host would have to know how many there are, and wait for a GPU to tell.

    Args:
        pools: The pools.
        numbers: Number of the pool of each row.
        read: Returns all rows of a pool; those of other pools may hold anything.
    """
    held = [(number, pool) for number, pool in enumerate(pools) if pool.capacity]
    result = read(held[0][1])
    for number, pool in held[1:]:
        result = torch.where((numbers == number)[:, None], read(pool), result)
    return result
