"""Asking by a topic, for people with RViz or Foxglove: a string in, latched answers out.

Subscribes ``ask``: phrases with commas between them, ``red mug, mug; handle``. The places come on
``markers``, ``maxima`` and ``relevancy_cloud`` as after any query, and ``answer`` says them in
words, also why there is no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from std_msgs.msg import String

from lerf_ros.bridge import qos
from lerf_ros.query.request import QueryRequest, QueryResult
from lerf_ros.runtime.host import Answer, MapHost

NEXT = ','


class AskTopic:
    """Asks the map what comes on a topic.

    Args:
        node: The node.
        host: The map.
        later: Does work in the one thread in which answers are made.
        on_results: Called there with the results and the first phrase.
    """

    def __init__(
        self,
        node: Node,
        host: MapHost,
        later: Callable[[Callable[[], None]], None],
        on_results: Callable[[Sequence[QueryResult], str], None],
    ) -> None:
        self._host, self._later, self._on_results = host, later, on_results
        self._answer = node.create_publisher(String, 'answer', qos.LATCHED)
        node.create_subscription(
            String, 'ask', self._ask, 10, callback_group=MutuallyExclusiveCallbackGroup()
        )

    def _ask(self, message: String) -> None:
        phrases = tuple(text.strip() for text in message.data.split(NEXT) if text.strip())
        try:
            request = QueryRequest(positives=phrases)
            request.check()
            asked = self._host.ask(request)
        except (ValueError, RuntimeError) as error:
            self._tell(str(error))
            return
        asked.add_done_callback(lambda done: self._later(lambda: self._show(done, phrases[0])))

    def _show(self, asked: Future[Answer], phrase: str) -> None:
        if asked.cancelled() or (error := asked.exception()) is not None:
            self._tell('the question was given up' if asked.cancelled() else str(error))
            return
        answer = asked.result()
        if answer.map_id == self._host.map.id:
            self._on_results(answer.results, phrase)
        self._tell('; '.join(sentence(result) for result in answer.results))

    def _tell(self, text: str) -> None:
        self._answer.publish(String(data=text))


def sentence(result: QueryResult) -> str:
    """Returns an answer in words."""
    if not result.exists or not result.maxima:
        return f'{result.phrase}: not found (confidence {result.confidence:.2f})'
    places = ', '.join(
        'at ' + ' '.join(f'{value:.3f}' for value in maximum.position_m)
        for maximum in result.shown
    )
    return f'{result.phrase}: {places} (confidence {result.confidence:.2f})'
