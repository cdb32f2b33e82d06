"""Messages of a ROS bag, read without a ROS install: whole ones, and what is left of others.

rosbags reads bags of ROS 1 and 2 that were closed properly. A recorder that died leaves an MCAP
without its end or a database cut short; what is whole in them is read here, message by message.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sqlite3
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import lz4.frame
import zstandard
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, McapRecord, Message, Schema
from mcap.stream_reader import StreamReader
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.rosbag2 import ReaderError
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore

logger = logging.getLogger(__name__)

MCAP_MAGIC = b'\x89MCAP0\r\n'
RECORD_HEAD = struct.Struct('<BQ')
# Two times, the size and the checksum of a chunk stand before the name of its compression.
CHUNK_NUMBERS = 3 * 8 + 4

#: Topic, time of recording in nanoseconds, message.
Record = tuple[str, int, Any]
#: Topic, time of recording in nanoseconds, bytes as they went over the wire.
RawRecord = tuple[str, int, bytes]
#: Hears of each message that cannot be unpacked.
Refuse = Callable[[str], object]


def ignore(sentence: str) -> None:
    """Hears and says nothing."""


@runtime_checkable
class BagReader(Protocol):
    """Messages in the order they were recorded."""

    topics: dict[str, str]
    """Type of each topic, as in ``sensor_msgs/msg/Image``."""
    damage: str
    """What is wrong with the bag, in a sentence; empty if nothing is."""

    def messages(self, topics: Sequence[str], refuse: Refuse = ignore) -> Iterator[Record]:
        """Yields the messages of some topics; says what of each that cannot be unpacked."""
        ...

    def raw(self, topics: Sequence[str]) -> Iterator[RawRecord]:
        """Yields the messages of some topics as they were sent."""
        ...


class WholeBag:
    """A bag that rosbags reads."""

    damage = ''

    def __init__(self, reader: AnyReader) -> None:
        self._reader = reader
        self.topics = {name: info.msgtype or '' for name, info in reader.topics.items()}

    def messages(self, topics: Sequence[str], refuse: Refuse = ignore) -> Iterator[Record]:
        """Yields the messages of some topics."""
        connections = [c for c in self._reader.connections if c.topic in topics]
        if not connections:
            return
        for connection, stamp_ns, raw in self._reader.messages(connections=connections):
            try:
                message = self._reader.deserialize(raw, connection.msgtype)
            except AnyReaderError as error:
                refuse(f'{connection.topic}: a message that cannot be unpacked: {error}')
                continue
            yield connection.topic, stamp_ns, message

    def raw(self, topics: Sequence[str]) -> Iterator[RawRecord]:
        """Yields the messages of some topics as they were sent."""
        connections = [c for c in self._reader.connections if c.topic in topics]
        if connections:
            for connection, stamp_ns, raw in self._reader.messages(connections=connections):
                yield connection.topic, stamp_ns, bytes(raw)


class Deserializer:
    """Messages of bags whose own index is gone, by the definitions that they carry."""

    def __init__(self) -> None:
        self._store = get_typestore(Stores.ROS2_JAZZY)
        self._asked: set[str] = set()

    def define(self, name: str, definition: str) -> None:
        """Learns a type from its definition; known ones stay."""
        if name in self._asked or name in self._store.fielddefs:
            return
        self._asked.add(name)
        types = get_types_from_msg(definition, name)
        new = {key: value for key, value in types.items() if key not in self._store.fielddefs}
        self._store.register(new)

    def message(self, raw: bytes, name: str, topic: str, refuse: Refuse) -> Any:
        """Returns a message from its bytes; None, and says what of, if that cannot be done."""
        try:
            return self._store.deserialize_cdr(raw, name)
        except (SerdeError, TypesysError, KeyError, ValueError) as error:
            refuse(f'{topic}: a message that cannot be unpacked: {error}')
            return None


class CutMcap:
    """An MCAP file without its end: its records are read one after the other."""

    def __init__(self, paths: Sequence[Path], damage: str) -> None:
        self._paths, self.damage = paths, damage
        self._types = Deserializer()
        self.topics: dict[str, str] = {}
        for path in paths:
            for _ in self._records(path, set()):
                pass

    def messages(self, topics: Sequence[str], refuse: Refuse = ignore) -> Iterator[Record]:
        """Yields the messages of some topics that are whole."""
        for topic, stamp_ns, raw in self.raw(topics):
            message = self._types.message(raw, self.topics[topic], topic, refuse)
            if message is not None:
                yield topic, stamp_ns, message

    def raw(self, topics: Sequence[str]) -> Iterator[RawRecord]:
        """Yields the messages of some topics that are whole, as they were sent."""
        for path in self._paths:
            yield from self._records(path, set(topics))

    def _records(self, path: Path, topics: set[str]) -> Iterator[RawRecord]:
        schemas: dict[int, Schema] = {}
        channels: dict[int, Channel] = {}
        for record in whole_records(path):
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel):
                channels[record.id] = record
                schema = schemas.get(record.schema_id)
                if schema is not None:
                    self.topics[record.topic] = schema.name
                    if schema.encoding == 'ros2msg':
                        self._types.define(schema.name, schema.data.decode())
            elif isinstance(record, Message):
                channel = channels.get(record.channel_id)
                if channel is not None and channel.topic in topics:
                    yield channel.topic, record.log_time, record.data


def whole_records(path: Path) -> Iterator[McapRecord]:
    """Yields the records of an MCAP file up to where it was cut off, within a chunk too."""
    size = path.stat().st_size
    with path.open('rb') as stream:
        if stream.read(len(MCAP_MAGIC)) != MCAP_MAGIC:
            raise ValueError(f'{path}: expected an MCAP file, got another beginning')
        while len(head := stream.read(RECORD_HEAD.size)) == RECORD_HEAD.size:
            opcode, length = RECORD_HEAD.unpack(head)
            body = stream.read(min(length, size))
            if len(body) == length:
                records = head + body
            elif opcode == Opcode.CHUNK:
                records = _beginning_of_chunk(body)
            else:
                return
            # The end of what is whole comes as an error of the library.
            with contextlib.suppress(McapError, EOFError, ValueError):
                yield from StreamReader(io.BytesIO(records), skip_magic=True).records


def _beginning_of_chunk(body: bytes) -> bytes:
    """Returns what can be unpacked of a chunk whose end is missing."""
    try:
        (name_length,) = struct.unpack_from('<I', body, CHUNK_NUMBERS)
        start = CHUNK_NUMBERS + 4 + name_length
        compression = body[CHUNK_NUMBERS + 4 : start]
        packed = body[start + 8 :]
    except struct.error:
        return b''
    if compression == b'zstd':
        with contextlib.suppress(zstandard.ZstdError):
            return zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    elif compression == b'lz4':
        with contextlib.suppress(RuntimeError):
            return lz4.frame.LZ4FrameDecompressor().decompress(packed)
    elif not compression:
        return packed
    return b''


class CutDatabase:
    """A sqlite3 bag whose metadata is gone or whose end is missing."""

    def __init__(self, paths: Sequence[Path], damage: str) -> None:
        self._paths, self.damage = paths, damage
        self._types = Deserializer()
        self.topics: dict[str, str] = {}
        for path in paths:
            with self._open(path) as database:
                self.topics |= dict(database.execute('SELECT name, type FROM topics'))
                with contextlib.suppress(sqlite3.Error):
                    query = (
                        'SELECT topic_type, encoded_message_definition FROM message_definitions '
                        "WHERE encoding = 'ros2msg'"
                    )
                    for name, definition in database.execute(query):
                        self._types.define(name, definition)

    @contextlib.contextmanager
    def _open(self, path: Path) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(f'file:{path}?mode=ro', uri=True)
        try:
            yield database
        finally:
            database.close()

    def messages(self, topics: Sequence[str], refuse: Refuse = ignore) -> Iterator[Record]:
        """Yields the messages of some topics up to the first that is damaged."""
        for topic, stamp_ns, raw in self.raw(topics):
            message = self._types.message(raw, self.topics[topic], topic, refuse)
            if message is not None:
                yield topic, stamp_ns, message

    def raw(self, topics: Sequence[str]) -> Iterator[RawRecord]:
        """Yields the messages of some topics up to the first that is damaged, as sent."""
        for path in self._paths:
            with self._open(path) as database:
                # By number, not by time: an order needs an index, which may be what is damaged.
                query = (
                    'SELECT topics.name, messages.timestamp, messages.data FROM messages '
                    'JOIN topics ON topics.id = messages.topic_id ORDER BY messages.id'
                )
                with contextlib.suppress(sqlite3.DatabaseError):
                    for topic, stamp_ns, raw in database.execute(query):
                        if topic in topics:
                            yield topic, stamp_ns, raw


@contextlib.contextmanager
def open_bag(path: Path) -> Iterator[BagReader]:
    """Opens a bag: a folder (ROS 2) or a file (ROS 1, MCAP, sqlite3).

    Raises:
        ValueError: It is no bag, or one of which nothing can be read.
    """
    reader, failure = None, ''
    try:
        reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY))
        reader.open()
    except (AnyReaderError, ReaderError, TypesysError, OSError, AssertionError) as error:
        reader, failure = None, str(error)
    if reader is not None:
        try:
            yield WholeBag(reader)
        finally:
            reader.close()
        return
    yield _salvaged(path, failure)


def _salvaged(path: Path, failure: str) -> BagReader:
    """Returns what can be read of a bag that rosbags refuses.

    Raises:
        ValueError: Nothing can.
    """
    folder = sorted(path.iterdir()) if path.is_dir() else [path]
    for ending, kind, mend in (
        ('.mcap', CutMcap, 'mcap recover'),
        ('.db3', CutDatabase, 'ros2 bag reindex'),
    ):
        files = [file for file in folder if file.suffix == ending and file.stat().st_size]
        if not files:
            continue
        damage = f'{failure}: read what is whole ("{mend}" mends the bag)'
        try:
            salvaged: BagReader = kind(files, damage)
        except (sqlite3.Error, McapError, OSError, ValueError) as error:
            failure = f'{failure}; {error}'
            continue
        if salvaged.topics:
            return salvaged
    hint = ''
    if any(file.name.endswith(('.bag', '.bag.active')) for file in folder):
        hint = '; "rosbag reindex" mends a ROS 1 bag whose recorder died'
    raise ValueError(f'{path}: expected a bag, got {failure}{hint}')
