"""The map's host: long work in pieces, on a real worker that trains meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future

import numpy as np
import pytest
from waiting import wait_until

from lerf_ros.config import LerfConfig
from lerf_ros.maps.errors import NotReadyError
from lerf_ros.query.engine import QueryRequest
from lerf_ros.runtime.host import MapHost
from lerf_ros.scheduling.pieces import Pieces
from lerf_ros.scheduling.worker import CONTROL, INGEST, QUERY, WorkerStopped
from lerf_ros.simulation import TabletopOptions, TabletopScene

CONFIG = LerfConfig.from_flat(
    {
        'training.device': 'cpu',
        'training.rays_per_step': 128,
        'training.language_rays_per_step': 32,
        'query.voxel_m': 0.02,
        'query.scales': 4,
        'features.pyramid_levels': 3,
    }
)
OPTIONS = TabletopOptions(width=160, height=120, objects=(('red', 'mug'), ('blue', 'book')))


@pytest.fixture(scope='module')
def frames() -> list:
    with TabletopScene(seed=9050, options=OPTIONS) as scene:
        return list(scene.frames('orbit', 20.0, 0.1))


@pytest.fixture
def host(frames) -> Iterator[MapHost]:
    result = MapHost(CONFIG)
    for frame in frames:
        result.run(lambda f=frame: result.map.ingest(f), INGEST, 60)
    wait_until(lambda: result.map.step_count >= 2, 'two steps')
    yield result
    result.stop(10)


def test_a_question_is_answered_before_the_view_it_came_into_is_drawn(host, frames) -> None:
    camera, pose = frames[0].camera, frames[0].camera_to_world
    host.run(lambda: host.map.query(QueryRequest(('mug',))), QUERY, 60)
    order: list[str] = []
    pieces, asked = 0, threading.Event()

    def watched(inner: Pieces) -> Pieces:
        nonlocal pieces
        while True:
            try:
                next(inner)
            except StopIteration as stop:
                order.append('view')
                return stop.value
            pieces += 1
            if pieces == 2:
                asked.set()
            yield

    view = host.start(watched(host.map.view_pieces(camera, pose, 'mug')), QUERY)
    assert asked.wait(30)
    answer = host.submit(lambda: host.map.query(QueryRequest(('book',))), QUERY)
    answer.add_done_callback(lambda _: order.append(f'answer after {pieces}'))
    assert answer.result(60)
    drawn = view.result(60)
    assert order[1] == 'view'
    waited = int(order[0].split()[-1])
    # One piece was under way when it was asked, and another may have been queued before it.
    assert waited <= 4
    assert pieces >= 8
    assert drawn.relevancy.shape == (camera.height, camera.width)


def test_pieces_give_the_view_that_one_go_gives(host, frames) -> None:
    camera, pose = frames[0].camera, frames[0].camera_to_world
    host.pause()
    host.run(lambda: None, CONTROL, 30)
    view = host.start(host.map.view_pieces(camera, pose, 'mug'), QUERY).result(60)
    whole = host.run(lambda: host.map.render(camera, pose), QUERY, 60)
    assert np.abs(view.image.astype(int) - whole.image).max() <= 1
    np.testing.assert_allclose(
        view.depth_m, np.where(whole.accumulation > 0.5, whole.depth_m, np.nan), atol=1e-4
    )


def test_a_reset_ends_a_view_with_a_sentence(host, frames) -> None:
    pieces = host.map.view_pieces(frames[0].camera, frames[0].camera_to_world, 'mug')
    host.run(lambda: next(pieces), QUERY, 30)
    view = host.start(pieces, INGEST)
    host.reset().result(30)
    with pytest.raises(NotReadyError, match='replaced'):
        view.result(30)


def endless() -> Pieces[None]:
    while True:
        time.sleep(0.001)  # a piece's work
        yield


def test_work_that_is_cancelled_ends(host) -> None:
    begun, ended = threading.Event(), threading.Event()

    def told() -> Pieces[None]:
        begun.set()
        try:
            yield from endless()
        finally:
            ended.set()

    work = host.start(told(), QUERY)
    assert begun.wait(10)
    assert work.cancel()
    assert ended.wait(10)


def test_training_goes_on_between_the_pieces_of_patient_work(host) -> None:
    before = host.map.step_count
    work: Future = host.start(endless(), INGEST)
    wait_until(lambda: host.map.step_count >= before + 3, 'three more steps', 30)
    assert work.cancel()
    with pytest.raises(CancelledError):
        work.result(1)


def test_work_is_refused_when_the_host_stops(host) -> None:
    work = host.start(endless(), QUERY)
    host.stop(10)
    with pytest.raises(WorkerStopped):
        work.result(10)


def test_an_error_in_a_piece_is_the_futures(host) -> None:
    def fails() -> Pieces[None]:
        yield
        raise ValueError('phrase: expected words')

    with pytest.raises(ValueError, match='expected words'):
        host.start(fails(), QUERY).result(30)
