"""The options as they are now: one owner, whom everybody asks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from lerf_ros.config import LerfConfig, flat_options


class LiveOptions:
    """Current values of all options, and those who must hear of a change.

    Args:
        config: The values to begin with.
    """

    def __init__(self, config: LerfConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._listeners: list[Callable[[LerfConfig], None]] = []

    @property
    def current(self) -> LerfConfig:
        """All options as they are now."""
        return self._config

    def on_change(self, listener: Callable[[LerfConfig], None]) -> None:
        """Calls a listener with all options after each change, in the thread that makes it."""
        self._listeners.append(listener)

    def judge(self, values: Mapping[str, Any]) -> LerfConfig:
        """Returns what the options would be; changes nothing.

        Args:
            values: By ``'group.option'``.

        Raises:
            ValueError: An option is unknown, not live, of the wrong type, out of range, or at odds
                with another one.
        """
        infos = dict(flat_options())
        now = self._config.flat()
        fixed = [
            name
            for name, value in values.items()
            if name in infos and not infos[name].live and value != now[name]
        ]
        if fixed:
            raise ValueError(f'{fixed[0]}: it cannot be changed while the map is running')
        return self._config.replace(values)

    def change(self, values: Mapping[str, Any]) -> LerfConfig:
        """Sets options, tells the listeners, and returns what the options are now.

        Raises:
            ValueError: As :meth:`judge`; nothing is changed.
        """
        with self._lock:
            self._config = config = self.judge(values)
        for listener in self._listeners:
            listener(config)
        return config
