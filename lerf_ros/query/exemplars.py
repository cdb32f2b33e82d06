"""Pictures as positives: 'where is this?'."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.query.phrase import Phrase
from lerf_ros.query.request import Array, Exemplar

# Sides of the crops over the longer side of the box. Tiles of the pyramid do not fit things as
# boxes drawn by people do; a mean over crops with less and more around the thing forgives that.
MARGINS = (1.0, 1.25, 1.5)


def exemplar_phrase(
    encoder: LanguageEncoder, exemplar: Exemplar, scene_means: Float[Tensor, 's d']
) -> Phrase:
    """Returns the phrase a picture stands for.

    Embeddings of images are closer to each other than to those of any text, so words are no match
    for a picture: what it competes with is the mean embedding of the scene itself. That is one for
    each scale, for pictures of large pieces of a scene are alike in another way than those of
    small ones.

    Args:
        encoder: Embeds the picture.
        exemplar: The picture, checked.
        scene_means: Mean unit embedding of the surface at each scale.
    """
    crops = [square_crop(exemplar, margin) for margin in MARGINS]
    side = encoder.input_size
    pixels = np.stack([_resized(crop, side) for crop in crops])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(scene_means.device).float() / 255
    embeddings = F.normalize(encoder.encode_images(images), dim=-1)
    positive = F.normalize(embeddings.mean(dim=0, keepdim=True), dim=-1)
    return Phrase(
        exemplar.name, positive, scene_means[:0], distractors=scene_means, background=scene_means
    )


def _resized(crop: UInt8[Array, 'height width 3'], side: int) -> UInt8[Array, 'side side 3']:
    shrink = cv2.INTER_AREA if min(crop.shape[:2]) > side else cv2.INTER_LINEAR
    return cv2.resize(crop, (side, side), interpolation=shrink)


def square_crop(exemplar: Exemplar, margin: float = 1.0) -> UInt8[Array, 'height width 3']:
    """Returns the thing with what is beside it, as square as the picture allows.

    Tiles of the pyramid are square: a crop of another shape would be squeezed.

    Args:
        exemplar: The picture.
        margin: Side of the square over the longer side of the box, at least 1.
    """
    height, width = exemplar.image.shape[:2]
    u0, v0, u1, v1 = exemplar.box_px()
    side = min(round(margin * max(u1 - u0, v1 - v0)), height, width)
    left, right = _spread(u0, u1, side, width)
    top, bottom = _spread(v0, v1, side, height)
    return exemplar.image[top:bottom, left:right]


def _spread(start: int, stop: int, length: int, limit: int) -> tuple[int, int]:
    """Grows a span around its middle to a length, inside 0 to limit."""
    missing = max(length - (stop - start), 0)
    first = min(max(start - missing // 2, 0), limit - (stop - start) - missing)
    return first, first + (stop - start) + missing
