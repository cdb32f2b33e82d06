"""A model of open_clip as a language encoder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lerf_ros.config import FeatureOptions
from lerf_ros.features.encoder import (
    ExistenceCalibration,
    require_images,
    require_texts,
)
from lerf_ros.features.open_clip.module import hub_access, open_clip, unspoken_weights
from lerf_ros.features.open_clip.weights import (
    RANDOM,
    default_tag,
    find_weights,
    fingerprint,
    load_weights,
    require_model_name,
)

_LOGGER = logging.getLogger(__name__)
# Crops of one forward pass: enough to fill two cores or a GPU, small enough for their memory.
_BATCH = {'cpu': 32, 'cuda': 512}
# LERF multiplies CLIP's cosines by 10 where CLIP was trained with 100. A tenth of the factor it
# was trained with is the same rule for every encoder, whatever the spread of its cosines.
_TEMPERATURE_SHARE = 0.1


def load_clip_encoder(options: FeatureOptions, device: torch.device) -> ClipEncoder:
    """Returns the model of open_clip that the options name.

    Args:
        options: `encoder` is a model of open_clip, `pretrained` a published tag, a local file,
            'random', or empty for the default.
        device: Where it runs; half precision on a GPU.

    Raises:
        ValueError: The name is unknown, or the weights are missing, damaged or of another model.
    """
    name = require_model_name(options.encoder)
    precision = 'fp16' if device.type == 'cuda' else 'fp32'
    path = None if options.pretrained == RANDOM else find_weights(name, options)
    tag = options.pretrained if path is None or path.stem != options.pretrained else path.stem
    published = open_clip().get_pretrained_cfg(name, tag) or open_clip().get_pretrained_cfg(
        name, default_tag(name)
    )
    preprocess = {key: published[key] for key in ('mean', 'std') if published.get(key)}
    with hub_access(options.allow_download), unspoken_weights():
        try:
            model = open_clip().create_model(
                name,
                pretrained_text=False,
                precision=precision,
                device=device,
                force_preprocess_cfg=preprocess or None,
            )
            tokenizer = open_clip().get_tokenizer(name)
        except (OSError, ImportError) as error:
            raise ValueError(
                f'encoder: {name} needs files of its text tower that are not on this machine; set '
                "features.allow_download to fetch them once, or use 'ViT-B-16' or 'tabletop' "
                f'({str(error).splitlines()[0]})'
            ) from error
    if path is None:
        _LOGGER.warning('%s has random weights: good for timing, useless for queries', name)
    else:
        load_weights(model, path, name)
    existence = load_existence(path, options.place)
    return ClipEncoder(name, model, tokenizer, device, existence)


def load_existence(weights: Path | None, place: str = '') -> ExistenceCalibration | None:
    """Returns the calibration that lies beside a weights file, or None.

    Args:
        weights: The weights; None for random ones.
        place: Where it was fitted; where there is none of that place, the one for tables is taken.
    """
    if weights is None:
        return None
    names = [f'.{place}.existence.json'] if place else []
    for name in (*names, '.existence.json'):
        path = weights.with_suffix(name)
        if path.is_file():
            return ExistenceCalibration.load(path)
    return None


class ClipEncoder:
    """A model of open_clip as a :class:`~lerf_ros.features.encoder.LanguageEncoder`.

    Args:
        name: Name of the model.
        model: The model with its weights.
        tokenizer: Its tokenizer.
        device: Where it runs.
        existence: Calibration found beside the weights; dropped unless fitted for them.
    """

    def __init__(
        self,
        name: str,
        model: Any,
        tokenizer,
        device: torch.device,
        existence: ExistenceCalibration | None = None,
    ) -> None:
        self.name = name
        self.model = model.eval().requires_grad_(False)
        self.device = device
        self.fingerprint = fingerprint(model, name)
        self.temperature = _TEMPERATURE_SHARE * float(model.logit_scale.exp())
        self._tokenizer = tokenizer
        self._context = int(model.context_length)
        self._dtype = _precision_of(model.visual)
        size = model.visual.image_size
        self.input_size = int(size[0] if isinstance(size, (tuple, list)) else size)
        mean, std = model.visual.preprocess_cfg['mean'], model.visual.preprocess_cfg['std']
        self._mean = torch.tensor(mean, device=device).view(3, 1, 1)
        self._std = torch.tensor(std, device=device).view(3, 1, 1)
        self.embedding_size = self._encode_tokens(['size']).shape[1]
        if existence is not None and existence.encoder_fingerprint != self.fingerprint:
            _LOGGER.warning('%s: the existence calibration is of other weights: not used', name)
            existence = None
        self.existence = existence

    @torch.no_grad()
    def encode_images(self, images: Float[Tensor, 'n 3 h w']) -> Float[Tensor, 'n d']:
        """Returns a unit vector for each image, resized to the square the tower expects.

        Raises:
            ValueError: The images are no (n, 3, h, w) floats.
        """
        require_images(images)
        batch = _BATCH.get(self.device.type, 32)
        parts = [
            self.model.encode_image(self.pixels_in(chunk), normalize=True).float()
            for chunk in images.split(batch)
        ]
        return torch.cat(parts)

    def encode_texts(self, texts: Sequence[str]) -> Float[Tensor, 'n d']:
        """Returns a unit vector for each text; what exceeds the context is cut with a warning.

        Raises:
            ValueError: There is no text, or one of them is empty.
        """
        return self._encode_tokens(require_texts(texts))

    def knows_word(self, word: str) -> bool:
        """Tells whether a word is one token: pieces of words say little to a small encoder."""
        encode = getattr(self._tokenizer, 'encode', None)
        return encode is None or len(encode(word)) == 1

    @torch.no_grad()
    def _encode_tokens(self, texts: list[str]) -> Float[Tensor, 'n d']:
        tokens = self._tokenizer(texts)
        encode = getattr(self._tokenizer, 'encode', None)
        for text in texts:
            # Two places of the context mark start and end. Every word takes at least one.
            if len(encode(text) if encode else text.split()) > self._context - 2:
                _LOGGER.warning(
                    '%s reads %d tokens: the end of %r is cut', self.name, self._context, text
                )
        embeddings = self.model.encode_text(tokens.to(self.device), normalize=True)
        return embeddings.float()

    def pixels_in(self, images: Float[Tensor, 'n 3 h w']) -> Float[Tensor, 'n 3 s s']:
        """Returns images as the tower takes them: resized, normalised, in its precision."""
        images = images.to(self.device, torch.float32)
        if images.shape[2:] != (self.input_size, self.input_size):
            images = F.interpolate(
                images, (self.input_size, self.input_size), mode='bicubic', antialias=True
            ).clamp(0, 1)
        return ((images - self._mean) / self._std).to(self._dtype)


def _precision_of(tower: torch.nn.Module) -> torch.dtype:
    """Returns the precision of a tower's inputs: norms and positions of a half one stay whole."""
    dtypes = {parameter.dtype for parameter in tower.parameters()} - {torch.float32}
    return dtypes.pop() if dtypes else torch.float32
