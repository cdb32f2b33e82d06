"""The live map: keyframes in, answers out.

:class:`Submap` joins the encoder, the pyramid, the trainer, the surface and the query engine. The
field node and the evaluation both drive this class, so that what is measured is what runs on the
robot. It knows no threads: whoever owns it calls every method from one thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8

from lerf_ros.config import LerfConfig
from lerf_ros.features.dense import load_dense_extractor
from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.features.load import load_encoder
from lerf_ros.features.pyramid import FeaturePyramid, PyramidBuilder, PyramidLevel
from lerf_ros.field.view import RenderedView
from lerf_ros.frames import Keyframe, KeyframeId
from lerf_ros.geometry import PinholeCamera
from lerf_ros.maps.file import load_map, save_map
from lerf_ros.query.engine import QueryEngine, QueryRequest, QueryResult
from lerf_ros.query.phrase import parse_phrase
from lerf_ros.scheduling.pieces import Pieces
from lerf_ros.surface.cloud import SurfaceMap, SurfacePoints
from lerf_ros.training.trainer import StepReport, Trainer

logger = logging.getLogger(__name__)

# Without depth, surface points come from rendered depth: one keyframe each so many steps, as soon
# as the geometry has settled.
SURFACE_RENDER_STEPS = 25
SURFACE_RENDER_WIDTH_PX = 160
SURFACE_FIRST_STEP = 300
# Rays rendered in one piece of a view: about as long as a training step takes.
PIECE_RAYS = 4096
# A view shows something where at least this much of the ray's light comes from the map.
OPAQUE = 0.5


class NotReadyError(RuntimeError):
    """The map cannot answer yet; the message says what is missing."""


@dataclass(frozen=True, eq=False)
class MapView:
    """What a camera would see of the map.

    Attributes:
        image: RGB picture.
        depth_m: Depth along the optical axis, NaN where the map holds nothing.
        relevancy: Relevancy of a phrase, NaN where the map holds nothing; None without a phrase.
        stamp_ns: Stamp of the last keyframe in the map.
    """

    image: UInt8[np.ndarray, 'height width 3']
    depth_m: Float32[np.ndarray, 'height width']
    relevancy: Float32[np.ndarray, 'height width'] | None
    stamp_ns: int


class Submap:
    """A map that learns from keyframes and answers phrases.

    Args:
        config: All options.
        encoder: The language encoder; loaded as the options say if None.

    Raises:
        ValueError: An option names an unknown encoder, device or backend.
        FileNotFoundError: Weights are missing; the message says which and where they belong.

    Attributes:
        on_features: Called with each keyframe and its pyramid after their intake; the evaluation's
            fusion without a field listens here.
    """

    def __init__(self, config: LerfConfig, encoder: LanguageEncoder | None = None) -> None:
        self.config = config
        self.on_features: Callable[[Keyframe, FeaturePyramid], None] | None = None
        self.device = resolve_device(config.training.device)
        self.encoder = encoder or load_encoder(config.features, self.device)
        self._pyramids = PyramidBuilder(self.encoder, config.features, self.device)
        self._dense = load_dense_extractor(config.features, self.encoder, self.device)
        self.engine = QueryEngine(self.encoder, config.query, config.features)
        self.reset()

    def reset(self) -> None:
        """Forgets all keyframes and weights; the encoder stays."""
        self.trainer = Trainer(
            self.config,
            embedding_size=self.encoder.embedding_size,
            dense_size=self._dense.size if self._dense else 0,
            device=self.device,
        )
        self.surface_map = SurfaceMap(self.config.query)
        self.engine.clear()
        self.last_stamp_ns = 0
        self.keyframe_count = 0
        self.last_camera: PinholeCamera | None = None
        self._without_depth: list[Keyframe] = []
        self._rendered_at: dict[KeyframeId, int] = {}
        self._asked = False

    def ingest_jobs(self, keyframe: Keyframe) -> list[Callable[[], None]]:
        """Cuts the intake of one keyframe into short jobs, to be run in this order.

        Each job takes one pyramid level at most, so that a query which arrives meanwhile waits
        for one of them only.
        """
        levels: list[PyramidLevel] = []

        def encode_level(level: int) -> None:
            levels.append(self._pyramids.encode_level(keyframe.frame.image, level))

        def integrate() -> None:
            frame = keyframe.frame
            dense = self._dense.extract(frame.image) if self._dense else None
            pyramid = FeaturePyramid(frame.camera.width, frame.camera.height, tuple(levels))
            self.trainer.add_keyframe(keyframe, pyramid, dense)
            if frame.depth is not None and np.isfinite(frame.depth).any():
                self.surface_map.integrate(
                    keyframe.id, frame.depth, frame.image, frame.camera, frame.camera_to_world
                )
            else:
                self._without_depth.append(keyframe)
            self.keyframe_count += 1
            self.last_camera = frame.camera
            self.last_stamp_ns = max(self.last_stamp_ns, frame.stamp_ns)
            if self.on_features is not None:
                self.on_features(keyframe, pyramid)

        jobs: list[Callable[[], None]] = [
            lambda level=level: encode_level(level)  # type: ignore[misc]
            for level in range(self._pyramids.level_count)
        ]
        return [*jobs, integrate]

    def ingest(self, keyframe: Keyframe) -> None:
        """Takes in one keyframe at once."""
        for job in self.ingest_jobs(keyframe):
            job()

    def ready(self) -> bool:
        """Tells whether there is anything to train on."""
        return self.trainer.field is not None and len(self.trainer.store) > 0

    def step(self) -> StepReport:
        """Trains one step, and renews a part of what queries read."""
        report = self.trainer.step()
        settled = report.step >= SURFACE_FIRST_STEP
        if self._without_depth and settled and report.step % SURFACE_RENDER_STEPS == 0:
            self._integrate_rendered_depth(report.step)
        if self._asked and self.config.query.refresh_points:
            # Only a map that is asked pays for quick answers.
            assert self.trainer.field is not None
            self.engine.refresh(
                self.config.query.refresh_points,
                field=self.trainer.field,
                surface=self.surface_map,
                step=report.step,
            )
        return report

    def _integrate_rendered_depth(self, step: int) -> None:
        """Renews the surface seen by the keyframe without depth whose turn it is."""
        keyframe = min(self._without_depth, key=lambda k: self._rendered_at.get(k.id, -1))
        frame = self.trainer.store.keyframe(keyframe.id).frame
        width = min(SURFACE_RENDER_WIDTH_PX, frame.camera.width)
        camera = frame.camera.resized(
            width, round(frame.camera.height * width / frame.camera.width)
        )
        view = self.trainer.render(camera, frame.camera_to_world)
        depth_m = np.where(view.accumulation > 0.9, view.depth_m, np.nan).astype(np.float32)
        self.surface_map.integrate(keyframe.id, depth_m, view.image, camera, frame.camera_to_world)
        self._rendered_at[keyframe.id] = step

    def update_poses(
        self, ids: list[KeyframeId], camera_to_world: Float[np.ndarray, 'n 4 4']
    ) -> None:
        """Moves keyframes, after a loop closure; takes effect on the next step."""
        self.trainer.store.update_poses(ids, camera_to_world)
        self.surface_map.clear()
        for id_ in self.trainer.store.ids:
            frame = self.trainer.store.keyframe(id_).frame
            if frame.depth is not None:
                self.surface_map.integrate(
                    id_, frame.depth, frame.image, frame.camera, frame.camera_to_world
                )
        self._rendered_at.clear()

    def surface(self) -> SurfacePoints:
        """Returns the surface cloud as it stands."""
        return self.surface_map.points()

    def query(self, request: QueryRequest) -> list[QueryResult]:
        """Answers a request, one result per positive.

        Raises:
            ValueError: The request is malformed.
            NotReadyError: There is no map yet.
        """
        request.check()
        field = self.trainer.field
        if field is None or self.keyframe_count == 0:
            raise NotReadyError('no keyframe has arrived yet: is the camera stream running?')
        if self.trainer.step_count == 0:
            raise NotReadyError('the map has not learned anything yet: ask again in a moment')
        if len(self.surface_map.points().positions) == 0:
            raise NotReadyError(
                'the map has no surface yet: wait for training, or check the depth stream'
            )
        self._asked = True
        return self.engine.query(
            request,
            field=field,
            surface=self.surface_map,
            step=self.trainer.step_count,
            stamp_ns=self.last_stamp_ns,
        )

    def render(
        self, camera: PinholeCamera, camera_to_world: Float[np.ndarray, '4 4']
    ) -> RenderedView:
        """Renders the map from any pose.

        Raises:
            NotReadyError: There is no map yet.
        """
        if self.trainer.field is None:
            raise NotReadyError('no keyframe has arrived yet: is the camera stream running?')
        return self.trainer.render(camera, camera_to_world)

    def view_pieces(
        self, camera: PinholeCamera, camera_to_world: Float[np.ndarray, '4 4'], phrase: str = ''
    ) -> Pieces[MapView]:
        """Draws the map from any pose, and the relevancy of a phrase, in short pieces.

        Questions may be answered between the pieces, and training may go on.

        Raises:
            NotReadyError: There is no map yet, or another one has taken its place meanwhile.
            ValueError: The phrase holds no word.
        """
        if phrase:
            parse_phrase(phrase, 'phrase')
        trainer = self.trainer
        if trainer.field is None:
            raise NotReadyError('no keyframe has arrived yet: is the camera stream running?')
        rows = max(1, PIECE_RAYS // camera.width)
        strips = []
        for first in range(0, camera.height, rows):
            self._require_same(trainer)
            height = min(rows, camera.height - first)
            strip = replace(camera, cy=camera.cy - first, height=height)
            strips.append(trainer.render(strip, camera_to_world))
            yield
        image, depth_m, accumulation = (
            np.concatenate([getattr(strip, name) for strip in strips])
            for name in ('image', 'depth_m', 'accumulation')
        )
        depth_m = np.where(accumulation > OPAQUE, depth_m, np.nan).astype(np.float32)
        relevancy = None
        if phrase:
            relevancy = yield from self.relevancy_pieces(phrase, depth_m, camera, camera_to_world)
        return MapView(image, depth_m, relevancy, self.last_stamp_ns)

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
        trainer = self.trainer
        if trainer.field is None:
            raise NotReadyError('no keyframe has arrived yet: is the camera stream running?')
        pieces = self.engine.heat_map_pieces(
            phrase,
            field=trainer.field,
            surface=self.surface_map,
            depth_m=depth_m,
            camera=camera,
            camera_to_world=camera_to_world,
            step=trainer.step_count,
        )
        while True:
            # What is read for a map that is gone must not get into the answers of the next one.
            self._require_same(trainer)
            try:
                next(pieces)
            except StopIteration as stop:
                return stop.value
            yield

    def _require_same(self, trainer: Trainer) -> None:
        if self.trainer is not trainer:
            raise NotReadyError('the map was replaced while the view was drawn: ask again')

    def save(self, path: Path | str) -> None:
        """Writes the map to one file, or leaves the old file as it was.

        Raises:
            NotReadyError: There is no map yet.
            OSError: The file cannot be written.
        """
        if not self.ready():
            raise NotReadyError('there is no map to save yet')
        metadata = {
            'encoder': self.encoder.name,
            'encoder_fingerprint': self.encoder.fingerprint,
            'stamp_ns': self.last_stamp_ns,
            'keyframes': self.keyframe_count,
            'world_frame': self.config.node.world_frame,
        }
        save_map(path, self.trainer, {'surface': self.surface_map.state_dict()}, metadata)

    def load(self, path: Path | str) -> None:
        """Replaces this map by a saved one; on any error this map stays as it was.

        Raises:
            ValueError: The file is no map, is damaged, or was made with another encoder.
            OSError: The file cannot be read.
        """
        trainer = Trainer(
            self.config,
            embedding_size=self.encoder.embedding_size,
            dense_size=self._dense.size if self._dense else 0,
            device=self.device,
        )
        extra, metadata = load_map(path, trainer)
        if metadata.get('encoder_fingerprint') != self.encoder.fingerprint:
            raise ValueError(
                f'{path}: the map was made with the encoder {metadata.get("encoder")!r}, '
                f'this node runs {self.encoder.name!r}; set features.encoder to match'
            )
        surface_map = SurfaceMap(self.config.query)
        surface_map.load_state_dict(extra['surface'])
        self.trainer, self.surface_map = trainer, surface_map
        self.engine.clear()
        self.last_stamp_ns = int(metadata['stamp_ns'])
        self.keyframe_count = int(metadata['keyframes'])
        self._without_depth, self._rendered_at = [], {}


def resolve_device(name: str) -> torch.device:
    """Returns the device an option names; 'auto' takes CUDA where it works.

    Raises:
        ValueError: The device is unknown or not there.
    """
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"training.device: expected 'auto', 'cpu' or 'cuda', got {name!r}") from (
            error
        )
    if device.type == 'cuda' and not torch.cuda.is_available():
        raise ValueError(f'training.device: {name!r} was asked for, but torch finds no CUDA GPU')
    return device
