"""What the rest of the package expects of a language encoder.

Images are ``(n, 3, h, w)`` float tensors, RGB, in [0, 1]; embeddings are unit vectors. Boxes are
``(left, top, right, bottom)`` in pixels of the image they belong to, edges at integers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class ExistenceModel:
    """A logistic model of "it is in the scene".

    The names and their meaning belong to :mod:`lerf_ros.query.existence`; here they are numbers.

    Attributes:
        features: Names of the evidence.
        weights: One weight for each name.
        bias: Added to the weighted evidence; the confidence is the logistic of the sum.
    """

    features: tuple[str, ...]
    weights: tuple[float, ...]
    bias: float

    def __post_init__(self) -> None:
        if len(self.features) != len(self.weights):
            raise ValueError(
                f'existence calibration: expected one weight for each of {self.features}, '
                f'got {len(self.weights)}'
            )
        if not all(math.isfinite(number) for number in (*self.weights, self.bias)):
            raise ValueError('existence calibration: expected finite weights and bias')


@dataclass(frozen=True)
class ExistenceCalibration:
    """How sure to be that what was asked for is in the scene, fitted for one encoder.

    Pictures are closer to places than words are, hence a model of their own.

    Attributes:
        encoder_fingerprint: Fingerprint of the encoder for which it was fitted.
        phrases: The model for words.
        pictures: The model for exemplars; None where nothing was fitted.
    """

    encoder_fingerprint: str
    phrases: ExistenceModel
    pictures: ExistenceModel | None

    def save(self, path: Path | str) -> None:
        """Writes the calibration as JSON."""
        Path(path).write_text(json.dumps(asdict(self), indent=1) + '\n', encoding='utf-8')

    @classmethod
    def load(cls, path: Path | str) -> ExistenceCalibration:
        """Reads a calibration.

        Raises:
            ValueError: The file is no calibration.
        """
        try:
            content = json.loads(Path(path).read_text(encoding='utf-8'))
            kinds = ('phrases', 'pictures') if content['pictures'] else ('phrases',)
            models = {
                kind: ExistenceModel(
                    features=tuple(str(name) for name in content[kind]['features']),
                    weights=tuple(float(weight) for weight in content[kind]['weights']),
                    bias=float(content[kind]['bias']),
                )
                for kind in kinds
            }
            return cls(
                str(content['encoder_fingerprint']), models['phrases'], models.get('pictures')
            )
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f'{path}: expected an existence calibration, got {error}') from error


@runtime_checkable
class LanguageEncoder(Protocol):
    """Images and texts to unit vectors in one space.

    Attributes:
        name: Name of the model, such as ``'tabletop'`` or ``'ViT-B-16'``.
        fingerprint: Hex digest of architecture and weights; equal ones have one space.
        embedding_size: Length d of an embedding.
        input_size: Side of the square to which crops are resized, pixels.
        temperature: Factor of the cosines in the relevancy softmax.
        existence: Calibration fitted for exactly this encoder, or None.
    """

    name: str
    fingerprint: str
    embedding_size: int
    input_size: int
    temperature: float
    existence: ExistenceCalibration | None

    def encode_images(self, images: Float[Tensor, 'n 3 h w']) -> Float[Tensor, 'n d']:
        """Returns a unit vector for each image; any size, resized inside."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Float[Tensor, 'n d']:
        """Returns a unit vector for each text.

        Raises:
            ValueError: There is no text, or one of them is empty.
        """
        ...


@runtime_checkable
class WindowEncoder(Protocol):
    """An encoder whose tower is convolutional: windows of one image share its passes."""

    def encode_windows(
        self, image: Float[Tensor, '3 h w'], boxes: Float[Tensor, 'n 4']
    ) -> Float[Tensor, 'n d']:
        """Returns a unit vector for each window of the image."""
        ...

    def encode_window_alone(
        self, image: Float[Tensor, '3 h w'], box: Float[Tensor, '4']
    ) -> Float[Tensor, ' d']:
        """Returns the unit vector of one window, sharing nothing: the slow twin."""
        ...

    def patch_features(self, image: Float[Tensor, '3 h w']) -> Float[Tensor, 'rows cols c']:
        """Returns the tower's own feature map of the image."""
        ...


@runtime_checkable
class VocabularyEncoder(Protocol):
    """An encoder with a list of words; it reads others piece by piece."""

    def knows_word(self, word: str) -> bool:
        """Tells whether a word is in the list as a whole."""
        ...


@runtime_checkable
class NamingEncoder(Protocol):
    """An encoder that was taught the names of some things, and says which.

    Attributes:
        things: One name of each.
    """

    things: tuple[str, ...]


@runtime_checkable
class KindEncoder(Protocol):
    """An encoder that knows a list of kinds, and says so when it is asked for another.

    Attributes:
        kinds: Unit vector of each kind.
        negatives: What stands for nothing in particular; used where a question names none.
        picture_temperature: Factor of the cosines of pictures with each other.
    """

    kinds: Float[Tensor, 'm d']
    negatives: Float[Tensor, 'q d']
    picture_temperature: float

    def doubt(self, text: str) -> str:
        """Returns a sentence where the text names no kind that is known, '' where it does."""
        ...

    def looks(self, embeddings: Float[Tensor, '*n d']) -> Float[Tensor, '*n d']:
        """Returns unit vectors of how things look, whatever kind they are."""
        ...

    def other_kinds(self, text: str) -> Bool[Tensor, ' m']:
        """Tells which of the kinds are not like what the text names."""
        ...

    def reads_colour(self, text: str) -> bool:
        """Tells whether a colour in the text means a colour, and not as in "red fox" a kind."""
        ...

    def in_scene(
        self, texts: Float[Tensor, 'n d'], seen: Float[Tensor, 'm d']
    ) -> Float[Tensor, 'n d']:
        """Returns what texts mean among things that look like these; kinds keep their length."""
        ...


def require_texts(texts: Sequence[str]) -> list[str]:
    """Returns the texts stripped of outer spaces.

    Raises:
        ValueError: There is no text, or one of them is empty or no string.
    """
    if isinstance(texts, str):
        raise ValueError(f'texts: expected a sequence of texts, got the single text {texts!r}')
    texts = list(texts)
    if not texts:
        raise ValueError('texts: expected at least one text, got none')
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f'texts: expected words, got {text!r}')
    return [text.strip() for text in texts]


def require_images(images: Tensor) -> Float[Tensor, 'n 3 h w']:
    """Returns the images after checking their shape and type.

    Raises:
        ValueError: They are no (n, 3, h, w) floating tensor.
    """
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise ValueError(
            'images: expected (n, 3, h, w) floats in [0, 1], '
            f'got shape {tuple(images.shape)} {images.dtype}'
        )
    if 0 in images.shape[2:]:
        raise ValueError(f'images: expected pixels, got shape {tuple(images.shape)}')
    return images
