"""Proves every CUDA path and measures it: one command, at most six minutes.

    python benchmarks/gpu.py [--json FILE] [--parts grid base ...]

Needs an NVIDIA GPU, torch and a compiler, but no network and no ROS. Each part runs in a process
of its own under its own limit, and what is measured is written after each, so that a run that is
cut off leaves what it had. Without a GPU it says so and proves what a CPU can prove.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import step_cost

ROOT = Path(__file__).resolve().parents[1]
# Seconds of each part, in the order in which they run; together at most six minutes.
LIMITS_S = {
    'tests': 35, 'grid': 20, 'base': 40, 'lite': 35, 'big': 40, 'pyramid': 45, 'query': 45,
    'live': 60, 'tinycudann': 10, 'compiled': 30,
}  # fmt: skip
TOTAL_S = 360
PROOFS = (
    'test/training/test_device_traffic.py',
    'test/training/test_device_memory.py',
    'test/training/test_half_precision.py',
    'test/keyframes/test_placement.py',
    'test/tools/test_gpu_benchmark.py',
    'test/training/test_optimizer.py',
    'test/field/test_triton.py',
)
# Part, figure, what it is, unit, aim.
ROWS = (
    ('tests', 'tests_failed', 'tests marked `requires_cuda` that failed', '', '0'),
    ('tests', 'tests_passed', 'tests marked `requires_cuda` that passed', '', ''),
    ('grid', 'copy_gb_s', 'copy within the device, read and written', 'GB/s', ''),
    ('grid', 'grid_forward_error', 'Triton grid against its twin, forward', '', '1e-5'),
    ('grid', 'grid_backward_error', 'the same, backward', '', '1e-4'),
    *(
        ('grid', f'grid_2^{n}_{way}_{unit}', f'Triton grid, 2^{n} points, {way}', label, '')
        for n in (14, 16, 18, 20, 21)
        for way, unit, label in (
            ('forward', 'ms', 'ms'),
            ('backward', 'ms', 'ms'),
            ('forward', 'gb_s', 'GB/s gathered'),
        )
    ),
    *(
        (variant, f'{variant}_{key}', f'{variant}: {what}', unit, aim)
        for variant, gigabytes in (('lite', '3'), ('base', '6'), ('big', '9'))
        for key, what, unit, aim in (
            ('rays_per_s', 'training', 'rays/s', '250000' if variant == 'base' else ''),
            ('steps_per_s', 'training', 'steps/s', ''),
            ('peak_gb', 'memory that torch took', 'GB', gigabytes),
            ('process_gb', 'memory in use on the device', 'GB', gigabytes),
            ('estimate_as_filled_gb', 'estimate with these keyframes', 'GB', ''),
            ('estimate_gb', 'estimate with a full store', 'GB', gigabytes),
            ('waits_per_step', 'waits of the host a step', '', '1'),
            ('copies_to_host_per_step', 'copies to the host a step', '', '1'),
            ('copies_to_device_per_step', 'copies to the device a step', '', '0'),
            ('kernels_per_step', 'kernels a step', '', ''),
            ('gpu_busy', 'share of a step in which the GPU works', '', ''),
            ('loss_ratio', 'loss in half precision over loss in full', '', '1'),
            ('skipped', 'steps skipped', '', ''),
        )
    ),
    ('pyramid', 'ViT-B-16_tiles', 'tiles of a 640x480 image', '', ''),
    ('pyramid', 'ViT-B-16_pyramid_ms', 'their pyramid, ViT-B-16', 'ms', '100'),
    ('pyramid', 'ViT-L-14_pyramid_ms', 'their pyramid, ViT-L-14', 'ms', ''),
    *(
        ('query', f'query_{n}_{key}', f'{n} points, 512-d: {what}', 'ms', aim)
        for n, whole in ((20_000, '5'), (200_000, '10'), (2_000_000, ''))
        for key, what, aim in (('ms', 'answer', whole), ('relevancy_ms', 'relevancy alone', ''))
    ),
    ('query', 'heat_map_ms', 'heat map of a view of 988x731', 'ms', '33'),
    ('live', 'live_seconds_to_8_of_10', '8 of 10 phrases right after', 's', '3'),
    ('live', 'live_steps_per_s', 'training steps meanwhile', 'steps/s', ''),
    ('tinycudann', 'tinycudann_forward_error', 'tinycudann against the twin', '', '5e-3'),
    ('tinycudann', 'tinycudann_2^20_forward_ms', 'tinycudann, 2^20 points, forward', 'ms', ''),
    ('tinycudann', 'tinycudann_2^20_backward_ms', 'tinycudann, 2^20 points, backward', 'ms', ''),
    *(
        ('compiled', f'{name}_{key}', f'{what}: {which}', unit, '')
        for name, what in (('head', 'language head of base'), ('geometry', 'its density network'))
        for key, which, unit in (
            ('plain_ms', 'both passes', 'ms'),
            ('compiled_ms', 'compiled into a CUDA graph', 'ms'),
            ('repaid_steps', 'steps after which that is repaid', ''),
            ('pays', 'whether it pays (1) or not (0)', ''),
        )
    ),
)


def run_part(part: str, limit_s: float, device: str = 'cuda') -> dict[str, Any]:
    """Returns the figures of a part; with the reason, where it did not come to its end."""
    command = [sys.executable, str(ROOT / 'benchmarks' / 'gpu_parts.py'), part]
    with tempfile.TemporaryFile('w+') as output, tempfile.TemporaryFile('w+') as errors:
        process = subprocess.Popen(
            [*command, '--device', device],
            cwd=ROOT,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        reason = ''
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            reason = f'not done within {limit_s:.0f} s'
        finally:  # with all that it has begun, also where this program is told to end
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        errors.seek(0)
        figures: dict[str, Any] = {}
        for line in output:
            with contextlib.suppress(json.JSONDecodeError):
                figures |= json.loads(line)
        if not figures and not reason:
            last = (errors.read().strip().splitlines() or ['no output'])[-1]
            reason = f'it ended with code {process.returncode}: {last[:200]}'
    return figures | ({'reason': reason} if reason else {})


def table(results: dict[str, dict[str, Any]], otherwise: str) -> str:
    """Returns all figures as a table; empty cells say why.

    Args:
        results: Figures, or a reason, by part.
        otherwise: The reason of parts that did not run.
    """
    lines = ['| part | what | aim | measured |', '| --- | --- | --- | --- |']
    for part, key, what, unit, aim in ROWS:
        figures = results.get(part, {'reason': otherwise})
        value = figures.get(key)
        if value is None:
            reason = figures.get('reason', 'this part does not give it here')
            cell = f'not measured: {reason}'
        else:
            cell = f'{value:.4g} {unit}'.strip()
        lines.append(f'| {part} | {what} | {aim} {unit if aim else ""} | {cell} |')
    return '\n'.join(lines)


def write(path: Path | None, about: dict[str, Any], results: dict[str, dict[str, Any]]) -> None:
    """Writes what there is so far, whole or not at all."""
    if path is not None:
        aside = path.with_suffix('.part')
        aside.write_text(json.dumps({**about, 'parts': results}, indent=1) + '\n')
        os.replace(aside, path)


def prove_on_cpu() -> int:
    """Runs what needs no GPU; returns pytest's exit status."""
    command = [sys.executable, '-m', 'pytest', '-q', '-rs', *PROOFS]
    return subprocess.run(command, cwd=ROOT).returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures here')
    parser.add_argument(
        '--device',
        choices=('cuda', 'cpu'),
        default='cuda',
        help="'cpu' rehearses all parts in small; the figures mean nothing",
    )
    parser.add_argument('--parts', nargs='+', choices=LIMITS_S, default=list(LIMITS_S))
    arguments = parser.parse_args()
    import torch

    print('What a step must move and compute, on an H100 (3.35 TB/s, 989 TFLOP/s):\n')
    print(step_cost.table(), '\n', flush=True)
    about: dict[str, Any] = {'torch': torch.__version__}
    if arguments.device == 'cuda' and not torch.cuda.is_available():
        print('There is no NVIDIA GPU here that torch can use: this proves what a CPU can prove.')
        sys.stdout.flush()
        status = prove_on_cpu()
        reason = 'no GPU'
        print('\n' + table({}, reason))
        write(arguments.json, about | {'device': None, 'cpu_proofs': status}, {})
        sys.exit(status)
    cpu = arguments.device == 'cpu'
    about['device'] = 'cpu, a rehearsal' if cpu else torch.cuda.get_device_name()
    # Told to end, it ends the part that runs, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(about['device'], flush=True)
    results: dict[str, dict[str, Any]] = {}
    start = time.monotonic()
    for part in arguments.parts:
        left_s = TOTAL_S - (time.monotonic() - start)
        if left_s < 5:
            results[part] = {'reason': f'{TOTAL_S} s were over'}
            continue
        began = time.monotonic()
        results[part] = run_part(part, min(LIMITS_S[part], left_s), arguments.device)
        note = results[part].get('reason', 'done')
        print(f'{part}: {time.monotonic() - began:.0f} s, {note}', flush=True)
        write(arguments.json, about, results)
    print('\n' + table(results, 'not asked for'))
    failed = results.get('tests', {}).get('tests_failed', 0)
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
