"""The hash grid: every implementation against the readable twin."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from lerf_ros.field import encoding, native
from lerf_ros.field.encoding import BACKENDS, HashGrid, choose_backend, cpu, fallback, twin
from lerf_ros.field.encoding.layout import GridLayout

# Dense and hashed levels, every number of features, a table that is smaller than a coarse level.
LAYOUTS = [
    GridLayout(levels=8, features=2, min_resolution=8, max_resolution=300, table_log2=12),
    GridLayout(levels=3, features=8, min_resolution=4, max_resolution=64, table_log2=14),
    GridLayout(levels=1, features=1, min_resolution=16, max_resolution=16, table_log2=10),
    GridLayout(levels=5, features=4, min_resolution=5, max_resolution=91, table_log2=11),
]


def inputs(layout, count=700, seed=0):
    generator = torch.Generator().manual_seed(seed)
    positions = torch.rand(count, 3, generator=generator)
    positions[:3] = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.5]])
    table = torch.randn(layout.entries, layout.features, generator=generator)
    grad = torch.randn(count, layout.width, generator=generator)
    return positions, table, grad


def run(encode, layout, count=700):
    positions, table, grad = inputs(layout, count)
    table.requires_grad_()
    out = encode(positions, table, layout)
    out.backward(grad)
    return out.detach(), table.grad


def relative(a, b):
    return float((a.double() - b.double()).norm() / b.double().norm())


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('encode', [cpu.encode, fallback.encode], ids=['native', 'fallback'])
def test_outputs_and_gradients_equal_the_twins(encode, layout):
    out, grad = run(encode, layout)
    twin_out, twin_grad = run(twin.encode, layout)
    assert relative(out, twin_out) < 1e-5
    assert relative(grad, twin_grad) < 1e-4


def test_threads_do_not_change_the_result():
    layout = LAYOUTS[0]
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(run(cpu.encode, layout, 5000))
    finally:
        torch.set_num_threads(threads)
    for out, grad in results[1:]:
        assert torch.equal(out, results[0][0])
        assert torch.equal(grad, results[0][1])


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -1e30, 2.0, -0.5])
def test_positions_outside_the_cube_touch_no_foreign_memory(value):
    layout = LAYOUTS[1]
    positions, table, grad = inputs(layout)
    positions[:, 1] = value
    table.requires_grad_()
    out = cpu.encode(positions, table, layout)
    out.backward(grad)
    assert torch.isfinite(out).all()


def test_no_points_give_no_features():
    layout = LAYOUTS[0]
    table = torch.zeros(layout.entries, layout.features, requires_grad=True)
    out = cpu.encode(torch.zeros(0, 3), table, layout)
    assert out.shape == (0, layout.width)
    out.sum().backward()
    assert float(table.grad.abs().sum()) == 0


def test_a_linear_table_is_interpolated_exactly():
    layout = GridLayout(1, 1, 8, 8, 12)
    resolution, scale = layout.resolutions[0], layout.scales[0]
    x = torch.arange(resolution, dtype=torch.float32)
    table = (x[None, None, :] + 10 * x[None, :, None] + 100 * x[:, None, None]).reshape(-1, 1)
    table = torch.cat([table, torch.zeros(layout.entries - len(table), 1)])
    positions = torch.rand(50, 3, generator=torch.Generator().manual_seed(1)) * 0.8
    expected = ((positions * scale + 0.5) * torch.tensor([1.0, 10.0, 100.0])).sum(dim=-1)
    for encode in (cpu.encode, twin.encode):
        torch.testing.assert_close(encode(positions, table, layout)[:, 0], expected)


def test_layout_grows_geometrically_and_is_bounded():
    layout = GridLayout(16, 2, 16, 2048, 17)
    assert layout.resolutions[0] == 16
    assert layout.resolutions[-1] in (2048, 2049)
    sizes = [b - a for a, b in zip(layout.firsts, layout.firsts[1:], strict=False)]
    assert max(sizes) == 2**17
    assert sizes[0] == 16**3
    assert layout.entries == sum(sizes)


@pytest.mark.parametrize(
    ('numbers', 'name'),
    [
        ((0, 2, 16, 64, 10), 'levels'),
        ((4, 3, 16, 64, 10), 'features'),
        ((4, 2, 64, 16, 10), 'resolutions'),
        ((4, 2, 16, 64, 40), 'table_log2'),
    ],
)
def test_impossible_layouts_are_refused(numbers, name):
    with pytest.raises(ValueError, match=name):
        GridLayout(*numbers)


def test_auto_takes_the_native_grid_on_a_cpu():
    backend, reason = choose_backend('auto', torch.device('cpu'))
    assert backend == 'native'
    assert reason


def test_auto_falls_back_with_a_warning_where_nothing_compiles(monkeypatch, caplog):
    def unavailable():
        raise native.NativeUnavailable('no C++ compiler')

    monkeypatch.setattr('lerf_ros.field.encoding.load_library', unavailable)
    grid = HashGrid(LAYOUTS[0], 'auto')
    assert grid.backend == 'fallback'
    assert 'no C++ compiler' in caplog.text
    with pytest.raises(ValueError, match='no C\\+\\+ compiler'):
        HashGrid(LAYOUTS[0], 'native')


@pytest.mark.parametrize('backend', ['triton', 'tinycudann'])
def test_gpu_backends_name_what_they_miss(backend):
    with pytest.raises(ValueError, match='CUDA'):
        choose_backend(backend, torch.device('cpu'))


BROKEN = "raise OSError('Unknown compute capability. Build it for this GPU.')"


@pytest.mark.parametrize(
    ('source', 'reason'),
    [(BROKEN, 'Unknown compute capability'), ('import nowhere_at_all', 'nowhere_at_all')],
)
def test_auto_on_cuda_passes_over_a_package_that_cannot_be_imported(
    tmp_path, monkeypatch, source, reason
):
    (tmp_path / 'triton.py').write_text(source)
    (tmp_path / 'tinycudann.py').write_text('')
    monkeypatch.syspath_prepend(tmp_path)
    for name in ('tinycudann', 'triton'):
        monkeypatch.delitem(sys.modules, name, raising=False)
    encoding._import_problem.cache_clear()
    try:
        backend, why = choose_backend('auto', torch.device('cuda'))
        assert backend == 'tinycudann'
        assert reason in why
        with pytest.raises(ValueError, match=reason):
            choose_backend('triton', torch.device('cuda'))
    finally:
        encoding._import_problem.cache_clear()
        for name in ('tinycudann', 'triton'):
            sys.modules.pop(name, None)


def test_unknown_backends_are_refused():
    with pytest.raises(ValueError, match='expected auto or one of'):
        choose_backend('fast', torch.device('cpu'))


def test_the_library_is_compiled_into_the_cache_of_the_user(tmp_path):
    code = (
        'from lerf_ros.field import native\n'
        "print(native._compile('hash_grid'))\nprint(native._compile('hash_grid'))\n"
    )
    result = subprocess.run(
        [sys.executable, '-c', code],
        env={'XDG_CACHE_HOME': str(tmp_path), 'PATH': '/usr/local/bin:/usr/bin:/bin'},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = result.stdout.split()
    assert first == second
    assert first.startswith(str(tmp_path))
    assert [path.suffix for path in (tmp_path / 'lerf_ros').iterdir()] == ['.so']


@pytest.mark.requires_cuda
@pytest.mark.parametrize('backend', [name for name in BACKENDS if name not in ('native', 'torch')])
@pytest.mark.parametrize('layout', LAYOUTS)
def test_gpu_backends_equal_the_twin(backend, layout):
    if not torch.cuda.is_available():
        pytest.skip('no CUDA GPU')
    try:
        grid = HashGrid(layout, backend, 'cuda')
    except ValueError as error:
        pytest.skip(str(error))
    positions, table, grad = inputs(layout)
    with torch.no_grad():
        grid.table.copy_(table)
    out = grid(positions.cuda())
    out.backward(grad.cuda().to(out.dtype))
    twin_out, twin_grad = run(twin.encode, layout)
    tolerance = 1e-4 if out.dtype == torch.float32 else 5e-3
    assert relative(out.cpu(), twin_out) < tolerance
    assert relative(grid.table.grad.cpu(), twin_grad) < tolerance
