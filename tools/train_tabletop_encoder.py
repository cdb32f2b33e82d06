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
import os
import queue
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tabletop_captions as captions_
from tabletop_captions import Captions, never_caption, object_caption, part_caption
from tabletop_crops import Crops, cut
from tabletop_loss import contrast_loss, relevancy_loss, truth_matrix
from tabletop_optimizer import OrthogonalDescent
from tabletop_views import Views, render
from tabletop_vocabulary import write_vocabulary
from tabletop_windows import LONE_PX, Truth, WindowSampler, joined

from lerf_ros.features.tabletop.encoder import FOLDER as SHIPPED
from lerf_ros.features.tabletop.encoder import PREPROCESS, create_tabletop_model
from lerf_ros.features.tabletop.trunk import STRIDE

DEVELOPMENT_SEED = 9000
TEMPERATURE = 12.0
_LOGGER = logging.getLogger('train_tabletop_encoder')


def draw_captions(
    truth: Truth, rng: np.random.Generator, own: int, never: int, any_parts: int
) -> Captions:
    """Returns captions for a batch: true ones of its windows, near misses, and never true ones.

    Args:
        truth: What its windows show.
        rng: Draws.
        own: Windows that are captioned.
        never: Captions of things that do not exist.
        any_parts: Parts of anything: what tells a handle from another handle is learned best
            when all of them compete.
    """
    result = Captions()
    chosen = rng.choice(len(captions_.PART_PAIRS), any_parts, replace=False)
    for category, part in (captions_.PART_PAIRS[index] for index in chosen):
        text = f'{captions_.CATEGORY_LIST[category]} {captions_.PART_LIST[part]}'
        result.add(text, (captions_.PART, category, -1, -1, part))
    count = len(truth.object_scores)
    for window in rng.permutation(count)[:own]:
        if truth.part_scores[window, 0] > 0.5 and rng.random() < 0.5:
            category, colour, part = (int(value) for value in truth.parts[window, 0])
            result.add(*part_caption(rng, category, colour, part))
            if rng.random() < 0.35:  # a near miss: the same part of something else
                category = int(rng.integers(len(captions_.CATEGORY_LIST)))
                if not captions_.is_excluded(colour, category):
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


def class_targets(truth: Truth) -> np.ndarray:
    """Returns (n, 4): category, colour, texture and part of each window, -100 where unclear."""
    clear = (truth.object_scores[:, 0] > 0.7) & (truth.object_scores[:, 1] < 0.3)
    targets = np.full((len(clear), 4), -100, np.int64)
    targets[clear, :3] = truth.objects[clear, 0]
    clear = (truth.part_scores[:, 0] > 0.7) & (truth.part_scores[:, 1] < 0.3)
    targets[clear, 3] = truth.parts[clear, 0, 2]
    return targets


def fill_with_windows(args: argparse.Namespace, seed: int, batches) -> None:
    """Puts batches of scene crops and lone crops into a queue, without end."""
    cv2.setNumThreads(1)
    views, crops = Views(args.work / 'train'), Crops(args.work / 'crops')
    sampler = WindowSampler(views, seed, args.scene_crops, args.windows, 0)
    rng = np.random.default_rng([seed, 7])
    while True:
        scenes, boxes, _, of_windows = sampler.batch()
        lone, of_crops = crops.batch(args.lone_crops, LONE_PX, rng)
        pictures, truth = (scenes, boxes, lone), joined(of_windows, of_crops)
        captions = draw_captions(truth, rng, args.captions, args.never, args.any_parts)
        matrix = truth_matrix(truth, np.array(captions.rows)).numpy()
        batches.put((*pictures, captions.texts, matrix, class_targets(truth)))


def fill_with_crops(args: argparse.Namespace, seed: int, batches) -> None:
    """Puts batches of lone crops into a queue, without end."""
    crops = Crops(args.work / 'crops')
    rng = np.random.default_rng([seed, 8])
    nothing = np.empty((0, 8, 8, 3), np.uint8), np.empty((0, 1, 4), np.float32)
    while True:
        pictures, truth = crops.batch(args.crop_batch, args.crop_px, rng)
        captions = draw_captions(truth, rng, args.captions, args.never, args.any_parts)
        matrix = truth_matrix(truth, np.array(captions.rows)).numpy()
        batches.put((*nothing, pictures, captions.texts, matrix, class_targets(truth)))


class Batches:
    """Draws batches in a process of its own while the model trains."""

    def __init__(self, fill: Callable, args: argparse.Namespace, rank: int) -> None:
        context = multiprocessing.get_context('spawn')
        self._queue = context.Queue(maxsize=6)
        self._process = context.Process(
            target=fill, args=(args, args.seed + 1000 * rank, self._queue), daemon=True
        )
        self._process.start()

    def next(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str], Tensor, Tensor]:
        """Returns scene crops, boxes, lone crops, texts, the truth matrix and class targets.

        Raises:
            RuntimeError: The process has failed.
        """
        while True:
            try:
                *pictures, texts, matrix, targets = self._queue.get(timeout=5)
            except queue.Empty:
                if not self._process.is_alive():
                    raise RuntimeError('batches: the process failed; see above') from None
                continue
            return *pictures, texts, torch.from_numpy(matrix), torch.from_numpy(targets)

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


def pool_pictures(
    model: nn.Module, scenes: np.ndarray, boxes: np.ndarray, lone: np.ndarray
) -> Tensor:
    """Returns pooled cells of the windows of the scene crops, then of the lone crops."""
    trunk = model.visual.trunk
    pooled = []
    for pictures, windows in ((scenes, torch.from_numpy(boxes) / STRIDE), (lone, None)):
        if not len(pictures):
            continue
        with torch.autocast('cpu', torch.bfloat16):
            cells = trunk.forward_features(as_input(pictures))
        if windows is None:
            side = cells.shape[-1]
            windows = torch.tensor([0.0, 0.0, side, side]).expand(len(lone), 1, 4)
        pooled.append(pool(cells.float(), windows))
    return torch.cat(pooled)


def project(model: nn.Module, pooled: Tensor) -> Tensor:
    """Returns embeddings of pooled cells."""
    return F.normalize(model.visual.head(pooled), dim=-1)


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


def average_gradients(parameters: list[Tensor], processes: int) -> None:
    """Replaces every gradient by its mean over the processes."""
    flat = torch.cat([p.grad.flatten() for p in parameters])
    torch.distributed.all_reduce(flat)
    flat /= processes
    for parameter, part in zip(
        parameters, flat.split([p.numel() for p in parameters]), strict=True
    ):
        parameter.grad.copy_(part.view_as(parameter))


def progress(by_steps: float, seconds: float, minutes: float | None) -> float:
    """Returns how much of the training is done, the same in all processes."""
    done = torch.tensor(max(by_steps, seconds / (60 * minutes)) if minutes else by_steps)
    torch.distributed.broadcast(done, 0)
    return float(done)


def train_together(args: argparse.Namespace) -> nn.Module:
    """Trains in as many processes as asked, one thread each; returns the averaged weights.

    Two processes of one thread share two busy cores far better than one process of two.
    """
    rendezvous = args.work / f'rendezvous{time.time_ns()}'
    context = multiprocessing.get_context('spawn')
    others = [
        context.Process(target=train_rank, args=(args, rank, rendezvous), daemon=False)
        for rank in range(1, args.workers)
    ]
    for process in others:
        process.start()
    try:
        return train_rank(args, 0, rendezvous)
    finally:
        for process in others:
            process.join(60)
            process.terminate()


def train_rank(args: argparse.Namespace, rank: int, rendezvous: Path) -> nn.Module:
    """Makes the model and trains it as one of several processes."""
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    if rank:
        os.setsid()  # its own share of the processor where the system groups by session
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{rendezvous}', rank=rank, world_size=args.workers
    )
    model, tokenizer = create_tabletop_model()
    if args.start:
        model.load_state_dict(load_file(args.start), strict=False)
    try:
        if args.crop_steps:
            model = train(args, fill_with_crops, args.crop_steps, model, tokenizer, rank)
        if args.steps:
            model = train(args, fill_with_windows, args.steps, model, tokenizer, rank)
        return model.eval()
    finally:
        torch.distributed.destroy_process_group()


def train(
    args: argparse.Namespace,
    fill: Callable,
    steps: int,
    model: nn.Module,
    tokenizer,
    rank: int,
) -> nn.Module:
    """Trains the model in place; returns a copy with the averaged weights."""
    batches = Batches(fill, args, rank)
    unused = model.logit_scale  # set when the weights are written
    plain = [p for p in model.parameters() if p.ndim < 2]
    filters = [p for p in model.parameters() if p.ndim == 4]
    matrices = [p for p in model.parameters() if p.ndim in (2, 3)]
    descent = OrthogonalDescent(filters, args.filter_rate)
    scale = nn.Parameter(torch.tensor(math.log(20.0)))
    # Plain classifiers on the pooled cells teach the trunk long before the texts mean anything.
    sizes = [
        len(names)
        for names in (
            captions_.CATEGORY_LIST,
            captions_.COLOUR_LIST,
            captions_.TEXTURE_LIST,
            captions_.PART_LIST,
        )
    ]
    classifier = nn.Linear(model.visual.trunk.num_features, sum(sizes))
    optimizer = torch.optim.AdamW(
        [
            {'params': [*matrices, classifier.weight], 'weight_decay': 0.02},
            {'params': [*plain, scale, classifier.bias], 'weight_decay': 0.0},
        ],
        lr=args.rate,
        betas=(0.9, 0.98),
        fused=True,
    )
    groups = optimizer.param_groups + descent.param_groups
    trained = [p for group in groups for p in group['params'] if p is not unused]
    average = torch.optim.swa_utils.AveragedModel(
        model,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995),
        use_buffers=True,
    )
    model.train()
    start, recent = time.perf_counter(), []
    for step in range(steps):
        done = progress(step / steps, time.perf_counter() - start, args.minutes)
        if done >= 1:
            break
        share = min(1, (step + 1) / 60) * (0.5 + 0.5 * math.cos(math.pi * done))
        for group in optimizer.param_groups:
            group['lr'] = args.rate * share
        for group in descent.param_groups:
            group['lr'] = args.filter_rate * share
        scenes, boxes, lone, texts, truth, targets = batches.next()
        pooled = pool_pictures(model, scenes, boxes, lone)
        images = project(model, pooled)
        classes = torch.stack(
            [
                F.cross_entropy(logits, wanted, ignore_index=-100)
                for logits, wanted in zip(
                    classifier(pooled).split(sizes, dim=1), targets.T, strict=True
                )
            ]
        )
        embedded = encode_texts(model, tokenizer, [*captions_.CANONICAL, *texts])
        canonical, phrases = embedded.split([len(captions_.CANONICAL), len(texts)])
        cosines = images @ phrases.T
        logits = scale.exp().clamp(max=60) * cosines
        relevancy = relevancy_loss(cosines, images @ canonical.T, truth, TEMPERATURE)
        contrast = contrast_loss(logits, truth) + 0.5 * contrast_loss(logits.T, truth.T)
        loss = relevancy + contrast + args.classes * classes.sum()
        optimizer.zero_grad(set_to_none=True)
        descent.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(trained, args.workers)
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        descent.step()
        average.update_parameters(model)
        recent.append(torch.stack([relevancy, contrast, *classes]).detach().numpy())
        if (step + 1) % 50 == 0 and rank == 0:
            means = np.mean(recent, axis=0)
            seconds = time.perf_counter() - start
            _LOGGER.info(
                'step %d of %d, %.0f s: relevancy loss %.3f, contrast %.3f, category %.3f, '
                'colour %.3f, texture %.3f, part %.3f',
                step + 1, steps, seconds, *means,
            )  # fmt: skip
            recent.clear()
        if args.save_every and (step + 1) % args.save_every == 0 and rank == 0:
            save(average.module, Path(args.output))
    batches.close()
    # Averaging spoils the mask of the text tower: it holds infinities.
    average.module.text.attn_mask = model.text.attn_mask
    return average.module


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
    parser.add_argument('--scenes', type=int, default=1300)
    parser.add_argument('--views', type=int, default=6, help='views of a scene')
    parser.add_argument(
        '--workers', type=int, default=2, help='processes that render, and that train'
    )
    parser.add_argument('--crop-steps', type=int, default=1200, help='steps on lone crops')
    parser.add_argument('--crop-batch', type=int, default=256)
    parser.add_argument('--crop-px', type=int, default=48, help='side of these crops')
    parser.add_argument('--steps', type=int, default=3300, help='steps on windows, thereafter')
    parser.add_argument('--rate', type=float, default=1.5e-3, help='learning rate of the rest')
    parser.add_argument('--filter-rate', type=float, default=0.05, help='of the convolutions')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--scene-crops', type=int, default=28)
    parser.add_argument('--windows', type=int, default=9, help='windows of a scene crop')
    parser.add_argument('--lone-crops', type=int, default=176)
    parser.add_argument('--captions', type=int, default=200, help='windows that are captioned')
    parser.add_argument('--classes', type=float, default=0.5, help='weight of the classifiers')
    parser.add_argument('--never', type=int, default=36, help='captions true of nothing')
    parser.add_argument('--any-parts', type=int, default=80, help='captions of any parts')
    parser.add_argument(
        '--minutes', type=float, help='end each phase after so long; rates fall by the clock'
    )
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
    if not (args.work / 'crops').exists():
        cut([args.work / 'train'], args.work / 'crops', args.workers)
    _LOGGER.info('views ready after %.0f s', time.perf_counter() - start)
    size = write_vocabulary(SHIPPED / 'bpe.txt.gz', captions_.all_words(), 1600)
    config = json.loads((SHIPPED / 'tabletop.json').read_text())
    config['text_cfg']['vocab_size'] = size
    (SHIPPED / 'tabletop.json').write_text(json.dumps(config, indent=1) + '\n')
    model = train_together(args)
    tokenizer = create_tabletop_model()[1]
    path = save(model, args.output)
    scores = evaluate(model, tokenizer, Views(args.work / 'develop'), args.seed)
    _LOGGER.info('development scenes: %s', {k: round(v, 4) for k, v in scores.items()})
    _LOGGER.info(
        '%s: %.2f MB, %.0f s in all', path, path.stat().st_size / 1e6, time.perf_counter() - start
    )


if __name__ == '__main__':
    main()
