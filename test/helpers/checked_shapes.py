"""How annotations are checked while the tests run: shapes by jaxtyping, all else by beartype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype

# An int may stand for a float, as type checkers have it (PEP 484).
_check = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Checks what a function is given; the check is made at its first call, since most have none.

    jaxtyping makes two such checks of every function of the package when it is imported.
    """
    check: Callable[..., Any] | None = None

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal check
        if check is None:
            check = _check(function)
        return check(*args, **kwargs)

    return call
