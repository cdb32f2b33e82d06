"""The language head in C++: as torch's, whatever the sizes and the processor."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lerf_ros.field import native_head
from lerf_ros.field.language import LanguageHead
from lerf_ros.field.native_head import native_lanes, native_unit_embeddings, suits_native_head

SCALES_M = torch.tensor([0.05, 0.1, 0.3, 0.7, 1.0])


def made(width=40, depth=1, embedding_size=64, basis=0):
    torch.manual_seed(0)
    return LanguageHead(12, width, depth, embedding_size, basis)


def twin(head, features, scales_m):
    columns = [head(features, scale_m.expand(len(features))) for scale_m in scales_m]
    return F.normalize(torch.stack(columns, dim=1), dim=-1)


@pytest.mark.parametrize('lanes', [4, 8, 16])
@pytest.mark.parametrize('embedding_size', [5, 32, 70])
@pytest.mark.parametrize('count', [0, 1, 39, 200])
def test_embeddings_are_those_of_the_readable_twin(lanes, embedding_size, count):
    if lanes > native_lanes():
        pytest.skip(f'this processor computes {native_lanes()} numbers at once')
    head, features = made(embedding_size=embedding_size), torch.randn(count, 12)
    with torch.no_grad():
        expected = twin(head, features, SCALES_M)
    found = native_unit_embeddings(head, features, SCALES_M, lanes)
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=0)


def test_threads_do_not_change_the_result(monkeypatch):
    if not native_lanes():
        pytest.skip('no native library, and no compiler')
    head, features = made(), torch.randn(300, 12)
    results = []
    for count in (1, 2, 3):
        # Of the native code alone: torch rounds its own layer otherwise with other threads.
        monkeypatch.setattr(native_head, 'native_threads', lambda count=count: count)
        results.append(native_unit_embeddings(head, features, SCALES_M))
    assert all(torch.equal(result, results[0]) for result in results[1:])


def test_other_heads_and_precisions_are_torchs():
    features = torch.randn(3, 12)
    assert suits_native_head(made(), features) == (native_lanes() >= 8)
    assert not suits_native_head(made(depth=2), features)
    assert not suits_native_head(made(basis=8), features)
    assert not suits_native_head(made(), features.half())
    assert not suits_native_head(made().half(), features)
