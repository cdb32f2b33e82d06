"""A robot that talks to a field node over real topics and services, and a scene it sees."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from lerf_ros.bridge import qos
from lerf_ros.bridge.keyframes import keyframe_message
from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import PinholeCamera, look_at
from lerf_ros.msg import FieldStatus, Keyframe
from lerf_ros.nodes.field_node import FieldNode
from lerf_ros.srv import QueryLanguage

CAMERA = PinholeCamera(fx=80.0, fy=80.0, cx=48.0, cy=36.0, width=96, height=72)
SECOND = 1_000_000_000
POSITIONS = ((0.2, 0.0, 0.8), (-0.2, 0.1, 0.8), (0.0, -0.2, 0.9))


def frame(number: int) -> PosedFrame:
    """A floor with coloured squares, seen from above; its depth is exact."""
    camera_to_world = look_at(np.array(POSITIONS[number % 3]), np.zeros(3), np.array([0, 1.0, 0]))
    uv = np.stack(np.meshgrid(np.arange(96) + 0.5, np.arange(72) + 0.5), axis=-1)
    directions = np.concatenate([(uv - [48, 36]) / 80, np.ones((72, 96, 1))], axis=-1)
    directions = directions @ camera_to_world[:3, :3].T
    depth_m = -camera_to_world[2, 3] / directions[..., 2]
    floor = camera_to_world[:3, 3] + directions * depth_m[..., None]
    squares = np.floor(floor[..., :2] / 0.1).astype(int)
    image = np.stack(
        [squares[..., 0] * 60 % 256, squares[..., 1] * 80 % 256, squares.sum(-1) * 40 % 256], -1
    )
    return PosedFrame(
        image.astype(np.uint8),
        depth_m.astype(np.float32),
        CAMERA,
        camera_to_world,
        (number + 1) * SECOND,
        'camera',
    )


class Robot:
    """Talks to the node as a robot's other nodes would."""

    def __init__(self, helper: Node, node: FieldNode | None = None) -> None:
        # None where the field node is a process of its own.
        self.node: Any = node
        self.helper = helper
        self.on_status: Callable[[], None] = lambda: None
        self.status: FieldStatus | None = None
        self.keyframes = helper.create_publisher(Keyframe, '/lerf/keyframes', qos.KEYFRAMES)
        helper.create_subscription(FieldStatus, '/lerf/status', self._take_status, qos.LATCHED)
        self._clients: dict[str, Any] = {}
        self._index = 0

    def _take_status(self, message: FieldStatus) -> None:
        self.status = message
        self.on_status()

    def send(self, number: int) -> None:
        """Sends a view of the floor; its stamp is number + 1 seconds."""
        self.send_frame(frame(number))

    def send_frame(self, view: PosedFrame) -> None:
        """Sends a view, numbered as a keyframe node would."""
        self.keyframes.publish(keyframe_message(view, self._index, 'map', 90, source='robot'))
        self._index += 1

    def call_async(self, name: str, kind: Any, **fields: Any) -> Any:
        if name not in self._clients:
            self._clients[name] = self.helper.create_client(
                kind, f'/lerf/{name}', qos_profile=qos.SERVICES
            )
        client = self._clients[name]
        assert client.wait_for_service(10.0), f'{name} is not there'
        return client.call_async(kind.Request(**fields))

    def call(self, name: str, kind: Any, **fields: Any) -> Any:
        future = self.call_async(name, kind, **fields)
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(60), f'{name}: no answer'
        return future.result()

    def set(self, name: str, value: Any) -> Any:
        """Sets a parameter by the real service, as `ros2 param set` does."""
        values = [Parameter(name, value=value).to_parameter_msg()]
        return self.call('field_node/set_parameters', SetParameters, parameters=values).results[0]

    def query(self, *positives: str, **fields: Any) -> Any:
        return self.call('query', QueryLanguage, positives=list(positives), **fields)

    def trigger(self, name: str) -> Any:
        return self.call(name, Trigger)

    def step(self) -> int:
        """Returns the number of training steps, without asking the node."""
        return self.node._host.map.step_count

    def integrated(self) -> int:
        """Returns the number of keyframes in the map, without asking the node."""
        return self.node._host.intake.integrated
