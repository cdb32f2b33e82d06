"""Many submaps as one map: what a robot that leaves the table asks.

An :class:`Atlas` has the face of a :class:`~lerf_ros.maps.submap.Submap` and is driven like one.
Space is cut into cubes; a cube that a keyframe looks into becomes a submap. A few submaps are
awake and learn; the others sleep in files, and are read again where a question asks for them.
It knows no threads: its owner calls every method from one thread.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from lerf_ros.config import LerfConfig
from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.features.pyramid import FeaturePyramid
from lerf_ros.field.view import RenderedView
from lerf_ros.frames import Keyframe, KeyframeId, PosedFrame
from lerf_ros.geometry import PinholeCamera
from lerf_ros.maps.anchor import named_by_stamp
from lerf_ros.maps.atlas_nodes import AtlasNodes
from lerf_ros.maps.atlas_query import AtlasQuery
from lerf_ros.maps.errors import NotReadyError
from lerf_ros.maps.extraction import Extraction, FrameFeatures
from lerf_ros.maps.node import AtlasNode
from lerf_ros.maps.own_frame import OwnFrame
from lerf_ros.maps.reading import Reading
from lerf_ros.maps.release import keep_large_blocks_apart
from lerf_ros.maps.routing import MOST_SUBMAPS, route
from lerf_ros.maps.submap import Submap
from lerf_ros.maps.view import MapView
from lerf_ros.query.request import QueryRequest, QueryResult
from lerf_ros.scheduling.pieces import Pieces
from lerf_ros.surface.points import SurfacePoints
from lerf_ros.training.step_report import StepReport

logger = logging.getLogger(__name__)


class Atlas:
    """A map that is cut into submaps.

    Args:
        config: All options; ``atlas.submap_side_m`` above 0.
        encoder: The language encoder; loaded as the options say if None.

    Raises:
        ValueError: An option names an unknown encoder, device or backend.
        FileNotFoundError: Weights are missing; the message says which and where they belong.

    Attributes:
        id: Identity of the map: another one after a reset, that of the file after a load.
        config: All options, as they are now.
        nodes: The submaps.
        keyframe_count: Number of keyframes that were taken in.
        step_count: Number of training steps so far.
        pose_epoch: How often poses were corrected.
        last_camera: Intrinsics of the last keyframe; None before the first.
        last_stamp_ns: Stamp of the newest keyframe.
        own_frame: The frame it computes in; its submaps are placed in that one.
        on_features: Called with each keyframe and its pyramid after their intake.
    """

    def __init__(self, config: LerfConfig, encoder: LanguageEncoder | None = None) -> None:
        self.config = config
        self.on_features: Callable[[Keyframe, FeaturePyramid], None] | None = None
        keep_large_blocks_apart()  # submaps come and go
        self._extraction = Extraction(config, encoder)
        self.device, self.encoder = self._extraction.device, self._extraction.encoder
        self._empty: Submap | None = None
        self._query = AtlasQuery(config, self._extraction)
        self.nodes = AtlasNodes(config, self._extraction)
        self.nodes.on_sleep = self._query.falls_asleep
        self.reset()

    def reset(self) -> None:
        """Forgets all submaps; the encoder stays. Another map begins."""
        self.nodes.clear()
        self._query.clear()
        self.id = uuid.uuid4().hex[:12]
        self.keyframe_count = self.step_count = self.pose_epoch = 0
        self.last_stamp_ns = 0
        self.own_frame = OwnFrame()
        self.last_camera: PinholeCamera | None = None
        self._next_index: dict[str, int] = {}
        self._generator = np.random.default_rng(self.config.training.seed)

    def configure(self, config: LerfConfig) -> None:
        """Takes over options that may change while the map lives."""
        self.config = config
        self.nodes.configure(self.own_frame.config(config))
        self._query.configure(self.own_frame.config(config))

    @property
    def current(self) -> Submap:
        """The submap that the newest keyframe is in; an empty one before the first."""
        awake = self.nodes.awake()
        if not awake:
            self._empty = self._empty or Submap(self.config, extraction=self._extraction)
            return self._empty
        newest = max(awake, key=lambda node: node.used_at).submap
        assert newest is not None
        return newest

    @property
    def surface_points(self) -> int:
        """Number of points of the surface of the submaps that are awake."""
        return sum(node.submap.surface_points for node in self.nodes.awake() if node.submap)

    def fix_scene_box(self) -> None:
        """Does nothing: the boxes of submaps are those of the grid."""

    def ingest_jobs(
        self, frame: PosedFrame, source: str = 'camera'
    ) -> list[Callable[[], Keyframe | None]]:
        """Cuts the intake of one frame into short jobs; see :meth:`Submap.ingest_jobs`."""

        def integrate(features: FrameFeatures) -> Keyframe:
            index = self._next_index.get(source, 0)
            keyframe = Keyframe(KeyframeId(source, index), frame)
            self._integrate(keyframe, features)
            self._next_index[source] = index + 1
            return keyframe

        return self._extraction.jobs(frame, integrate)

    def ingest(self, frame: PosedFrame, source: str = 'camera') -> Keyframe:
        """Takes in one frame at once; returns the keyframe that it has become."""
        *levels, integrate = self.ingest_jobs(frame, source)
        for level in levels:
            level()
        keyframe = integrate()
        assert keyframe is not None
        return keyframe

    def _integrate(self, keyframe: Keyframe, features: FrameFeatures) -> None:
        if self.keyframe_count == 0:
            self.own_frame = OwnFrame.around(keyframe.frame.camera_to_world[:3, 3])
            self.configure(self.config)
        inside = self.own_frame.keyframe(keyframe)
        frame = inside.frame
        chosen = route(frame, self.nodes, self.config)
        for rank, node in enumerate(chosen):
            node.used_at = MOST_SUBMAPS * (self.keyframe_count + 1) - rank
        for node in chosen:
            self.nodes.add(node, inside, features)
            self._query.forget(node)
        self.keyframe_count += 1
        self.last_camera = frame.camera
        self.last_stamp_ns = max(self.last_stamp_ns, frame.stamp_ns)
        if self.on_features is not None:
            self.on_features(keyframe, features.pyramid)

    def ready(self) -> bool:
        """Tells whether there is anything to train on."""
        return any(node.submap is not None and node.submap.ready() for node in self.nodes.awake())

    def step(self) -> StepReport:
        """Trains a step of one submap: mostly the current one, else another that is awake."""
        ready = [node for node in self.nodes.awake() if node.submap and node.submap.ready()]
        ready.sort(key=lambda node: node.used_at, reverse=True)
        chosen = ready[0]
        if len(ready) > 1 and self._generator.random() >= self.config.atlas.current_share:
            # The one that has learnt least of what it holds: it may fall asleep any time.
            chosen = min(ready[1:], key=lambda node: node.step_count / max(node.keyframe_count, 1))
        assert chosen.submap is not None
        report = chosen.submap.step()
        chosen.step_count = report.step
        self._query.keep_fresh(chosen, self.nodes)
        self.step_count += 1
        return replace(report, step=self.step_count)

    def update_poses(
        self, ids: list[KeyframeId], camera_to_world: Float[np.ndarray, 'n 4 4']
    ) -> None:
        """Moves submaps as wholes, after a loop closure, and keyframes only where that is not all.

        Raises:
            ValueError: The numbers differ, a pose is not rigid, or an id is unknown.
        """
        for node in self.nodes.correct(ids, self.own_frame.poses(camera_to_world)):
            # What sleeps has moved as a whole, and was read in a frame of its own.
            if not node.asleep:
                self._query.forget(node)
        self.pose_epoch += 1

    def correct(
        self,
        stamps_ns: Sequence[int],
        camera_to_world: Float[np.ndarray, 'n 4 4'],
        source: str | None = None,
    ) -> int:
        """Moves the keyframes of these stamps; see :meth:`Submap.correct`."""
        stamps = {id_: stamp for node in self.nodes for id_, stamp in node.stamps.items()}
        ids, poses = named_by_stamp(stamps_ns, camera_to_world, stamps, source)
        if ids:
            self.update_poses(ids, poses)
        return len(ids)

    def keyframe_poses(self) -> Float[np.ndarray, 'n 4 4']:
        """Returns ``camera_to_world`` of all keyframes, those of a source in their order."""
        poses = {
            id_: node.submap_to_world @ pose
            for node in self.nodes
            for id_, pose in node.poses.items()
        }
        ordered = sorted(poses, key=lambda id_: (id_.source, id_.index))
        inside = np.array([poses[id_] for id_ in ordered]).reshape(-1, 4, 4)
        return self.own_frame.world_poses(inside)

    def surface(self) -> SurfacePoints:
        """Returns the surface of the submaps that are awake, in the world frame."""
        return self.own_frame.world_surface(self._query.surface(self.nodes))

    def whole_surface(self) -> SurfacePoints:
        """Returns the surface of all submaps; the files of those that sleep are read for it."""
        return self.own_frame.world_surface(self._query.surface(self.nodes, asleep=True))

    def reading(self, node: AtlasNode) -> Reading | None:
        """Returns what can be read of a submap, awake or not; None if its file is damaged."""
        return self._query.reading(node, self.nodes)

    def query(self, request: QueryRequest) -> list[QueryResult]:
        """Answers a request, one result per positive.

        The cloud of a result is what was read exactly, not the whole surface.

        Raises:
            ValueError: The request is malformed.
            NotReadyError: There is no map yet.
        """
        request.check()
        if self.keyframe_count == 0:
            raise NotReadyError('no keyframe has arrived yet: is the camera stream running?')
        if self.step_count == 0:
            raise NotReadyError('the map has not learned anything yet: ask again in a moment')
        results = self._query.answer(self.own_frame.request(request), self.nodes)
        return self.own_frame.world_results(results)

    def render(
        self, camera: PinholeCamera, camera_to_world: Float[np.ndarray, '4 4']
    ) -> RenderedView:
        """Renders the submap that a camera is in.

        Raises:
            NotReadyError: There is no map there.
        """
        node, pose = self._node_for(camera_to_world)
        return self._awake(node).render(camera, pose)

    def view_pieces(
        self, camera: PinholeCamera, camera_to_world: Float[np.ndarray, '4 4'], phrase: str = ''
    ) -> Pieces[MapView]:
        """Draws the submap that a camera is in; see :meth:`Submap.view_pieces`."""
        node, pose = self._node_for(camera_to_world)
        return self._awake(node).view_pieces(camera, pose, phrase)

    def relevancy_pieces(
        self,
        phrase: str,
        depth_m: Float[np.ndarray, 'height width'],
        camera: PinholeCamera,
        camera_to_world: Float[np.ndarray, '4 4'],
    ) -> Pieces[Float32[np.ndarray, 'height width']]:
        """Returns the relevancy of a view; see :meth:`Submap.relevancy_pieces`."""
        node, pose = self._node_for(camera_to_world)
        return self._awake(node).relevancy_pieces(phrase, depth_m, camera, pose)

    def _node_for(
        self, camera_to_world: Float[np.ndarray, '4 4']
    ) -> tuple[AtlasNode, Float[np.ndarray, '4 4']]:
        """Returns the submap in which a point ahead of the camera lies, and its pose there."""
        if not len(self.nodes):
            raise NotReadyError('no keyframe has arrived yet: is the camera stream running?')
        inside = self.own_frame.poses(camera_to_world)
        ahead = inside[:3, 3] + inside[:3, 2]
        node = min(self.nodes, key=lambda node: node.distance_m(ahead))
        return node, node.local(inside)

    def _awake(self, node: AtlasNode) -> Submap:
        submap = self.nodes.wake(node)
        self._query.forget(node)
        return submap

    def save(self, path: Any) -> None:
        """Writes the map as a folder with one file a submap, or leaves the old one as it was.

        Raises:
            NotReadyError: There is no map yet.
            OSError: The folder cannot be written.
        """
        if not len(self.nodes) or not self.step_count:
            raise NotReadyError('there is no map to save yet')
        self.nodes.save(
            path,
            {
                'map_id': self.id,
                'encoder': self.encoder.name,
                'encoder_fingerprint': self.encoder.fingerprint,
                'world_frame': self.config.node.world_frame,
                'stamp_ns': self.last_stamp_ns,
                'keyframes': self.keyframe_count,
                'steps': self.step_count,
                'pose_epoch': self.pose_epoch,
                'next_index': self._next_index,
                'origin_m': self.own_frame.origin_m.tolist(),
            },
        )

    def load(self, path: Any) -> None:
        """Replaces this map by a saved one; on any error this map stays as it was.

        Raises:
            ValueError: The folder is no atlas, was made with another encoder, or lives in another
                world frame.
            OSError: It cannot be read.
        """
        metadata = self.nodes.load(path)
        self._query.clear()
        self.own_frame = OwnFrame.of_file(metadata)
        self.configure(self.config)
        self.id = str(metadata['map_id'])
        self.keyframe_count = int(metadata['keyframes'])
        self.step_count, self.pose_epoch = int(metadata['steps']), int(metadata['pose_epoch'])
        self.last_stamp_ns = int(metadata['stamp_ns'])
        self._next_index = {str(name): int(n) for name, n in metadata['next_index'].items()}
        self.last_camera = None

    def close(self) -> None:
        """Gives back files and memory that outlive a map."""
        self.nodes.clear()


def make_map(config: LerfConfig, encoder: LanguageEncoder | None = None) -> Atlas | Submap:
    """Returns an atlas where ``atlas.submap_side_m`` says so, else one map for everything."""
    if config.atlas.submap_side_m > 0:
        return Atlas(config, encoder)
    return Submap(config, encoder)
