"""What can be asked, and what is answered. Metres, in the world frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from lerf_ros.query.phrase import PhraseText, join_part, parse_phrase
from lerf_ros.query.region import Region

Array = np.ndarray

MAX_POSITIVES = 64
MAX_NEGATIVES = 256
MAX_MAXIMA = 100
MIN_EXEMPLAR_PX = 8
# Relevancy from which a place is closer to the phrase than to every negative.
AGREES = 0.5


@dataclass(frozen=True, eq=False)
class Exemplar:
    """A picture as a positive: 'where is this?'.

    Attributes:
        image: RGB picture.
        box_uv: The thing in it as (u0, v0, u1, v1) pixels; None for the whole picture.
        name: How the answer is called.
    """

    image: UInt8[Array, 'height width 3']
    box_uv: tuple[float, float, float, float] | None = None
    name: str = 'exemplar'

    def check(self) -> None:
        """Raises a ValueError unless there is enough to see."""
        image = self.image
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(
                f'exemplar {self.name!r}: expected an RGB uint8 image, got shape {image.shape} '
                f'{image.dtype}'
            )
        u0, v0, u1, v1 = self.box_px()
        if min(u1 - u0, v1 - v0) < MIN_EXEMPLAR_PX:
            raise ValueError(
                f'exemplar {self.name!r}: expected at least {MIN_EXEMPLAR_PX} px a side to see '
                f'something, got {u1 - u0}x{v1 - v0}'
            )

    def box_px(self) -> tuple[int, int, int, int]:
        """Returns the box as whole pixels inside the picture, (u0, v0, u1, v1), ends excluded.

        Raises:
            ValueError: The box is not finite, empty or outside the picture.
        """
        height, width = self.image.shape[:2]
        if self.box_uv is None:
            return 0, 0, width, height
        if not all(math.isfinite(value) for value in self.box_uv):
            raise ValueError(f'exemplar {self.name!r}: expected a finite box, got {self.box_uv}')
        u0, v0 = max(0, math.floor(self.box_uv[0])), max(0, math.floor(self.box_uv[1]))
        u1, v1 = min(width, math.ceil(self.box_uv[2])), min(height, math.ceil(self.box_uv[3]))
        if u0 >= u1 or v0 >= v1:
            raise ValueError(
                f'exemplar {self.name!r}: expected a box (u0, v0, u1, v1) inside the '
                f'{width}x{height} image, got {self.box_uv}'
            )
        return u0, v0, u1, v1


@dataclass(frozen=True, eq=False)
class QueryRequest:
    """A question.

    Attributes:
        positives: Phrases, each answered by itself: ``'red mug'`` or ``'red mug; handle'``.
        parts: The part of each positive, as a second field; empty, or one for each positive.
        exemplars: Pictures as further positives; answered after the phrases.
        negatives: What shall not be mistaken for the positives; LERF's four words if empty.
        region: Only surface points in this box may be part of a maximum; everywhere if None.
        min_relevancy: Maxima below this are left out, in [0, 1].
        max_maxima: Most maxima of one positive.
        with_points: Whether the results carry the cloud with its relevancy.
        scale_m: The scale at which every point is read; the best of each point if None.
    """

    positives: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    exemplars: tuple[Exemplar, ...] = ()
    negatives: tuple[str, ...] = ()
    region: Region | None = None
    min_relevancy: float = 0.0
    max_maxima: int = 8
    with_points: bool = True
    scale_m: float | None = None

    def check(self) -> None:
        """Checks everything that needs no map.

        Raises:
            ValueError: Something is malformed; the message says what and what was expected.
        """
        count = len(self.positives) + len(self.exemplars)
        if count == 0:
            raise ValueError('positives: expected at least one phrase or exemplar, got none')
        if count > MAX_POSITIVES:
            raise ValueError(
                f'positives: expected at most {MAX_POSITIVES} in one request, got {count}; '
                'ask several times'
            )
        if len(self.negatives) > MAX_NEGATIVES:
            raise ValueError(
                f'negatives: expected at most {MAX_NEGATIVES}, got {len(self.negatives)}'
            )
        self.phrases()
        for negative in self.negatives:
            parse_phrase(negative, 'negatives')
        for exemplar in self.exemplars:
            exemplar.check()
        if self.region is not None:
            self.region.check()
        if not 0 <= self.min_relevancy <= 1:
            raise ValueError(f'min_relevancy: expected 0 to 1, got {self.min_relevancy}')
        if self.scale_m is not None and not 0 < self.scale_m < math.inf:
            raise ValueError(f'scale_m: expected a height above 0 m, got {self.scale_m}')
        if not 1 <= self.max_maxima <= MAX_MAXIMA:
            raise ValueError(f'max_maxima: expected 1 to {MAX_MAXIMA}, got {self.max_maxima}')

    def phrases(self) -> list[PhraseText]:
        """Returns the positives, split into object and part.

        Raises:
            ValueError: A phrase holds no word, or the parts do not match the positives.
        """
        if self.parts and len(self.parts) != len(self.positives):
            raise ValueError(
                f'parts: expected one for each of the {len(self.positives)} positives (empty for '
                f'the whole object), got {len(self.parts)}'
            )
        parts = self.parts or ('',) * len(self.positives)
        return [
            parse_phrase(join_part(text, part))
            for text, part in zip(self.positives, parts, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class Maximum:
    """One place that looks like the phrase.

    Attributes:
        position_m: Robust centre of the object's surface points.
        normal: Mean unit normal of these points; zero where they face every way.
        relevancy: Mean relevancy of those points that are surely its own, in [0, 1].
        scale_m: Height of the crop that answers best there.
        box_to_world: Pose of the oriented box around the points, z up along the supporting plane.
        box_size_m: Sides of that box.
        point_indices: The object's points among the surface points.
        views: Keyframes that saw the object: the median over its points.
        viewpoints: Centres of the cameras that saw it.
        sparse: Whether it has so few points that it is likely to be noise.
    """

    position_m: Float[Array, '3']
    normal: Float[Array, '3']
    relevancy: float
    scale_m: float
    box_to_world: Float[Array, '4 4']
    box_size_m: Float[Array, '3']
    point_indices: Int[Array, ' k']
    views: int
    viewpoints: Float[Array, 'v 3']
    sparse: bool = False


@dataclass(frozen=True)
class Evidence:
    """What speaks for a phrase.

    Attributes:
        relevancy: Relevancy of the best maximum, the mean of all its points, as log-odds: a few
            hot ones amid others are no object.
        margin: Cosine of that place with the phrase, less the greatest with a distractor, times
            the encoder's temperature.
        contrast: Cosine of that place with the phrase, less its upper quartile over the scene,
            times the temperature.
        views: Logarithm of the number of keyframes that saw the place.
        support: Logarithm of the number of surface points of the place.
    """

    relevancy: float
    margin: float
    contrast: float
    views: float
    support: float

    def values(self, names: tuple[str, ...]) -> list[float]:
        """Returns the evidence of these names.

        Raises:
            ValueError: There is no evidence of a name.
        """
        unknown = [name for name in names if name not in self.__dataclass_fields__]
        if unknown:
            raise ValueError(f'existence: no evidence is called {", ".join(unknown)}')
        return [float(getattr(self, name)) for name in names]


@dataclass(frozen=True, eq=False)
class QueryResult:
    """The answer to one positive.

    Attributes:
        phrase: The positive as it was asked.
        exists: Whether the confidence reaches the threshold.
        confidence: Calibrated probability that the phrase names something in the scene.
        maxima: Places, best first. For 'object; part' these are the parts.
        positions: All surface points; empty if not asked for, as are the next three.
        colours: Their RGB.
        relevancy: Their relevancy at their best scale.
        scale_m: That scale.
        step: Training step of the oldest embedding that was read.
        stamp_ns: Stamp of the last keyframe in the map.
        object: For 'object; part' the answer for the object by itself.
        evidence: What the confidence was computed from; None where nothing was found.
        doubt: Why the encoder may not know what was asked, in a sentence; empty where it does.
    """

    phrase: str
    exists: bool
    confidence: float
    maxima: tuple[Maximum, ...]
    positions: Float[Array, 'n 3']
    colours: UInt8[Array, 'n 3']
    relevancy: Float32[Array, ' n']
    scale_m: Float32[Array, ' n']
    step: int
    stamp_ns: int
    object: QueryResult | None = None
    evidence: Evidence | None = None
    doubt: str = ''

    @property
    def shown(self) -> tuple[Maximum, ...]:
        """The places that a person wants to see.

        The best one, and those others that are closer to the phrase than to every negative; of a
        phrase that is absent only the nearest thing to it.
        """
        if not self.exists:
            return self.maxima[:1]
        others = self.maxima[1:]
        return (*self.maxima[:1], *(other for other in others if other.relevancy >= AGREES))
