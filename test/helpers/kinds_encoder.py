"""An encoder with a list of kinds, whose scenes are made by hand."""

from __future__ import annotations

import torch
from scenery import WordEncoder

from lerf_ros.query.scene_kinds import SceneKinds


class Kinds(WordEncoder):
    """Knows as many kinds as an embedding is long, and leaves colours out."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds = torch.eye(self.embedding_size)
        self.negatives = torch.full((1, self.embedding_size), 0.05)
        self.picture_temperature = 6.0

    def doubt(self, text: str) -> str:
        return ''

    def looks(self, embeddings: torch.Tensor) -> torch.Tensor:
        return embeddings

    def other_kinds(self, text: str) -> torch.Tensor:
        return self.kinds @ self.encode_texts([text])[0] < 0.3

    def reads_colour(self, text: str) -> bool:
        return False

    def in_scene(self, texts: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        return texts


def scene_of(kinds: int) -> SceneKinds:
    """Returns a scene that looks like the first few kinds."""
    return SceneKinds(torch.arange(kinds), torch.eye(Kinds().embedding_size)[:kinds])
