"""Services whose clients hold no thread while they wait.

An rclpy callback has to return the response, and one that waits keeps a thread of the executor:
a few waiting clients then silence the whole node. Here a callback begins the work and returns what
is still to come; the response is sent when it is there, from a thread of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from lerf_ros.bridge import qos


class DeferredServices:
    """Makes services that answer later.

    Args:
        node: The node.
        fail: Returns the response of a service type for an exception, in one sentence.
    """

    def __init__(self, node: Node, fail: Callable[[Any, BaseException], Any]) -> None:
        self._node, self._fail = node, fail
        # One thread: responses are made in the order in which their work ended.
        self._responses = ThreadPoolExecutor(1, thread_name_prefix='responses')
        self._closed = threading.Event()

    def create(
        self,
        kind: Any,
        name: str,
        begin: Callable[[Any, Any], tuple[Future[Any], Callable[[Any], None]] | None],
        group: CallbackGroup,
    ) -> None:
        """Creates a service.

        Args:
            kind: Type of the service.
            name: Its name.
            begin: Takes request and response. Returns the future result and what fills the
                response from it, or None where the response is complete. What it or the future
                raises becomes a response of :attr:`fail`.
            group: Callback group of the short callback.
        """

        def start(request: Any, response: Any) -> Any:
            try:
                begun = begin(request, response)
            except Exception as error:
                return self._fail(response, error)
            return response if begun is None else (*begun, response)

        service = self._node.create_service(
            kind, name, start, qos_profile=qos.SERVICES, callback_group=group
        )
        send = service.send_response

        def send_later(begun: Any, header: Any) -> None:
            if not isinstance(begun, tuple):
                send(begun, header)
                return
            future, fill, response = begun

            def respond() -> None:
                try:
                    fill(future.result())
                except BaseException as error:  # a cancelled future raises no Exception
                    self._fail(response, error)
                if not self._closed.is_set():
                    send(response, header)

            future.add_done_callback(lambda _: self.later(respond))

        # The executor sends what the callback returned through this method of the service.
        service.send_response = send_later  # type: ignore[method-assign, assignment]

    def later(self, work: Callable[[], Any]) -> None:
        """Does work in the thread of the responses, after those that wait."""
        if not self._closed.is_set():
            self._responses.submit(work)

    def close(self) -> None:
        """Sends what is ready, and nothing after it."""
        self._responses.shutdown(wait=True)
        self._closed.set()
