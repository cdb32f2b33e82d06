"""The processes: wrong options end them with one sentence, Ctrl-C ends them cleanly."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

NODE = [sys.executable, '-m', 'lerf_ros.nodes.keyframe_node', '--ros-args']


@pytest.mark.parametrize(
    ('parameter', 'words'),
    [
        ('keyframes.jpeg_quality:=5000', 'keyframes.jpeg_quality'),
        ('node.pose_source:=oracle', 'pose_source'),
    ],
)
def test_wrong_options_are_one_sentence(parameter: str, words: str) -> None:
    result = subprocess.run([*NODE, '-p', parameter], capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert words in result.stderr
    assert 'Traceback' not in result.stderr


# A launch file may send its own signal just after the terminal's.
@pytest.mark.parametrize(
    'numbers', [[signal.SIGINT], [signal.SIGTERM], [signal.SIGINT, signal.SIGINT]]
)
def test_a_signal_ends_it_cleanly(numbers: list[signal.Signals]) -> None:
    process = subprocess.Popen(NODE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while 'camera poses come from' not in process.stderr.readline():
        assert process.poll() is None, 'the node ended by itself'
    started = time.monotonic()
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.1)  # just after: while the node ends
    _, errors = process.communicate(timeout=20)
    assert time.monotonic() - started < 5
    assert process.returncode == 0
    assert 'Traceback' not in errors
