"""What a map says when it cannot answer."""

from __future__ import annotations


class NotReadyError(RuntimeError):
    """The map cannot answer yet; the message says what is missing."""
