"""Questions: bounded in number and in time, and every one gets an answer."""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

import pytest

from lerf_ros.runtime.questions import BusyError, Questions


def make(limit: int = 2, timeout_s: float = 60.0) -> Questions:
    return Questions(lambda: limit, lambda: timeout_s)


def test_results_and_errors_come_through() -> None:
    questions = make()
    good: Future[int] = Future()
    bad: Future[int] = Future()
    first, second = questions.admit(lambda: good), questions.admit(lambda: bad)
    good.set_result(7)
    bad.set_exception(ValueError('no such phrase'))
    assert first.result(0) == 7
    with pytest.raises(ValueError, match='no such phrase'):
        second.result(0)
    assert questions.waiting == 0


def test_too_many_are_refused_at_once_and_room_comes_back() -> None:
    questions = make(limit=2)
    work: list[Future[int]] = [Future(), Future()]
    for future in work:
        questions.admit(lambda future=future: future)
    begun = []
    with pytest.raises(BusyError, match='2 questions are waiting'):
        questions.admit(lambda: begun.append(1))  # type: ignore[arg-type, func-returns-value]
    assert not begun
    work[0].set_result(1)
    assert questions.admit(Future).done() is False


def test_work_that_cannot_begin_takes_no_room() -> None:
    questions = make(limit=1)

    def fails() -> Future[int]:
        raise ValueError('positives: expected words')

    for _ in range(3):
        with pytest.raises(ValueError, match='expected words'):
            questions.admit(fails)
    assert questions.waiting == 0


def test_late_questions_are_given_up_and_their_work_is_cancelled() -> None:
    questions = make(timeout_s=-1.0)  # late as soon as it is asked
    waiting: Future[int] = Future()
    running: Future[int] = Future()
    running.set_running_or_notify_cancel()
    answers = [questions.admit(lambda: waiting), questions.admit(lambda: running)]
    questions.expire()
    for answer in answers:
        with pytest.raises(FutureTimeoutError, match='no answer within'):
            answer.result(0)
    assert waiting.cancelled()
    # What was being worked on ends, with nobody waiting for it.
    running.set_result(1)
    assert questions.waiting == 0
