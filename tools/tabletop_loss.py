"""When captions are true of windows, and how far an encoder is from saying so."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from tabletop_captions import ELSEWHERE, OBJECT, PART, TABLE
from tabletop_colours import RECOLOURED
from tabletop_truth import Truth
from torch import Tensor

OPEN = -1.0
"""Neither true nor false: such pairs teach nothing."""


def truth_matrix(truth: Truth, rows: np.ndarray) -> Tensor:
    """Returns (n, m): how true each caption is of each window, in [0, 1], or `OPEN` where it names
    a colour of something recoloured.

    Args:
        truth: What the n windows show.
        rows: (m, 5) kind, category, colour, texture and part of the captions; -1 is left open.
    """
    kind = rows[:, 0]
    result = np.zeros((len(truth.object_scores), len(rows)), np.float32)

    def matched(objects: np.ndarray, wanted: np.ndarray, scores: np.ndarray) -> np.ndarray:
        best = np.zeros((len(objects), len(wanted)), np.float32)
        unknown = np.zeros(best.shape, bool)
        for slot in range(objects.shape[1]):
            agrees, undecided = np.ones(best.shape, bool), np.zeros(best.shape, bool)
            for column in range(3):
                held = objects[:, slot, column, None]
                open_ = wanted[None, :, column] < 0
                undecided |= ~open_ & (held == RECOLOURED)
                agrees &= open_ | (held == RECOLOURED) | (held == wanted[None, :, column])
            true = agrees * scores[:, slot, None].astype(np.float32)
            np.maximum(best, true, out=best, where=~undecided)
            unknown |= undecided & (true > 0)
        return np.where(unknown, OPEN, best)

    chosen = kind == OBJECT
    result[:, chosen] = matched(truth.objects, rows[chosen][:, [1, 2, 3]], truth.object_scores)
    chosen = kind == PART
    result[:, chosen] = matched(truth.parts, rows[chosen][:, [1, 2, 4]], truth.part_scores)
    result[:, kind == TABLE] = truth.surroundings[:, :1]
    result[:, kind == ELSEWHERE] = truth.surroundings[:, 1:]
    return torch.from_numpy(result)


def own_matrices(truth: Tensor, own_parts: np.ndarray, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """Returns how relevant captions are (n, m), and which of them describe a picture best (n, m).

    The box around a shoe's laces holds much of the upper, and both captions are true of it. But a
    crop that was cut around the laces is a picture of the laces: of the names of parts only that
    one describes it, and what else of the shoe is seen is left open, `OPEN`, in the relevancy.

    Args:
        truth: (n, m) how true each caption is of each picture.
        own_parts: (n, 3) category, colour and part a picture was cut around, or -1.
        rows: (m, 5) kind, category, colour, texture and part of the captions; -1 is left open.
    """
    wanted = rows[:, [1, 2, 4]]
    agrees = (wanted[None] < 0) | (wanted[None] == own_parts[:, None])
    about_parts = (rows[:, 0] == PART)[None] & (own_parts[:, 2] >= 0)[:, None]
    own = torch.from_numpy(agrees.all(axis=2).astype(np.float32))
    judged = torch.from_numpy(about_parts)
    relevant = torch.where((own == 0) & (truth != 0), OPEN, own)
    # Whether it is of that colour is not known where the picture was recoloured.
    own = torch.where((own == 0) & (truth == OPEN), OPEN, own)
    return torch.where(judged, relevant, truth), torch.where(judged, own, truth)


def relevancy_loss(
    cosines: Tensor, canonical: Tensor, truth: Tensor, temperature: float
) -> Tensor:
    """Returns the cross entropy of LERF's relevancy, positives and negatives weighing alike.

    A caption's relevancy at a window is the softmax over its cosine and that of the closest
    canonical phrase. It is what queries are answered with, so it is trained as such.

    Args:
        cosines: (n, m) of windows and captions.
        canonical: (n, k) of windows and canonical phrases.
        truth: (n, m) in [0, 1], or `OPEN`.
        temperature: Factor of the cosines.
    """
    logits = temperature * (cosines - canonical.max(dim=1, keepdim=True).values)
    judged = (truth != OPEN).float()
    truth = truth * judged
    positive = (F.softplus(-logits) * truth).sum() / truth.sum().clamp(min=1)
    # False alarms are rare and scattered: those that sound count more.
    loud = judged * (1 - truth) * (0.1 + torch.sigmoid(logits).detach())
    negative = (F.softplus(logits) * loud).sum() / loud.sum().clamp(min=1)
    return positive + negative


def contrast_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Returns the mean loss of each true pair against the false pairs of its row; those that are
    `OPEN` are neither.

    With one true caption a row this is the usual softmax loss; other true captions of the row
    neither help nor compete.
    """
    false = torch.logsumexp(logits + torch.log1p(-truth.abs().clamp(max=1 - 1e-6)), dim=1)
    truth = truth.clamp(min=0)
    return (F.softplus(false[:, None] - logits) * truth).sum() / truth.sum().clamp(min=1)
