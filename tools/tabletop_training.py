"""Training of the encoder, in several processes that share their gradients."""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tabletop_captions as captions_
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tabletop_batches import Batches, fill_with_crops, fill_with_windows
from tabletop_loss import contrast_loss, relevancy_loss
from tabletop_optimizer import OrthogonalDescent
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lerf_ros.features.tabletop.encoder import PREPROCESS, create_tabletop_model
from lerf_ros.features.tabletop.trunk import STRIDE

TEMPERATURE = 12.0
# Steps that classifiers learn alone where the weights are not new: until then a trunk knows more
# than they do. What that gains was not measured apart from more flats (docs/encoders.md).
CLASSIFIERS_ALONE = 250
_LOGGER = logging.getLogger(__name__)


def device_of(model: nn.Module) -> torch.device:
    """Returns where a model is."""
    return next(model.parameters()).device


def as_input(pictures: np.ndarray, device: torch.device) -> Tensor:
    """Returns normalised channels-last input from uint8 pictures (n, h, w, 3)."""
    mean, std = (torch.tensor(PREPROCESS[name], device=device) for name in ('mean', 'std'))
    pixels = torch.from_numpy(pictures).to(device).float() / 255
    return ((pixels - mean) / std).permute(0, 3, 1, 2)


def pool(cells: Tensor, boxes: Tensor) -> Tensor:
    """Returns what ``windows.pool_windows`` does for (a, w, 4) boxes of a maps, as one product."""

    def overlap(start: Tensor, stop: Tensor, size: int) -> Tensor:
        edges = torch.arange(size + 1.0, device=start.device)
        shared = torch.minimum(edges[1:], stop[..., None]) - torch.maximum(
            edges[:-1], start[..., None]
        )
        shared = shared.clamp(min=0)
        return shared / shared.sum(dim=-1, keepdim=True)

    count, channels, rows, cols = cells.shape
    weights = torch.zeros(count, boxes.shape[1], rows, cols, device=cells.device)
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


def pool_pictures(model: Any, scenes: np.ndarray, boxes: np.ndarray, lone: np.ndarray) -> Tensor:
    """Returns pooled cells of the windows of the scene crops, then of the lone crops."""
    trunk, device = model.visual.trunk, device_of(model)
    pooled = []
    for pictures, windows in ((scenes, torch.from_numpy(boxes) / STRIDE), (lone, None)):
        if not len(pictures):
            continue
        frozen = not next(trunk.parameters()).requires_grad
        with (
            torch.autocast(device.type, torch.bfloat16),
            torch.no_grad() if frozen else contextlib.nullcontext(),
        ):
            cells = trunk.forward_features(as_input(pictures, device))
        if windows is None:
            side = cells.shape[-1]
            windows = torch.tensor([0.0, 0.0, side, side]).expand(len(lone), 1, 4)
        pooled.append(pool(cells.float(), windows.to(device)))
    return torch.cat(pooled)


def project(model: Any, pooled: Tensor) -> Tensor:
    """Returns embeddings of pooled cells."""
    return F.normalize(model.visual.head(pooled), dim=-1)


def encode_texts(model: Any, tokenizer, texts: list[str]) -> Tensor:
    """Returns embeddings of texts."""
    return encode_tokens(model, tokenizer(texts))


def encode_tokens(model: Any, tokens: Tensor) -> Tensor:
    """Returns embeddings of texts; padding beyond the longest of them is left away."""
    tokens = tokens.to(device_of(model))
    longest = int((tokens != 0).sum(dim=1).max())
    # Attention is causal: what follows the end of a text does not change it.
    mask = model.text.attn_mask
    model.text.attn_mask = mask[:longest, :longest]
    # In half precision the plain product is several times faster than fused attention on a CPU.
    with (
        torch.autocast(tokens.device.type, torch.bfloat16, enabled=torch.is_grad_enabled()),
        sdpa_kernel(SDPBackend.MATH),
    ):
        embeddings = model.encode_text(tokens[:, :longest])
    model.text.attn_mask = mask
    return F.normalize(embeddings.float(), dim=-1)


def average_gradients(parameters: Sequence[Tensor], processes: int) -> None:
    """Replaces every gradient by its mean over the processes."""
    if processes == 1:
        return
    gradients = []
    for parameter in parameters:
        assert parameter.grad is not None
        gradients.append(parameter.grad)
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    flat /= processes
    parts = flat.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


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
    model: Any
    tokenizer: Any
    model, tokenizer = create_tabletop_model()
    canonical = tokenizer(list(captions_.CANONICAL))
    if args.start:
        model.load_state_dict(load_file(args.start), strict=False)
    model = model.to(args.device)
    if args.frozen_trunk:
        model.visual.trunk.requires_grad_(False)
    try:
        if args.crop_steps:
            model = train(args, fill_with_crops, args.crop_steps, model, canonical, rank)
        if args.steps:
            model = train(args, fill_with_windows, args.steps, model, canonical, rank)
        if args.start and args.keep_start:
            mix(model, load_file(args.start), args.keep_start)
        return model.eval()
    finally:
        torch.distributed.destroy_process_group()


@torch.no_grad()
def mix(model: nn.Module, start: Mapping[str, Tensor], share: float) -> None:
    """Moves weights back towards those that the training started from, by a share of the way.

    Halfway, what was known and what was learnt in addition are both better than at either end
    ("Robust fine-tuning of zero-shot models", Wortsman et al. 2022).
    """
    for name, value in model.state_dict().items():
        if name in start and value.is_floating_point():
            value.lerp_(start[name].to(value), share)


def train(
    args: argparse.Namespace,
    fill: Callable,
    steps: int,
    model: Any,
    canonical_tokens: Tensor,
    rank: int,
) -> Any:
    """Trains the model in place; returns a copy with the averaged weights."""
    batches = Batches(fill, args, rank)
    canonical_tokens = canonical_tokens.to(args.device)
    unused = model.logit_scale  # set when the weights are written
    free = [p for p in model.parameters() if p.requires_grad]
    plain = [p for p in free if p.ndim < 2]
    filters = [p for p in free if p.ndim == 4]
    matrices = [p for p in free if p.ndim in (2, 3)]
    scale = nn.Parameter(torch.tensor(math.log(20.0), device=args.device))
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
    classifier = nn.Linear(model.visual.trunk.num_features, sum(sizes), device=args.device)
    optimizer = torch.optim.AdamW(
        [
            {'params': [*matrices, classifier.weight], 'weight_decay': 0.02},
            {'params': [*plain, scale, classifier.bias], 'weight_decay': 0.0},
        ],
        lr=args.rate,
        betas=(0.9, 0.98),
        fused=True,
    )
    optimizers: list[tuple[torch.optim.Optimizer, float]] = [(optimizer, args.rate)]
    if filters:
        optimizers.append((OrthogonalDescent(filters, args.filter_rate), args.filter_rate))
    groups = [group for each, _ in optimizers for group in each.param_groups]
    trained = [p for group in groups for p in group['params'] if p is not unused]
    average = torch.optim.swa_utils.AveragedModel(
        model,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995),
        use_buffers=True,
    )
    model.train()
    if not filters:
        model.visual.trunk.eval()
    start, recent = time.perf_counter(), []
    for step in range(steps):
        done = progress(step / steps, time.perf_counter() - start, args.minutes)
        if done >= 1:
            break
        share = min(1, (step + 1) / 60) * (0.5 + 0.5 * math.cos(math.pi * done))
        for each, rate in optimizers:
            for group in each.param_groups:
                group['lr'] = rate * share
        scenes, boxes, lone, *told = batches.next()
        tokens, truth, own, targets = (each.to(args.device) for each in told)
        truth, own = truth.float(), own.float()
        pooled = pool_pictures(model, scenes, boxes, lone)
        images = project(model, pooled)
        alone = args.start and step < CLASSIFIERS_ALONE
        guesses = classifier(pooled.detach() if alone else pooled).split(sizes, dim=1)
        classes = torch.stack(
            [
                F.cross_entropy(logits, wanted, ignore_index=-100)
                for logits, wanted in zip(guesses, targets.T, strict=True)
            ]
        )
        embedded = encode_tokens(model, torch.cat([canonical_tokens, tokens]))
        canonical, phrases = embedded.split([len(canonical_tokens), len(tokens)])
        cosines = images @ phrases.T
        logits = scale.exp().clamp(max=60) * cosines
        relevancy = relevancy_loss(cosines, images @ canonical.T, truth, TEMPERATURE)
        contrast = contrast_loss(logits, own) + 0.5 * contrast_loss(logits.T, own.T)
        loss = relevancy + contrast + args.classes * classes.sum()
        for each, _ in optimizers:
            each.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(trained, args.workers)
        nn.utils.clip_grad_norm_(trained, 1.0)
        for each, _ in optimizers:
            each.step()
        average.update_parameters(model)
        recent.append(torch.stack([relevancy, contrast, *classes]).detach().cpu().numpy())
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
    averaged: Any = average.module
    averaged.text.attn_mask = model.text.attn_mask
    return averaged


def save(model: Any, folder: Path) -> Path:
    """Writes the weights in half precision; returns the file."""
    with torch.no_grad():
        # The relevancy temperature is a tenth of the factor a model was trained with.
        model.logit_scale.fill_(math.log(10 * TEMPERATURE))
    tensors = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / 'tabletop.safetensors'
    save_file(tensors, path)
    return path
