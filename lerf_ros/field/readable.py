"""What questions read of a field: its language, without density and colour."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lerf_ros.config import FieldOptions
from lerf_ros.field.language import LanguageField, LanguageHead
from lerf_ros.field.scene_box import SceneBox


class ReadableField(nn.Module):
    """The language of a field at positions of the world.

    Args:
        scene_box: The space that is resolved finely.
        embedding_size: Size of a language embedding.
        dense_size: Size of a dense feature; 0 for none.

    Attributes:
        language: Features and heads; whoever makes this one makes it.
    """

    language: LanguageField

    def __init__(self, scene_box: SceneBox, embedding_size: int, dense_size: int) -> None:
        super().__init__()
        self.scene_box = scene_box
        self.embedding_size, self.dense_size = embedding_size, dense_size

    @classmethod
    def of(
        cls,
        options: FieldOptions,
        scene_box: SceneBox,
        embedding_size: int,
        dense_size: int = 0,
        device: torch.device | str = 'cpu',
    ) -> ReadableField:
        """Returns the language alone, with weights that are to be replaced: none were drawn."""
        field = cls(scene_box, embedding_size, dense_size)
        field.language = LanguageField(
            options, scene_box, embedding_size, dense_size, device=device, drawn=False
        )
        return field.to(device)

    @property
    def language_head(self) -> LanguageHead:
        """The head that turns language features and a scale into an embedding."""
        return self.language.head

    def language_features(self, positions_world: Float[Tensor, 'n 3']) -> Float[Tensor, 'n f']:
        """Returns the language features of positions."""
        return self.language.features(positions_world)

    def embed(
        self, features: Float[Tensor, 'n f'], scale_m: Float[Tensor, ' n']
    ) -> Float[Tensor, 'n d']:
        """Returns language embeddings at scales in metres; not of unit length."""
        return self.language.head(features, scale_m)

    def dense(self, features: Float[Tensor, 'n f']) -> Float[Tensor, 'n c']:
        """Returns dense features.

        Raises:
            ValueError: The field was made without a dense head.
        """
        if self.language.dense_head is None:
            raise ValueError('dense: this field was made without dense features')
        return self.language.dense_head(features)
