"""The shipped encoder, whose windows of one image share their convolutional passes.

A tile spans between three and eight cells of a feature map. An embedding of a window also knows
what surrounds it; an embedding of a lone crop (``encode_images``) does not. The encoder is trained
both ways.
"""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lerf_ros.config import FeatureOptions
from lerf_ros.features.encoder import ExistenceCalibration
from lerf_ros.features.open_clip.encoder import ClipEncoder, load_existence
from lerf_ros.features.open_clip.module import hub_access, open_clip, unspoken_weights
from lerf_ros.features.open_clip.weights import RANDOM, load_weights
from lerf_ros.features.precision import tower_dtype
from lerf_ros.features.tabletop.trunk import (
    CONTEXT_PX,
    STRIDE,
    register_trunk,
)
from lerf_ros.features.windows import Octaves, SharedWindows, pool_alone

TABLETOP = 'tabletop'
FOLDER = Path(__file__).parent
WEIGHTS = FOLDER / 'tabletop.safetensors'
VOCABULARY = FOLDER / 'bpe.txt.gz'
THINGS = FOLDER / 'things.json'
PREPROCESS = {'mean': (0.5, 0.5, 0.5), 'std': (0.25, 0.25, 0.25)}


def create_tabletop_model(device: torch.device | str = 'cpu') -> tuple[nn.Module, object]:
    """Returns the untrained model and its tokenizer."""
    register_trunk()
    open_clip().add_model_config(FOLDER / 'tabletop.json')
    with hub_access(False), unspoken_weights():
        model = open_clip().create_model(
            TABLETOP, device=device, force_preprocess_cfg=PREPROCESS, pretrained_text=False
        )
    tokenizer = open_clip().get_tokenizer(TABLETOP, bpe_path=str(VOCABULARY))
    return model.to(memory_format=torch.channels_last), tokenizer


def load_tabletop_encoder(options: FeatureOptions, device: torch.device) -> TabletopEncoder:
    """Returns the shipped encoder, or the same model with the weights the options name.

    Raises:
        ValueError: The weights are missing, damaged or of another model.
    """
    path = None
    of_place = WEIGHTS.with_suffix(f'.{options.place}.safetensors')
    shipped = of_place if options.place and of_place.is_file() else WEIGHTS
    model, tokenizer = create_tabletop_model(device)
    if options.pretrained != RANDOM:
        path = Path(options.pretrained).expanduser() if options.pretrained else shipped
        if not path.is_file():
            raise ValueError(
                f'pretrained: there is no file {path}; leave the option empty for the shipped '
                'weights, or train them by tools/train_tabletop_encoder.py'
            )
        load_weights(model, path, TABLETOP)
    dtype = tower_dtype(options.precision, device)
    existence = load_existence(path, options.place)
    octaves = Octaves(options.octave_tile_px, options.octave_side_px, STRIDE)
    return TabletopEncoder(model, tokenizer, device, octaves, existence, dtype)


class TabletopEncoder(ClipEncoder):
    """A convolutional encoder: also a :class:`~lerf_ros.features.encoder.WindowEncoder`, and a
    :class:`~lerf_ros.features.encoder.NamingEncoder`.

    Args:
        model: The model with its weights.
        tokenizer: Its tokenizer.
        device: Where it runs.
        octaves: At which sizes it sees an image.
        existence: Calibration found beside the weights; dropped unless fitted for them.
        precision: In which cells of windows are computed; lone crops keep that of the model.
    """

    def __init__(
        self,
        model: Any,
        tokenizer,
        device: torch.device,
        octaves: Octaves,
        existence: ExistenceCalibration | None,
        precision: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(TABLETOP, model, tokenizer, device, existence)
        self.things: tuple[str, ...] = tuple(json.loads(THINGS.read_text(encoding='utf-8')))
        model.visual.trunk.fold()
        self._trunk = copy.deepcopy(model.visual.trunk).to(precision)
        self._precision = precision
        self._octaves = octaves
        self._windows = SharedWindows(
            octaves,
            lambda image, octave: self._cells(self._octave_image(image, octave)),
            self._project,
            self.embedding_size,
            device,
        )

    @torch.no_grad()
    def encode_windows(
        self, image: Float[Tensor, '3 h w'], boxes: Float[Tensor, 'n 4']
    ) -> Float[Tensor, 'n d']:
        """Returns a unit vector for each window of the image.

        Windows of one call and of following calls with the same tensor share their passes.
        """
        return self._windows.encode(image, boxes)

    @torch.no_grad()
    def encode_window_alone(
        self, image: Float[Tensor, '3 h w'], box: Float[Tensor, '4']
    ) -> Float[Tensor, ' d']:
        """Returns the embedding of one window from the pixels around it, sharing nothing.

        The slow twin of :meth:`encode_windows`.
        """
        height, width = image.shape[1:]
        side = float(((box[2:] - box[:2]).prod()).sqrt())
        picture = self._octave_image(image, self._octaves.of_tile(side, width, height))
        scale = torch.tensor([picture.shape[2] / width, picture.shape[1] / height] * 2)
        left, top, right, bottom = (box.cpu() * scale).tolist()
        first_col = max(0, math.floor((left - CONTEXT_PX) / STRIDE))
        first_row = max(0, math.floor((top - CONTEXT_PX) / STRIDE))
        patch = picture[
            :,
            first_row * STRIDE : math.ceil((bottom + CONTEXT_PX) / STRIDE) * STRIDE,
            first_col * STRIDE : math.ceil((right + CONTEXT_PX) / STRIDE) * STRIDE,
        ]
        first = torch.tensor([first_col, first_row] * 2)
        return self._project(pool_alone(self._cells(patch), box.cpu() * scale / STRIDE - first))[0]

    @torch.no_grad()
    def patch_features(self, image: Float[Tensor, '3 h w']) -> Float[Tensor, 'rows cols c']:
        """Returns the tower's cells, as unit vectors, of the image at its own size."""
        return F.normalize(self._cells(self._octave_image(image, 0)), dim=0).permute(1, 2, 0)

    def _cells(self, image: Float[Tensor, '3 h w']) -> Float[Tensor, 'c rows cols']:
        image = ((image.to(self.device) - self._mean) / self._std).to(self._precision)
        image = image[None].contiguous(memory_format=torch.channels_last)
        return self._trunk.forward_features(image)[0].float()

    def _project(self, pooled: Float[Tensor, 'n c']) -> Float[Tensor, 'n d']:
        return F.normalize(self.model.visual.head(pooled.to(self._dtype)).float(), dim=-1)

    def _octave_image(
        self, image: Float[Tensor, '3 h w'], octave: float
    ) -> Float[Tensor, '3 h2 w2']:
        """Returns the image enlarged by ``2**octave``, its sides rounded to whole cells."""
        height, width = self._octaves.size(image, octave)
        if (height, width) == tuple(image.shape[1:]):
            return image
        resized = F.interpolate(
            image[None].float(), (height, width), mode='bilinear', antialias=octave < 0
        )
        return resized[0]
