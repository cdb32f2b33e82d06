"""Pictures as positives: 'where is this?'."""

from __future__ import annotations

import cv2
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.query.phrase import Phrase
from lerf_ros.query.request import Array, Exemplar


def exemplar_phrase(
    encoder: LanguageEncoder, exemplar: Exemplar, scene_mean: Float[Tensor, 'd']
) -> Phrase:
    """Returns the phrase a picture stands for.

    Embeddings of images are closer to each other than to those of any text, so words are no match
    for a picture: what it competes with is the mean embedding of the scene itself.

    Args:
        encoder: Embeds the picture.
        exemplar: The picture, checked.
        scene_mean: Mean unit embedding of the surface.
    """
    crop = square_crop(exemplar)
    side = encoder.input_size
    shrink = cv2.INTER_AREA if min(crop.shape[:2]) > side else cv2.INTER_LINEAR
    pixels = cv2.resize(crop, (side, side), interpolation=shrink)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(scene_mean.device) / 255
    positive = F.normalize(encoder.encode_images(image.float()), dim=-1)
    mean = F.normalize(scene_mean[None], dim=-1)
    return Phrase(exemplar.name, positive, negatives=mean, distractors=mean)


def square_crop(exemplar: Exemplar) -> UInt8[Array, 'height width 3']:
    """Returns the thing with what is beside it, as square as the picture allows.

    Tiles of the pyramid are square: a crop of another shape would be squeezed.
    """
    height, width = exemplar.image.shape[:2]
    u0, v0, u1, v1 = exemplar.box_px()
    side = min(max(u1 - u0, v1 - v0), height, width)
    left, right = _spread(u0, u1, side, width)
    top, bottom = _spread(v0, v1, side, height)
    return exemplar.image[top:bottom, left:right]


def _spread(start: int, stop: int, length: int, limit: int) -> tuple[int, int]:
    """Grows a span around its middle to a length, inside 0 to limit."""
    missing = max(length - (stop - start), 0)
    first = min(max(start - missing // 2, 0), limit - (stop - start) - missing)
    return first, first + (stop - start) + missing
