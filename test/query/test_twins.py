"""Three ways to read one map that has really been trained: fast, naive, and along rays.

The surface is read at its points. LERF reads pixels: language rendered along rays. On an opaque
scene both must say the same of the same place.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lerf_ros.config import LerfConfig
from lerf_ros.features.load import load_encoder
from lerf_ros.field.view import view_rays
from lerf_ros.frames import PosedFrame
from lerf_ros.maps.submap import Submap
from lerf_ros.query.heat_map import view_points
from lerf_ros.query.phrase import TextEmbedder, embed_phrase
from lerf_ros.query.reading import folded_cosines, read_embeddings
from lerf_ros.query.relevancy import naive_relevancy, naive_scale_relevancy, relevancy
from lerf_ros.simulation import TabletopOptions, TabletopScene

CONFIG = LerfConfig.from_flat(
    {
        'training.device': 'cpu',
        'training.rays_per_step': 512,
        'field.table_log2': 15,
        'field.language_table_log2': 13,
        'query.scales': 8,
    }
)
OPTIONS = TabletopOptions(
    width=160,
    height=120,
    objects=(('red', 'mug'), ('blue', 'book'), ('yellow', 'ball'), ('green', 'bowl')),
)
STEPS = 200
SCALES_M = torch.tensor([0.06, 0.12, 0.24])
PHRASES = ('red mug', 'blue book', 'yellow ball', 'green bowl')


@pytest.fixture(scope='module')
def trained() -> tuple[Submap, list[PosedFrame]]:
    encoder = load_encoder(CONFIG.features, torch.device('cpu'))
    live_map = Submap(CONFIG, encoder)
    with TabletopScene(seed=9050, options=OPTIONS) as scene:
        frames = list(scene.frames('orbit', 10.0, 1.2))
    for frame in frames:
        live_map.ingest(frame)
    for _ in range(STEPS):
        live_map.step()
    return live_map, frames


@torch.no_grad()
def test_fast_and_naive_agree_on_trained_weights(trained) -> None:
    live_map, _ = trained
    field, encoder = live_map.trainer.field, live_map.encoder
    positions = torch.from_numpy(live_map.surface().positions[::7])
    embed = TextEmbedder(encoder)
    for text in PHRASES:
        phrase = embed_phrase(embed, text, (text,))
        texts = torch.cat([phrase.positives, phrase.negatives])
        exact = naive_scale_relevancy(field, positions, SCALES_M, phrase, encoder.temperature)
        assert exact.max() > 0.5, f'the map has not learned {text!r}'
        cached = relevancy(
            read_embeddings(field, positions, SCALES_M) @ texts.T, 1, encoder.temperature
        )
        folded = relevancy(
            folded_cosines(field, positions, SCALES_M, texts), 1, encoder.temperature
        )
        assert (cached - exact).abs().max() < 1e-4
        assert (folded - exact).abs().max() < 1e-3


@torch.no_grad()
def test_points_and_rays_agree_on_an_opaque_scene(trained) -> None:
    live_map, frames = trained
    field, encoder = live_map.trainer.field, live_map.encoder
    embed = TextEmbedder(encoder)
    differences, relevancies = [], []
    for frame in frames[::4]:
        positions, pixels = view_points(frame.depth, frame.camera, frame.camera_to_world)
        positions, pixels = torch.from_numpy(positions[::5]), torch.from_numpy(pixels[::5])
        rays = view_rays(frame.camera, frame.camera_to_world, frame.depth, torch.device('cpu'))
        rays = rays[pixels]
        for scale_m in SCALES_M:
            rendering = field.render(
                rays, language=True, scale_per_depth=scale_m / rays.depth_guide_m
            )
            torch.testing.assert_close(rendering.scale_m, scale_m.expand(len(pixels)))
            opaque = rendering.accumulation > 0.9
            assert opaque.float().mean() > 0.9
            rendered = F.normalize(rendering.embedding[opaque], dim=-1)
            read = read_embeddings(field, positions[opaque], scale_m[None])[:, 0]
            for text in PHRASES:
                phrase = embed_phrase(embed, text, (text,))
                by_ray = naive_relevancy(rendered, phrase, encoder.temperature)
                by_point = naive_relevancy(read, phrase, encoder.temperature)
                differences.append((by_ray - by_point).abs().numpy())
                relevancies.append(by_point.numpy())
    difference = np.concatenate(differences)
    # Rays average over what lies before and behind: at edges they say something else.
    assert np.median(difference) < 1e-3
    assert np.quantile(difference, 0.95) < 0.02
    assert np.quantile(difference, 0.99) < 0.05
    # That is no agreement of constants.
    assert np.ptp(np.concatenate(relevancies)) > 0.3
