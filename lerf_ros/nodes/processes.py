"""Child processes that run nodes: started together, watched, and ended with Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

STOP_S = 5.0


class NodeProcesses:
    """Starts nodes of this package as processes of their own; a context manager ends them.

    Args:
        log_dir: Folder that gets `<node>.log` of each.
        environment: Variables beside those of this process.
    """

    def __init__(self, log_dir: Path, environment: Mapping[str, str]) -> None:
        self._log_dir = log_dir
        self._environment = {**os.environ, **environment}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self,
        node: str,
        parameters: Mapping[str, object],
        remaps: Mapping[str, str] | None = None,
        name: str = '',
    ) -> None:
        """Starts `lerf_ros.nodes.<node>` with ROS parameters and names remapped.

        Args:
            node: Its module.
            parameters: Its parameters.
            remaps: Names remapped; `__ns` is its namespace.
            name: What it is called here, where several run of one module.
        """
        command = [sys.executable, '-m', f'lerf_ros.nodes.{node}', '--ros-args']
        for option, value in parameters.items():
            command += ['-p', f'{option}:={_literal(value)}']
        for topic, other in (remaps or {}).items():
            command += ['-r', f'{topic}:={other}']
        with (self._log_dir / f'{name or node}.log').open('wb') as log:
            self._processes[name or node] = subprocess.Popen(
                command, env=self._environment, stdout=log, stderr=subprocess.STDOUT
            )

    def pid(self, node: str) -> int:
        """Returns the number of a node's process."""
        return self._processes[node].pid

    def check(self) -> None:
        """Raises a ChildProcessError with the end of its log if a node has ended."""
        for node, process in self._processes.items():
            if process.poll() is not None:
                tail = (self._log_dir / f'{node}.log').read_text(errors='replace')[-2000:]
                raise ChildProcessError(
                    f'{node} ended with status {process.returncode}; its last words:\n{tail}'
                )

    def stop(self) -> dict[str, float]:
        """Ends every node with Ctrl-C; returns the seconds each needed.

        A node that has not ended after `STOP_S` is killed and counts as infinity.
        """
        started = time.monotonic()
        running = {n: p for n, p in self._processes.items() if p.poll() is None}
        for process in running.values():
            process.send_signal(signal.SIGINT)
        seconds = {}
        for node, process in running.items():
            try:
                process.wait(max(0.1, STOP_S - (time.monotonic() - started)))
                seconds[node] = time.monotonic() - started
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                seconds[node] = float('inf')
        self._processes.clear()
        return seconds

    def __enter__(self) -> NodeProcesses:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def _literal(value: object) -> str:
    """Returns a parameter value in YAML."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if isinstance(value, str) else str(value)
