"""The photograph encoder: kinds of things in photographs, by words and by pictures.

A picture has three parts: its kind and its looks, of equal length, and its colour. The kind are
the pooled features of a network that tells ImageNet's thousand classes apart, as far as they lie
in the directions in which its classifier differs most; words become a mean of the rows of that
classifier, less what all rows have in common, and say nothing of looks. Two more numbers keep
lengths true: how much of the features lies in other directions, and a constant, the same before
normalisation for every picture. The constant keeps a blank wall from pointing anywhere, and
stands for "nothing in particular" as a negative.

The looks are what earlier stages of the same network see: its last layer forgets what makes one
mug another than the next. Pictures as questions are compared by them alone.

The colour is what another encoder has learned of it: see :mod:`lerf_ros.features.photo.colour`. A
phrase has a kind, and a colour where it names one.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lerf_ros.config import FeatureOptions
from lerf_ros.features.encoder import ExistenceCalibration, require_images, require_texts
from lerf_ros.features.photo.colour import ColourTower
from lerf_ros.features.photo.packages import (
    FILES,
    IMAGE_WEIGHTS,
    SHORT_NAMES,
    SYNONYMS,
    TEXT_WEIGHTS,
    TOKENIZER,
)
from lerf_ros.features.photo.sentences import SentenceEncoder
from lerf_ros.features.photo.tower import LOOK_STAGES, STRIDE, PhotoTower
from lerf_ros.features.photo.words import OWN_WORDS, WordList
from lerf_ros.features.precision import tower_dtype
from lerf_ros.features.tabletop.encoder import load_tabletop_encoder
from lerf_ros.features.windows import Octaves, SharedWindows, pool_alone, pool_windows

PHOTO = 'photo'
INPUT_PX = 224
OCTAVES = Octaves(max_tile_px=320, max_side_px=1280, stride_px=STRIDE)
# Directions of the classifier that are kept, of 1000: on the boxed pictures words lose nothing to
# them (docs/encoders.md).
DIRECTIONS = 256
# The constant number beside the pooled features, whose length is 6 on a wall and 20 on a thing.
NOTHING = 8.0
# Cosine of "nothing in particular" with a window, over its constant number.
NEGATIVE_WEIGHT = 0.2
# How much of an embedding's square is colour; kind and looks have the rest in equal parts.
COLOUR_SHARE = 0.2
_KIND_LENGTH = math.sqrt((1 - COLOUR_SHARE) / 2)
# Length of the colour that a phrase names beside its kind, of length 1; and in a known scene, for
# each standard deviation of what is seen there.
COLOUR_WEIGHT = 0.15
COLOUR_WEIGHT_IN_SCENE = 0.01
# Cosines of words with the kind are .05 to .2, and smaller with a window, of which it is a part.
# Those of looks with each other are .3 to .9.
TEMPERATURE = 30.0 / _KIND_LENGTH
PICTURE_TEMPERATURE = 6.0
# Kinds as alike as this are no distractors of each other: a coffee mug and a cup.
ALIKE_COSINE = 0.3
_BATCH = 16


def load_photo_encoder(
    options: FeatureOptions, device: torch.device, aliases: bool = True
) -> PhotoEncoder:
    """Returns the photograph encoder.

    Args:
        options: `pretrained` is empty.
        device: Where it runs.
        aliases: Whether the words written by hand count; measurements are made without as well.

    Raises:
        ValueError: A package of the extra is not installed or is of another version, or the
            options name weights, of which this encoder takes none.
    """
    if options.pretrained:
        raise ValueError(
            "pretrained: expected nothing with encoder 'photo', whose weights are packages, "
            f'got {options.pretrained!r}'
        )
    sentences = SentenceEncoder(TEXT_WEIGHTS.find(), TOKENIZER.find())
    words = WordList(SYNONYMS.find(), SHORT_NAMES.find(), sentences.encode, aliases)
    dtype = tower_dtype(options.precision, device)
    tables = FeatureOptions(precision=options.precision)
    return PhotoEncoder(
        PhotoTower.load(IMAGE_WEIGHTS.find()),
        words,
        ColourTower(load_tabletop_encoder(tables, device)),
        device,
        precision=dtype,
    )


class PhotoEncoder:
    """Also a :class:`~lerf_ros.features.encoder.WindowEncoder` and a
    :class:`~lerf_ros.features.encoder.KindEncoder`.

    Args:
        tower: The image tower; its normalisation is folded here.
        words: The meaning of phrases.
        colours: What tells colours.
        device: Where it runs.
        existence: A calibration fitted for this encoder; None for none.
        precision: In which cells of windows are computed; lone crops keep float32.
    """

    def __init__(
        self,
        tower: PhotoTower,
        words: WordList,
        colours: ColourTower,
        device: torch.device,
        existence: ExistenceCalibration | None = None,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.name = PHOTO
        self.device = device
        self.input_size = INPUT_PX
        self._kind_size = DIRECTIONS + 2
        self._own_size = self._kind_size + len(tower.look_means)
        self.embedding_size = self._own_size + colours.size
        self.temperature = TEMPERATURE
        self.picture_temperature = PICTURE_TEMPERATURE
        self.existence = existence
        self.fingerprint = _fingerprint(colours)
        self.words = words
        self._colours = colours
        self._tower = tower.to(device)
        tower.fold()
        self._window_tower = copy.deepcopy(self._tower).to(precision)
        self._precision = precision
        rows = F.normalize(tower.classifier - tower.classifier.mean(dim=0), dim=-1)
        # Signs and order of directions change nothing, so any solver gives the same embeddings up
        # to a rotation; the double keeps that rotation the same from run to run.
        directions = torch.linalg.svd(rows.double(), full_matrices=False).Vh[:DIRECTIONS]
        self._directions = directions.to(rows).to(device)
        others = self.embedding_size - DIRECTIONS
        self.kinds = F.normalize(F.pad(rows @ self._directions.T, (0, others)), dim=-1)
        self.negatives = torch.zeros(1, self.embedding_size, device=device)
        self.negatives[0, self._kind_size - 1] = NEGATIVE_WEIGHT
        self._windows = SharedWindows(
            OCTAVES, self._cells, self._embeddings, self._own_size, device
        )

    @torch.no_grad()
    def encode_images(self, images: Float[Tensor, 'n 3 h w']) -> Float[Tensor, 'n d']:
        """Returns a unit vector for each image, resized to the square the tower expects.

        Raises:
            ValueError: The images are no (n, 3, h, w) floats.
        """
        require_images(images)
        pooled = []
        for chunk in images.split(_BATCH):
            pixels = _resized(chunk.to(self.device, torch.float32), INPUT_PX, INPUT_PX)
            for cells in self._tower(pixels):
                whole = pixels.new_tensor([[0, 0, cells.shape[2], cells.shape[1]]])
                pooled.append(pool_windows(cells, whole))
        return self._joined(self._embeddings(torch.cat(pooled)), self._colours.of_images(images))

    def encode_texts(self, texts: Sequence[str]) -> Float[Tensor, 'n d']:
        """Returns a unit vector for each text, of unknown words too: see :meth:`doubt`.

        Raises:
            ValueError: There is no text, or one of them is empty.
        """
        meanings = [self.words.meaning(text) for text in require_texts(texts)]
        shares = torch.stack([meaning.weights for meaning in meanings])
        embeddings = F.normalize(shares.to(self.device) @ self.kinds, dim=-1)
        colours = torch.stack([self._colours.of_words(meaning.colours) for meaning in meanings])
        embeddings[:, self._own_size :] = COLOUR_WEIGHT * colours
        return F.normalize(embeddings, dim=-1)

    def doubt(self, text: str) -> str:
        """Returns a sentence where the text names no kind that is known, '' where it does."""
        meaning = self.words.meaning(text)
        if meaning.known:
            return ''
        return (
            f'no such kind as {text!r} is known to this encoder; '
            f'the nearest is {meaning.nearest!r}'
        )

    def in_scene(
        self, texts: Float[Tensor, 'n d'], seen: Float[Tensor, 'm d']
    ) -> Float[Tensor, 'n d']:
        """Returns texts whose colours are told from what else is seen.

        Cameras do not agree on white, and rooms are mostly of pale colours: a colour that hardly
        varies among the things of a room says as much of a thing by a slight difference as one
        that varies says by a great one.
        """
        result = texts.clone()
        result[:, self._own_size :] = COLOUR_WEIGHT_IN_SCENE * self._colours.in_scene(
            texts[:, self._own_size :], seen[:, self._own_size :]
        )
        return result

    def looks(self, embeddings: Float[Tensor, '*n d']) -> Float[Tensor, '*n d']:
        """Returns unit vectors of how things look, whatever kind they are."""
        looks = embeddings[..., self._kind_size : self._own_size]
        return F.normalize(F.pad(looks, (self._kind_size, self._colours.size)), dim=-1)

    def other_kinds(self, text: str) -> Bool[Tensor, ' m']:
        """Tells which of the kinds are not like what the text names."""
        text_kind = F.normalize(self.encode_texts([text])[0, : self._kind_size], dim=-1)
        return self.kinds[:, : self._kind_size] @ text_kind < ALIKE_COSINE

    def reads_colour(self, text: str) -> bool:
        """Tells whether a colour in the text means a colour, and not as in "red fox" a kind."""
        return bool(self.words.meaning(text).colours)

    @torch.no_grad()
    def encode_windows(
        self, image: Float[Tensor, '3 h w'], boxes: Float[Tensor, 'n 4']
    ) -> Float[Tensor, 'n d']:
        """Returns a unit vector for each window of the image.

        Windows of one call and of following calls with the same tensor share their passes.
        """
        return self._joined(
            self._windows.encode(image, boxes), self._colours.of_windows(image, boxes)
        )

    @torch.no_grad()
    def encode_window_alone(
        self, image: Float[Tensor, '3 h w'], box: Float[Tensor, '4']
    ) -> Float[Tensor, ' d']:
        """Returns the embedding of one window by a pass and a sum of its own.

        The slow twin of :meth:`encode_windows`. The network sees further than any tile, so the
        pass is over the whole image.
        """
        height, width = image.shape[1:]
        side = float((box[2:] - box[:2]).prod().sqrt())
        cells = self._cells(image, OCTAVES.of_tile(side, width, height))
        rows, cols = cells.shape[1:]
        to_cells = torch.tensor([cols / width, rows / height] * 2)
        own = self._embeddings(pool_alone(cells, box.cpu() * to_cells))
        return self._joined(own, self._colours.of_window_alone(image, box))[0]

    @torch.no_grad()
    def patch_features(self, image: Float[Tensor, '3 h w']) -> Float[Tensor, 'rows cols c']:
        """Returns the tower's cells, as unit vectors, of the image at its own size."""
        cells = self._cells(image, 0)[: self._directions.shape[1]]
        return F.normalize(cells, dim=0).permute(1, 2, 0)

    def _joined(
        self, own: Float[Tensor, 'n e'], colours: Float[Tensor, 'n c']
    ) -> Float[Tensor, 'n d']:
        lengths = math.sqrt(1 - COLOUR_SHARE), math.sqrt(COLOUR_SHARE)
        return torch.cat([lengths[0] * own, lengths[1] * colours], dim=-1)

    def _embeddings(self, pooled: Float[Tensor, 'n c']) -> Float[Tensor, 'n e']:
        pooled, look = pooled.tensor_split([self._directions.shape[1]], dim=-1)
        inside = pooled @ self._directions.T
        rest = (pooled.square().sum(dim=-1) - inside.square().sum(dim=-1)).clamp(min=0).sqrt()
        constant = torch.full_like(rest, NOTHING)
        kind = torch.cat([inside, torch.stack([rest, constant], -1)], -1)
        halves = F.normalize(kind, dim=-1), F.normalize(look, dim=-1)
        return torch.cat(halves, dim=-1) / math.sqrt(2)

    def _cells(self, image: Float[Tensor, '3 h w'], octave: float) -> Float[Tensor, 'c rows cols']:
        height, width = OCTAVES.size(image, octave)
        pixels = image[None].to(self.device, torch.float32)
        pixels = _resized(pixels, height, width).to(self._precision)
        return self._window_tower(pixels)[0].float()


def _resized(
    images: Float[Tensor, 'n 3 h w'], height: int, width: int
) -> Float[Tensor, 'n 3 h2 w2']:
    if tuple(images.shape[2:]) == (height, width):
        return images
    return F.interpolate(images, (height, width), mode='bicubic', antialias=True).clamp(0, 1)


def _fingerprint(colours: ColourTower) -> str:
    digest = hashlib.sha256(' '.join(file.sha256 for file in FILES).encode())
    digest.update(OWN_WORDS.read_bytes())
    digest.update(colours.fingerprint.encode())
    sizes = OCTAVES.max_tile_px, OCTAVES.max_side_px, NOTHING, INPUT_PX, DIRECTIONS, LOOK_STAGES
    digest.update(repr((*sizes, COLOUR_SHARE, COLOUR_WEIGHT)).encode())
    return digest.hexdigest()[:32]
