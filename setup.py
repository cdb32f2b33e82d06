"""The part of the package that needs no ROS, for pip; a ROS workspace uses CMakeLists.txt.

Versions are pinned in requirements.txt; here stand only names.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r"__version__ = '(.+)'", (ROOT / 'lerf_ros/__init__.py').read_text())[1]

setup(
    name='lerf_ros',
    version=VERSION,
    description="Ask a robot's live map, in words, where things are",
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['lerf_ros', 'lerf_ros.*']),
    package_data={'lerf_ros': ['**/*.cpp', '**/*.json', '**/*.safetensors', '**/*.txt*']},
    install_requires=[
        'jaxtyping',
        'numpy',
        'open_clip_torch',
        'opencv-python-headless',
        'psutil',
        'PyYAML',
        'safetensors',
        'scipy',
        'timm',
        'torch',
        'torchvision',
    ],
    extras_require={
        'sources': ['mujoco', 'pillow', 'rosbags'],
        'reports': ['matplotlib'],
        'docs': ['pdoc'],
        'test': ['beartype', 'mypy', 'pytest', 'pytest-timeout', 'ruff'],
    },
    entry_points={'console_scripts': ['lerf_ros=lerf_ros.__main__:main']},
)
