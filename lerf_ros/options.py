"""How an option is declared and checked: its type, text, unit and range."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any


def option(
    default: Any,
    text: str,
    *,
    unit: str = '',
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Any:
    """Declares one option.

    Args:
        default: The default; its type is the option's type.
        text: One sentence that says what the option does.
        unit: Unit of a number.
        low: Smallest allowed number.
        high: Largest allowed number.
        choices: Allowed strings; empty allows all.
        live: Whether it may change while the node runs.
    """
    metadata = dict(text=text, unit=unit, low=low, high=high, choices=choices, live=live)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class OptionInfo:
    """What is known of one option, for parameters, help and tables."""

    name: str
    default: Any
    text: str
    unit: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    live: bool

    def check(self, value: Any) -> Any:
        """Returns the value in the option's type.

        Raises:
            ValueError: The value is of another type, out of range or no allowed choice.
        """
        kind = type(self.default)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not kind:
            raise ValueError(f'{self.name}: expected {kind.__name__}, got {value!r}')
        if kind in (int, float):
            if not math.isfinite(value):
                raise ValueError(f'{self.name}: expected a finite number, got {value}')
            if self.low is not None and value < self.low:
                raise ValueError(f'{self.name}: expected at least {self.low}, got {value}')
            if self.high is not None and value > self.high:
                raise ValueError(f'{self.name}: expected at most {self.high}, got {value}')
        if self.choices and value not in self.choices:
            raise ValueError(f'{self.name}: expected one of {self.choices}, got {value!r}')
        return value


def section_options(section: type) -> list[OptionInfo]:
    """Returns what is known of each option of one group."""
    return [
        OptionInfo(name=field.name, default=field.default, **field.metadata)
        for field in dataclasses.fields(section)
    ]


class Section:
    """Base of the option groups: checks each value, and values together, when a group is made."""

    def __post_init__(self) -> None:
        for info in section_options(type(self)):
            object.__setattr__(self, info.name, info.check(getattr(self, info.name)))
        self.check_together()

    def check_together(self) -> None:
        """Checks what one value alone cannot tell; groups with such values override it.

        Raises:
            ValueError: Two values contradict each other.
        """

    def require_order(self, lower: str, upper: str, *, strictly: bool = False) -> None:
        """Checks that one option does not exceed another.

        Args:
            lower: Name of the one.
            upper: Name of the other.
            strictly: Whether they may not be equal either.

        Raises:
            ValueError: It does.
        """
        low, high = getattr(self, lower), getattr(self, upper)
        if low > high or (strictly and low == high):
            relation = 'less than' if strictly else 'at most'
            raise ValueError(f'{lower}: expected {relation} {upper} = {high:g}, got {low:g}')
