"""Trains the shipped small encoder from nothing, and writes the files that are shipped.

    python tools/train_tabletop_encoder.py --work /tmp/encoder

renders scenes of the tabletop simulator (seeds below 10000), learns a vocabulary, trains, prints
how well scenes kept for development are told apart, and writes weights, configuration and
vocabulary. Everything follows from ``--seed``; what is already in the work folder is used again.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import multiprocessing
import queue
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tabletop_captions as captions_

from lerf_ros.features.tabletop.encoder import PREPROCESS, create_tabletop_model
from lerf_ros.features.tabletop.encoder import FOLDER as SHIPPED
from lerf_ros.features.tabletop.trunk import STRIDE
from tabletop_captions import Captions, never_caption, object_caption, part_caption
from tabletop_loss import contrast_loss, relevancy_loss, truth_matrix
from tabletop_views import Views, render
from tabletop_vocabulary import write_vocabulary
from tabletop_windows import Truth, WindowSampler

DEVELOPMENT_SEED = 9000
TEMPERATURE = 12.0
_LOGGER = logging.getLogger('train_tabletop_encoder')


def draw_captions(truth: Truth, rng: np.random.Generator, own: int, never: int) -> Captions:
    """Returns captions for a batch: true ones of its windows, near misses, and never true ones."""
    result = Captions()
    count = len(truth.object_scores)
    for window in rng.permutation(count)[:own]:
        part_first = truth.part_scores[window, 0] > 0.5 and rng.random() < 0.35
        if part_first:
            category, colour, part = (int(value) for value in truth.parts[window, 0])
            result.add(*part_caption(rng, category, colour, part))
            continue
        if truth.object_scores[window, 0] < 0.3:
            continue
        category, colour, texture = (int(value) for value in truth.objects[window, 0])
        result.add(*object_caption(rng, category, colour, texture))
        if rng.random() < 0.35:  # a near miss
            if rng.random() < 0.5:
                colour = int(rng.integers(len(captions_.COLOUR_LIST)))
            else:
                category = int(rng.integers(len(captions_.CATEGORY_LIST)))
            if not captions_.is_excluded(colour, category):
                result.add(*object_caption(rng, category, colour, texture))
    for _ in range(never):
        result.add(*never_caption(rng))
    surroundings = captions_.surroundings_captions()
    result.texts += surroundings.texts
    result.rows += surroundings.rows
    result.texts = [captions_.with_template(rng, text) for text in result.texts]
    return result


def _fill(views: Path, args: argparse.Namespace, seed: int, batches) -> None:
    cv2.setNumThreads(1)
    sampler = WindowSampler(Views(views), seed, args.scene_crops, args.windows, args.lone_crops)
    rng = np.random.default_rng([seed, 7])
    while True:
        scenes, boxes, lone, truth = sampler.batch()
        captions = draw_captions(truth, rng, args.captions, args.never)
        matrix = truth_matrix(truth, np.array(captions.rows)).numpy()
        batches.put((scenes, boxes, lone, captions.texts, matrix))


class Batches:
    """Draws batches in a process of its own while the model trains."""

    def __init__(self, views: Path, args: argparse.Namespace) -> None:
        context = multiprocessing.get_context('spawn')
        self._queue = context.Queue(maxsize=6)
        self._process = context.Process(
            target=_fill, args=(views, args, args.seed, self._queue), daemon=True
        )
        self._process.start()

    def next(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str], Tensor]:
        """Returns scene crops, boxes, lone crops, texts and the truth matrix.

        Raises:
            RuntimeError: The process has failed.
        """
        while True:
            try:
                scenes, boxes, lone, texts, matrix = self._queue.get(timeout=5)
            except queue.Empty:
                if not self._process.is_alive():
                    raise RuntimeError('batches: the process failed; see above') from None
                continue
            return scenes, boxes, lone, texts, torch.from_numpy(matrix)

    def close(self) -> None:
        """Ends the process."""
        self._process.terminate()
        self._process.join()


def as_input(pictures: np.ndarray) -> Tensor:
    """Returns normalised channels-last input from uint8 pictures (n, h, w, 3)."""
    mean, std = torch.tensor(PREPROCESS['mean']), torch.tensor(PREPROCESS['std'])
    pixels = torch.from_numpy(pictures).float() / 255
    return ((pixels - mean) / std).permute(0, 3, 1, 2)


def pool(cells: Tensor, boxes: Tensor) -> Tensor:
    """Returns what ``trunk.pool_windows`` does for (a, w, 4) boxes of a maps, as one product."""

    def overlap(start: Tensor, stop: Tensor, size: int) -> Tensor:
        edges = torch.arange(size + 1.0)
        shared = torch.minimum(edges[1:], stop[..., None]) - torch.maximum(
            edges[:-1], start[..., None]
        )
        shared = shared.clamp(min=0)
        return shared / shared.sum(dim=-1, keepdim=True)

    count, channels, rows, cols = cells.shape
    weights = torch.zeros(count, boxes.shape[1], rows, cols)
    quarter = (boxes[..., 2:] - boxes[..., :2]) / 4
    for low, high in (
        (boxes[..., :2], boxes[..., 2:]),
        (boxes[..., :2] + quarter, boxes[..., 2:] - quarter),
    ):
        across = overlap(low[..., 0], high[..., 0], cols)
        down = overlap(low[..., 1], high[..., 1], rows)
        weights += down[..., :, None] * across[..., None, :] / 2
    pooled = weights.flatten(2) @ cells.permute(0, 2, 3, 1).reshape(count, rows * cols, channels)
    return pooled.flatten(0, 1)


def encode_pictures(
    model: nn.Module, scenes: np.ndarray, boxes: np.ndarray, lone: np.ndarray
) -> Tensor:
    """Returns embeddings of the windows of the scene crops, then of the lone crops."""
    trunk = model.visual.trunk
    with torch.autocast('cpu', torch.bfloat16):
        scene_cells = trunk.forward_features(as_input(scenes))
        lone_cells = trunk.forward_features(as_input(lone))
    windows = torch.from_numpy(boxes) / STRIDE
    side = lone_cells.shape[-1]
    whole = torch.tensor([0.0, 0.0, side, side]).expand(len(lone), 1, 4)
    pooled = [pool(scene_cells.float(), windows), pool(lone_cells.float(), whole)]
    return F.normalize(model.visual.head(torch.cat(pooled)), dim=-1)


def encode_texts(model: nn.Module, tokenizer, texts: list[str]) -> Tensor:
    """Returns embeddings of texts; padding beyond the longest of them is left away."""
    tokens = tokenizer(texts)
    longest = int((tokens != 0).sum(dim=1).max())
    # Attention is causal: what follows the end of a text does not change it.
    mask = model.text.attn_mask
    model.text.attn_mask = mask[:longest, :longest]
    embeddings = model.encode_text(tokens[:, :longest])
    model.text.attn_mask = mask
    return F.normalize(embeddings, dim=-1)


def train(args: argparse.Namespace, views: Path, model: nn.Module, tokenizer) -> nn.Module:
    """Trains the model in place; returns it with the averaged weights."""
    batches = Batches(views, args)
    plain = [p for p in model.parameters() if p.ndim < 2]
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    scale = nn.Parameter(torch.tensor(math.log(20.0)))
    optimizer = torch.optim.AdamW(
        [
            {'params': matrices, 'weight_decay': 0.02},
            {'params': [*plain, scale], 'weight_decay': 0.0},
        ],
        lr=args.rate,
        betas=(0.9, 0.98),
        fused=True,
    )
    average = torch.optim.swa_utils.AveragedModel(
        model,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995),
        use_buffers=True,
    )
    model.train()
    start, recent = time.perf_counter(), []
    for step in range(args.steps):
        share = step / args.steps
        rate = args.rate * min(1, (step + 1) / 60) * (0.5 + 0.5 * math.cos(math.pi * share))
        for group in optimizer.param_groups:
            group['lr'] = max(rate, 1e-5)
        scenes, boxes, lone, texts, truth = batches.next()
        images = encode_pictures(model, scenes, boxes, lone)
        embedded = encode_texts(model, tokenizer, [*captions_.CANONICAL, *texts])
        canonical, phrases = embedded.split([len(captions_.CANONICAL), len(texts)])
        cosines = images @ phrases.T
        logits = scale.exp().clamp(max=60) * cosines
        relevancy = relevancy_loss(cosines, images @ canonical.T, truth, TEMPERATURE)
        contrast = contrast_loss(logits, truth) + 0.5 * contrast_loss(logits.T, truth.T)
        loss = relevancy + contrast
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(model)
        recent.append((float(relevancy), float(contrast)))
        if (step + 1) % 50 == 0:
            means = np.mean(recent, axis=0)
            seconds = time.perf_counter() - start
            _LOGGER.info(
                'step %d of %d, %.0f s: relevancy loss %.3f, contrast loss %.3f, scale %.1f',
                step + 1, args.steps, seconds, *means, scale.exp(),
            )  # fmt: skip
            recent.clear()
        if args.save_every and (step + 1) % args.save_every == 0:
            save(average.module, Path(args.output))
    batches.close()
    return average.module.eval()


def save(model: nn.Module, folder: Path) -> Path:
    """Writes the weights in half precision; returns the file."""
    with torch.no_grad():
        # The relevancy temperature is a tenth of the factor a model was trained with.
        model.logit_scale.fill_(math.log(10 * TEMPERATURE))
    tensors = {
        name: tensor.detach().half().contiguous() if tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / 'tabletop.safetensors'
    save_file(tensors, path)
    return path


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
    totals = {'windows': [], 'lone': [], 'colour': [], 'category': [], 'hit': [], 'false': []}
    for _ in range(6):
        scenes, boxes, lone, truth = sampler.batch()
        images = encode_pictures(model, scenes, boxes, lone)
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
    parser.add_argument('--scenes', type=int, default=1300)
    parser.add_argument('--views', type=int, default=6, help='views of a scene')
    parser.add_argument('--workers', type=int, default=2, help='processes that render')
    parser.add_argument('--steps', type=int, default=3000)
    parser.add_argument('--rate', type=float, default=2e-3, help='learning rate')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--scene-crops', type=int, default=40)
    parser.add_argument('--windows', type=int, default=6, help='windows of a scene crop')
    parser.add_argument('--lone-crops', type=int, default=80)
    parser.add_argument('--captions', type=int, default=160, help='windows that are captioned')
    parser.add_argument('--never', type=int, default=40, help='captions true of nothing')
    parser.add_argument('--start', type=Path, help='weights to start from')
    parser.add_argument('--save-every', type=int, default=0, help='steps between two savings')
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format='%(message)s', stream=sys.stdout)
    cv2.setNumThreads(1)
    torch.manual_seed(args.seed)
    start = time.perf_counter()
    for folder, first, count in (('train', 0, args.scenes), ('develop', DEVELOPMENT_SEED, 40)):
        if not (args.work / folder).exists():
            render(args.work / folder, first, count, args.views, args.workers)
    _LOGGER.info('views ready after %.0f s', time.perf_counter() - start)
    size = write_vocabulary(SHIPPED / 'bpe.txt.gz', captions_.all_words(), 1600)
    config = json.loads((SHIPPED / 'tabletop.json').read_text())
    config['text_cfg']['vocab_size'] = size
    (SHIPPED / 'tabletop.json').write_text(json.dumps(config, indent=1) + '\n')
    model, tokenizer = create_tabletop_model()
    if args.start:
        from safetensors.torch import load_file

        model.load_state_dict(load_file(args.start))
    model = train(args, args.work / 'train', model, tokenizer)
    path = save(model, args.output)
    scores = evaluate(model, tokenizer, Views(args.work / 'develop'), args.seed)
    _LOGGER.info('development scenes: %s', {k: round(v, 4) for k, v in scores.items()})
    _LOGGER.info(
        '%s: %.2f MB, %.0f s in all', path, path.stat().st_size / 1e6, time.perf_counter() - start
    )


if __name__ == '__main__':
    main()
