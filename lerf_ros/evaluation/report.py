"""Reports: plots as PNG files and one HTML page that opens without a network."""

from __future__ import annotations

import base64
import io
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

TEMPLATE = Path(__file__).with_name('report.html.j2')


@dataclass(frozen=True)
class Picture:
    """A picture of a report.

    Attributes:
        name: File name without extension.
        caption: What it shows, a sentence.
        png: The file's bytes.
    """

    name: str
    caption: str
    png: bytes

    @property
    def base64(self) -> str:
        """The file's bytes as text, to be embedded."""
        return base64.b64encode(self.png).decode('ascii')


def picture(name: str, caption: str, image: np.ndarray) -> Picture:
    """Returns an RGB array as a picture."""
    _, data = cv2.imencode('.png', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return Picture(name, caption, data.tobytes())


def plot(
    name: str,
    caption: str,
    curves: Mapping[str, tuple[Sequence[float], Sequence[float | None]]],
    labels: tuple[str, str],
) -> Picture:
    """Draws curves over a common axis; None leaves a gap.

    Args:
        name: File name without extension.
        caption: What it shows, a sentence.
        curves: Abscissae and ordinates of each curve, by name.
        labels: Names of the two axes, with units.
    """
    # The object interface: pyplot keeps figures and picks a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout='constrained')
    axes = figure.add_subplot()
    for label, (x, y) in curves.items():
        axes.plot(x, [np.nan if value is None else value for value in y], 'o-', label=label)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        axes.legend()
    data = io.BytesIO()
    FigureCanvasAgg(figure).print_png(data)
    return Picture(name, caption, data.getvalue())


def require_writable(folder: Path | str) -> Path:
    """Makes a folder and proves that files can be written there.

    Raises:
        ValueError: They cannot.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise ValueError(
            f'{folder}: expected a folder that can be written, got {error}'
        ) from error
    return path


def write_json(path: Path | str, result: Mapping[str, Any]) -> None:
    """Writes a result beside the old file, then replaces it."""
    path = Path(path)
    aside = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        aside.write_text(json.dumps(result, indent=1, allow_nan=False) + '\n', encoding='utf-8')
        os.replace(aside, path)
    except OSError as error:
        raise ValueError(f'{path}: expected a file that can be written, got {error}') from error
    finally:
        aside.unlink(missing_ok=True)


def flat_row(row: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    """Returns a row with nested figures named 'outer.inner'."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            flat.update(flat_row(value, f'{prefix}{key}.'))
        else:
            flat[prefix + key] = value
    return flat


def show(value: Any) -> str:
    """Returns a figure for people."""
    if value is None:
        return '-'
    if isinstance(value, list | tuple):
        return ' '.join(show(item) for item in value)
    return f'{value:.4g}' if isinstance(value, float) else str(value)


def table(rows: Sequence[Mapping[str, Any]], label: str = 'seconds') -> list[list[str]]:
    """Returns one line a figure, the label's first: its name, then its value in each row."""
    flat = [flat_row(row) for row in rows]
    keys = list(dict.fromkeys([label, *(key for row in flat for key in row)]))
    return [[key, *(show(row.get(key)) for row in flat)] for key in keys]


def text_table(rows: Sequence[Mapping[str, Any]], label: str = 'seconds') -> list[str]:
    """Returns the table as lines of aligned text."""
    lines = table(rows, label)
    width = max(len(name) for name, *_ in lines)
    wide = max(10, *(len(cell) for _, *cells in lines for cell in cells))
    return [
        f'{name:<{width}}' + ''.join(f'  {cell:>{wide}}' for cell in cells)
        for name, *cells in lines
    ]


def write_report(
    folder: Path | str,
    *,
    title: str,
    command: str,
    notes: Sequence[str],
    result: Mapping[str, Any],
    pictures: Sequence[Picture],
    label: str = 'seconds',
) -> Path:
    """Writes ``report.html``, its pictures as PNG files, and ``result.json``.

    Args:
        folder: Where to.
        title: Heading.
        command: The command that makes this report again.
        notes: Sentences below the heading.
        result: What ``--json`` holds.
        pictures: In the order they are shown.
        label: The figure that tells rows apart.

    Returns:
        The page.

    Raises:
        ValueError: The folder cannot be written.
    """
    from jinja2 import Template

    folder = require_writable(folder)
    for item in pictures:
        (folder / f'{item.name}.png').write_bytes(item.png)
    # Pictures are embedded as well, so that the page alone can be sent.
    template = Template(TEMPLATE.read_text(encoding='utf-8'), autoescape=True, trim_blocks=True)
    page = folder / 'report.html'
    page.write_text(
        template.render(
            title=title,
            command=command,
            notes=notes,
            table=table(result['rows'], label),
            pictures=pictures,
        ),
        encoding='utf-8',
    )
    write_json(folder / 'result.json', result)
    return page
