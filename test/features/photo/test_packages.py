"""Tests of finding what the extra brings, and of saying what is wrong with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lerf_ros.features.photo.packages import COMMAND, IMAGE_WEIGHTS, PackageFile

HERE = PackageFile('pytest', '0', 'pytest', '__init__.py', '0' * 64)


def test_a_package_that_is_not_installed_is_named_with_the_command():
    absent = replace(IMAGE_WEIGHTS, module='no_such_module_of_weights')
    with pytest.raises(ValueError, match=r'efficientnet-lite0-.*, which is not installed'):
        absent.find()
    with pytest.raises(ValueError, match=COMMAND):
        absent.find()


def test_a_wheel_of_another_version_is_refused_by_its_hash():
    with pytest.raises(ValueError, match=rf'of pytest 0 .* of version {pytest.__version__}'):
        HERE.find()


def test_a_wheel_without_the_file_is_refused():
    with pytest.raises(ValueError, match='got no such file'):
        replace(HERE, path='no_such_file').find()


def test_what_is_installed_is_found(encoder):
    assert IMAGE_WEIGHTS.find().stat().st_size > 18_000_000
