"""Three ways to read one map that has really been trained: fast, naive, and along rays.

The surface is read at its points. LERF reads pixels: language rendered along rays. On an opaque
scene both must say the same of the same place.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.spatial import cKDTree

from lerf_ros.config import LerfConfig
from lerf_ros.features.load import load_encoder
from lerf_ros.field.model import LerfField
from lerf_ros.field.scene_box import SceneBox
from lerf_ros.field.view import view_rays
from lerf_ros.frames import PosedFrame
from lerf_ros.maps.submap import Submap
from lerf_ros.query.heat_map import CELL_M, closest_points, view_points
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


@pytest.mark.requires_cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA GPU')
@torch.no_grad()
def test_half_precision_on_a_gpu_agrees_with_the_cpu() -> None:
    config = LerfConfig()
    field = LerfField(config.field, SceneBox((0.0, 0.0, 0.0), 1.0), 512, device='cuda')
    generator = torch.Generator().manual_seed(0)
    positions = torch.rand(4096, 3, generator=generator) * 2 - 1
    texts = F.normalize(torch.randn(5, 512, generator=generator), dim=-1)
    features = field.language_features(positions.cuda()).cpu()
    folded = folded_cosines(field, positions.cuda(), SCALES_M.cuda(), texts.cuda()).cpu()
    cached = (read_embeddings(field, positions.cuda(), SCALES_M) @ texts.cuda().T).cpu()
    head = field.language_head.cpu()
    for number, scale_m in enumerate(SCALES_M):
        made = F.normalize(head(features, scale_m.expand(len(features))), dim=-1) @ texts.T
        assert (folded[:, number] - made).abs().max() < 3e-3
        assert (cached[:, number] - made).abs().max() < 3e-3


def test_pixels_of_one_cell_share_their_closest_point() -> None:
    generator = np.random.default_rng(0)
    points = generator.uniform(-1, 1, (2000, 3)).astype(np.float32)
    pixels = generator.uniform(-1, 1, (5000, 3)).astype(np.float32)
    pixels = np.concatenate([pixels, pixels + generator.uniform(0, 5e-4, pixels.shape)])
    pixels = pixels.astype(np.float32)
    tree = cKDTree(points)
    found = closest_points(tree, torch.from_numpy(pixels))
    away_m = np.linalg.norm(points[found] - pixels, axis=1)
    assert (away_m <= tree.query(pixels)[0] + 2 * CELL_M * 3**0.5).all()


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
