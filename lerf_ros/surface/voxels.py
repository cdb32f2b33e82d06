"""The table behind the surface: one row a voxel, found by its key."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

Array = np.ndarray
Columns = dict[str, Array]

# Keyframes remembered for each voxel; the newest replace the oldest.
SEEN_BY = 16
# A voxel's memory: later observations weigh at least 1 / MEMORY, so that a moved object moves; and
# of looks at it so many count.
MEMORY = 20.0


class Voxels:
    """Columns of equal length, and an index of the keys.

    ``weight`` counts observations for the running means, ``views`` different keyframes, ``hits``
    and ``misses`` the looks that found the voxel and that saw through it, ``last_seen`` the turn
    of the last keyframe that found it.
    """

    def __init__(self) -> None:
        self._size = 0
        self._columns = empty_columns(0)
        self._sorted_keys = np.zeros(0, np.int64)
        self._sorted_rows = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, name: str) -> Array:
        """Returns a column; what is written into it stays."""
        return self._columns[name][: self._size]

    def copy(self) -> Columns:
        """Returns the columns, to be changed and given to :meth:`replace`."""
        return {name: self[name].copy() for name in self._columns}

    def find(self, keys: Int[Array, ' k']) -> tuple[Bool[Array, ' k'], Int[Array, ' j']]:
        """Returns which keys are known, and the rows of those that are."""
        at = np.searchsorted(self._sorted_keys, keys)
        known = np.zeros(len(keys), bool)
        inside = at < len(self._sorted_keys)
        known[inside] = self._sorted_keys[at[inside]] == keys[inside]
        return known, self._sorted_rows[at[known]]

    def append(self, columns: Mapping[str, Array]) -> None:
        """Adds rows with keys that are not known yet, in ascending order of keys."""
        keys = columns['keys']
        start, stop = self._size, self._size + len(keys)
        self._reserve(stop)
        for name, column in columns.items():
            self._columns[name][start:stop] = column
        self._size = stop
        at = np.searchsorted(self._sorted_keys, keys)
        self._sorted_keys = np.insert(self._sorted_keys, at, keys)
        self._sorted_rows = np.insert(self._sorted_rows, at, np.arange(start, stop))

    def average(self, rows: Int[Array, ' k'], view: Mapping[str, Array], camera: int) -> None:
        """Moves the means of rows towards what a view with that camera row saw of them."""
        columns = self._columns
        weight = np.minimum(columns['weight'][rows] + 1, MEMORY)
        columns['weight'][rows] = weight
        for name in ('positions', 'colours', 'normals'):
            old = columns[name][rows]
            columns[name][rows] = old + (view[name] - old) / weight[:, None]
        low, high = columns['heights'][rows].T
        seen = view['heights'][:, 0]
        columns['heights'][rows] = np.stack([np.minimum(low, seen), np.maximum(high, seen)], 1)
        columns['last_seen'][rows] = view['last_seen']
        fresh = rows[~(columns['seen_by'][rows] == camera).any(axis=1)]
        columns['seen_by'][fresh, columns['views'][fresh] % SEEN_BY] = camera
        columns['views'][fresh] += 1
        self.count_looks('hits', rows)

    def count_looks(self, name: str, rows: Int[Array, ' k']) -> None:
        """Counts one hit or miss more; older looks of both kinds fade alike."""
        self._columns[name][rows] += 1
        hits, misses = self._columns['hits'][rows], self._columns['misses'][rows]
        kept = np.minimum(1, MEMORY / (hits + misses))
        self._columns['hits'][rows], self._columns['misses'][rows] = hits * kept, misses * kept

    def keep(self, rows: Int[Array, ' k']) -> None:
        """Drops all other rows; those that stay keep their order, in which they come."""
        kept = np.zeros(self._size, bool)
        kept[rows] = True
        # What is sorted stays so: to sort anew takes longer than all the rest.
        still = kept[self._sorted_rows]
        self._sorted_keys = self._sorted_keys[still]
        self._sorted_rows = (np.cumsum(kept) - 1)[self._sorted_rows[still]]
        self._columns = {
            name: np.take(column, rows, axis=0) for name, column in self._columns.items()
        }
        self._size = len(rows)

    def replace(self, columns: Columns) -> None:
        """Takes these columns in place of its own."""
        self._columns, self._size = columns, len(columns['keys'])
        self._sorted_rows = np.argsort(columns['keys'], kind='stable')
        self._sorted_keys = columns['keys'][self._sorted_rows]

    def state_dict(self) -> dict[str, Tensor]:
        """Returns the columns as tensors."""
        return {name: torch.from_numpy(self[name].copy()) for name in self._columns}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Takes over columns.

        Raises:
            ValueError: One is missing, or of another type, shape or length.
        """
        columns = {}
        for name, column in empty_columns(0).items():
            if name not in state:
                raise ValueError(f'surface: the saved state lacks {name}')
            value = state[name].cpu().numpy()
            if value.dtype != column.dtype or value.shape[1:] != column.shape[1:]:
                raise ValueError(
                    f'surface.{name}: expected {column.dtype} rows of {column.shape[1:]}, '
                    f'got {value.dtype} {value.shape}'
                )
            columns[name] = value.copy()
        if len({len(column) for column in columns.values()}) != 1:
            raise ValueError('surface: the saved columns have different lengths')
        self.replace(columns)

    def _reserve(self, size: int) -> None:
        capacity = len(self._columns['keys'])
        if size <= capacity:
            return
        grown = empty_columns(max(size, 2 * capacity, 4096))
        for name, column in grown.items():
            column[: self._size] = self[name]
        self._columns = grown


def empty_columns(size: int) -> Columns:
    """Returns the columns of a table, one row a voxel."""
    return {
        'keys': np.zeros(size, np.int64),
        'positions': np.zeros((size, 3), np.float32),
        'colours': np.zeros((size, 3), np.float32),
        'normals': np.zeros((size, 3), np.float32),
        'heights': np.zeros((size, 2), np.float32),
        'weight': np.zeros(size, np.float32),
        'views': np.zeros(size, np.int32),
        'hits': np.zeros(size, np.float32),
        'misses': np.zeros(size, np.float32),
        'last_seen': np.zeros(size, np.int32),
        'seen_by': np.full((size, SEEN_BY), -1, np.int32),
    }


def joined(columns: Mapping[str, Array]) -> Columns:
    """Returns columns with one row a key, in ascending order of keys.

    Of rows with one key the means are joined by weight, and the counts are those of the row that
    was seen by the most keyframes: which keyframes two rows have in common is not known.
    """
    # The most seen comes first among equals.
    order = np.lexsort((-columns['views'], columns['keys']))
    keys, first, group = np.unique(columns['keys'][order], return_index=True, return_inverse=True)
    result = {name: column[order[first]] for name, column in columns.items()}
    weight = columns['weight'][order]
    total = np.bincount(group, weights=weight, minlength=len(keys))
    for name in ('positions', 'colours', 'normals'):
        weighted = columns[name][order] * weight[:, None]
        sums = [np.bincount(group, weights=axis, minlength=len(keys)) for axis in weighted.T]
        result[name] = (np.stack(sums, axis=1) / total[:, None]).astype(np.float32)
    heights = columns['heights'][order]
    if len(keys):
        result['heights'] = np.stack(
            [np.minimum.reduceat(heights[:, 0], first), np.maximum.reduceat(heights[:, 1], first)],
            axis=1,
        )
        result['last_seen'] = np.maximum.reduceat(columns['last_seen'][order], first)
    result['weight'] = np.minimum(total, MEMORY).astype(np.float32)
    return result
