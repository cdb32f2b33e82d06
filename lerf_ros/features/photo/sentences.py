"""The text tower: all-MiniLM-L6-v2, a small BERT whose mean token is a sentence's vector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from safetensors.torch import load_file
from torch import Tensor

LAYERS = 6
HEADS = 12
SIZE = 384
MAX_TOKENS = 128
_EPSILON = 1e-12
_BATCH = 128


class SentenceEncoder:
    """Sentences to unit vectors; sentences that mean the same have a large cosine.

    Args:
        weights: The safetensors file of the model.
        tokenizer: The JSON file of its tokenizer.
    """

    def __init__(self, weights: Path, tokenizer: Path) -> None:
        from tokenizers import Tokenizer

        self._weights = load_file(weights)
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Float[Tensor, 'n d']:
        """Returns a unit vector for each text."""
        ids = [torch.tensor(encoded.ids) for encoded in self._tokenizer.encode_batch(list(texts))]
        out = torch.zeros(len(ids), SIZE)
        # Texts of one length together: nothing is padded, so nothing has to be masked.
        by_length: dict[int, list[int]] = {}
        for index, tokens in enumerate(ids):
            by_length.setdefault(len(tokens), []).append(index)
        for indices in by_length.values():
            for start in range(0, len(indices), _BATCH):
                part = indices[start : start + _BATCH]
                out[part] = self._forward(torch.stack([ids[index] for index in part]))
        return F.normalize(out, dim=-1)

    def _forward(self, tokens: Int[Tensor, 'n t']) -> Float[Tensor, 'n d']:
        count, length = tokens.shape
        table = self._weights
        x = table['embeddings.word_embeddings.weight'][tokens]
        x = x + table['embeddings.position_embeddings.weight'][:length]
        x = x + table['embeddings.token_type_embeddings.weight'][0]
        x = self._norm(x, 'embeddings.LayerNorm')
        for layer in range(LAYERS):
            at = f'encoder.layer.{layer}.'
            query, key, value = (
                self._linear(x, f'{at}attention.self.{name}')
                .view(count, length, HEADS, SIZE // HEADS)
                .transpose(1, 2)
                for name in ('query', 'key', 'value')
            )
            seen = F.scaled_dot_product_attention(query, key, value)
            seen = self._linear(seen.transpose(1, 2).flatten(2), f'{at}attention.output.dense')
            x = self._norm(x + seen, f'{at}attention.output.LayerNorm')
            inner = F.gelu(self._linear(x, f'{at}intermediate.dense'))
            x = self._norm(x + self._linear(inner, f'{at}output.dense'), f'{at}output.LayerNorm')
        return x.mean(dim=1)

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self._weights[f'{name}.weight'], self._weights[f'{name}.bias'])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self._weights[f'{name}.weight'], self._weights[f'{name}.bias']
        return F.layer_norm(x, (SIZE,), weight, bias, _EPSILON)
