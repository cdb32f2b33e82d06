"""The files of ``config/``: sizes of map, and places, by name."""

from __future__ import annotations

from pathlib import Path

from lerf_ros.config.lerf_config import LerfConfig, load_yaml

#: Sizes of map, small to large; each is a file of ``config/``.
VARIANTS = ('tabletop', 'lite', 'base', 'big')

# A checkout, or what is installed: <prefix>/lib/pythonX.Y/site-packages/lerf_ros/config.
_FOLDERS = (
    Path(__file__).parents[2] / 'config',
    *(parent / 'share' / 'lerf_ros' / 'config' for parent in Path(__file__).parents[3:8]),
)


def config_folder() -> Path:
    """Returns the folder of the parameter files.

    Raises:
        FileNotFoundError: They were not installed.
    """
    for folder in _FOLDERS:
        if (folder / f'{VARIANTS[0]}.yaml').exists():
            return folder
    raise FileNotFoundError(f'config/: expected one of {", ".join(map(str, _FOLDERS))}')


def load_variant(variant: str, place: str = '') -> LerfConfig:
    """Returns the options of a variant, or of a parameter file, at a place.

    Args:
        variant: One of ``VARIANTS``, or a YAML file.
        place: A file of ``config/places`` without its ending; empty for none.

    Raises:
        ValueError: The variant or the place is unknown, or a file names a wrong option.
        FileNotFoundError: The parameter files were not installed.
    """
    if variant in VARIANTS:
        config = load_yaml(config_folder() / f'{variant}.yaml')
    elif Path(variant).is_file():
        config = load_yaml(variant)
    else:
        raise ValueError(
            f'variant: expected one of {", ".join(VARIANTS)} or a YAML file, got {variant!r}'
        )
    if place:
        places = {path.stem: path for path in sorted((config_folder() / 'places').glob('*.yaml'))}
        if place not in places:
            raise ValueError(f'place: expected one of {", ".join(places)}, got {place!r}')
        config = load_yaml(places[place], config)
    return config
