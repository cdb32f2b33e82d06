"""The life of a node's process: start, spin, end cleanly with Ctrl-C."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
from collections.abc import Callable

import rclpy
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node

#: Exit status of a node that was given wrong options.
WRONG_INPUT = 2


def spin(make_node: Callable[[], Node], threads: int = 1) -> int:
    """Makes a node and spins it until Ctrl-C; returns the exit status of the process.

    A node may offer ``close()``, which is called before the node is destroyed.
    """
    logging.basicConfig(level=logging.WARNING, format='[%(levelname)s] %(name)s: %(message)s')
    rclpy.init()
    node: Node | None = None
    status = 0
    try:
        node = make_node()
        executor = MultiThreadedExecutor(num_threads=max(2, threads)) if threads > 1 else None
        rclpy.spin(node, executor=executor)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except (ValueError, OSError) as error:
        print(f'{sys.argv[0]}: {error}', file=sys.stderr)
        status = WRONG_INPUT
    except Exception:
        # A signal that comes while the node is being made takes the ground from under it.
        if rclpy.ok():
            raise
    finally:
        # The end is near and bounded: a launch file's signal after the terminal's changes nothing.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if node is not None:
            if hasattr(node, 'close'):
                node.close()
            node.destroy_node()
        # The signal's own handler may be shutting down at this moment; rclpy calls that an error.
        with contextlib.suppress(RuntimeError):
            rclpy.try_shutdown()
    return status
