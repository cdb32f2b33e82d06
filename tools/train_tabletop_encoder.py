"""Trains the shipped small encoder from nothing, and writes the files that are shipped.

    python tools/train_tabletop_encoder.py --work /tmp/encoder

renders tabletops and rooms of the simulator (seeds below 10000), learns a vocabulary, trains,
prints how well scenes kept for development are told apart, and writes weights, configuration and
vocabulary. Everything follows from ``--seed``; what is already in the work folder is used again.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tabletop_captions as captions_
from tabletop_crops import cut
from tabletop_rooms import render_rooms
from tabletop_training import (
    TEMPERATURE,
    encode_texts,
    pool_pictures,
    project,
    save,
    train_together,
)
from tabletop_views import Views, render
from tabletop_vocabulary import write_vocabulary
from tabletop_windows import WindowSampler

from lerf_ros.features.tabletop.encoder import FOLDER as SHIPPED
from lerf_ros.features.tabletop.encoder import create_tabletop_model

DEVELOPMENT_SEED = 9000
_LOGGER = logging.getLogger('train_tabletop_encoder')


@torch.no_grad()
def evaluate(model: nn.Module, tokenizer, views: Views, seed: int) -> dict[str, float]:
    """Returns how well lone crops and windows of other scenes are told apart."""
    model.eval()
    sampler = WindowSampler(views, seed, 64, 6, 256)
    pairs = [
        (colour, category)
        for colour in range(len(captions_.COLOUR_LIST))
        for category in range(len(captions_.CATEGORY_LIST))
        if not captions_.is_excluded(colour, category)
    ]
    texts = [
        f'{captions_.COLOUR_LIST[colour]} {captions_.CATEGORY_LIST[category]}'
        for colour, category in pairs
    ]
    phrases = encode_texts(model, tokenizer, texts)
    canonical = encode_texts(model, tokenizer, list(captions_.CANONICAL))
    totals: dict[str, list] = {
        'windows': [],
        'lone': [],
        'colour': [],
        'category': [],
        'hit': [],
        'false': [],
    }
    for _ in range(6):
        scenes, boxes, lone, truth = sampler.batch()
        images = project(model, pool_pictures(model, scenes, boxes, lone))
        cosines = images @ phrases.T
        relevancy = torch.sigmoid(
            TEMPERATURE * (cosines - (images @ canonical.T).max(dim=1, keepdim=True).values)
        )
        best = cosines.argmax(dim=1).tolist()
        clear = (truth.object_scores[:, 0] > 0.9) & (truth.object_scores[:, 1] < 0.1)
        for row in np.flatnonzero(clear):
            category, colour, _ = (int(value) for value in truth.objects[row, 0])
            if (colour, category) not in pairs:
                continue
            guess = pairs[best[row]]
            right = guess == (colour, category)
            totals['lone' if row >= boxes.shape[0] * boxes.shape[1] else 'windows'].append(right)
            totals['colour'].append(guess[0] == colour)
            totals['category'].append(guess[1] == category)
            own = pairs.index((colour, category))
            totals['hit'].append(bool(relevancy[row, own] > 0.5))
            others = relevancy[row].clone()
            others[own] = 0
            totals['false'].append(float((others > 0.5).float().mean()))
    return {name: float(np.mean(values)) for name, values in totals.items()}


def main() -> None:
    """Renders, trains, evaluates and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--work', type=Path, required=True, help='folder of rendered views')
    parser.add_argument('--output', type=Path, default=SHIPPED, help='folder of the results')
    parser.add_argument('--scenes', type=int, default=1700)
    parser.add_argument('--views', type=int, default=6, help='views of a scene')
    parser.add_argument('--flats', type=int, default=160, help='flats of five rooms')
    parser.add_argument('--flat-views', type=int, default=60, help='views of a flat')
    parser.add_argument('--device', default='cpu', help='where to train')
    parser.add_argument('--producers', type=int, default=1, help='processes that draw batches')
    parser.add_argument(
        '--workers', type=int, default=2, help='processes that render, and that train'
    )
    parser.add_argument('--crop-steps', type=int, default=1200, help='steps on lone crops')
    parser.add_argument('--crop-batch', type=int, default=256)
    parser.add_argument('--crop-px', type=int, default=48, help='side of these crops')
    parser.add_argument('--steps', type=int, default=9000, help='steps on windows, thereafter')
    parser.add_argument('--rate', type=float, default=1.5e-3, help='learning rate of the rest')
    parser.add_argument('--filter-rate', type=float, default=0.05, help='of the convolutions')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--scene-crops', type=int, default=24)
    parser.add_argument('--windows', type=int, default=9, help='windows of a scene crop')
    parser.add_argument('--lone-crops', type=int, default=208)
    parser.add_argument('--captions', type=int, default=200, help='windows that are captioned')
    parser.add_argument(
        '--recoloured',
        type=float,
        default=0.0,
        help='share of pictures of recoloured things',
    )
    parser.add_argument('--classes', type=float, default=0.5, help='weight of the classifiers')
    parser.add_argument('--never', type=int, default=36, help='captions true of nothing')
    parser.add_argument('--any-parts', type=int, default=150, help='captions of any parts')
    parser.add_argument(
        '--minutes', type=float, help='end each phase after so long; rates fall by the clock'
    )
    parser.add_argument('--start', type=Path, help='weights to start from')
    parser.add_argument(
        '--keep-start', type=float, default=0.0, help='share of those weights in the result'
    )
    parser.add_argument(
        '--frozen-trunk', action='store_true', help='train what follows the convolutions only'
    )
    parser.add_argument('--save-every', type=int, default=0, help='steps between two savings')
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format='%(message)s', stream=sys.stdout)
    cv2.setNumThreads(1)
    torch.manual_seed(args.seed)
    start = time.perf_counter()
    renderers = max(args.workers, args.producers)
    for folder, first, count in (('train', 0, args.scenes), ('develop', DEVELOPMENT_SEED, 40)):
        if not (args.work / folder).exists():
            render(args.work / folder, first, count, args.views, renderers)
    for folder, first, count in (('rooms', 0, args.flats), ('develop_rooms', DEVELOPMENT_SEED, 8)):
        if not (args.work / folder).exists():
            render_rooms(args.work / folder, first, count, args.flat_views, renderers)
    if not (args.work / 'crops').exists():
        folders = [args.work / 'train', args.work / 'rooms']
        cut(folders, args.work / 'crops', renderers, args.recoloured)
    _LOGGER.info('views ready after %.0f s', time.perf_counter() - start)
    size = write_vocabulary(SHIPPED / 'bpe.txt.gz', captions_.all_words(), 1600)
    config = json.loads((SHIPPED / 'tabletop.json').read_text())
    config['text_cfg']['vocab_size'] = size
    (SHIPPED / 'tabletop.json').write_text(json.dumps(config, indent=1) + '\n')
    things = json.dumps(captions_.CATEGORY_LIST, indent=1)
    (SHIPPED / 'things.json').write_text(things + '\n')
    model = train_together(args)
    tokenizer = create_tabletop_model()[1]
    path = save(model, args.output)
    for folder in ('develop', 'develop_rooms'):
        scores = evaluate(model, tokenizer, Views(args.work / folder), args.seed)
        _LOGGER.info('%s: %s', folder, {k: round(v, 4) for k, v in scores.items()})
    _LOGGER.info(
        '%s: %.2f MB, %.0f s in all', path, path.stat().st_size / 1e6, time.perf_counter() - start
    )


if __name__ == '__main__':
    main()
