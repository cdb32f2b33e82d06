"""What the keys of a ``transforms.json`` mean, and which of them are not heeded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lerf_ros.frames.lens import Lens
from lerf_ros.geometry import PinholeCamera

PLAIN_MODELS = ('OPENCV', 'PINHOLE', 'SIMPLE_PINHOLE', 'SIMPLE_RADIAL', 'RADIAL', 'FULL_OPENCV')
FISHEYE_MODELS = ('OPENCV_FISHEYE', 'SIMPLE_RADIAL_FISHEYE', 'RADIAL_FISHEYE')
DEPTH_KEYS = ('depth_file_path', 'depth_path')

_HEEDED = {
    *('camera_model', 'is_fisheye', 'fl_x', 'fl_y', 'cx', 'cy', 'w', 'h'),
    *('camera_angle_x', 'camera_angle_y', 'k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'p1', 'p2'),
    *('frames', 'file_path', 'transform_matrix', 'mask_path', 'dynamic_mask_path'),
    *('train_filenames', 'val_filenames', 'test_filenames'),
    *('depth_unit_scale_factor', 'integer_depth_scale', *DEPTH_KEYS),
}
# They change nothing about the pictures, their cameras or their poses.
_OF_NO_EFFECT = {
    *('aabb_scale', 'enable_depth_loading', 'ply_file_path', 'colmap_im_id', 'sharpness'),
    *('applied_transform', 'n_frames', 'near', 'far', 'render_aabb', 'up'),
    *('white_transparent', 'black_transparent'),
}
# They change the meaning of what is read, and are not followed.
_MEANING = {
    'applied_scale': 'poses were scaled when the file was written: lengths are not metres',
    'scale': 'instant-ngp would scale the scene: poses are taken as they stand',
    'offset': 'instant-ngp would move the scene: poses are taken as they stand',
    'orientation_override': 'poses are taken as they stand',
    'rolling_shutter': 'each picture is taken as if it was exposed at one moment',
    'semantics_path': 'semantic pictures are not read',
    'is_hdr': 'pictures are read with 8 bits',
}


def values_of(content: Mapping[str, Any], entry: Mapping[str, Any]) -> tuple[dict, list[str]]:
    """Returns the keys of one entry, its own before those of the file, and those that are null."""
    merged = {**content, **entry}
    nulls = sorted(key for key, value in entry.items() if value is None and key in _HEEDED)
    # What is null in the entry is as if it were not said there.
    for key in nulls:
        merged[key] = content.get(key)
    return {key: value for key, value in merged.items() if value is not None}, nulls


def unheeded(content: Mapping[str, Any]) -> list[str]:
    """Returns a sentence for each key that is there and not followed."""
    keys = {key for key in content if key != 'frames'}
    for entry in content['frames']:
        keys |= set(entry) if isinstance(entry, Mapping) else set()
    sentences = [f'{key} is not followed: {_MEANING[key]}' for key in sorted(keys & set(_MEANING))]
    unknown = sorted(keys - _HEEDED - _OF_NO_EFFECT - set(_MEANING))
    if unknown:
        sentences.append(f'unknown keys are not followed: {", ".join(unknown)}')
    return sentences


def depth_unit_of(content: Mapping[str, Any]) -> float:
    """Returns what 1 means in depth pictures, metres."""
    for key in ('depth_unit_scale_factor', 'integer_depth_scale'):
        if content.get(key) is not None:
            unit_m = float(content[key])
            if not 0 < unit_m < float('inf'):
                raise ValueError(f'{key}: expected a number above 0, got {content[key]}')
            return unit_m
    return 1e-3


def lens_of(values: Mapping[str, Any], stored_size: Callable[[], tuple[int, ...]]) -> Lens:
    """Returns the lens of one entry.

    Args:
        values: Its keys.
        stored_size: Reads height and width of its picture, where the keys do not tell.

    Raises:
        ValueError: A number is missing, or the camera model is unknown.
    """
    model = str(values.get('camera_model', 'OPENCV')).upper()
    if model not in (*PLAIN_MODELS, *FISHEYE_MODELS):
        raise ValueError(
            f'camera_model: expected one of {(*PLAIN_MODELS, *FISHEYE_MODELS)}, got {model!r}'
        )
    fisheye = model in FISHEYE_MODELS or bool(values.get('is_fisheye', False))
    try:
        if 'w' in values and 'h' in values:
            width, height = int(values['w']), int(values['h'])
        else:
            height, width = stored_size()[:2]
        fx = _focal(values, 'x', width)
        fy = _focal(values, 'y', height)
        if fx is None and fy is None:
            raise ValueError('expected fl_x or camera_angle_x, got none')
        camera = PinholeCamera(
            fx=fx or fy or 0.0,
            fy=fy or fx or 0.0,
            cx=float(values.get('cx', width / 2)),
            cy=float(values.get('cy', height / 2)),
            width=width,
            height=height,
        )
        k1, k2, k3, k4, k5, k6 = (float(values.get(f'k{i}', 0.0)) for i in range(1, 7))
        p1, p2 = float(values.get('p1', 0.0)), float(values.get('p2', 0.0))
    except TypeError as error:
        raise ValueError(f'transforms.json: expected numbers: {error}') from error
    if fisheye:
        return Lens(camera, (k1, k2, k3, k4), fisheye=True)
    if k4 or k5 or k6:
        return Lens(camera, (k1, k2, p1, p2, k3, k4, k5, k6))
    return Lens(camera, (k1, k2, p1, p2, k3))


def _focal(values: Mapping[str, Any], axis: str, pixels: int) -> float | None:
    if f'fl_{axis}' in values:
        return float(values[f'fl_{axis}'])
    if f'camera_angle_{axis}' in values:
        return float(pixels / 2 / np.tan(float(values[f'camera_angle_{axis}']) / 2))
    return None
