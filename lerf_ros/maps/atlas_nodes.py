"""The submaps of an atlas: made, woken, put to sleep, moved, written and read."""

from __future__ import annotations

import logging
import shutil
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from lerf_ros.config import LerfConfig
from lerf_ros.field.model import LerfField
from lerf_ros.frames import Keyframe, KeyframeId
from lerf_ros.geometry import Array, inverse_transform, require_rigid
from lerf_ros.maps.anchor import residual_large, rigid_fit
from lerf_ros.maps.atlas_folder import read_folder, sleeping_folder, write_folder
from lerf_ros.maps.cells import Cell, CellGrid
from lerf_ros.maps.coarse_index import build_index
from lerf_ros.maps.extraction import Extraction, FrameFeatures
from lerf_ros.maps.file import require_fit
from lerf_ros.maps.node import AtlasNode, file_name
from lerf_ros.maps.own_frame import OwnFrame
from lerf_ros.maps.rehearsal import drop_rehearsal, keep_rehearsal, load_rehearsed
from lerf_ros.maps.release import release_memory
from lerf_ros.maps.submap import Submap

logger = logging.getLogger(__name__)

# Keyframes of a submap after which free memory goes back to the system.
RELEASE_KEYFRAMES = 32


class AtlasNodes:
    """All submaps, by the cube that each was made for.

    Args:
        config: All options.
        extraction: Makes features; all submaps share it.

    Attributes:
        on_sleep: Called with a submap that was written and is about to leave memory.
    """

    def __init__(self, config: LerfConfig, extraction: Extraction) -> None:
        self.on_sleep: Callable[[AtlasNode], None] | None = None
        self._config, self._extraction = config, extraction
        self._nodes: dict[Cell, AtlasNode] = {}
        self._grid: CellGrid | None = None
        self._folder: Path | None = None

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[AtlasNode]:
        return iter(self._nodes.values())

    def awake(self) -> list[AtlasNode]:
        """Returns the submaps that are awake."""
        return [node for node in self if node.submap is not None]

    def configure(self, config: LerfConfig) -> None:
        """Takes over options that may change while the map lives."""
        self._config = config
        for node in self.awake():
            assert node.submap is not None
            node.submap.configure(self.config_of(node))

    def clear(self) -> None:
        """Forgets all submaps and removes the files of those that sleep."""
        for node in self.awake():
            assert node.submap is not None
            node.submap.close()
        self._nodes, self._grid = {}, None
        if self._folder is not None:
            self._remove_folder()
            self._folder = None

    def grid_around(self, position_m: Float[Array, '3']) -> CellGrid:
        """Returns the grid; the first position becomes the middle of a cube."""
        if self._grid is None:
            x, y, z = (float(value) for value in position_m)
            options = self._config.atlas
            self._grid = CellGrid((x, y, z), options.submap_side_m, options.overlap_m)
        return self._grid

    def at(self, cell: Cell) -> AtlasNode:
        """Returns the submap of a cube, which begins if there was none."""
        if cell not in self._nodes:
            assert self._grid is not None
            number = max((node.name for node in self), default=-1) + 1
            self._nodes[cell] = AtlasNode(
                name=number,
                cell=cell,
                centre_m=self._grid.centre(cell),
                half_m=self._grid.half_m,
                file=self._sleeping_place() / file_name(number),
            )
            logger.info('submap %d begins at %s m', number, self._nodes[cell].centre_m.round(1))
        return self._nodes[cell]

    def add(self, node: AtlasNode, keyframe: Keyframe, features: FrameFeatures) -> None:
        """Takes a keyframe into a submap, which wakes up for it."""
        pose = node.local(keyframe.frame.camera_to_world)
        local = Keyframe(keyframe.id, replace(keyframe.frame, camera_to_world=pose))
        submap = self.wake(node)
        submap.integrate(local, features)
        if submap.trainer.field is None:
            submap.fix_scene_box()
        if submap.keyframe_count == 1:
            self._inherit(submap)
        node.poses[keyframe.id] = pose
        node.stamps[keyframe.id] = keyframe.frame.stamp_ns
        node.keyframe_count += 1
        if node.keyframe_count % RELEASE_KEYFRAMES == 0:
            release_memory()
        node.stamp_ns = max(node.stamp_ns, keyframe.frame.stamp_ns)

    def _inherit(self, submap: Submap) -> None:
        """Gives a new submap the networks of the one that learnt last, so it speaks as that does.

        Hash tables belong to a place, and stay.
        """
        others = [node for node in self.awake() if node.submap is not submap and node.step_count]
        if not others:
            return
        teacher = max(others, key=lambda node: node.used_at).submap
        assert teacher is not None
        if teacher.trainer.field is not None and submap.trainer.field is not None:
            share_networks(teacher.trainer.field, submap.trainer.field)
            submap.trainer.settle()

    def wake(self, node: AtlasNode) -> Submap:
        """Returns a submap awake; others fall asleep where there are too many.

        They do so first: the peak is that of as many as may be awake. One whose file is damaged
        begins anew.
        """
        self._make_room(node)
        if node.submap is None:
            submap = Submap(
                self.config_of(node), extraction=self._extraction, own_frame=OwnFrame()
            )
            if node.keyframe_count and not node.damaged:
                try:
                    load_rehearsed(submap, node.file)
                except (ValueError, OSError) as error:
                    logger.error('submap %d begins anew: %s', node.name, error)
                    node.damaged = str(error)
            if node.damaged:
                node.damaged, node.index, node.poses, node.stamps = '', None, {}, {}
                node.keyframe_count = node.step_count = 0
                drop_rehearsal(node.file)
            node.submap = submap
        return node.submap

    def _make_room(self, node: AtlasNode) -> None:
        """Lets submaps fall asleep until there is room for one beside those that stay awake."""
        others = sorted(
            (other for other in self.awake() if other is not node), key=lambda other: other.used_at
        )
        for other in others[: max(0, len(others) + 1 - self._config.atlas.awake_submaps)]:
            if not self.sleep(other):
                break

    def sleep(self, node: AtlasNode) -> bool:
        """Puts a submap to sleep; tells whether its file could be written."""
        submap = node.submap
        if submap is None:
            return True
        if submap.ready():
            options = self._config.atlas
            try:
                self.renew_index(node)
                submap.save(node.file, options.sleeping_keyframes)
                keep_rehearsal(node.file, submap.trainer.store, options.rehearsed_keyframes)
            except OSError as error:
                logger.error('submap %d stays awake: %s', node.name, error)
                return False
            if self.on_sleep is not None:
                self.on_sleep(node)
        submap.close()
        node.submap = submap = None
        release_memory()
        return True

    def renew_index(self, node: AtlasNode) -> None:
        """Reads the coarse index of a submap that is awake."""
        submap = node.submap
        if submap is None or submap.trainer.readable is None or not submap.surface_points:
            return
        options = self._config.atlas
        node.index = build_index(
            submap.trainer.readable,
            submap.surface(),
            options.index_cell_m,
            options.index_points,
            submap.step_count,
            self._extraction.device,
        )

    def correct(
        self, ids: list[KeyframeId], camera_to_world: Float[np.ndarray, 'n 4 4']
    ) -> list[AtlasNode]:
        """Moves submaps to where corrected poses put them; returns those that moved.

        Raises:
            ValueError: The numbers differ, a pose is not rigid, or an id is unknown.
        """
        if len(ids) != len(camera_to_world):
            raise ValueError(
                f'update_poses: expected one pose an id, got {len(ids)} and {len(camera_to_world)}'
            )
        wanted = {id_: require_rigid(pose) for id_, pose in zip(ids, camera_to_world, strict=True)}
        unknown = [id_ for id_ in ids if not any(id_ in node.poses for node in self)]
        if unknown:
            raise ValueError(f'update_poses: no keyframes with the ids {unknown[:5]}')
        moved = []
        for node in self:
            own = [id_ for id_ in node.poses if id_ in wanted]
            if not own:
                continue
            local = np.stack([node.poses[id_] for id_ in own])
            world = np.stack([wanted[id_] for id_ in own])
            node.submap_to_world = rigid_fit(local, world)
            moved.append(node)
            options = self._config.atlas
            far = residual_large(
                node.submap_to_world,
                local,
                world,
                options.move_threshold_m,
                options.turn_threshold_deg,
            )
            if far.any():
                self._bend(node, [id_ for id_, each in zip(own, far, strict=True) if each], wanted)
        return moved

    def _bend(
        self, node: AtlasNode, ids: list[KeyframeId], wanted: dict[KeyframeId, Array]
    ) -> None:
        """Moves keyframes within a submap."""
        submap = self.wake(node)
        held = set(submap.trainer.store.ids)
        world_to_submap = inverse_transform(node.submap_to_world)
        for id_ in ids:
            node.poses[id_] = world_to_submap @ wanted[id_]
        here = [id_ for id_ in ids if id_ in held]
        if here:
            submap.update_poses(here, np.stack([node.poses[id_] for id_ in here]))

    def save(self, path: Path | str, metadata: dict[str, Any]) -> None:
        """Writes all submaps into a folder, or leaves what was there as it was.

        Raises:
            OSError: It cannot be written, or there is a file of that name.
        """
        assert self._grid is not None

        def save(node: AtlasNode, file: Path) -> bool:
            submap = node.submap
            if submap is None or not submap.ready():
                return False
            self.renew_index(node)
            submap.save(file, self._config.atlas.sleeping_keyframes)
            return True

        write_folder(Path(path), self, self._grid, metadata, save)

    def load(self, path: Path | str) -> dict[str, Any]:
        """Replaces all submaps by those of a folder, which stays as it is; returns its metadata.

        All are asleep at first. A file that is damaged is found out when it is needed.

        Raises:
            ValueError: The folder is no atlas, or does not fit these options.
            OSError: It cannot be read.
        """

        def check(metadata: dict[str, Any]) -> None:
            encoder, world_frame = self._extraction.encoder, self._config.node.world_frame
            require_fit(path, metadata, encoder, world_frame)

        nodes, grid, folder, metadata = read_folder(Path(path), check, self._config.atlas.folder)
        self.clear()
        self._sleep_in(folder)
        self._grid = grid
        self._nodes = {node.cell: node for node in nodes}
        return metadata

    def _sleeping_place(self) -> Path:
        if self._folder is None:
            self._sleep_in(sleeping_folder(self._config.atlas.folder))
        assert self._folder is not None
        return self._folder

    def _sleep_in(self, folder: Path) -> None:
        """Lets submaps sleep in a folder of their own, which goes with them, or at exit."""
        self._folder = folder
        self._remove_folder = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def config_of(self, node: AtlasNode) -> LerfConfig:
        """Returns the options of one submap: its box, and its share of the budgets."""
        training, awake = self._config.training, self._config.atlas.awake_submaps
        low, high = node.centre_m - node.half_m, node.centre_m + node.half_m
        changes: dict[str, Any] = {
            'field.half_extent_m': node.half_m,
            'training.store_device_mb': max(1, training.store_device_mb // awake),
            'training.store_host_mb': training.store_host_mb // awake,
        }
        for axis, name in enumerate('xyz'):
            changes[f'field.centre_{name}_m'] = float(node.centre_m[axis])
            changes[f'query.region_min_{name}_m'] = float(low[axis])
            changes[f'query.region_max_{name}_m'] = float(high[axis])
        return self._config.replace(changes)


@torch.no_grad()
def share_networks(teacher: LerfField, pupil: LerfField) -> None:
    """Copies all weights but those of hash tables, which belong to a place."""
    known = teacher.state_dict()
    for name, value in pupil.state_dict().items():
        if not name.endswith('table') and name in known and known[name].shape == value.shape:
            value.copy_(known[name])
