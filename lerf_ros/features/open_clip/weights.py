"""Where the weights of a published model are, without fetching them unasked."""

from __future__ import annotations

import difflib
import hashlib
from pathlib import Path

import torch
from torch import nn

from lerf_ros.config import FeatureOptions
from lerf_ros.features.open_clip.module import hub_access, open_clip

RANDOM = 'random'
"""Value of `pretrained` for untrained weights: timing and tests only."""
DEFAULT_TAGS = {'ViT-B-16': 'laion2b_s34b_b88k', 'ViT-L-14': 'laion2b_s32b_b82k'}
_SUFFIXES = ('.safetensors', '.bin', '.pt', '.pth', '.npz')


def require_model_name(name: str) -> str:
    """Returns the name if open_clip has a model of this name.

    Raises:
        ValueError: It has none; the message lists near names.
    """
    known = open_clip().list_models()
    if name in known:
        return name
    by_case = {candidate.lower(): candidate for candidate in (*known, 'tabletop')}
    near = difflib.get_close_matches(name.lower().replace('/', '-'), by_case, n=5, cutoff=0.4)
    hint = ', '.join(by_case[candidate] for candidate in near) or "'tabletop'"
    raise ValueError(f'encoder: no model is called {name!r}; near names: {hint}')


def default_tag(name: str) -> str:
    """Returns the tag meant by an empty `pretrained`, or '' when the model was never published."""
    tags = open_clip().list_pretrained_tags_by_model(name)
    return DEFAULT_TAGS.get(name) or (tags[0] if tags else '')


def find_weights(name: str, options: FeatureOptions) -> Path:
    """Returns the weights file of a model.

    Args:
        name: A model known to open_clip.
        options: `pretrained` is a tag or a file; `weights_dir` holds files by model and tag;
            `allow_download` opens the network.

    Raises:
        ValueError: The file is not on this machine; the message says where to put it.
    """
    pretrained = options.pretrained or default_tag(name)
    path = Path(pretrained).expanduser()
    if path.suffix in _SUFFIXES:
        if path.is_file():
            return path
        raise ValueError(
            f"pretrained: there is no file {path}; without it the shipped encoder 'tabletop' works"
        )
    tags = open_clip().list_pretrained_tags_by_model(name)
    if pretrained not in tags:
        near = ', '.join(difflib.get_close_matches(pretrained, tags, n=5, cutoff=0) or ['none'])
        raise ValueError(
            f'pretrained: {name} has no published weights {pretrained!r}; near tags: {near}; '
            'the path of a weights file works too'
        )
    folder = Path(options.weights_dir).expanduser() / name
    for suffix in _SUFFIXES:
        if (folder / f'{pretrained}{suffix}').is_file():
            return folder / f'{pretrained}{suffix}'
    config = open_clip().get_pretrained_cfg(name, pretrained)
    cached = _cached_weights(config)
    if cached is not None:
        return cached
    if options.allow_download:
        with hub_access(True):
            return Path(open_clip().download_pretrained(config))
    origin = config.get('hf_hub') or config.get('url') or 'its publisher'
    raise ValueError(
        f'pretrained: the weights of {name} {pretrained!r} are not on this machine: put the file '
        f'published as {origin.rstrip("/")} at {folder / pretrained}.safetensors, or fetch it by '
        f'`lerf_ros weights --encoder {name} --download`; encoder:=photo works now, on a CPU too, '
        "and 'tabletop' for the simulated table"
    )


def _cached_weights(config: dict) -> Path | None:
    """Returns the file an earlier download of the hub's client left, without asking the hub."""
    from huggingface_hub import try_to_load_from_cache

    repository, _, filename = config.get('hf_hub', '').rpartition('/')
    if not repository:
        return None
    names = (
        [filename] if filename else ['open_clip_model.safetensors', 'open_clip_pytorch_model.bin']
    )
    for candidate in names:
        found = try_to_load_from_cache(repository, candidate)
        if isinstance(found, str):
            return Path(found)
    return None


def load_weights(model: nn.Module, path: Path, name: str) -> None:
    """Loads a file into a model; nothing in the file is executed.

    Raises:
        ValueError: The file is damaged or holds another architecture.
    """
    from safetensors import SafetensorError

    try:
        open_clip().load_checkpoint(model, str(path))
    except (SafetensorError, EOFError, OSError) as error:
        raise ValueError(f'{path}: the weights file is damaged or cut short ({error})') from error
    except Exception as error:
        first = str(error).strip().splitlines()
        detail = ' '.join(line.strip() for line in first[:2])[:200]
        raise ValueError(f'{path}: these are no weights of {name} ({detail})') from error


def fingerprint(model: nn.Module, name: str) -> str:
    """Returns a digest of a model's name, tensors and their values."""
    digest = hashlib.sha256(name.encode())
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(f'{key} {tuple(tensor.shape)} {tensor.dtype}'.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:32]
