"""The Triton kernels, in Triton's interpreter, which needs no GPU.

It runs where triton is installed: it comes with a CUDA build of torch. Beside a CPU build it is a
gigabyte that nothing else here needs.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# In a process of its own: Triton reads the variable when a kernel is defined.
CODE = """
import json, sys
import torch
import test_encoding as cases
from lerf_ros.field.encoding import triton_kernels, twin

rows = []
for layout in cases.LAYOUTS:
    for count in (257, 1, 0):  # more than a block, one point, none
        positions, table, grad = cases.inputs(layout, 257)
        positions, grad = positions[:count], grad[:count]
        results = []
        for encode in (triton_kernels.encode, twin.encode):
            entries = table.clone().requires_grad_()
            out = encode(positions, entries, layout)
            out.backward(grad)
            results.append((out.detach(), entries.grad))
        (out, moved), (twin_out, twin_moved) = results
        if count:
            rows.append((cases.relative(out, twin_out), cases.relative(moved, twin_moved)))
        else:
            assert out.shape == twin_out.shape and not moved.any()
    positions[:] = 0
    outside = cases.inputs(layout, 8)[0]
    outside[:4] = torch.tensor([[2.0], [-1.0], [1e30], [-1e30]])
    assert torch.isfinite(triton_kernels.encode(outside, table, layout)).all()
print(json.dumps(rows))
"""


@pytest.mark.skipif(
    importlib.util.find_spec('triton') is None,
    reason='triton is not installed: it comes with a CUDA build of torch',
)
def test_the_kernels_equal_the_twin_for_every_layout_and_batch():
    environment = os.environ | {
        'TRITON_INTERPRET': '1',
        'PYTHONPATH': os.pathsep.join(
            [str(ROOT), str(Path(__file__).parent), os.environ.get('PYTHONPATH', '')]
        ),
    }
    result = subprocess.run(
        [sys.executable, '-c', CODE], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-2000:]
    rows = json.loads(result.stdout.splitlines()[-1])
    assert len(rows) == 8
    for out, grad in rows:
        assert out < 1e-5
        assert grad < 1e-4
