"""What the method's variations gain and cost, on a simulated table and on recordings.

    python benchmarks/quality.py [language] [kitchen] [--data FOLDER] [--json FILE]

``language``: forms of the language field at equal steps, on development scenes with the shipped
encoder. Every form sees the same keyframes with the same features. *Localised* counts phrases of
objects whose best place lies in the true box. *Cosine* compares the field with the encoder's
pyramid on views that it never saw: ``3D`` where it is read at a surface point, ``ray`` where it is
rendered. Differences to the first form are paired by scene; the row that only changes the
training seed says what is noise.

``kitchen``: radiance on an RGB-D recording in the format of 7-Scenes, every 10th frame held out,
PSNR and depth at full training size. ``--data`` names its folder.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import lerf_ros  # noqa: F401  before torch: it tells OpenMP's idle threads to sleep

# isort: split
import numpy as np
import torch

from lerf_ros.config import LerfConfig
from lerf_ros.evaluation import metrics
from lerf_ros.evaluation.asking import ask_map
from lerf_ros.evaluation.tabletop_camera import held_out, shots
from lerf_ros.evaluation.truth import SceneTruth
from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.features.pyramid import FeaturePyramid, PyramidBuilder, PyramidLevel
from lerf_ros.field.sampling import RayBundle
from lerf_ros.frames import Keyframe, KeyframeId, PosedFrame
from lerf_ros.geometry import Array, backproject, transform_points
from lerf_ros.maps.submap import Submap
from lerf_ros.simulation import TabletopScene
from lerf_ros.sources.detection import SourceOptions, open_recording
from lerf_ros.training.trainer import Trainer

KITCHEN = Path(__file__).parents[2] / 'shared' / 'data' / 'redkitchen'

FORMS: dict[str, dict[str, Any]] = {
    'decoded once a ray (default)': {},
    'the same, another training seed': {'training.seed': 1},
    'decoded per sample, as LERF': {'field.language_decode': 'sample'},
    'basis of 32 directions': {'field.language_basis': 32},
}
REGISTERED = 'colour resampled'
ROWS = ('as recorded', REGISTERED)
# Held-out pixels at which embeddings are compared, a view.
PIXELS = 2000


@dataclass(frozen=True, eq=False)
class HeldOutView:
    """A view that is not learnt, with what the encoder says of it.

    Attributes:
        rays: Rays of chosen pixels, with true depth as their guide.
        points_world: Their surface points.
        scale_m: Height of the crop at each.
        target: The pyramid's unit embedding of that crop.
    """

    rays: RayBundle
    points_world: torch.Tensor
    scale_m: torch.Tensor
    target: torch.Tensor

    @classmethod
    def of(cls, frame: PosedFrame, pyramid: FeaturePyramid, seed: int) -> HeldOutView:
        """Chooses pixels at measured depth and crops evenly over octaves."""
        assert frame.depth is not None
        generator = np.random.default_rng(seed)
        rows, cols = np.nonzero(np.isfinite(frame.depth) & (frame.depth > 0))
        chosen = generator.choice(len(rows), min(PIXELS, len(rows)), replace=False)
        rows, cols = rows[chosen], cols[chosen]
        depth_m = frame.depth[rows, cols].astype(np.float64)
        uv = np.stack([cols, rows], axis=-1) + 0.5
        low, high = pyramid.levels[0].tile_px, pyramid.levels[-1].tile_px
        tile_px = low * (high / low) ** generator.random(len(rows))
        points = transform_points(frame.camera_to_world, backproject(frame.camera, uv, depth_m))
        origins = np.broadcast_to(frame.camera_to_world[:3, 3], points.shape)
        directions = (points - origins) / depth_m[:, None]
        floats = [
            torch.from_numpy(np.ascontiguousarray(values)).float()
            for values in (origins, directions, depth_m, points, uv, tile_px)
        ]
        rays = RayBundle(floats[0], floats[1], floats[2])
        target = pyramid.lookup(floats[4], floats[5]).float()
        return cls(rays, floats[3], floats[5] * floats[2] / frame.camera.fy, target)


@torch.no_grad()
def cosines(trainer: Trainer, view: HeldOutView) -> tuple[Array, Array]:
    """Returns the cosine to the pyramid of each pixel, read at its surface point and rendered."""
    field, readable = trainer.field, trainer.readable
    assert field is not None
    assert readable is not None
    read = readable.embed(readable.language_features(view.points_world), view.scale_m)
    per_depth = view.scale_m / view.rays.depth_guide_m
    rendered = field.render(view.rays, language=True, scale_per_depth=per_depth).embedding
    assert rendered is not None
    similar = torch.nn.functional.cosine_similarity
    return similar(read, view.target).numpy(), similar(rendered, view.target).numpy()


def train(trainer: Trainer, steps: int) -> float:
    """Trains; returns the median CPU time of a step, ms."""
    times = []
    for _ in range(steps):
        start = time.process_time()
        trainer.step()
        times.append(time.process_time() - start)
    return 1e3 * statistics.median(times)


def compare_language(
    seeds: Sequence[int], forms: Sequence[str], steps: int, views: int, seconds: float
) -> dict[str, list[dict[str, float]]]:
    """Returns the figures of each form, scene by scene."""
    config = LerfConfig()
    encoder: LanguageEncoder | None = None
    figures: dict[str, list[dict[str, float]]] = {form: [] for form in forms}
    for seed in seeds:
        with TabletopScene(seed) as scene:
            truth = SceneTruth(scene)
            live_map = Submap(config, encoder)
            encoder = live_map.encoder
            taken: list[tuple[Keyframe, FeaturePyramid]] = []
            live_map.on_features = lambda *pair, taken=taken: taken.append(pair)
            walk = shots(scene, seconds)
            for shot in walk[:: max(1, len(walk) // views)][:views]:
                frame = shot.read()
                assert frame is not None
                live_map.ingest(frame)
            pyramids = PyramidBuilder(encoder, config.features, live_map.device)
            unseen = [
                HeldOutView.of(frame, pyramids.build(frame.image), seed)
                for frame in held_out(scene, 4)
            ]
        labels = truth.label(live_map.surface().positions)
        for form in forms:
            trainer = Trainer(config.replace(FORMS[form]), embedding_size=encoder.embedding_size)
            for keyframe, pyramid in taken:
                trainer.add_keyframe(keyframe, pyramid)
            trainer.fix_scene_box()
            cpu_ms = train(trainer, steps)
            # The questions are put to this field over the same surface.
            live_map.trainer = trainer
            live_map.engine.clear()
            questions = [q for q in truth.questions() if q.kind == 'object']
            answers, _, _ = ask_map(live_map, truth, questions, labels)
            read, rendered = (
                np.concatenate(parts)
                for parts in zip(*(cosines(trainer, view) for view in unseen), strict=True)
            )
            figures[form].append(
                {
                    'localised': float(np.mean([answer.hit for answer in answers])),
                    'cosine_3d': float(read.mean()),
                    'cosine_3d_p10': float(np.percentile(read, 10)),
                    'cosine_ray': float(rendered.mean()),
                    'cpu_ms': cpu_ms,
                }
            )
            sys.stderr.write(f'seed {seed}, {form}: {figures[form][-1]}\n')
    return figures


def language_table(figures: dict[str, list[dict[str, float]]]) -> list[str]:
    """Returns means over scenes, and differences to the first form with their standard error."""
    lines = [
        '| form | localised | cosine 3D | 10th pct | cosine ray | 3D, difference | '
        'localised, difference | CPU ms a step |',
        '| --- ' * 8 + '|',
    ]
    first = next(iter(figures.values()))
    for form, rows in figures.items():
        cells = [
            f'{np.mean([row[key] for row in rows]):.3f}'
            for key in ('localised', 'cosine_3d', 'cosine_3d_p10', 'cosine_ray')
        ]
        for key in ('cosine_3d', 'localised'):
            gaps = [row[key] - base[key] for row, base in zip(rows, first, strict=True)]
            error = np.std(gaps, ddof=1) / len(gaps) ** 0.5 if len(gaps) > 1 else np.nan
            cells.append('-' if rows is first else f'{np.mean(gaps):+.3f} ± {error:.3f}')
        cells.append(f'{np.mean([row["cpu_ms"] for row in rows]):.1f}')
        lines.append(f'| {form} | ' + ' | '.join(cells) + ' |')
    return lines


def no_language(frame: PosedFrame) -> FeaturePyramid:
    """Returns the smallest pyramid that the store takes, where only radiance is learnt."""
    camera = frame.camera
    level = PyramidLevel(
        float(camera.height),
        (camera.width / 2, camera.height / 2),
        (float(camera.width), float(camera.height)),
        torch.ones(1, 1, 1),
    )
    return FeaturePyramid(camera.width, camera.height, (level,))


def compare_kitchen(
    folder: Path, rows: Sequence[str], steps: int, downscale: int, focal_px: float
) -> dict[str, dict[str, float]]:
    """Returns held-out figures of each row."""
    figures = {}
    for name in rows:
        focal = focal_px if name == REGISTERED else None
        options = SourceOptions(downscale=downscale, colour_focal_px=focal)
        frames = open_recording(folder, options)
        config = LerfConfig().replace({'training.language_rays_per_step': 0})
        trainer = Trainer(config, embedding_size=1)
        for index in range(len(frames)):
            if index % 10 != 5:
                frame = frames[index]
                trainer.add_keyframe(
                    Keyframe(KeyframeId('recording', index), frame), no_language(frame)
                )
        trainer.fix_scene_box()
        cpu_ms = train(trainer, steps)
        ratios, errors = [], []
        for index in range(5, len(frames), 10):
            frame = frames[index]
            view = trainer.render(frame.camera, frame.camera_to_world)
            ratios.append(metrics.psnr(view.image, frame.image))
            if frame.depth is not None:
                errors.append(metrics.depth_errors(view.depth_m, frame.depth))
        depth_mm = 1e3 * float(np.median(np.concatenate(errors))) if errors else float('nan')
        figures[name] = {
            'psnr': float(np.mean(ratios)),
            'psnr_se': float(np.std(ratios, ddof=1) / len(ratios) ** 0.5),
            'depth_mm': depth_mm,
            'cpu_ms': cpu_ms,
        }
        sys.stderr.write(f'{name}: {figures[name]}\n')
    return figures


def kitchen_table(figures: dict[str, dict[str, float]]) -> list[str]:
    """Returns one line a row."""
    lines = ['| | PSNR dB | median depth error mm | CPU ms a step |', '| --- ' * 4 + '|']
    return lines + [
        f'| {name} | {row["psnr"]:.2f} | {row["depth_mm"]:.1f} | {row["cpu_ms"]:.1f} |'
        for name, row in figures.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('what', nargs='*', metavar='language|kitchen', help='both if left out')
    parser.add_argument('--data', type=Path, default=KITCHEN, help='folder of the recording')
    parser.add_argument('--seeds', type=int, nargs='+', default=[9000, 9001, 9002, 9003])
    parser.add_argument('--steps', type=int, default=350, help='of each language form (350)')
    parser.add_argument('--views', type=int, default=24, help='keyframes of each scene (24)')
    parser.add_argument('--kitchen-steps', type=int, default=800, help='of each row (800)')
    parser.add_argument('--downscale', type=int, default=2, help='of the recording (2)')
    parser.add_argument('--colour-focal', type=float, default=525.0, metavar='PX')
    parser.add_argument('--forms', nargs='+', default=list(FORMS), choices=list(FORMS))
    parser.add_argument('--rows', nargs='+', default=ROWS, choices=ROWS)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--json', metavar='FILE')
    arguments = parser.parse_args()
    what = arguments.what or ['language', 'kitchen']
    if unknown := set(what) - {'language', 'kitchen'}:
        parser.error(f'expected language or kitchen, got {", ".join(sorted(unknown))}')
    torch.set_num_threads(arguments.threads)
    results: dict[str, Any] = {}
    if 'language' in what:
        print(f'Language forms, {arguments.steps} steps, scenes {arguments.seeds}:')
        results['language'] = compare_language(
            arguments.seeds, arguments.forms, arguments.steps, arguments.views, seconds=20.0
        )
        print('\n'.join(language_table(results['language'])), flush=True)
    if 'kitchen' in what:
        if not arguments.data.is_dir():
            print(f'Recording: not measured, there is no folder {arguments.data}')
        else:
            print(f'{arguments.data.name}, radiance only, {arguments.kitchen_steps} steps:')
            results['kitchen'] = compare_kitchen(
                arguments.data,
                arguments.rows,
                arguments.kitchen_steps,
                arguments.downscale,
                arguments.colour_focal,
            )
            print('\n'.join(kitchen_table(results['kitchen'])), flush=True)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results, indent=1) + '\n')


if __name__ == '__main__':
    main()
