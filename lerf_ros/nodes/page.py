"""The web page of a field node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rclpy.node import Node

from lerf_ros.nodes.health import Health
from lerf_ros.runtime.host import MapHost

if TYPE_CHECKING:
    from lerf_ros.viewer.server import Viewer


def open_page(node: Node, host: MapHost, health: Health) -> Viewer | None:
    """Opens the page where the options ask for it.

    Raises:
        ValueError: It is asked for, and viser is not installed.
        OSError: The address is not one of this machine, or no port is free.
    """
    if not host.options.current.viewer.enabled:
        return None
    try:
        from lerf_ros.viewer.map_access import MapAccess
        from lerf_ros.viewer.server import Viewer
    except ModuleNotFoundError as error:
        raise ValueError(
            f'viewer.enabled: {error.name} is not installed; pip install "lerf_ros[viewer]"'
        ) from error
    topic = node.resolve_topic_name('keyframes')

    def note() -> str:
        """Returns why no keyframe has come, or what went wrong just now."""
        if host.intake.received == 0 and host.map.keyframe_count == 0:
            if node.count_publishers(topic) == 0:
                return f'nobody publishes {topic}: is the keyframe node running?'
            return f'the keyframe node is there, but nothing came on {topic}: see its log'
        return health.complaint

    viewer = Viewer(MapAccess(host, note), host.options.current)
    node.get_logger().info(f'the map is shown on {viewer.url}')
    return viewer
