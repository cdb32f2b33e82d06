"""Bags written without a ROS install: MCAP as ``ros2 bag`` writes it."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore


def message_store(**definitions: str) -> Typestore:
    """Returns the messages of Jazzy and those of ``lerf_ros`` whose definitions are given.

    Args:
        **definitions: Text of a ``.msg`` file by its name, such as ``Keyframe``.
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, text in definitions.items():
        store.register(get_types_from_msg(text, f'lerf_ros/msg/{name}'))
    return store


class BagWriter:
    """Writes a bag, a folder, message by message. A context manager: leaving it ends the bag.

    Args:
        path: The folder; there must be nothing of that name.
        store: Knows the types.
        plugin: How messages are stored.

    Raises:
        ValueError: There is something, or the folder above is missing.
    """

    def __init__(
        self, path: Path, store: Typestore, plugin: StoragePlugin = StoragePlugin.MCAP
    ) -> None:
        if path.exists():
            raise ValueError(f'output: expected a new bag, got {path}, which exists')
        if not path.parent.is_dir():
            raise ValueError(f'output: there is no folder {path.parent}; make it first')
        self._store = store
        self._writer = Writer(path, version=9, storage_plugin=plugin)
        self._connections: dict[str, Connection] = {}
        self.count = 0

    def __enter__(self) -> BagWriter:
        try:
            self._writer.open()
        except WriterError as error:
            raise ValueError(f'output: {error}') from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()

    def write(self, topic: str, record_ns: int, message: Any) -> None:
        """Writes a message of rosbags.

        Args:
            topic: Its topic; all messages of one topic have one type.
            record_ns: When it was heard.
            message: The message.
        """
        kind = message.__msgtype__
        self.write_raw(topic, record_ns, kind, bytes(self._store.serialize_cdr(message, kind)))

    def write_raw(self, topic: str, record_ns: int, kind: str, raw: bytes) -> None:
        """Writes a message as it went over the wire.

        Args:
            topic: Its topic.
            record_ns: When it was heard.
            kind: Its type, as in ``sensor_msgs/msg/Image``.
            raw: CDR bytes, with their header.
        """
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=self._store
            )
        self._writer.write(self._connections[topic], record_ns, raw)
        self.count += 1
