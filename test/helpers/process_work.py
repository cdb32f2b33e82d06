"""What the tests of processes do in them; a module of its own, since it must be importable."""

from __future__ import annotations

import os
import signal
import time


def make_squares():
    """Gives squares, and which process made them."""

    def work(seed, advance):
        advance(1.0, f'seed {seed}')
        return seed * seed, os.getpid()

    return work


def make_thread_counts():
    """Gives the number of threads of torch and of OpenCV."""

    def work(seed, advance):
        import cv2
        import torch

        return torch.get_num_threads(), cv2.getNumThreads()

    return work


def make_failing(how):
    """Fails at seed 7 and takes a minute at the others."""
    if how == 'make':
        raise ValueError('no weights')

    def work(seed, advance):
        if seed != 7:
            time.sleep(60)
        if how == 'raise':
            raise RuntimeError('nothing stands on the table')
        if how == 'kill':
            os.kill(os.getpid(), signal.SIGKILL)
        return lambda: how

    return work


def make_uneven():
    """Takes no time at seed 1 and a minute at the others."""
    return lambda seed, advance: time.sleep(0 if seed == 1 else 60)


def make_sleeping():
    """Says that it runs, then takes a minute."""

    def work(seed, advance):
        advance(1.0, 'begun')
        time.sleep(60)

    return work
