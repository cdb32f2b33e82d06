"""The whole field and its rendering."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from lerf_ros.config import FieldOptions
from lerf_ros.field.model import LerfField
from lerf_ros.field.sampling import RayBundle
from lerf_ros.field.scene_box import SceneBox

OPTIONS = FieldOptions(levels=4, table_log2=10, language_levels=2, language_table_log2=10)
BOX = SceneBox((0.0, 0.0, 1.0), 1.0)


def make_field(dense_size=0, **changes):
    field = LerfField(dataclasses.replace(OPTIONS, **changes), BOX, 16, dense_size)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in field.named_parameters():
            if name.endswith('.table'):
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return field


def make_rays(count=32, depth=1.0):
    generator = torch.Generator().manual_seed(1)
    directions = torch.cat(
        [torch.rand(count, 2, generator=generator) - 0.5, torch.ones(count, 1)], dim=-1
    )
    return RayBundle(torch.zeros(count, 3), directions, torch.full((count,), depth))


@pytest.mark.parametrize('depth', [1.0, float('nan')])
def test_renderings_are_bounded(depth):
    rendering = make_field().render(make_rays(depth=depth))
    assert ((rendering.rgb >= 0) & (rendering.rgb <= 1)).all()
    assert ((rendering.accumulation >= 0) & (rendering.accumulation <= 1 + 1e-5)).all()
    assert (rendering.depth_m >= 0).all()
    assert torch.isfinite(rendering.weights).all()


def test_rendering_without_generator_repeats():
    field, rays = make_field(), make_rays()
    assert torch.equal(field.render(rays).rgb, field.render(rays).rgb)


def test_the_seed_fixes_the_first_weights():
    first, second = (LerfField(OPTIONS, BOX, 16, seed=3).state_dict() for _ in range(2))
    other = LerfField(OPTIONS, BOX, 16, seed=4).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_making_a_field_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    LerfField(OPTIONS, BOX, 16)
    assert torch.equal(torch.rand(1), expected)


def test_language_never_moves_geometry():
    field = make_field(dense_size=4)
    scale_per_depth = torch.full((32,), 0.1)
    rendering = field.render(make_rays(), language=True, scale_per_depth=scale_per_depth)
    (rendering.embedding.sum() + field.dense(rendering.language_features).sum()).backward()
    for name, parameter in field.named_parameters():
        moved = parameter.grad is not None and bool((parameter.grad != 0).any())
        assert moved == name.startswith('language.'), name


def test_only_the_first_rays_carry_language():
    rendering = make_field().render(make_rays(), language=True, language_rays=5)
    assert rendering.language_features.shape[0] == 5
    assert rendering.embedding is None


def fill_with_matter(field):
    with torch.no_grad():
        field.radiance.geometry_net[-1].weight[0] = 0
        field.radiance.geometry_net[-1].bias[0] = 100.0


def test_once_a_ray_equals_per_sample_where_one_sample_has_all_weight():
    # Without measured depth, the scale is that at the rendered depth, which is the sample's.
    rays, scale_per_depth = make_rays(depth=float('nan')), torch.full((32,), 0.1)
    embeddings = []
    for decode in ('ray', 'sample'):
        field = make_field(language_decode=decode)
        fill_with_matter(field)
        rendering = field.render(rays, language=True, scale_per_depth=scale_per_depth)
        embeddings.append(rendering.embedding.detach())
    assert F.cosine_similarity(*embeddings, dim=-1).min().item() > 1 - 1e-4


def test_colour_once_a_ray_equals_per_sample_on_an_opaque_wall():
    colours = []
    for decode in ('ray', 'sample'):
        field = make_field(colour_decode=decode)
        fill_with_matter(field)
        colours.append(field.render(make_rays()).rgb)
    torch.testing.assert_close(*colours, atol=1e-4, rtol=1e-4)


def test_embeddings_at_points_are_those_of_the_head():
    field = make_field()
    positions = torch.rand(7, 3)
    features = field.language_features(positions)
    head = field.language_head
    first = head.feature_layer(features) + head.scale_layer(
        torch.zeros(7, head.scale_layer.in_features)
    )
    assert first.shape == (7, OPTIONS.language_width)
    assert field.embed(features, torch.full((7,), 0.2)).shape == (7, 16)


def test_two_language_grids_share_the_range():
    field = make_field(language_split_resolution=64)
    grids = field.language.grids
    assert len(grids) == 2
    assert grids[0].layout.max_resolution == grids[1].layout.min_resolution == 64
    assert field.language_features(torch.zeros(3, 3)).shape == (3, 2 * 2 * 8)


def test_a_field_without_dense_head_says_so():
    with pytest.raises(ValueError, match='without dense features'):
        make_field().dense(torch.zeros(1, 16))


def test_density_is_per_metre():
    """The same field in a box twice as large is half as dense."""
    small = make_field()
    large = LerfField(OPTIONS, SceneBox((0.0, 0.0, 2.0), 2.0), 16)
    large.load_state_dict(small.state_dict())
    positions = torch.rand(20, 3) - 0.5 + torch.tensor([0.0, 0.0, 1.0])
    torch.testing.assert_close(small.density(positions), 2 * large.density(2 * positions))
