"""Evidence that `calibrate` has gathered, kept as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from lerf_ros.query.calibration import EVIDENCE
from lerf_ros.query.request import Evidence

# Evidence, and whether what was asked for is there, of phrases and of pictures.
Samples = dict[str, list[tuple[bool, Evidence]]]
KINDS = ('phrases', 'pictures')


def write_evidence(path: Path, fingerprint: str, samples: Samples) -> None:
    """Writes evidence as JSON, to fit it again without mapping."""
    content = {
        'encoder_fingerprint': fingerprint,
        'names': EVIDENCE,
        'rows': {
            kind: [[there, *found.values(EVIDENCE)] for there, found in samples[kind]]
            for kind in KINDS
        },
    }
    path.write_text(json.dumps(content) + '\n', encoding='utf-8')


def read_evidence(path: Path) -> tuple[str, Samples]:
    """Reads what :func:`write_evidence` wrote.

    Raises:
        ValueError: The file holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        samples = {
            kind: [
                (bool(row[0]), Evidence(**dict(zip(content['names'], row[1:], strict=True))))
                for row in content['rows'][kind]
            ]
            for kind in KINDS
        }
        return str(content['encoder_fingerprint']), samples
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{path}: expected evidence of an earlier run, got {error}') from error
