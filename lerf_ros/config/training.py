"""How the field learns."""

from __future__ import annotations

from dataclasses import dataclass

from lerf_ros.options import Section, option


@dataclass(frozen=True)
class TrainingOptions(Section):
    """How the field learns from keyframes."""

    device: str = option('auto', "Device that trains and answers: 'auto', 'cpu', 'cuda', ...")
    seed: int = option(0, 'Seed of every random choice.', low=0)
    precision: str = option(
        'auto',
        'Numbers inside the networks; auto is float16 on CUDA and float32 on a CPU, or bfloat16 '
        'in large language heads where the processor multiplies it.',
        choices=('auto', 'float32', 'float16', 'bfloat16'),
    )
    rays_per_step: int = option(1024, 'Rays of one training step.', low=1, high=1_000_000)
    language_rays_per_step: int = option(
        256, 'Rays of a step that also carry language.', low=0, high=1_000_000
    )
    surface_updates: int = option(
        6,
        'Updates a step in which language learns at surface points, from many keyframes at once, '
        'instead of along rays; 0 learns along rays alone.',
        low=0,
        high=64,
    )
    surface_points: int = option(256, 'Surface points of one such update.', low=1, high=1_000_000)
    surface_views: int = option(
        8, 'Keyframes that say what a surface point should be, at most.', low=1, high=16
    )
    surface_half_steps: int = option(
        300,
        'Steps in which the learning rates of these updates halve.',
        low=1,
        high=10_000_000,
    )
    learning_rate: float = option(
        0.03, 'First learning rate of the hash grids.', low=1e-6, high=1.0
    )
    network_learning_rate: float = option(
        0.005, 'First learning rate of the networks.', low=1e-6, high=1.0
    )
    learning_rate_half_steps: int = option(
        2000, 'Steps in which the learning rates halve.', low=1, high=10_000_000
    )
    learning_rate_floor: float = option(
        0.1, 'Share of the learning rates that stays for good.', low=0.0, high=1.0
    )
    mean_steps: int = option(
        50,
        'Questions read the mean of the language over about so many steps, in a young map over a '
        'tenth of its steps; 0 reads what the last step made.',
        low=0,
        high=100_000,
    )
    depth_weight: float = option(0.1, 'Weight of the depth loss.', low=0.0, high=1000.0, live=True)
    free_space_weight: float = option(
        0.1,
        'Weight of the loss on matter before the measured depth.',
        low=0.0,
        high=1000.0,
        live=True,
    )
    language_weight: float = option(
        0.1, 'Weight of the language loss.', low=0.0, high=1000.0, live=True
    )
    dense_weight: float = option(
        0.1, 'Weight of the loss on dense features.', low=0.0, high=1000.0, live=True
    )
    interlevel_weight: float = option(
        1.0, 'Weight of the loss that trains the proposal.', low=0.0, high=1000.0, live=True
    )
    distortion_weight: float = option(
        0.002,
        'Weight of the distortion loss on rays without depth.',
        low=0.0,
        high=1000.0,
        live=True,
    )
    replay_newest_share: float = option(
        0.2, 'Share of the rays from the newest keyframes.', low=0.0, high=1.0, live=True
    )
    replay_uniform_share: float = option(
        0.5,
        'Share of the rays drawn evenly from all keyframes; the rest follows the error.',
        low=0.0,
        high=1.0,
        live=True,
    )
    registration_limit_m: float = option(
        0.02,
        "Greatest correction of a keyframe's pose by registering its depth to the surface; 0, or "
        'no more than query.voxel_m, leaves poses as they came.',
        unit='m',
        low=0.0,
        high=0.5,
    )
    store_device_mb: int = option(
        512, 'Keyframes and features held on the training device.', unit='MB', low=1, high=10**6
    )
    store_host_mb: int = option(
        1024,
        'Keyframes held in host memory beyond the device; the others go to a file on disk.',
        unit='MB',
        low=0,
        high=10**6,
    )

    store_width: int = option(
        0,
        'Pictures and depth of keyframes are held at most so wide, so that more of them fit in; '
        'their features are those of the whole picture. 0 holds them as they come.',
        unit='px',
        low=0,
        high=8192,
    )

    def check_together(self) -> None:
        """Raises a ValueError where shares of the same rays are more than all of them."""
        shares = self.replay_newest_share, self.replay_uniform_share
        if sum(shares) > 1 + 1e-9:
            raise ValueError(
                'replay_newest_share and replay_uniform_share: expected at most 1 together, '
                f'got {shares[0]:g} and {shares[1]:g}'
            )
