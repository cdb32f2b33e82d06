"""What one step minimises: every loss that a batch allows, with its weight."""

from __future__ import annotations

from torch import Tensor

from lerf_ros.config import LerfConfig
from lerf_ros.field.model import LerfField
from lerf_ros.field.rendering import Rendering
from lerf_ros.keyframes.rays import RayBatch
from lerf_ros.training import losses

# Language is taught where a ray stops; elsewhere its scale would be a guess.
_LANGUAGE_ACCUMULATION = 0.5

Terms = dict[str, tuple[float, Tensor]]


def weighted_losses(
    config: LerfConfig, field: LerfField, batch: RayBatch, rendering: Rendering
) -> Terms:
    """Returns (weight, value) of each loss by name.

    Args:
        config: Weights of the losses.
        field: The field, for its scene box and its dense head.
        batch: What was measured along the rays.
        rendering: What the field shows along them.
    """
    training = config.training
    terms: Terms = {'colour': (1.0, losses.colour_loss(rendering.rgb, batch.rgb))}
    depth_m = batch.rays.depth_guide_m
    stops, before = losses.depth_losses(rendering, depth_m, config.field.depth_noise_share)
    terms['depth'] = (training.depth_weight, stops)
    terms['free_space'] = (training.free_space_weight, before)
    stage = rendering.proposal
    if stage is not None:
        value = losses.interlevel_loss(rendering, stage)
        terms['interlevel'] = (training.interlevel_weight, value)
        if stage.blind:
            blind = stage.rows[: stage.blind]
            value = losses.distortion_loss(
                rendering.weights[blind],
                rendering.samples.edges_m[blind],
                field.scene_box.half_extent_m,
            )
            share = stage.blind / len(batch)
            terms['distortion'] = (training.distortion_weight * share, value)
    if rendering.language_features is not None:
        terms |= _language_losses(config, field, batch, rendering)
    return terms


def _language_losses(
    config: LerfConfig, field: LerfField, batch: RayBatch, rendering: Rendering
) -> Terms:
    training = config.training
    features, embedding = rendering.language_features, rendering.embedding
    assert features is not None
    assert embedding is not None
    valid = rendering.accumulation[: len(features)].detach() > _LANGUAGE_ACCUMULATION
    value = losses.language_loss(embedding, batch.embedding, valid)
    terms: Terms = {'language': (training.language_weight, value)}
    if batch.dense is not None:
        value = losses.dense_loss(field.dense(features), batch.dense, valid)
        terms['dense'] = (training.dense_weight, value)
    return terms
