"""What counts as right, as pure functions.

World coordinates in metres; pictures are uint8 RGB or float in [0, 1]; depth in metres with NaN
where unknown. A figure that cannot be computed (nothing was asked) is None, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

from lerf_ros.frames import PosedFrame

Array = np.ndarray
BOX_MARGIN_M = 0.01
MAX_PSNR_DB = 100.0


def inside_oriented_box(
    points_world: Float[Array, 'n 3'],
    box_to_world: Float[Array, '4 4'],
    size_m: Float[Array, '3'],
    margin_m: float = BOX_MARGIN_M,
) -> Bool[Array, ' n']:
    """Tells which points lie inside a box centred on its own frame, grown by the margin."""
    local = (points_world - box_to_world[:3, 3]) @ box_to_world[:3, :3]
    return np.all(np.abs(local) <= np.asarray(size_m) / 2 + margin_m, axis=-1)


def intersection_over_union(
    predicted: Int[Array, ' n'] | Bool[Array, ' n'], truth: Bool[Array, ' m']
) -> float:
    """Returns the IoU of two sets of points of one cloud.

    Args:
        predicted: Indices into the cloud, or a mask over it.
        truth: Mask over the cloud.
    """
    mask = np.zeros(len(truth), dtype=bool)
    mask[predicted] = True
    union = int((mask | truth).sum())
    return float((mask & truth).sum() / union) if union else 0.0


def label_points(
    points_world: Float[Array, 'n 3'],
    reference: cKDTree,
    reference_labels: Int[Array, ' m'],
    reach_m: float = 0.02,
) -> Int[Array, ' n']:
    """Gives each point the label of the nearest reference point within reach, else -1."""
    distance, nearest = reference.query(points_world, distance_upper_bound=reach_m)
    found = np.isfinite(distance)
    labels = np.full(len(points_world), -1, dtype=np.int64)
    labels[found] = reference_labels[nearest[found]]
    return labels


def percentile(values: Sequence[float] | Array, share: float) -> float | None:
    """Returns a percentile; missing answers are passed as infinity.

    None without values, and where the percentile falls among missing answers: a median error of
    answers that were not given is not a number.
    """
    if not len(values):
        return None
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    # 'linear' would turn inf - inf into NaN, hence the two neighbours by hand.
    position = share / 100 * (len(ordered) - 1)
    low, high = ordered[math.floor(position)], ordered[math.ceil(position)]
    if not math.isfinite(high):
        return None
    return float(low + (high - low) * (position - math.floor(position)))


def mean(values: Sequence[float] | Array) -> float | None:
    """Returns the mean, or None of nothing."""
    return float(np.mean(values)) if len(values) else None


@dataclass(frozen=True)
class Existence:
    """How well present things are told from absent ones.

    Attributes:
        precision: Share of the phrases said to be present that are.
        recall: Share of the present phrases said to be present.
        absent_refused: Share of the absent phrases said to be absent.
        present_refused: Share of the present phrases said to be absent.
    """

    precision: float | None
    recall: float | None
    absent_refused: float | None
    present_refused: float | None


def refused_at(present: Sequence[float], absent: Sequence[float], share: float) -> float | None:
    """Returns how many absent phrases are refused where so many present ones are, as a share.

    Unlike what is refused at the threshold that ships, this does not depend on where that lies.

    Args:
        present: Confidences of phrases that are there.
        absent: Of phrases that are not.
        share: Most of those that are there to be refused.
    """
    if not present or not absent:
        return None
    threshold = sorted(present)[min(int(share * len(present)), len(present) - 1)]
    return float(np.mean(np.asarray(absent) < threshold))


def existence(present: Sequence[bool], said_present: Sequence[bool]) -> Existence:
    """Compares what is in the scene with what was said."""
    truth, said = np.asarray(present, dtype=bool), np.asarray(said_present, dtype=bool)
    if truth.shape != said.shape:
        raise ValueError(f'existence: expected {truth.size} answers, got {said.size}')
    return Existence(
        precision=mean(truth[said]),
        recall=mean(said[truth]),
        absent_refused=mean(~said[~truth]),
        present_refused=mean(~said[truth]),
    )


def average_precision(present: Sequence[bool], confidence: Sequence[float]) -> float | None:
    """Returns the area under the precision-recall curve, by steps; ties count as one threshold."""
    truth, score = np.asarray(present, dtype=bool), np.asarray(confidence, dtype=np.float64)
    if not truth.any():
        return None
    area, recall_before = 0.0, 0.0
    for threshold in np.unique(score)[::-1]:
        said = score >= threshold
        hits = float((truth & said).sum())
        recall = hits / float(truth.sum())
        area += (recall - recall_before) * hits / float(said.sum())
        recall_before = recall
    return area


def psnr(image: Array, truth: Array) -> float:
    """Returns the peak signal-to-noise ratio in dB, at most the 100 of identical pictures."""
    from skimage.metrics import peak_signal_noise_ratio

    a, b = _unit(image), _unit(truth)
    if np.array_equal(a, b):
        return MAX_PSNR_DB
    return min(float(peak_signal_noise_ratio(b, a, data_range=1.0)), MAX_PSNR_DB)


def ssim(image: Array, truth: Array) -> float:
    """Returns the mean structural similarity over channels (Wang et al. 2004, equation 13).

    Gaussian window of 11 pixels, sigma 1.5; windows that leave the picture do not count.
    """
    from skimage.metrics import structural_similarity

    a, b = _unit(image), _unit(truth)
    if min(a.shape[:2]) < 11:
        raise ValueError(f'ssim: expected at least 11x11 pixels, got {a.shape[1]}x{a.shape[0]}')
    return float(
        structural_similarity(
            a,
            b,
            data_range=1.0,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def visible_psnr(image: Array, frame: PosedFrame) -> float:
    """Returns the PSNR of a rendering where the frame may be looked at."""
    if frame.visible is None:
        return psnr(image, frame.image)
    return psnr(image[frame.visible], frame.image[frame.visible])


def visible_pair(image: Array, frame: PosedFrame) -> tuple[Array, Array]:
    """Returns a rendering and its truth, alike where the frame must not be looked at."""
    if frame.visible is None:
        return image, frame.image
    return np.where(frame.visible[..., None], image, frame.image), frame.image


def depth_errors(depth_m: Array, truth_m: Array) -> Float[Array, ' n']:
    """Returns the absolute depth error of each pixel where both are known."""
    known = np.isfinite(depth_m) & np.isfinite(truth_m)
    return np.abs(depth_m[known] - truth_m[known])


def coverage(accumulation: Array, truth_m: Array, threshold: float = 0.5) -> float | None:
    """Returns the share of pixels with true depth where the map is opaque."""
    known = np.isfinite(truth_m)
    return mean(accumulation[known] > threshold)


def _unit(image: Array) -> Float[Array, 'height width 3']:
    if image.dtype == np.uint8:
        return image.astype(np.float64) / 255
    return image.astype(np.float64)
