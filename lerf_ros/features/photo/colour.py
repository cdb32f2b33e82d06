"""Colours of things in photographs, as the small encoder of simulated tables has learned them.

The classes of the photograph tower have no colours, and its last layer is trained to forget them.
The shipped `tabletop` encoder was trained on pictures and captions to tell a red mug from a white
one. What it says of photographs is wrong about kinds but, measured, right enough about colours:
of its embeddings those ten directions are kept in which its words for colours differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lerf_ros.features.colours import COLOURS
from lerf_ros.features.tabletop.encoder import TabletopEncoder

# Smallest standard deviation of what unit vectors have of a colour, in the scene at hand: below it
# is noise. In a kitchen with nothing orange it was .03 for orange, and .15 for red.
LEAST_DEVIATION = 0.02


class ColourTower:
    """Windows and words for colours, in one space.

    Args:
        encoder: An encoder that knows colours.

    Attributes:
        size: Length of a picture's vector: the directions, and one number for all others.
    """

    def __init__(self, encoder: TabletopEncoder) -> None:
        self._encoder = encoder
        words = encoder.encode_texts(COLOURS)
        words = words - words.mean(dim=0)
        # The differences of n words span n - 1 directions. The double keeps them the same from
        # run to run.
        spanned = torch.linalg.svd(words.double().cpu(), full_matrices=False).Vh
        self._directions = spanned[: len(COLOURS) - 1].to(words)
        self._words = F.normalize(words @ self._directions.T, dim=-1)
        self.size = len(self._directions) + 1
        self.fingerprint = encoder.fingerprint

    def of_words(self, colours: Sequence[str]) -> Float[Tensor, ' c']:
        """Returns the mean direction of some of `COLOURS`; zeros for none."""
        vector = self._words.new_zeros(self.size)
        if colours:
            chosen = [COLOURS.index(colour) for colour in colours]
            vector[:-1] = F.normalize(self._words[chosen].mean(dim=0), dim=-1)
        return vector

    def in_scene(
        self, words: Float[Tensor, 'n c'], seen: Float[Tensor, 'm c']
    ) -> Float[Tensor, 'n c']:
        """Returns vectors whose products with pictures tell by how many standard deviations these
        are closer to the words than what else is seen is; zeros for words of no colour.

        The last number, for all directions but those of colours, is about the same in every
        picture: it carries the mean.

        Args:
            words: Vectors of words, of any length.
            seen: Vectors of pictures, all of the same length.
        """
        # Few words have a colour: distractors are nearly all kinds.
        coloured = words.any(dim=-1)
        if not coloured.any():
            return torch.zeros_like(words)
        told = F.normalize(words[coloured], dim=-1)
        closeness = seen @ told.T
        noise = LEAST_DEVIATION * seen.norm(dim=-1).mean()
        deviation = (closeness.var(dim=0, correction=0) + noise**2).sqrt()
        told = told / deviation[:, None]
        told[:, -1] -= closeness.mean(dim=0) / deviation / seen[:, -1].mean().clamp(min=1e-6)
        return torch.zeros_like(words).index_put((coloured,), told)

    def of_images(self, images: Float[Tensor, 'n 3 h w']) -> Float[Tensor, 'n c']:
        """Returns a unit vector for each image."""
        return self._reduced(self._encoder.encode_images(images))

    def of_windows(
        self, image: Float[Tensor, '3 h w'], boxes: Float[Tensor, 'n 4']
    ) -> Float[Tensor, 'n c']:
        """Returns a unit vector for each window of an image; see
        :meth:`~lerf_ros.features.encoder.WindowEncoder.encode_windows`."""
        return self._reduced(self._encoder.encode_windows(image, boxes))

    def of_window_alone(
        self, image: Float[Tensor, '3 h w'], box: Float[Tensor, '4']
    ) -> Float[Tensor, '1 c']:
        """Returns the vector of one window, sharing nothing: the slow twin."""
        return self._reduced(self._encoder.encode_window_alone(image, box)[None])

    def _reduced(self, embeddings: Float[Tensor, 'n d']) -> Float[Tensor, 'n c']:
        inside = embeddings @ self._directions.T
        rest = (1 - inside.square().sum(dim=-1, keepdim=True)).clamp(min=0).sqrt()
        return F.normalize(torch.cat([inside, rest], dim=-1), dim=-1)
