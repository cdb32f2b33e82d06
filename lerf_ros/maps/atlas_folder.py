"""An atlas on disk: a folder with one file a submap, one a coarse index, and a description.

A folder is made aside and then takes the place of the old one. Submap files are never written in
place, so a file may have a name in several folders.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lerf_ros.maps.cells import CellGrid
from lerf_ros.maps.coarse_index import CoarseIndex
from lerf_ros.maps.node import AtlasNode, file_name

logger = logging.getLogger(__name__)

DESCRIPTION = 'atlas.json'
FORMAT = 'lerf_ros atlas'


def write_folder(
    path: Path,
    nodes: Iterable[AtlasNode],
    grid: CellGrid,
    metadata: dict[str, Any],
    save: Callable[[AtlasNode, Path], bool],
) -> None:
    """Writes an atlas, or leaves what was there as it was.

    Args:
        path: The folder.
        nodes: The submaps.
        grid: The grid that they were cut by.
        metadata: Whatever JSON can hold.
        save: Writes a submap that is awake to a file; tells whether there was anything to write.

    Raises:
        OSError: It cannot be written, or something else is there.
    """
    if path.exists() and not (path / DESCRIPTION).is_file():
        raise OSError(f'{path}: expected an atlas or nothing there, got something else')
    aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f'.{path.name}.'))
    try:
        written = []
        for node in nodes:
            file = aside / file_name(node.name)
            if node.submap is not None:
                if not save(node, file):
                    continue
            elif node.damaged:
                continue
            else:
                link(node.file, file)
            if node.index is not None:
                index = aside / _index_name(node.name)
                save_file(node.index.state_dict(), index)
                os.chmod(index, 0o644)
            written.append(node.as_json())
        description = {
            'format': FORMAT,
            'grid': [*grid.origin_m, grid.side_m, grid.overlap_m],
            'nodes': written,
            'metadata': metadata,
        }
        (aside / DESCRIPTION).write_text(json.dumps(description), encoding='utf-8')
        os.chmod(aside, 0o755)
        _swap(aside, path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _swap(aside: Path, path: Path) -> None:
    """Puts a folder in the place of another, which comes back if that fails."""
    if not path.exists():
        os.replace(aside, path)
        return
    old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f'.{path.name}.'))
    os.replace(path, old)
    try:
        os.replace(aside, path)
    except OSError:
        os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def sleeping_folder(parent: str) -> Path:
    """Makes a folder for submaps to sleep in.

    Args:
        parent: Where; the system's place for temporary files if empty.

    Raises:
        OSError: It cannot be made.
    """
    place = Path(parent).expanduser() if parent else None
    if place is not None:
        place.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix='lerf_atlas_', dir=place))


def read_folder(
    path: Path, check: Callable[[dict[str, Any]], None], parent: str = ''
) -> tuple[list[AtlasNode], CellGrid, Path, dict[str, Any]]:
    """Reads an atlas, which stays as it is.

    Args:
        path: The folder.
        check: Raises ValueError unless the metadata fit.
        parent: Where they are to sleep, see :func:`sleeping_folder`.

    Returns:
        The submaps, all asleep; those whose file is missing are marked as damaged. The grid, the
        temporary folder in which they sleep, and the metadata.

    Raises:
        ValueError: The folder is no atlas, or does not fit.
        OSError: It cannot be read, or there is no place for what sleeps.
    """
    if not (path / DESCRIPTION).is_file():
        raise FileNotFoundError(f'{path}: there is no map of rooms; name a folder that was saved')
    folder = sleeping_folder(parent)
    try:
        try:
            description = json.loads((path / DESCRIPTION).read_text(encoding='utf-8'))
            if description['format'] != FORMAT:
                raise ValueError('this is no atlas of lerf_ros')
            metadata = dict(description['metadata'])
            x, y, z, side_m, overlap_m = (float(value) for value in description['grid'])
            nodes = [AtlasNode.from_json(values, folder) for values in description['nodes']]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f'{path}: the atlas is damaged or none: {error!r}') from error
        check(metadata)
        for node in nodes:
            _find_files(path, node)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return nodes, CellGrid((x, y, z), side_m, overlap_m), folder, metadata


def _find_files(path: Path, node: AtlasNode) -> None:
    """Brings the files of a submap to where it sleeps."""
    try:
        link(path / file_name(node.name), node.file)
    except OSError as error:
        logger.error('submap %d is left out: %s', node.name, error)
        node.damaged = str(error)
        return
    try:
        node.index = CoarseIndex.from_state(load_file(path / _index_name(node.name)))
    except (OSError, SafetensorError, ValueError) as error:
        logger.warning('submap %d cannot be searched until it learns: %s', node.name, error)


def link(source: Path, target: Path) -> None:
    """Gives a file a second name where the disk allows it, else copies it."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _index_name(number: int) -> str:
    return f'index_{number:04d}.safetensors'
