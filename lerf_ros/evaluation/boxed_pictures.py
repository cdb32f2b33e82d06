"""An encoder asked about photographs in which people have drawn boxes, without any map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from lerf_ros.config import FeatureOptions
from lerf_ros.features.encoder import KindEncoder, LanguageEncoder
from lerf_ros.features.pyramid import PyramidBuilder
from lerf_ros.features.tile_grid import tile_grids
from lerf_ros.query.exemplars import exemplar_phrase, looks, square_crop
from lerf_ros.query.phrase import TextEmbedder, parse_phrase
from lerf_ros.query.relevancy import phrase_relevancy
from lerf_ros.query.request import Exemplar
from lerf_ros.query.scene_kinds import SceneKinds
from lerf_ros.sources.boxes import BoxedPictures, BoxPx

# A crop is the square around a box with a tenth of margin on every side.
MARGIN = 1.2
# Phrases whose embeddings are closer than this mean the same kind, maybe in other colours: "black
# book" and "red book" to `photo`.
SAME_COSINE = 0.95


@dataclass(frozen=True, eq=False)
class _Windows:
    """The windows of a picture's pyramid."""

    centres: Float[np.ndarray, 'n 2']
    levels: Float[Tensor, ' n']
    embeddings: Float[Tensor, 'n d']
    look: SceneKinds | None

    def best(self, scores: Float[Tensor, ' n']) -> Float[np.ndarray, '2']:
        return self.centres[int(scores.argmax())]


def measure(
    encoder: LanguageEncoder, pictures: BoxedPictures, options: FeatureOptions
) -> dict[str, float]:
    """Returns how well an encoder answers, as shares in [0, 1].

    `top1` and `top3`: boxes whose own canonical phrase is the nearest, or among the three nearest,
    of all. `hit_at_1`: phrases, picture by picture, whose best window has its centre in a box of
    that kind, in whatever colour. `hit_at_1_own`: in a box of that very name. `existence_auc`: how
    surely the best relevancy of a picture tells phrases of what it shows from absent ones.
    `pictures_hit_at_1`: boxes, asked as pictures of every other picture that shows the same, whose
    best window has its centre in a true box.
    """
    windows = {name: _windows(encoder, pictures.image(name), options) for name in pictures.boxes}
    return {
        **_crops(encoder, pictures),
        **_words(encoder, pictures, windows),
        'pictures_hit_at_1': _exemplars(encoder, pictures, windows),
    }


def _windows(
    encoder: LanguageEncoder, image: UInt8[np.ndarray, 'height width 3'], options: FeatureOptions
) -> _Windows:
    pyramid = PyramidBuilder(encoder, options, 'cpu').build(image)
    grids = tile_grids(image.shape[1], image.shape[0], options)
    boxes = torch.cat([grid.boxes() for grid in grids])
    levels = [torch.full((grid.rows * grid.cols,), i) for i, grid in enumerate(grids)]
    embeddings = torch.cat([level.embeddings.flatten(0, 1) for level in pyramid.levels])
    centres = ((boxes[:, :2] + boxes[:, 2:]) / 2).numpy()
    look = None
    if isinstance(encoder, KindEncoder):
        look = SceneKinds.of(embeddings, encoder.kinds)
    return _Windows(centres, torch.cat(levels), embeddings, look)


def _crops(encoder: LanguageEncoder, pictures: BoxedPictures) -> dict[str, float]:
    names = list(pictures.phrases)
    texts = encoder.encode_texts([pictures.phrases[name][0] for name in names])
    alike = texts @ texts.T > SAME_COSINE
    ranks = []
    for picture, of_picture in pictures.boxes.items():
        image = pictures.image(picture)
        for name, boxes in of_picture.items():
            own = names.index(name)
            for box in boxes:
                crop = square_crop(Exemplar(image, box, name), MARGIN)
                pixels = torch.from_numpy(crop.copy()).permute(2, 0, 1)[None].float() / 255
                cosines = encoder.encode_images(pixels)[0] @ texts.T
                ranks.append(int(((cosines > cosines[own]) & ~alike[own]).sum()))
    return {
        'top1': float(np.mean([rank < 1 for rank in ranks])),
        'top3': float(np.mean([rank < 3 for rank in ranks])),
    }


def _words(
    encoder: LanguageEncoder, pictures: BoxedPictures, windows: Mapping[str, _Windows]
) -> dict[str, float]:
    embed = TextEmbedder(encoder)
    canonical = embed([texts[0] for texts in pictures.phrases.values()])
    names = list(pictures.phrases)
    hits, own_hits, present, absent = [], [], [], []
    for picture, of_picture in pictures.boxes.items():
        seen = windows[picture]
        for name in of_picture:
            for text in pictures.phrases[name]:
                scores = _scores(embed, text, seen)
                present.append(float(scores.max()))
                own = embed([text])[0] @ canonical.T > SAME_COSINE
                alike = {name, *(other for other, same in zip(names, own, strict=True) if same)}
                boxes = [box for other in alike for box in of_picture.get(other, [])]
                best = seen.best(scores)
                hits.append(_inside(best, boxes))
                own_hits.append(_inside(best, of_picture[name]))
        absent += [float(_scores(embed, text, seen).max()) for text in pictures.absent]
    higher = np.array(present)[:, None] > np.array(absent)
    equal = np.array(present)[:, None] == np.array(absent)
    return {
        'hit_at_1': float(np.mean(hits)),
        'hit_at_1_own': float(np.mean(own_hits)),
        'existence_auc': float(higher.mean() + equal.mean() / 2),
    }


def _scores(embed: TextEmbedder, text: str, seen: _Windows) -> Float[Tensor, ' n']:
    phrase = embed.object_phrase(parse_phrase(text), scene=seen.look)
    return phrase_relevancy(seen.embeddings @ phrase.compared.T, phrase)


def _exemplars(
    encoder: LanguageEncoder, pictures: BoxedPictures, windows: Mapping[str, _Windows]
) -> float:
    hits = []
    for picture, of_picture in pictures.boxes.items():
        image = pictures.image(picture)
        for name, boxes in of_picture.items():
            others = [p for p, b in pictures.boxes.items() if p != picture and name in b]
            for box in boxes if others else ():
                exemplar = Exemplar(image, box, name)
                phrase = exemplar_phrase(encoder, exemplar, _means(windows[picture]))
                for other in others:
                    seen = windows[other]
                    means = looks(encoder, _means(seen))[seen.levels.long()]
                    background = (seen.embeddings * means).sum(dim=1)
                    background = phrase.background_share * background
                    others_than_it = torch.cat(
                        [seen.embeddings @ phrase.negatives.T, background[:, None]], dim=1
                    )
                    scores = seen.embeddings @ phrase.positives[0] - others_than_it.amax(dim=1)
                    hits.append(_inside(seen.best(scores), pictures.boxes[other][name]))
    return float(np.mean(hits)) if hits else float('nan')


def _means(seen: _Windows) -> Float[Tensor, 's d']:
    count = int(seen.levels.max()) + 1
    means = [seen.embeddings[seen.levels == level].mean(dim=0) for level in range(count)]
    return F.normalize(torch.stack(means), dim=-1)


def _inside(place: Float[np.ndarray, '2'], boxes: list[BoxPx]) -> bool:
    u, v = place
    return any(u0 <= u <= u1 and v0 <= v <= v1 for u0, v0, u1, v1 in boxes)
