"""A map: frames in, answers out.

:class:`Submap` joins the encoder, the pyramid, the trainer, the surface and the query engine. The
field node and the evaluation both drive this class, so that what is measured is what runs on the
robot. It knows no threads: its owner calls every method from one thread.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

from lerf_ros.config import LerfConfig
from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.features.pyramid import FeaturePyramid
from lerf_ros.field.view import RenderedView
from lerf_ros.frames import Keyframe, KeyframeId, PosedFrame
from lerf_ros.geometry import PinholeCamera, rounded_pose
from lerf_ros.keyframes.store import KeyframeState
from lerf_ros.maps.anchor import named_by_stamp
from lerf_ros.maps.errors import NotReadyError
from lerf_ros.maps.extraction import Extraction, FrameFeatures
from lerf_ros.maps.facts import MapFacts, read_map
from lerf_ros.maps.file import save_map
from lerf_ros.maps.own_frame import OwnFrame
from lerf_ros.maps.poses import move_keyframes, registered, registration_of
from lerf_ros.maps.reader import MapReader
from lerf_ros.maps.rendered_depth import RenderedDepth
from lerf_ros.maps.view import MapView
from lerf_ros.query.engine import QueryEngine, QueryRequest, QueryResult
from lerf_ros.scheduling.pieces import Pieces
from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.surface.points import SurfacePoints
from lerf_ros.training.step_report import StepReport
from lerf_ros.training.trainer import Trainer


class Submap:
    """A map that learns from keyframes and answers phrases.

    Args:
        config: All options.
        encoder: The language encoder; loaded as the options say if None.
        extraction: Makes features, where several submaps share it; its own if None.
        own_frame: What it computes in; told by the first keyframe if None.

    Raises:
        ValueError: An option names an unknown encoder, device or backend.
        FileNotFoundError: Weights are missing; the message says which and where they belong.

    Attributes:
        id: Identity of the map: another one after a reset, that of the file after a load.
        config: All options, as they are now.
        keyframe_count: Number of keyframes that were taken in.
        pose_epoch: How often poses were corrected.
        last_camera: Intrinsics of the last keyframe; None before the first.
        last_stamp_ns: Stamp of the newest keyframe.
        own_frame: The frame it computes in.
        on_features: Called with each keyframe and its pyramid after their intake.
        reader: Reads it until another map takes its place.
    """

    def __init__(
        self,
        config: LerfConfig,
        encoder: LanguageEncoder | None = None,
        extraction: Extraction | None = None,
        own_frame: OwnFrame | None = None,
    ) -> None:
        self.config = config
        self.on_features: Callable[[Keyframe, FeaturePyramid], None] | None = None
        self._given_frame = own_frame
        self._extraction = extraction or Extraction(config, encoder)
        self.device, self.encoder = self._extraction.device, self._extraction.encoder
        self.engine = QueryEngine(self.encoder, config.query, config.features)
        self._registration = registration_of(config)
        self.reset()

    def reset(self) -> None:
        """Forgets all keyframes and weights; the encoder stays. Another map begins."""
        self._begin(self._new_trainer(), SurfaceMap(self.config.query), uuid.uuid4().hex[:12])

    def _new_trainer(self) -> Trainer:
        return Trainer(
            self.config,
            embedding_size=self.encoder.embedding_size,
            dense_size=self._extraction.dense_size,
            device=self.device,
        )

    def _begin(self, trainer: Trainer, surface_map: SurfaceMap, map_id: str) -> None:
        """Makes these the map; nothing of the one before is left."""
        if hasattr(self, 'trainer'):  # there is none before the first map
            self.reader.close()
            self.close()
        self.id = map_id
        self.own_frame = self._given_frame or OwnFrame()
        self.trainer, self.surface_map = trainer, surface_map
        self.engine.clear()
        self.reader: MapReader = MapReader(self.engine, trainer, surface_map)
        self.last_stamp_ns = 0
        self.keyframe_count = self.pose_epoch = 0
        self.last_camera: PinholeCamera | None = None
        # The map names its keyframes: a source that starts again repeats its own numbers.
        self._next_index: dict[str, int] = {}
        self._rendered_depth = RenderedDepth(trainer.store.ids_without_depth)

    def configure(self, config: LerfConfig) -> None:
        """Takes over options that may change while the map lives."""
        self.config = config
        self.trainer.configure(self.own_frame.config(config))
        self.engine.configure(config.query)

    @property
    def current(self) -> Submap:
        """This map; of an atlas, the submap that the newest keyframe is in."""
        return self

    @property
    def step_count(self) -> int:
        """Number of training steps so far."""
        return self.trainer.step_count

    @property
    def surface_points(self) -> int:
        """Number of points of the surface cloud."""
        return len(self.surface_map.points().positions)

    @property
    def language_bytes(self) -> int:
        """Memory of the weights of the language field; 0 without a field."""
        field = self.trainer.field
        weights = () if field is None else field.language.parameters()
        return sum(weight.numel() * weight.element_size() for weight in weights)

    def fix_scene_box(self) -> None:
        """Fits the scene box to all keyframes so far; to be called before the first step.

        Raises:
            ValueError: There is no keyframe, or the field has begun to learn.
        """
        self.trainer.fix_scene_box()

    def ingest_jobs(
        self, frame: PosedFrame, source: str = 'camera'
    ) -> list[Callable[[], Keyframe | None]]:
        """Cuts the intake of one frame into short jobs, to be run in this order.

        Each job takes one pyramid level at most, so that a query which arrives meanwhile waits
        for one of them only. The last one returns the keyframe, which the map then has named.

        Args:
            frame: The frame.
            source: Name of the stream that it comes from.
        """

        def integrate(features: FrameFeatures) -> Keyframe:
            keyframe = Keyframe(KeyframeId(source, self._next_index.get(source, 0)), frame)
            self.integrate(keyframe, features)
            return keyframe

        return self._extraction.jobs(frame, integrate)

    def integrate(self, keyframe: Keyframe, features: FrameFeatures) -> None:
        """Takes in a keyframe whose features are known.

        Raises:
            ValueError: The keyframe is in the map already or its features do not fit.
            OSError: An older keyframe had to go to disk, and the disk is full.
        """
        if self.keyframe_count == 0 and self._given_frame is None:
            self._settle(OwnFrame.around(keyframe.frame.camera_to_world[:3, 3]))
        keyframe = self.own_frame.keyframe(keyframe)
        if self._registration is not None:
            keyframe = registered(keyframe, self._registration, self.surface_map)
        frame = keyframe.frame
        self.trainer.add_keyframe(keyframe, features.pyramid, features.dense)
        if frame.depth is not None and np.isfinite(frame.depth).any():
            pose = rounded_pose(frame.camera_to_world)
            self.surface_map.integrate(keyframe.id, frame.depth, frame.image, frame.camera, pose)
        else:
            self._rendered_depth.add(keyframe.id)
        self._next_index[keyframe.id.source] = keyframe.id.index + 1
        self.keyframe_count += 1
        self.last_camera = frame.camera
        self.last_stamp_ns = max(self.last_stamp_ns, frame.stamp_ns)
        if self.on_features is not None:
            self.on_features(self.own_frame.world_keyframe(keyframe), features.pyramid)

    def _settle(self, own_frame: OwnFrame) -> None:
        """Takes a frame to compute in, before anything is in the map."""
        self.own_frame, inside = own_frame, own_frame.config(self.config)
        self.trainer.configure(inside)
        self.surface_map.bound(inside.query)

    def ingest(self, frame: PosedFrame, source: str = 'camera') -> Keyframe:
        """Takes in one frame at once; returns the keyframe that it has become."""
        *levels, integrate = self.ingest_jobs(frame, source)
        for level in levels:
            level()
        keyframe = integrate()
        assert keyframe is not None
        return keyframe

    def ready(self) -> bool:
        """Tells whether there is anything to train on."""
        return self.trainer.field is not None and len(self.trainer.store) > 0

    def step(self) -> StepReport:
        """Trains one step, and renews a part of what queries read."""
        report = self.trainer.step(self.surface_map)
        self._rendered_depth.renew(self.trainer, self.surface_map)
        self.reader.refresh(self.config.query.refresh_points)
        return report

    def update_poses(
        self, ids: list[KeyframeId], camera_to_world: Float[np.ndarray, 'n 4 4']
    ) -> None:
        """Moves keyframes, after a loop closure, and the surface with those that saw it.

        Until the next steps have taught the field, it answers by where things were.

        Raises:
            ValueError: A pose is not rigid, the numbers differ or an id is unknown; nothing moved.
        """
        poses = self.own_frame.poses(camera_to_world)
        move_keyframes(self.trainer.store, self.surface_map, ids, poses)
        self.pose_epoch += 1

    def correct(
        self,
        stamps_ns: Sequence[int],
        camera_to_world: Float[np.ndarray, 'n 4 4'],
        source: str | None = None,
    ) -> int:
        """Moves the keyframes that :func:`named_by_stamp` finds or refuses; returns how many."""
        stamps = self.trainer.store.stamps()
        ids, poses = named_by_stamp(stamps_ns, camera_to_world, stamps, source)
        self.update_poses(ids, poses)
        return len(ids)

    def keyframe_poses(self) -> Float[np.ndarray, 'n 4 4']:
        """Returns ``camera_to_world`` of all keyframes, oldest first."""
        store = self.trainer.store
        poses = np.array([store.pose(id_) for id_ in store.ids])
        return self.own_frame.world_poses(poses.reshape(-1, 4, 4))

    def surface(self) -> SurfacePoints:
        """Returns the surface cloud as it stands."""
        return self.own_frame.world_surface(self.surface_map.points())

    def query(self, request: QueryRequest) -> list[QueryResult]:
        """Answers a request, one result per positive.

        Raises:
            ValueError: The request is malformed.
            NotReadyError: There is no map yet.
        """
        request.check()
        if self.keyframe_count == 0:
            raise NotReadyError('no keyframe has arrived yet: is the camera stream running?')
        results = self.reader.query(self.own_frame.request(request), self.last_stamp_ns)
        return self.own_frame.world_results(results)

    def render(
        self, camera: PinholeCamera, camera_to_world: Float[np.ndarray, '4 4']
    ) -> RenderedView:
        """Renders the map from any pose.

        Raises:
            NotReadyError: There is no map yet.
        """
        return self.reader.render(camera, self.own_frame.poses(camera_to_world))

    def view_pieces(
        self, camera: PinholeCamera, camera_to_world: Float[np.ndarray, '4 4'], phrase: str = ''
    ) -> Pieces[MapView]:
        """Draws the map from any pose, and the relevancy of a phrase, in short pieces.

        Questions may be answered between the pieces, and training may go on.

        Raises:
            NotReadyError: There is no map yet, or another one has taken its place meanwhile.
            ValueError: The phrase holds no word.
        """
        pose = self.own_frame.poses(camera_to_world)
        return self.reader.view_pieces(camera, pose, phrase, lambda: self.last_stamp_ns)

    def relevancy_pieces(
        self,
        phrase: str,
        depth_m: Float[np.ndarray, 'height width'],
        camera: PinholeCamera,
        camera_to_world: Float[np.ndarray, '4 4'],
    ) -> Pieces[Float32[np.ndarray, 'height width']]:
        """Returns the relevancy of a view of known depth, in short pieces.

        Raises:
            NotReadyError: There is no map yet, or another one has taken its place meanwhile.
            ValueError: The phrase holds no word, or the map has no surface yet.
        """
        pose = self.own_frame.poses(camera_to_world)
        return self.reader.relevancy_pieces(phrase, depth_m, camera, pose)

    def save(self, path: Path | str, keep_keyframes: int | None = None) -> None:
        """Writes the map to one file, or leaves the old file as it was.

        Args:
            path: The file.
            keep_keyframes: Most keyframes of a compact file; None writes everything exactly.

        Raises:
            NotReadyError: There is no map yet.
            OSError: The file cannot be written.
        """
        if not self.ready():
            raise NotReadyError('there is no map to save yet')
        counts = self.last_stamp_ns, self.keyframe_count, self._next_index
        facts = MapFacts(self.id, *counts, self.own_frame, self.pose_epoch)
        metadata = facts.metadata(self.encoder, self.config.node.world_frame)
        surface = {'surface': self.surface_map.state_dict()}
        save_map(path, self.trainer, surface, metadata, keep_keyframes)

    def load(self, path: Path | str, held: KeyframeState | None = None) -> None:
        """Replaces this map by a saved one; on any error this map stays as it was.

        Args:
            path: The file.
            held: Keyframes in the place of those in the file; None for these.

        Raises:
            ValueError: The file is no map, is damaged, or of another encoder or world frame.
            OSError: The file cannot be read.
        """
        trainer, surface = self._new_trainer(), SurfaceMap(self.config.query)
        facts = read_map(path, trainer, surface, self.encoder, self.config.node.world_frame, held)
        self._begin(trainer, surface, facts.map_id)
        self.last_stamp_ns, self.keyframe_count = facts.stamp_ns, facts.keyframe_count
        self._next_index, self.pose_epoch = facts.next_index, facts.pose_epoch
        self._settle(facts.own_frame)
        if ids := trainer.store.ids:
            self.last_camera = trainer.store.keyframe(ids[-1]).frame.camera

    def close(self) -> None:
        """Gives back files and threads that would outlive the map."""
        self.trainer.store.close()
