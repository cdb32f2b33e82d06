"""Pictures as positives: 'where is this?'."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from lerf_ros.features.encoder import KindEncoder, LanguageEncoder, WindowEncoder
from lerf_ros.query.phrase import Phrase
from lerf_ros.query.request import Array, Exemplar

# Sides of the crops over the longer side of the box. Tiles of the pyramid do not fit things as
# boxes drawn by people do, and know what surrounds them; a mean over crops with less and more
# around the thing, and their mirror images, forgives that.
MARGINS = (1.0, 1.25, 1.5, 1.8, 2.2)
# What a picture shows beside the thing is not the thing: crops on a grid of so many rows and
# columns, with sides of so many times the box's, that cover no more than this share of it.
GRID = (4, 5)
BESIDE_SIDES = (1.0, 2.0)
BESIDE_COVER = 0.1
# A window of a picture is compared with a quarter of what it has in common with the whole scene.
WINDOW_BACKGROUND = 0.25


def exemplar_phrase(
    encoder: LanguageEncoder, exemplar: Exemplar, scene_means: Float[Tensor, 's d']
) -> Phrase:
    """Returns the phrase a picture stands for.

    Embeddings of images are closer to each other than to those of any text, so words are no match
    for a picture: what it competes with is the mean embedding of the scene itself, one for each
    scale, for pictures of large pieces of a scene are alike in another way than those of small
    ones; and, where a box is given, what the picture shows beside it.

    Args:
        encoder: Embeds the picture.
        exemplar: The picture, checked.
        scene_means: Mean unit embedding of the surface at each scale.
    """
    if isinstance(encoder, KindEncoder) and isinstance(encoder, WindowEncoder):
        return _window_phrase(encoder, exemplar, scene_means)
    crops = [square_crop(exemplar, margin) for margin in MARGINS]
    crops += crops_beside(exemplar)
    pixels = np.stack([_resized(crop, encoder.input_size) for crop in crops])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(scene_means.device).float() / 255
    images = torch.cat([images[: len(MARGINS)].flip(-1), images])
    embeddings = F.normalize(encoder.encode_images(images), dim=-1)
    positives, negatives = embeddings.tensor_split([2 * len(MARGINS)])
    positive = F.normalize(positives.mean(dim=0, keepdim=True), dim=-1)
    return Phrase(
        exemplar.name,
        positive,
        negatives,
        distractors=scene_means,
        temperature=encoder.temperature,
        background=scene_means,
    )


def looks(encoder: LanguageEncoder, embeddings: Float[Tensor, '*n d']) -> Float[Tensor, '*n d']:
    """Returns what pictures are compared by: all there is, or how things look."""
    return encoder.looks(embeddings) if isinstance(encoder, KindEncoder) else embeddings


def _window_phrase(encoder: Any, exemplar: Exemplar, scene_means: Float[Tensor, 's d']) -> Phrase:
    """Returns the phrase of a window of a picture, pooled as the windows of the map are.

    It is compared by its looks. What surrounds the thing is seen as it is in the map; other crops
    blur that, and what is beside it is often of the same kind.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(exemplar.image)).to(scene_means.device)
    box = scene_means.new_tensor([centred_window(exemplar)])
    positive = encoder.looks(encoder.encode_windows(pixels.permute(2, 0, 1).float() / 255, box))
    scene_means = encoder.looks(scene_means)
    return Phrase(
        exemplar.name,
        positive,
        positive[:0],
        distractors=scene_means,
        temperature=encoder.picture_temperature,
        background=scene_means,
        background_share=WINDOW_BACKGROUND,
        framed=True,
    )


def centred_window(exemplar: Exemplar) -> tuple[float, float, float, float]:
    """Returns the largest square around the middle of a box that is no longer than the box.

    Where the edge of the picture is near, it is smaller: a window that the edge pushes aside has
    its middle beside the thing, and that is where the map would find it. A screen at the top of
    its picture was found on the wall below it.

    Returns:
        (u0, v0, u1, v1), pixels inside the picture.
    """
    height, width = exemplar.image.shape[:2]
    u0, v0, u1, v1 = exemplar.box_px()
    side = min(max(u1 - u0, v1 - v0), u0 + u1, v0 + v1, 2 * width - u0 - u1, 2 * height - v0 - v1)
    u, v = (u0 + u1) / 2, (v0 + v1) / 2
    return u - side / 2, v - side / 2, u + side / 2, v + side / 2


def crops_beside(exemplar: Exemplar) -> list[UInt8[Array, 'height width 3']]:
    """Returns square crops of what a picture shows beside its box; none without a box."""
    if exemplar.box_uv is None:
        return []
    height, width = exemplar.image.shape[:2]
    u0, v0, u1, v1 = exemplar.box_px()
    crops = []
    for times in BESIDE_SIDES:
        side = min(round(times * max(u1 - u0, v1 - v0)), height, width)
        for top in np.linspace(0, height - side, GRID[0]).astype(int):
            for left in np.linspace(0, width - side, GRID[1]).astype(int):
                shared_u = min(left + side, u1) - max(left, u0)
                shared_v = min(top + side, v1) - max(top, v0)
                covered = max(shared_u, 0) * max(shared_v, 0)
                if covered <= BESIDE_COVER * (u1 - u0) * (v1 - v0):
                    crops.append(exemplar.image[top : top + side, left : left + side])
    return crops


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
