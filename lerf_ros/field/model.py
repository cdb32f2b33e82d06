"""The whole field: density, colour and language of space, and their rendering along rays."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from lerf_ros.config import FieldOptions
from lerf_ros.field.language import LanguageField
from lerf_ros.field.proposal import ProposalField
from lerf_ros.field.radiance import RadianceField
from lerf_ros.field.readable import ReadableField
from lerf_ros.field.rendering import (
    ProposalStage,
    Rendering,
    accumulate,
    heaviest,
    mean_depth,
)
from lerf_ros.field.sampling import (
    RayBundle,
    RaySamples,
    guided_edges,
    known,
    proposal_edges,
    samples_at,
    spread_edges,
    weights_of,
)
from lerf_ros.field.scene_box import SceneBox

# Depth at which rays end, in half extents of the scene box.
_FAR_HALF_EXTENTS = 30.0


class LerfField(ReadableField):
    """A language-embedded radiance field (Kerr et al. 2023), in metres of the world frame.

    Args:
        options: Sizes and sampling.
        scene_box: The space that is resolved finely.
        embedding_size: Size of a language embedding.
        dense_size: Size of a dense feature; 0 for none.
        seed: Seed of the first weights, the same on every device.
        device: Where the field lives; it decides which hash grid is used.
    """

    def __init__(
        self,
        options: FieldOptions,
        scene_box: SceneBox,
        embedding_size: int,
        dense_size: int = 0,
        seed: int = 0,
        device: torch.device | str = 'cpu',
    ) -> None:
        super().__init__(scene_box, embedding_size, dense_size)
        self.options = options
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.radiance = RadianceField(options, scene_box, generator, device)
            self.proposal = ProposalField(options, scene_box, generator, device)
            self.language = LanguageField(
                options, scene_box, embedding_size, dense_size, generator, device
            )
        self.to(device)

    def density(self, positions_world: Float[Tensor, 'n 3']) -> Float[Tensor, ' n']:
        """Returns density per metre."""
        return self.radiance.geometry(positions_world)[0]

    def render(
        self,
        rays: RayBundle,
        *,
        language: bool = False,
        language_rays: int | None = None,
        scale_per_depth: Float[Tensor, ' m'] | None = None,
        generator: torch.Generator | None = None,
        explore: int = 0,
        anneal: float = 1.0,
    ) -> Rendering:
        """Renders rays.

        Args:
            rays: The rays; those with a measured depth are sampled around it.
            language: Whether to render language features.
            language_rays: How many rays, from the first on, carry language; None for all.
            scale_per_depth: Scale, at one metre of depth, of the embedding wanted on each of
                these rays: the height of the crop in focal lengths.
            generator: Source of random sampling offsets; None renders repeatably.
            explore: Number of rays with depth for which the proposal is evaluated as well, so
                that it learns from them.
            anneal: Exponent of the proposal's weights.
        """
        samples, proposal = self._sample(rays, generator, explore, anneal)
        n, k = samples.lengths_m.shape
        density, features = self.radiance.geometry(samples.positions_world.reshape(-1, 3))
        weights = weights_of(density.reshape(n, k), samples.lengths_m)
        depth_m, accumulation = mean_depth(weights, samples)
        rgb = self._colours(rays, weights, features.reshape(n, k, -1))
        language_features = embedding = scale_m = None
        if language:
            count = n if language_rays is None else min(language_rays, n)
            if scale_per_depth is not None:
                guide = rays.depth_guide_m[:count]
                at = torch.where(known(guide), guide, depth_m[:count].detach())
                scale_m = scale_per_depth * at
            language_features, embedding = self._language(
                weights[:count], samples, scale_m, scale_per_depth
            )
        return Rendering(
            rgb=rgb,
            depth_m=depth_m,
            accumulation=accumulation,
            weights=weights,
            samples=samples,
            language_features=language_features,
            embedding=embedding,
            scale_m=scale_m,
            proposal=proposal,
        )

    def _sample(self, rays, generator, explore, anneal) -> tuple[RaySamples, ProposalStage | None]:
        """Places the samples: around measured depth, else where the proposal is dense."""
        options = self.options
        count = options.coarse_samples + options.guided_samples
        has_depth = known(rays.depth_guide_m)
        depth_m = torch.where(has_depth, rays.depth_guide_m, 1.0)
        edges = guided_edges(
            depth_m,
            options.near_m,
            options.coarse_samples,
            options.guided_samples,
            options.depth_noise_share,
            generator,
        )
        # The one number that the host has to read from the device: how many rays lack depth.
        blind = len(rays) - int(has_depth.sum())
        count_chosen = min(len(rays), blind + explore)
        if count_chosen == 0:
            return samples_at(rays, edges), None
        # Rays without depth, then the first of those with it.
        rows = torch.argsort(has_depth.to(torch.uint8), stable=True)[:count_chosen]
        chosen = rays[rows]
        half = self.scene_box.half_extent_m
        centre = self.scene_box.centre_like(rays.origins_world)
        reach = (chosen.origins_world.detach() - centre).norm(dim=-1).amax() + half
        spread = spread_edges(
            options.proposal_samples,
            chosen,
            options.near_m,
            reach.clamp(min=2 * options.near_m),
            reach * _FAR_HALF_EXTENTS,
            generator,
        )
        proposed, weights = proposal_edges(chosen, self.proposal, spread, count, generator, anneal)
        edges = edges.index_copy(0, rows[:blind], proposed[:blind])
        return samples_at(rays, edges), ProposalStage(rows, blind, spread, weights)

    def _colours(self, rays, weights, features) -> Tensor:
        """Decodes colour once a ray from rendered features, or for each sample."""
        if self.options.colour_decode == 'ray':
            # Not scaled by opacity: a colour network that has to make up for the transparency of
            # an unlearnt field saturates within a few steps and never comes back.
            rendered = accumulate(weights, features)
            return self.radiance.colour(rendered, rays.directions_world)
        n, k = weights.shape
        directions = rays.directions_world[:, None].expand(n, k, 3).reshape(-1, 3)
        rgb = self.radiance.colour(features.reshape(n * k, -1), directions)
        return accumulate(weights, rgb.reshape(n, k, 3))

    def _language(
        self, weights, samples, scale_m, scale_per_depth
    ) -> tuple[Tensor, Tensor | None]:
        """Renders language features of the rays with the given weights, and decodes them."""
        count = len(weights)
        top, index = heaviest(weights, self.options.language_samples)
        k = top.shape[-1]
        positions = samples.positions_world[:count].detach()
        positions = positions.gather(1, index[..., None].expand(-1, -1, 3))
        features = self.language.features(positions.reshape(-1, 3)).reshape(count, k, -1)
        rendered = accumulate(top, features)
        if scale_m is None:
            return rendered, None
        if self.options.language_decode == 'ray':
            return rendered, self.embed(rendered, scale_m)
        # As LERF: each sample is decoded at the scale that the crop has at its depth.
        depth_m = samples.depth_m[:count].detach().gather(1, index)
        scales = (scale_per_depth[:, None] * depth_m).reshape(-1)
        decoded = self.embed(features.reshape(count * k, -1), scales).reshape(count, k, -1)
        return rendered, accumulate(top, torch.nn.functional.normalize(decoded, dim=-1))
