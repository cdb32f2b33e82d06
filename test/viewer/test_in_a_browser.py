"""The viewer in a real browser, used as a person would; screenshots in report/browser.

The tests run in this order on one page: it is opened, asked, steered, shared, and left.
"""

from __future__ import annotations

import gc
import logging
import re
import weakref
from collections.abc import Callable

import numpy as np
import pytest
from slow_link import slow_link
from viewer_page import LargeMap, Page, Table, free_port, threads
from waiting import wait_until

from lerf_ros.config import LerfConfig
from lerf_ros.viewer.server import Viewer

pytestmark = pytest.mark.browser

NEAR_M = 0.06


def drawn(pixels: np.ndarray) -> float:
    """Returns the share of pixels that are not background."""
    background = np.median(pixels.reshape(-1, 3), axis=0)
    return float((np.abs(pixels - background).max(axis=-1) > 20).mean())


def session_of(viewer: Viewer):
    return next(iter(viewer._sessions.values()))


def test_the_points_of_the_map_are_seen(page: Page, viewer: Viewer) -> None:
    session = wait_until(lambda: viewer._sessions and session_of(viewer), 'a session')
    wait_until(lambda: len(session._cloud._nodes) > 0, 'points')
    wait_until(lambda: drawn(page.scene()) > 0.05, 'points on the screen')
    page.keep('opened')
    # They are the points: without them there is little to see.
    with_points = drawn(page.scene())
    session._cloud.visible = False
    wait_until(lambda: drawn(page.scene()) < 0.5 * with_points, 'no points on the screen')
    session._cloud.visible = True
    wait_until(lambda: drawn(page.scene()) > 0.8 * with_points, 'points on the screen again')


def test_a_phrase_is_answered_where_the_thing_is(page: Page, table: Table) -> None:
    def right() -> bool:
        page.ask('red mug; green elephant')
        page.see('confidence')
        text = page.see('red mug:')
        found = re.search(r'1\. at (\S+) (\S+) (\S+),', text)
        assert found, text
        place = np.array([float(number) for number in found.groups()])
        return bool(np.linalg.norm(place - table.place('red mug')) < NEAR_M)

    # A young map may be wrong; it learns on while it is asked.
    wait_until(right, 'the right answer', 40)
    assert 'metres in map' in page.see('metres in')
    assert 'green elephant' in page.see('green elephant:')
    page.keep('answered')


def test_relevancy_is_seen_by_its_name_in_lerf(page: Page) -> None:
    page.tab('View')
    before = page.scene()
    page.choose('Output', 'relevancy_0')
    wait_until(lambda: np.abs(page.scene() - before).mean() > 2, 'other colours')
    page.keep('relevancy_0')
    page.choose('Output', 'composited_0')
    page.choose('Output', 'rgb')
    wait_until(lambda: np.abs(page.scene() - before).mean() < 2, 'the colours again')


def test_the_rendered_view_stands_behind_the_scene(page: Page) -> None:
    page.tab('View')
    before = page.scene()
    empty = (page.scene().max(axis=-1) < 30).mean()
    page.choose('Shown as', 'rendered background')
    # It fills the window, as points do not.
    wait_until(lambda: (page.scene().max(axis=-1) < 30).mean() < 0.5 * empty, 'the rendered view')
    page.keep('rendered')
    page.choose('Shown as', 'points')
    wait_until(lambda: np.abs(page.scene() - before).mean() < 5, 'the points again')


def test_a_click_on_an_answer_flies_there(page: Page, viewer: Viewer, table: Table) -> None:
    page.tab('Ask')
    camera = session_of(viewer)._client.camera
    far_m = float(np.linalg.norm(camera.position - table.place('red mug')))
    page.press('red mug 1')
    wait_until(
        lambda: np.linalg.norm(camera.look_at - table.place('red mug')) < NEAR_M, 'it looks there'
    )
    wait_until(
        lambda: np.linalg.norm(camera.position - table.place('red mug')) < 0.8 * far_m,
        'it is closer',
    )
    page.keep('flown_there')


@pytest.mark.usefixtures('still')
def test_a_click_on_a_point_tells_what_it_is(page: Page) -> None:
    # After the flight the mug is in the middle of the window.
    page.page.mouse.click(400, 300)
    page.see('at scale')
    page.keep('what_is_it')


@pytest.mark.usefixtures('still')
def test_a_rectangle_over_a_picture_asks_by_it(page: Page) -> None:
    page.tab('Keyframes')
    slider = page.field('Keyframe')
    slider.fill('3')
    slider.press('Enter')
    page.press('Ask by a rectangle')
    page.see('Drag a rectangle')
    page.keep('picture')
    mouse = page.page.mouse
    mouse.move(150, 250)
    mouse.down()
    mouse.move(330, 430, steps=4)
    mouse.up()
    page.tab('Ask')
    page.see('what is in keyframe')
    page.keep('asked_by_picture')


def test_learning_pauses_and_goes_on(page: Page, table: Table) -> None:
    page.tab('Map')
    page.press('Pause')
    wait_until(lambda: table.host.state == 'PAUSED', 'a pause')
    page.see('PAUSED')
    page.keep('paused')
    page.press('Resume')
    wait_until(lambda: table.host.state == 'TRAINING', 'learning')
    page.see('TRAINING')


@pytest.mark.usefixtures('still')
@pytest.mark.parametrize(
    ('phrase', 'words'),
    [
        ('   ', 'expected what to look for'),
        ('x' * 10_000, 'characters, got 10000'),
        ('!?; …', 'expected words'),
        ('红色的杯子', '红色的杯子:'),
        ('<b كوب & "', '<b كوب & ":'),
        ('teapot > lid > knob', 'expected one part'),
    ],
)
def test_whatever_is_typed_is_answered(page: Page, phrase: str, words: str) -> None:
    page.ask(phrase)
    page.see(words)


@pytest.mark.usefixtures('still')
def test_two_browsers_have_a_page_each(
    page: Page, open_page: Callable[..., Page], viewer: Viewer
) -> None:
    page.ask('yellow banana')
    page.see('yellow banana:')
    other = open_page(viewer.url, 560, 420)
    wait_until(lambda: viewer.browsers == 2, 'two browsers')
    assert other.field('Phrase').input_value() == ''
    other.ask('blue book')
    other.see('blue book:')
    assert page.field('Phrase').input_value() == 'yellow banana'
    mine = threads()
    other.keep('second_browser')
    other.page.close()
    wait_until(lambda: viewer.browsers == 1, 'one browser')
    wait_until(lambda: len(threads()) < len(mine), 'its threads are gone')


@pytest.mark.usefixtures('still')
def test_a_page_behind_a_slow_link_answers_before_all_points_have_come(
    open_page: Callable[..., Page], table: Table
) -> None:
    config = LerfConfig.from_flat(table.config.flat() | {'viewer.port': free_port()})
    viewer = Viewer(LargeMap(table.host, 60_000), config)
    try:
        with slow_link(config.viewer.port, 2e6) as link:
            page = open_page(f'http://localhost:{link.port}', 560, 420)
            session = wait_until(lambda: viewer._sessions and session_of(viewer), 'a session')
            # Half a minute for all points.
            link.bytes_per_s = 20e3
            buffer = session._client._websock_connection.get_message_buffer()
            wait_until(lambda: session._cloud.pulse.beating, 'points on the way')
            page.ask('red mug')
            page.see('red mug:', 25)
            page.keep('slow_link')
            assert session._cloud._complete is None
            # What it cannot take is not piled up: each thing waits once, as it is now.
            waiting = list(buffer.message_from_id.values())
            assert len(waiting) < 150
            page.page.close()
        wait_until(lambda: viewer.browsers == 0, 'the page is gone')
    finally:
        viewer.close()


@pytest.mark.usefixtures('still')
def test_a_closed_page_leaves_nothing(open_page: Callable[..., Page], viewer: Viewer) -> None:
    known, before = set(viewer._sessions), threads()
    page = open_page(viewer.url, 560, 420)
    (number,) = wait_until(lambda: set(viewer._sessions) - known, 'a page')
    session = weakref.ref(viewer._sessions[number])
    client = weakref.ref(viewer._sessions[number]._client)
    page.ask('blue book')
    page.see('blue book:')
    page.tab('View')
    page.choose('Shown as', 'rendered panel')
    page.see('Rendered view')
    page.page.close()
    wait_until(lambda: set(viewer._sessions) <= known, 'the page is gone')
    wait_until(lambda: threads() <= before, 'its threads are gone')

    def freed() -> bool:
        gc.collect()
        return session() is None and client() is None

    wait_until(freed, 'what it held is freed', 15)


def test_a_busy_port_gives_way_to_the_next(
    viewer: Viewer, table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        second = Viewer(table.access, table.config)
    try:
        assert second.url != viewer.url
        assert 'is taken' in caplog.text
    finally:
        second.close()


def test_a_map_that_is_forgotten_leaves_the_page(page: Page, table: Table) -> None:
    page.tab('Map')
    page.press('Reset')
    page.keep('reset')
    page.press('Forget it all')
    wait_until(lambda: table.host.map.keyframe_count == 0, 'an empty map')
    page.see('no keyframe has arrived yet')
    page.tab('Ask')
    page.see('The map is another one')
    page.ask('red mug')
    page.see('no keyframe has arrived yet')
    page.keep('forgotten')


def test_the_page_comes_back_when_the_node_restarts(
    page: Page, viewer: Viewer, table: Table
) -> None:
    port = int(viewer.url.rpartition(':')[2])
    viewer.close()
    config = LerfConfig.from_flat(table.config.flat() | {'viewer.port': port})
    second = Viewer(table.access, config)
    try:
        assert second.url == viewer.url
        wait_until(lambda: second.browsers == 1, 'the browser is back')
        page.tab('Map')
        page.see('WAITING')
        page.keep('restarted')
    finally:
        second.close()
