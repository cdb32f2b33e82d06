"""Camera paths over the table: an orbit, a hand-held walk around it, and a robot's wrist.

Poses are ``camera_to_world`` with optical axes; the table top is z = 0, its centre the origin.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from lerf_ros.geometry import look_at

KINDS = ('orbit', 'handheld', 'wrist')


def camera_path(
    kind: str, seconds: float, rate_hz: float, rng: np.random.Generator
) -> Float[np.ndarray, 'n 4 4']:
    """Returns the poses of a path at a constant rate.

    Args:
        kind: 'orbit', one smooth turn; 'handheld', a swaying walk about the table with jitter;
            'wrist', a low sweep over the table that looks down and closes in.
        seconds: Duration, which is also the time of one turn.
        rate_hz: Poses per second.
        rng: Draws start, direction, height and jitter.

    Raises:
        ValueError: The kind is unknown, or there would be no pose.
    """
    count = round(seconds * rate_hz)
    if count < 1:
        raise ValueError(f'path: expected at least one pose, got {seconds} s at {rate_hz} Hz')
    time_s = np.arange(count) / rate_hz
    phase = time_s / max(seconds, 1e-9)
    if kind == 'orbit':
        return _orbit(phase, rng)
    if kind == 'handheld':
        return _handheld(phase, time_s, rng)
    if kind == 'wrist':
        return _wrist(phase, rng)
    raise ValueError(f'kind: expected one of {", ".join(KINDS)}, got {kind!r}')


def _orbit(phase: Float[np.ndarray, ' n'], rng: np.random.Generator) -> Float[np.ndarray, 'n 4 4']:
    azimuth = rng.uniform(0, 2 * math.pi) + rng.choice([-1, 1]) * 2 * math.pi * phase
    elevation = math.radians(rng.uniform(38, 50)) + math.radians(8) * np.sin(4 * math.pi * phase)
    distance = rng.uniform(0.72, 0.86) + 0.05 * np.sin(2 * math.pi * phase)
    target = np.broadcast_to([0.0, 0.0, 0.02], (len(phase), 3))
    return _poses(target + _offset(azimuth, elevation, distance), target)


def _handheld(
    phase: Float[np.ndarray, ' n'], time_s: Float[np.ndarray, ' n'], rng: np.random.Generator
) -> Float[np.ndarray, 'n 4 4']:
    sway = [_wander(time_s, rng, period_s) for period_s in (4.0, 3.0, 3.5, 5.0, 5.0)]
    azimuth = (
        rng.uniform(0, 2 * math.pi)
        + rng.choice([-1, 1]) * 2 * math.pi * rng.uniform(0.8, 1.1) * phase
        + 0.18 * sway[0]
    )
    elevation = math.radians(rng.uniform(36, 50)) + math.radians(9) * sway[1]
    distance = rng.uniform(0.66, 0.82) + 0.12 * sway[2]
    target = np.stack([0.07 * sway[3], 0.07 * sway[4], np.full_like(phase, 0.02)], axis=1)
    tremor = 0.003 * np.stack([_wander(time_s, rng, 0.4) for _ in range(3)], axis=1)
    roll = math.radians(2.5) * _wander(time_s, rng, 1.5)
    return _poses(target + _offset(azimuth, elevation, distance) + tremor, target, roll)


def _wrist(phase: Float[np.ndarray, ' n'], rng: np.random.Generator) -> Float[np.ndarray, 'n 4 4']:
    # The camera weaves across the table and looks a little ahead of itself, as a gripper would;
    # it starts high and closes in.
    start = rng.uniform(0, 2 * math.pi)
    x = 0.26 * np.sin(2 * math.pi * phase + start)
    y = 0.20 * np.sin(4 * math.pi * phase + start / 2)
    height = 0.62 - 0.20 * phase + 0.04 * np.sin(6 * math.pi * phase)
    heading = start + rng.choice([-1, 1]) * 1.5 * math.pi * phase
    back = 0.30 + 0.06 * np.sin(2 * math.pi * phase)
    target = np.stack([x, y, np.zeros_like(x)], axis=1)
    position = target + np.stack([back * np.cos(heading), back * np.sin(heading), height], axis=1)
    return _poses(position, target)


def _offset(
    azimuth: Float[np.ndarray, ' n'],
    elevation: Float[np.ndarray, ' n'],
    distance_m: Float[np.ndarray, ' n'],
) -> Float[np.ndarray, 'n 3']:
    flat = distance_m * np.cos(elevation)
    return np.stack(
        [flat * np.cos(azimuth), flat * np.sin(azimuth), distance_m * np.sin(elevation)], axis=1
    )


def _poses(
    position_m: Float[np.ndarray, 'n 3'],
    target_m: Float[np.ndarray, 'n 3'],
    roll: Float[np.ndarray, ' n'] | None = None,
) -> Float[np.ndarray, 'n 4 4']:
    poses = np.stack([look_at(p, t) for p, t in zip(position_m, target_m, strict=True)])
    if roll is not None:
        right, down = poses[:, :3, 0].copy(), poses[:, :3, 1].copy()
        c, s = np.cos(roll)[:, None], np.sin(roll)[:, None]
        poses[:, :3, 0], poses[:, :3, 1] = c * right + s * down, c * down - s * right
    return poses


def _wander(
    time_s: Float[np.ndarray, ' n'], rng: np.random.Generator, period_s: float
) -> Float[np.ndarray, ' n']:
    """Returns a smooth random function of time within [-1, 1] that turns about every period."""
    result = np.zeros_like(time_s)
    for factor in (1.0, 1.7, 2.9):
        phase = rng.uniform(0, 2 * math.pi)
        result += np.sin(2 * math.pi * factor * time_s / period_s + phase) / (3 * factor)
    return result
