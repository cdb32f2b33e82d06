"""Draws the language pyramid of one picture, as the LERF paper does: one panel a tile size.

    python tools/draw_pyramid.py picture.jpg pyramid.png [--phrases "mug;table"]

The first row shows the embeddings: their first three principal components, over all levels, are
red, green and blue. Each phrase adds a row with its relevancy: coloured is what is closer to the
phrase than to every negative.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lerf_ros.config import FeatureOptions
from lerf_ros.features.load import load_encoder
from lerf_ros.features.pyramid import FeaturePyramid, PyramidBuilder
from lerf_ros.query.pictures import heat_overlay

_PANEL_PX = 320
_NEGATIVES = ('object', 'things', 'stuff', 'texture')


def sampled(pyramid: FeaturePyramid, level: int, width: int, height: int) -> torch.Tensor:
    """Returns the embeddings of one tile size at (height, width) points of the picture."""
    u = (torch.arange(width) + 0.5) * pyramid.width / width
    v = (torch.arange(height) + 0.5) * pyramid.height / height
    grid = torch.stack(torch.meshgrid(u, v, indexing='xy'), dim=-1).reshape(-1, 2)
    tile = torch.full((len(grid),), pyramid.levels[level].tile_px)
    return pyramid.lookup(grid, tile).cpu().reshape(height, width, -1)


def principal_colours(maps: list[torch.Tensor]) -> list[np.ndarray]:
    """Returns pictures of three principal components shared by all maps."""
    stacked = torch.cat([each.reshape(-1, each.shape[-1]) for each in maps])
    mean = stacked.mean(dim=0)
    axes = torch.linalg.svd((stacked - mean)[::7], full_matrices=False).Vh[:3]
    low, high = torch.quantile((stacked - mean)[::7] @ axes.T, torch.tensor([0.02, 0.98]), dim=0)
    return [
        (((each - mean) @ axes.T - low) / (high - low)).clamp(0, 1).mul(255).byte().numpy()
        for each in maps
    ]


def labelled(picture: np.ndarray, text: str) -> np.ndarray:
    """Returns the picture with a line of text in its corner."""
    picture = picture.copy()
    picture[:24] = picture[:24] // 3
    cv2.putText(
        picture, text, (6, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA
    )
    return picture


def main() -> None:
    """Reads a picture, writes a figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('picture', type=Path)
    parser.add_argument('figure', type=Path)
    parser.add_argument('--phrases', default='', help='phrases separated by ;')
    parser.add_argument('--encoder', default='tabletop')
    parser.add_argument('--pretrained', default='')
    args = parser.parse_args()
    loaded = cv2.imread(str(args.picture))
    if loaded is None:
        parser.error(f'{args.picture} is no picture')
    image = cv2.cvtColor(loaded, cv2.COLOR_BGR2RGB)
    if image.shape[1] > 640:
        image = cv2.resize(image, (640, round(640 * image.shape[0] / image.shape[1])))
    options = FeatureOptions(encoder=args.encoder, pretrained=args.pretrained)
    encoder = load_encoder(options)
    pyramid = PyramidBuilder(encoder, options, 'cpu').build(image)
    width, height = _PANEL_PX, round(_PANEL_PX * image.shape[0] / image.shape[1])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    maps = [sampled(pyramid, level, width, height) for level in range(len(pyramid.levels))]
    sizes = [f'{level.tile_px:.0f} px tiles' for level in pyramid.levels]
    panels = [labelled(small, args.picture.name)]
    panels += [
        labelled(colours, size)
        for colours, size in zip(principal_colours(maps), sizes, strict=True)
    ]
    rows = [np.concatenate(panels, axis=1)]
    phrases = [phrase.strip() for phrase in args.phrases.split(';') if phrase.strip()]
    if phrases:
        negatives = encoder.encode_texts(_NEGATIVES).cpu()
        for phrase, embedding in zip(phrases, encoder.encode_texts(phrases).cpu(), strict=True):
            panels = [labelled(small, phrase)]
            for each, size in zip(maps, sizes, strict=True):
                margin = each @ embedding - (each @ negatives.T).max(dim=-1).values
                relevancy = torch.sigmoid(encoder.temperature * margin).numpy()
                heat = heat_overlay(small, relevancy, 'centred')
                panels.append(labelled(heat, f'{size}, at most {relevancy.max():.2f}'))
            rows.append(np.concatenate(panels, axis=1))
    cv2.imwrite(str(args.figure), np.concatenate(rows)[..., ::-1])


if __name__ == '__main__':
    main()
