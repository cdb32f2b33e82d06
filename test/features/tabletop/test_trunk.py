"""Tests of the shipped encoder's trunk: alignment, pooling of the whole, folding."""

from __future__ import annotations

import torch

from lerf_ros.features.tabletop.trunk import STRIDE, TabletopTrunk
from lerf_ros.features.windows import pool_windows


def test_a_cell_looks_at_its_own_pixels():
    # With all weights positive, what a pixel excites most is the cell that it lies in.
    trunk = TabletopTrunk().eval()
    for parameter in trunk.parameters():
        torch.nn.init.constant_(parameter, 0.01 if parameter.ndim == 4 else 1.0)
    for name, parameter in trunk.named_parameters():
        if name.endswith('bias'):
            torch.nn.init.zeros_(parameter)
    image = torch.zeros(1, 3, 128, 128)
    image[:, :, 64:72, 48:56] = 1.0
    with torch.no_grad():
        response = trunk.forward_features(image)[0].sum(dim=0)
        mirrored = trunk.forward_features(image.flip(3))[0].sum(dim=0).flip(1)
    row, col = divmod(int(response.argmax()), response.shape[1])
    assert (row, col) == (64 // STRIDE, 48 // STRIDE)
    assert torch.allclose(response, mirrored, rtol=1e-4)


def test_folding_changes_nothing_but_speed():
    torch.manual_seed(0)
    trunk = TabletopTrunk().eval()
    for module in trunk.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.2, 0.2)
    image = torch.rand(2, 3, 64, 48)
    with torch.no_grad():
        before = trunk(image)
        trunk.fold()
        assert torch.allclose(trunk(image), before, atol=1e-4)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in trunk.modules())


def test_a_whole_image_is_pooled_as_one_window():
    torch.manual_seed(0)
    trunk = TabletopTrunk().eval()
    image = torch.rand(2, 3, 40, 64)
    with torch.no_grad():
        cells = trunk.forward_features(image)
        expected = [pool_windows(c, torch.tensor([[0.0, 0, 8, 5]])) for c in cells]
        assert torch.allclose(trunk(image), torch.cat(expected), atol=1e-5)
