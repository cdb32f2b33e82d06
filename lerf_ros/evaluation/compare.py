"""Two results side by side, with the noise that decides whether a difference means anything.

Scenes that both results measured are compared in pairs: the same scene, once under each. The noise
of a mean difference is two standard errors over those scenes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# The sign of what is better; figures that are in no table are not compared.
BETTER = {
    'localisation': 1,
    'median_error_m': -1,
    'p90_error_m': -1,
    'miou_3d': 1,
    'miou': 1,
    'existence_precision': 1,
    'existence_recall': 1,
    'average_precision': 1,
    'absent_refused': 1,
    'present_refused': -1,
    'parts': 1,
    'twins_found': 1,
    'pictures': 1,
    'pictures_median_error_m': -1,
    'pictures_absent_refused': 1,
    'pictures_present_refused': -1,
    'psnr': 1,
    'ssim': 1,
    'lpips': -1,
    'coverage': 1,
    'depth_median_m': -1,
    'depth_l1_m': -1,
    'steps_per_s': 1,
    'query_ms': -1,
    'peak_rss_mb': -1,
}


@dataclass(frozen=True)
class Difference:
    """One figure in two results.

    Attributes:
        seconds: The row.
        key: The figure, with a dot before the names of a split, as in 'seen.localisation'.
        before: In the first result: the mean over the scenes that both measured, or the total
            where there are fewer than two.
        after: In the second result, likewise.
        scenes: Number of scenes that both measured.
        change: From before to after.
        noise: Two standard errors of that mean; None with fewer than two scenes.
    """

    seconds: float
    key: str
    before: float
    after: float
    scenes: int
    change: float
    noise: float | None

    @property
    def verdict(self) -> str:
        """'better', 'worse', 'within noise', 'same' or 'noise unknown'."""
        if self.change == 0:
            return 'same'
        if self.noise is None:
            return 'noise unknown'
        if abs(self.change) <= self.noise:
            return 'within noise'
        return 'better' if self.change * BETTER[self.key.split('.')[-1]] > 0 else 'worse'


def read_result(path: Path | str) -> dict[str, Any]:
    """Reads what ``--json`` wrote.

    Raises:
        ValueError: The file cannot be read or holds no rows.
    """
    try:
        result = json.loads(Path(path).read_text(encoding='utf-8'))
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f'{path}: expected a result written with --json, got {error}') from error
    rows = result.get('rows') if isinstance(result, dict) else None
    if not isinstance(rows, list) or not all(isinstance(r, dict) and 'seconds' in r for r in rows):
        raise ValueError(f'{path}: expected a result written with --json, got no rows')
    return result


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Returns the figures that both results hold, row by row.

    Raises:
        ValueError: The results have no row in common.
    """
    rows_after = {row['seconds']: row for row in after['rows']}
    differences = []
    shared = 0
    for row in before['rows']:
        seconds = row['seconds']
        if seconds not in rows_after:
            continue
        shared += 1
        figures_after = dict(_figures(rows_after[seconds]))
        for key, value in _figures(row):
            if key not in figures_after:
                continue
            pairs = _pairs(before, after, seconds, key)
            old, new, noise = value, figures_after[key], None
            if len(pairs) >= 2:
                # Means over the common scenes: the totals may be of others too.
                old, new = (float(mean) for mean in np.mean(pairs, axis=0))
                steps = np.diff(pairs, axis=1)
                noise = float(2 * steps.std(ddof=1) / math.sqrt(len(steps)))
            differences.append(Difference(seconds, key, old, new, len(pairs), new - old, noise))
    if not shared:
        raise ValueError('compare: expected results with rows at the same seconds, got none')
    return differences


def table(differences: list[Difference]) -> list[str]:
    """Returns the lines of a table for people."""
    lines = [
        f'{"s":>6} {"figure":<32} {"before":>10} {"after":>10} {"change":>10} {"noise":>10}  '
        'verdict'
    ]
    for d in differences:
        noise = '-' if d.noise is None else f'{d.noise:.4g}'
        lines.append(
            f'{d.seconds:>6g} {d.key:<32} {d.before:>10.4g} {d.after:>10.4g} {d.change:>+10.4g} '
            f'{noise:>10}  {d.verdict} ({d.scenes} scenes)'
        )
    return lines


def _figures(row: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, float]]:
    for key, value in row.items():
        if isinstance(value, Mapping):
            yield from _figures(value, f'{prefix}{key}.')
        elif key in BETTER and isinstance(value, int | float) and not isinstance(value, bool):
            yield prefix + key, float(value)


def _pairs(
    before: Mapping[str, Any], after: Mapping[str, Any], seconds: float, key: str
) -> list[tuple[float, float]]:
    scenes = [_scene_values(result, seconds, key) for result in (before, after)]
    return [(scenes[0][seed], scenes[1][seed]) for seed in scenes[0] if seed in scenes[1]]


def _scene_values(result: Mapping[str, Any], seconds: float, key: str) -> dict[Any, float]:
    values = {}
    for scene in result.get('scenes', ()):
        for row in scene['rows']:
            figures = dict(_figures(row))
            if row['seconds'] == seconds and key in figures:
                values[scene['seed']] = figures[key]
    return values
