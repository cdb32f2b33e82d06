"""Tests of encoders by name: the shipped one, wrong names and files, texts of all kinds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lerf_ros.config import FeatureOptions
from lerf_ros.features.encoder import ExistenceCalibration, ExistenceModel, LanguageEncoder
from lerf_ros.features.load import load_encoder
from lerf_ros.features.open_clip.encoder import ClipEncoder
from lerf_ros.features.open_clip.module import open_clip
from lerf_ros.features.open_clip.weights import find_weights
from lerf_ros.features.tabletop.encoder import WEIGHTS

CPU = torch.device('cpu')


@pytest.fixture(scope='module')
def encoder() -> LanguageEncoder:
    return load_encoder(FeatureOptions())


def test_shipped_encoder_embeds_images_and_texts_in_one_space(encoder):
    images = encoder.encode_images(torch.rand(3, 3, 50, 70))
    texts = encoder.encode_texts(['red mug', 'handle of the blue mug'])
    assert images.shape == (3, encoder.embedding_size)
    assert texts.shape == (2, encoder.embedding_size)
    assert torch.allclose(torch.cat([images, texts]).norm(dim=1), torch.ones(5), atol=1e-4)


def test_shipped_weights_are_small():
    assert WEIGHTS.stat().st_size <= 8_000_000


def test_fingerprint_follows_the_weights(encoder, tmp_path):
    assert load_encoder(FeatureOptions()).fingerprint == encoder.fingerprint
    tensors = load_file(WEIGHTS)
    name = next(name for name in tensors if name.endswith('text_projection'))
    tensors[name] = tensors[name] + 0.01
    save_file(tensors, tmp_path / 'other.safetensors')
    other = load_encoder(FeatureOptions(pretrained=str(tmp_path / 'other.safetensors')))
    assert other.fingerprint != encoder.fingerprint


def test_temperature_is_a_tenth_of_the_trained_factor(encoder):
    scale = float(load_file(WEIGHTS)['logit_scale'].float().exp())
    assert encoder.temperature == pytest.approx(scale / 10, rel=1e-3)


def test_batches_do_not_change_an_embedding(encoder):
    images = torch.rand(40, 3, 64, 64)
    together = encoder.encode_images(images)
    alone = torch.cat([encoder.encode_images(image[None]) for image in images[:5]])
    assert torch.allclose(together[:5], alone, atol=1e-5)


def test_a_text_beyond_the_context_is_cut_with_a_warning(encoder, caplog):
    long = encoder.encode_texts(['red mug ' * 60])
    assert 'is cut' in caplog.text
    assert torch.isfinite(long).all()


def test_a_short_text_is_not_warned_of(encoder, caplog):
    encoder.encode_texts(['the red mug with a handle'])
    assert 'is cut' not in caplog.text


@pytest.mark.parametrize(
    'text', ['красная кружка', '赤いマグカップ', 'كوب', '🥤', 'Zürich ß', '\x00']
)
def test_any_script_can_be_encoded(encoder, text):
    assert torch.isfinite(encoder.encode_texts([text])).all()


def test_case_and_spaces_do_not_matter(encoder):
    a, b = encoder.encode_texts(['Red  Mug', 'red mug'])
    assert torch.allclose(a, b, atol=1e-6)


def test_an_unknown_name_lists_near_names():
    with pytest.raises(ValueError, match=r"no model is called 'ViT-B16'.*ViT-B-16"):
        load_encoder(FeatureOptions(encoder='ViT-B16'))
    with pytest.raises(ValueError, match='tabletop'):
        load_encoder(FeatureOptions(encoder='table top'))


def test_missing_weights_say_what_to_put_where(tmp_path):
    options = FeatureOptions(encoder='ViT-B-16', weights_dir=str(tmp_path))
    expected = tmp_path / 'ViT-B-16' / 'laion2b_s34b_b88k.safetensors'
    with pytest.raises(ValueError, match='tabletop') as caught:
        load_encoder(options)
    message = str(caught.value)
    assert str(expected) in message
    assert 'laion/CLIP-ViT-B-16-laion2B-s34B-b88K' in message
    assert 'lerf_ros weights --encoder ViT-B-16 --download' in message
    assert 'encoder:=photo works now' in message
    assert '\n' not in message


def test_default_weights_of_the_big_model_are_the_published_ones(tmp_path):
    options = FeatureOptions(encoder='ViT-L-14', weights_dir=str(tmp_path))
    with pytest.raises(ValueError, match='laion2b_s32b_b82k'):
        find_weights('ViT-L-14', options)


@pytest.mark.parametrize('name', ['ViT-B-16-SigLIP2', 'PE-Core-B-16', 'MobileCLIP2-S0'])
def test_newer_models_are_known_by_name(name, tmp_path):
    with pytest.raises(ValueError, match='are not on this machine'):
        find_weights(name, FeatureOptions(encoder=name, weights_dir=str(tmp_path)))


def test_weights_are_found_by_model_and_tag(tmp_path):
    path = tmp_path / 'ViT-B-16' / 'laion2b_s34b_b88k.safetensors'
    path.parent.mkdir()
    path.touch()
    options = FeatureOptions(encoder='ViT-B-16', weights_dir=str(tmp_path))
    assert find_weights('ViT-B-16', options) == path


def test_an_unknown_tag_lists_near_tags():
    options = FeatureOptions(encoder='ViT-B-16', pretrained='laion2b_s34b')
    with pytest.raises(ValueError, match='near tags: laion2b_s34b_b88k'):
        load_encoder(options)


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / 'nothing.safetensors'
    with pytest.raises(ValueError, match=r'there is no file .*nothing\.safetensors'):
        load_encoder(FeatureOptions(pretrained=str(path)))


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / 'cut.safetensors'
    path.write_bytes(WEIGHTS.read_bytes()[:100_000])
    with pytest.raises(ValueError, match='damaged or cut short'):
        load_encoder(FeatureOptions(pretrained=str(path)))


def test_weights_of_another_model_are_refused(tmp_path):
    path = tmp_path / 'other.safetensors'
    save_file({'visual.conv1.weight': torch.zeros(4, 3, 8, 8)}, path)
    with pytest.raises(ValueError, match='these are no weights of tabletop'):
        load_encoder(FeatureOptions(pretrained=str(path)))


def test_a_calibration_of_other_weights_is_not_used(tmp_path, encoder, caplog):
    path = tmp_path / 'own.safetensors'
    path.write_bytes(WEIGHTS.read_bytes())
    model = ExistenceModel(('a',), (1.0,), 0.0)
    own = ExistenceCalibration(encoder.fingerprint, model, model)
    own.save(tmp_path / 'own.existence.json')
    assert load_encoder(FeatureOptions(pretrained=str(path))).existence == own
    in_rooms = FeatureOptions(pretrained=str(path), place='room')
    assert load_encoder(in_rooms).existence == own
    room = ExistenceCalibration(own.encoder_fingerprint, model, None)
    room.save(tmp_path / 'own.room.existence.json')
    assert load_encoder(in_rooms).existence == room
    assert load_encoder(FeatureOptions(pretrained=str(path))).existence == own
    ExistenceCalibration('other', model, model).save(tmp_path / 'own.existence.json')
    assert load_encoder(FeatureOptions(pretrained=str(path))).existence is None
    assert 'not used' in caplog.text


def test_crops_of_any_size_and_a_numpy_picture_work(encoder):
    picture = np.zeros((5, 9, 3), np.uint8)
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    assert encoder.encode_images(pixels).shape == (1, encoder.embedding_size)
    assert encoder.encode_images(torch.zeros(0, 3, 8, 8)).shape == (0, encoder.embedding_size)


def test_a_tower_in_half_precision_takes_images():
    # open_clip leaves the tower's first parameter in full precision; on a GPU this is how it runs.
    small = open_clip().CLIP(
        embed_dim=16,
        vision_cfg={'layers': 1, 'width': 64, 'head_width': 32, 'patch_size': 8, 'image_size': 16},
        text_cfg={'layers': 1, 'width': 32, 'heads': 2, 'context_length': 8, 'vocab_size': 100},
    )
    open_clip().model.convert_weights_to_lp(small, torch.float16)
    small.visual.preprocess_cfg = {'mean': (0.5,) * 3, 'std': (0.5,) * 3}
    encoder = ClipEncoder(
        'small', small, lambda texts: torch.ones(len(texts), 8, dtype=torch.long), CPU
    )
    embeddings = encoder.encode_images(torch.rand(2, 3, 20, 30))
    assert embeddings.dtype == torch.float32
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(2), atol=1e-3)
