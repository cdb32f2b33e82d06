"""Tests of what all encoders share."""

from __future__ import annotations

import json

import pytest
import torch

from lerf_ros.features.encoder import (
    ExistenceCalibration,
    ExistenceModel,
    require_images,
    require_texts,
)


def calibration() -> ExistenceCalibration:
    phrases = ExistenceModel(('relevancy', 'views'), (2.0, -0.5), 0.25)
    return ExistenceCalibration('abc', phrases, ExistenceModel(('margin',), (1.0,), 0.0))


def test_calibration_survives_a_file(tmp_path):
    calibration().save(tmp_path / 'existence.json')
    assert ExistenceCalibration.load(tmp_path / 'existence.json') == calibration()


@pytest.mark.parametrize(
    'content',
    ['', '[]', '{"features": []}', json.dumps({'encoder_fingerprint': 'a',
     'phrases': {'features': ['x'], 'weights': [], 'bias': 0}})],
)  # fmt: skip
def test_a_damaged_calibration_is_refused_by_name(tmp_path, content):
    path = tmp_path / 'existence.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=r'existence\.json: expected an existence calibration'):
        ExistenceCalibration.load(path)


def test_weights_must_match_names_and_be_finite():
    with pytest.raises(ValueError, match='one weight for each'):
        ExistenceModel(('relevancy',), (), 0.0)
    with pytest.raises(ValueError, match='finite'):
        ExistenceModel(('relevancy',), (float('nan'),), 0.0)


@pytest.mark.usefixtures('unchecked')
@pytest.mark.parametrize('texts', [[], [''], ['mug', '  '], 'mug', [None], [3]])
def test_empty_texts_are_refused(texts):
    with pytest.raises(ValueError, match='texts: expected'):
        require_texts(texts)


def test_texts_lose_their_outer_spaces():
    assert require_texts((' red mug\n', 'bowl')) == ['red mug', 'bowl']


@pytest.mark.parametrize(
    'images',
    [torch.zeros(3, 8, 8), torch.zeros(1, 1, 8, 8), torch.zeros(1, 3, 0, 8),
     torch.zeros(1, 3, 8, 8, dtype=torch.uint8)],
)  # fmt: skip
def test_wrong_images_are_refused(images):
    with pytest.raises(ValueError, match='images: expected'):
        require_images(images)
