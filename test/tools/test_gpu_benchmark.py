"""The command that measures a GPU: what it has survives whatever cuts it off."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'benchmarks'))

import gpu  # noqa: E402
import gpu_compiled  # noqa: E402
from gpu_figures import Figures  # noqa: E402

COMMAND = [sys.executable, str(ROOT / 'benchmarks' / 'gpu.py'), '--device', 'cpu']


def test_parts_come_in_their_order_and_within_six_minutes():
    order = ['tests', 'grid', 'base', 'lite', 'big', 'pyramid', 'query', 'live', 'tinycudann']
    assert list(gpu.LIMITS_S) == [*order, 'compiled']
    assert sum(gpu.LIMITS_S.values()) <= gpu.TOTAL_S == 360
    assert {part for part, *_ in gpu.ROWS} == set(gpu.LIMITS_S)


@pytest.mark.timeout(300)
def test_a_run_that_is_cut_off_leaves_what_it_had(tmp_path):
    path = tmp_path / 'gpu.json'
    process = subprocess.Popen(
        [*COMMAND, '--json', str(path), '--parts', 'grid', 'pyramid'],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        while not path.exists():
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    finally:
        process.kill()
    parts = json.loads(path.read_text())['parts']
    assert parts['grid']['grid_forward_error'] < 1e-4
    assert parts['grid']['grid_2^14_forward_ms'] > 0
    table = gpu.table(parts, 'cut off')
    assert '| not measured: cut off |' in table


def test_a_part_that_is_cut_off_leaves_what_it_had(tmp_path, monkeypatch):
    part = tmp_path / 'benchmarks' / 'gpu_parts.py'
    part.parent.mkdir()
    part.write_text(
        f'import sys, time; sys.path.insert(0, {str(ROOT / "benchmarks")!r})\n'
        'from gpu_figures import Figures\n'
        "figures = Figures()\nfigures['first_ms'] = 1.5\nfigures |= {'second_ms': 2.5}\n"
        "if sys.argv[1] == 'slow': time.sleep(60)\n"
        "if sys.argv[1] == 'broken': raise SystemExit('no more')\n"
        "Figures()['reason'] = 'KeyError: what'\n"
    )
    monkeypatch.setattr(gpu, 'ROOT', tmp_path)
    measured = {'first_ms': 1.5, 'second_ms': 2.5}
    start = time.monotonic()
    assert gpu.run_part('slow', 5.0) == measured | {'reason': 'not done within 5 s'}
    assert time.monotonic() - start < 30
    assert gpu.run_part('broken', 60.0) == measured
    assert gpu.run_part('failed', 60.0) == measured | {'reason': 'KeyError: what'}
    part.write_text("raise SystemExit('nothing works')")
    assert gpu.run_part('broken', 60.0) == {'reason': 'it ended with code 1: nothing works'}


@pytest.mark.parametrize(
    ('plain_ms', 'compiled_ms', 'first_s', 'pays'),
    [
        (10.0, 6.0, 8.0, True),
        (10.0, 9.8, 1.0, False),  # lost among runs
        (10.0, 12.0, 1.0, False),  # slower
        (0.010, 0.005, 60.0, False),  # a run ends before it is repaid
    ],
)
def test_compiling_pays_where_a_run_repays_it(plain_ms, compiled_ms, first_s, pays):
    verdict = gpu_compiled.payoff(plain_ms, compiled_ms, first_s)
    assert verdict['pays'] == pays
    if compiled_ms < plain_ms:
        assert verdict['repaid_steps'] * (plain_ms - compiled_ms) == pytest.approx(1e3 * first_s)
    else:
        assert verdict['repaid_steps'] is None


class Slow:
    """Stands for a network; as it is it takes 20 ms, or as long as it is told."""

    def __init__(self, seconds=0.02, factor=1.0):
        self.seconds, self.factor = seconds, factor

    def __call__(self, x):
        time.sleep(self.seconds)
        return self.factor * x


def median_ms(job):
    times = []
    for _ in range(3):
        start = time.perf_counter()
        job()
        times.append(1e3 * (time.perf_counter() - start))
    return sorted(times)[1]


@pytest.mark.parametrize(('seconds', 'pays'), [(0.0, True), (0.06, False)])
def test_what_is_compiled_is_held_against_what_is_not(seconds, pays):
    figures = Figures()
    x = torch.ones(8, requires_grad=True)
    gpu_compiled.compare(figures, 'net', Slow(), (x,), lambda _: Slow(seconds), median_ms)
    assert figures['net_pays'] == pays
    assert figures['net_plain_ms'] > 19
    with pytest.raises(RuntimeError, match='net: expected 1, got 4'):
        gpu_compiled.compare(figures, 'net', Slow(), (x,), lambda _: Slow(factor=2.0), median_ms)
