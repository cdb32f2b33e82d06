"""What a part of ``benchmarks/gpu.py`` has measured so far."""

from __future__ import annotations

import json
from typing import Any


class Figures(dict[str, Any]):
    """Figures by name; a line of JSON with all of them is printed whenever one is added.

    So a part that is cut off at its limit has told what it had.
    """

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        print(json.dumps(self), flush=True)

    def __ior__(self, others: dict[str, Any]) -> Figures:  # type: ignore[override, misc]
        super().update(others)
        print(json.dumps(self), flush=True)
        return self
