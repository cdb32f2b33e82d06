"""The worker: order of jobs, answers to all, states."""

from __future__ import annotations

import threading
import time

import pytest
from waiting import wait_until

from lerf_ros.scheduling.worker import CONTROL, INGEST, PICTURE, QUERY, Worker, WorkerStopped


class Steps:
    """Counts steps and notes the order of what happens."""

    def __init__(self, ready: bool = True) -> None:
        self.count = 0
        self.is_ready = ready
        self.log: list[str] = []
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.error: Exception | None = None

    def step(self) -> int:
        self.begun.set()
        self.gate.wait(5)
        if self.error:
            raise self.error
        self.count += 1
        self.log.append('step')
        time.sleep(0.001)  # a step's work
        return self.count


@pytest.fixture
def steps():
    return Steps()


@pytest.fixture
def worker(steps):
    worker = Worker(steps.step, lambda: steps.is_ready)
    yield worker
    steps.gate.set()
    if worker._thread.is_alive():
        assert worker.stop()


def test_jobs_run_in_order_of_priority(worker, steps):
    worker.start()
    assert steps.begun.wait(5)  # the first step waits at the gate
    futures = [
        worker.submit(lambda: steps.log.append('ingest 1'), INGEST),
        worker.submit(lambda: steps.log.append('ingest 2'), INGEST),
        worker.submit(lambda: steps.log.append('query 1'), QUERY),
        worker.submit(lambda: steps.log.append('query 2'), QUERY),
        worker.submit(lambda: steps.log.append('control'), CONTROL),
    ]
    time.sleep(0.05)  # intake gets as much time as the step before it took: this one is long
    steps.gate.set()
    for future in futures:
        future.result(5)
    # The first step took long, so there was time for both intake jobs before the next one.
    expected = ['step', 'control', 'query 1', 'query 2', 'ingest 1', 'ingest 2']
    assert steps.log[: len(expected)] == expected


def test_learning_goes_on_during_slow_intake(worker, steps):
    steps.gate.set()
    worker.start()
    wait_until(lambda: steps.count > 5, 'five steps')

    def take_in():
        time.sleep(0.05)  # longer than a step
        steps.log.append('ingest')

    futures = [worker.submit(take_in, INGEST) for _ in range(3)]
    for future in futures:
        future.result(5)
    first, second, third = (i for i, entry in enumerate(steps.log) if entry == 'ingest')
    assert 'step' in steps.log[first:second]
    assert 'step' in steps.log[second:third]


def test_learning_and_intake_go_on_while_many_ask(worker, steps):
    steps.gate.set()
    worker.start()
    wait_until(lambda: steps.count > 5, 'five steps')
    asking = True

    def ask():
        time.sleep(0.01)  # an answer's work
        if asking:  # a client that got an answer asks again at once
            worker.submit(ask, QUERY)

    for _ in range(10):
        worker.submit(ask, QUERY)
    before = steps.count
    worker.submit(lambda: None, INGEST).result(5)
    wait_until(lambda: steps.count > before + 5, 'further steps')
    asking = False


def test_pictures_come_while_intake_and_questions_never_end(worker, steps):
    steps.gate.set()
    worker.start()
    stop = threading.Event()

    def again(priority):
        time.sleep(0.002)  # a job's work
        if not stop.is_set():
            worker.submit(lambda: again(priority), priority)

    for priority in (INGEST, INGEST, QUERY):
        worker.submit(lambda priority=priority: again(priority), priority)
    try:
        for _ in range(3):
            worker.submit(lambda: None, PICTURE).result(2)
    finally:
        stop.set()


def test_results_and_errors_are_the_futures(worker, steps):
    steps.gate.set()
    worker.start()
    assert worker.submit(lambda: 7).result(5) == 7

    def fail():
        raise ValueError('no such phrase')

    with pytest.raises(ValueError, match='no such phrase'):
        worker.submit(fail).result(5)
    before = steps.count
    wait_until(lambda: steps.count > before, 'a further step')
    assert worker.state == 'TRAINING'


def test_pausing_stops_training_but_answers(worker, steps):
    steps.gate.set()
    worker.start()
    wait_until(lambda: steps.count > 0, 'a step')
    worker.pause()
    worker.submit(lambda: None).result(5)
    before = steps.count
    assert worker.state == 'PAUSED'
    assert worker.submit(lambda: 1).result(5) == 1
    assert steps.count <= before + 1
    worker.resume()
    wait_until(lambda: steps.count > before + 2, 'further steps')


def test_it_waits_until_there_is_something_to_train_on(worker, steps):
    steps.is_ready = False
    steps.gate.set()
    worker.start()
    assert worker.submit(lambda: 'answered').result(5) == 'answered'
    assert worker.state == 'WAITING'
    assert steps.count == 0
    steps.is_ready = True
    wait_until(lambda: worker.state == 'TRAINING', 'training')
    assert steps.count > 0


def test_a_failed_step_ends_learning_but_not_answers(worker, steps):
    steps.error = RuntimeError('out of memory')
    steps.gate.set()
    worker.start()
    wait_until(lambda: worker.state == 'FAILED', 'failure')
    assert str(worker.error) == 'out of memory'
    assert worker.submit(lambda: 7, QUERY).result(5) == 7
    assert steps.count == 0
    steps.error = None
    worker.resume()
    wait_until(lambda: worker.state == 'TRAINING', 'training')
    assert worker.error is None


def test_stopping_refuses_what_waits(worker, steps):
    worker.start()
    assert steps.begun.wait(5)
    future = worker.submit(lambda: 1, INGEST)
    threading.Timer(0.05, steps.gate.set).start()
    assert worker.stop()
    with pytest.raises(WorkerStopped):
        future.result(5)
    with pytest.raises(WorkerStopped):
        worker.submit(lambda: 1).result(5)


def test_a_query_waits_for_one_step_at_most(worker, steps):
    steps.gate.set()
    worker.start()
    wait_until(lambda: steps.count > 3, 'three steps')
    for _ in range(20):
        before = steps.count
        seen = worker.submit(lambda: steps.count).result(5)
        assert seen - before <= 2  # the one under way, and one that began as we asked


def test_reports_reach_the_callback(steps):
    reports = []
    worker = Worker(steps.step, lambda: True, reports.append)
    steps.gate.set()
    worker.start()
    wait_until(lambda: len(reports) >= 3, 'three reports')
    assert worker.stop()
    assert reports[:3] == [1, 2, 3]


def test_an_error_beside_the_step_is_a_failure_and_no_end(steps):
    steps.gate.set()
    wrong = True

    def listen(_):
        if wrong:
            raise RuntimeError('the listener is broken')

    worker = Worker(steps.step, lambda: True, listen)
    worker.start()
    wait_until(lambda: worker.state == 'FAILED', 'failure')
    assert 'listener' in str(worker.error)
    assert worker.submit(lambda: 7).result(5) == 7
    wrong = False
    worker.resume()
    before = steps.count
    wait_until(lambda: steps.count > before, 'a further step')
    assert worker.state == 'TRAINING'
    assert worker.stop()


def test_an_error_in_ready_is_a_failure_and_no_end(steps):
    steps.gate.set()
    wrong = threading.Event()
    wrong.set()

    def ready():
        if wrong.is_set():
            raise RuntimeError('nobody knows')
        return True

    worker = Worker(steps.step, ready)
    worker.start()
    wait_until(lambda: worker.state == 'FAILED', 'failure')
    assert worker.submit(lambda: 7).result(5) == 7
    wrong.clear()
    worker.resume()
    wait_until(lambda: worker.state == 'TRAINING', 'training')
    assert worker.stop()


def test_a_map_that_begins_anew_waits_again(worker, steps):
    steps.gate.set()
    worker.start()
    wait_until(lambda: worker.state == 'TRAINING', 'training')
    steps.is_ready = False
    worker.submit(worker.begin_anew, CONTROL).result(5)
    assert worker.state == 'WAITING'
    steps.is_ready = True
    wait_until(lambda: worker.state == 'TRAINING', 'training')
