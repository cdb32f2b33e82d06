"""The photograph encoder, where its extra is installed."""

from __future__ import annotations

import pytest

from lerf_ros.config import FeatureOptions
from lerf_ros.features.load import load_encoder
from lerf_ros.features.photo import PhotoEncoder
from lerf_ros.features.photo.packages import FILES


@pytest.fixture(scope='session')
def encoder() -> PhotoEncoder:
    try:
        for file in FILES:
            file.find()
    except ValueError as error:
        pytest.skip(str(error))
    return load_encoder(FeatureOptions(encoder='photo'))
