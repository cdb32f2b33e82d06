"""What a pyramid costs with fewer tiles, and what that loses.

    python benchmarks/tile_budget.py [--json FILE] [--models NAME ...]

The cost is that of models of open_clip with random weights, from one batch of tiles; one whose
text tower needs files that are not on the machine is passed over. The loss
is that of the shipped encoder on simulated tables that no training has seen: each object is looked
up in the pyramid of a view, at its middle and by its size, and named by the nearest of all
captions of a colour and a category.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lerf_ros.config import FeatureOptions
from lerf_ros.evaluation.picture_questions import box_of
from lerf_ros.features.load import load_encoder
from lerf_ros.features.pyramid import PyramidBuilder
from lerf_ros.features.tile_grid import expected_tiles
from lerf_ros.simulation import CATEGORIES, COLOURS, HELD_OUT_SEED, TabletopScene

MODELS = (
    'MobileCLIP2-S0',
    'MobileCLIP2-S2',
    'ViT-B-32',
    'ViT-B-16',
    'convnext_base',
    'ViT-B-16-SigLIP2',
)
BUDGETS = (0, 600, 400, 200, 100, 50)
BATCH = 8
LEAST_PIXELS = 120


def cost(name: str) -> float:
    """Returns tiles a second."""
    encoder = load_encoder(FeatureOptions(encoder=name, pretrained='random'))
    images = torch.rand(BATCH, 3, encoder.input_size, encoder.input_size)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        encoder.encode_images(images)
        times.append(time.perf_counter() - start)
    return BATCH / statistics.median(times)


def named_right(scenes: int) -> dict[int, float]:
    """Returns the share of objects that are named right, by budget."""
    encoder = load_encoder(FeatureOptions())
    pairs = [(colour, category) for colour in COLOURS for category in CATEGORIES]
    texts = encoder.encode_texts([f'{colour} {category}' for colour, category in pairs])
    builders = {
        budget: PyramidBuilder(encoder, FeatureOptions(tiles_per_keyframe=budget), 'cpu')
        for budget in BUDGETS
    }
    right: dict[int, list[bool]] = {budget: [] for budget in BUDGETS}
    for seed in range(HELD_OUT_SEED, HELD_OUT_SEED + scenes):
        with TabletopScene(seed) as scene:
            picture = scene.render(scene.path('orbit', 4.0, 1.0)[1])
            for budget, builder in builders.items():
                pyramid = builder.build(picture.image)
                for obj in scene.objects:
                    mask = picture.objects == obj.index
                    if mask.sum() < LEAST_PIXELS:
                        continue
                    left, top, right_, bottom = box_of(mask)
                    uv = torch.tensor([[(left + right_) / 2, (top + bottom) / 2]])
                    size = torch.tensor([1.2 * max(right_ - left, bottom - top)])
                    guess = pairs[int((pyramid.lookup(uv, size) @ texts.T).argmax())]
                    right[budget].append(guess == (obj.colour, obj.category))
    return {budget: float(np.mean(found)) for budget, found in right.items()}


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--json', type=Path, help='also write the figures to this file')
    parser.add_argument('--models', nargs='*', default=MODELS)
    parser.add_argument('--scenes', type=int, default=20)
    args = parser.parse_args()
    whole = expected_tiles(320, 240, FeatureOptions())
    named = named_right(args.scenes)
    print(f'{"tiles":<20s}' + ''.join(f'{budget or whole:>9d}' for budget in BUDGETS))
    print(f'{"named right":<20s}' + ''.join(f'{named[budget]:>9.1%}' for budget in BUDGETS))
    figures: dict[str, object] = {'named_right': named, 'tiles': whole}
    for name in args.models:
        try:
            tiles_per_s = cost(name)
        except ValueError as error:
            print(f'{name:<20s} passed over: {error}', flush=True)
            continue
        times = {budget: 1e3 * (budget or whole) / tiles_per_s for budget in BUDGETS}
        print(
            f'{name:<20s}' + ''.join(f'{times[budget]:>9.0f}' for budget in BUDGETS)
            + f'  ms a keyframe, {tiles_per_s:.1f} tiles/s',
            flush=True,
        )  # fmt: skip
        figures[name] = {'tiles_per_s': tiles_per_s, 'keyframe_ms': times}
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
