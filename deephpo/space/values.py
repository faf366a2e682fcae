"""From what a user wrote to what may cross a border: exact str, int, float, bool and None.

A numpy number, a StrEnum member and the like are subclasses of these types or act as they do, but YAML
cannot write them, and reading them back would import the module that defines them.
"""

from __future__ import annotations

import math
import numbers
from enum import Enum
from typing import Any, TypeGuard


def plain(value: Any) -> Any:
    """Return a numpy scalar, or an instance of a subclass, as the exact str, int, float or bool it means.

    Whatever stands for none of these is returned as it is.
    """
    if isinstance(value, Enum) and isinstance(value, str | int | float):
        value = value.value
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool):
        return value
    # Not str(value) and its like, which a subclass may have changed.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    return float.__float__(value) if isinstance(value, float) else value


def is_number(value: Any) -> bool:
    """Return whether ``value`` is a finite number that a float can hold; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def is_whole(value: Any, least: int) -> TypeGuard[int]:
    """Return whether a plain value is a whole number from ``least`` on; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def why_no_value(value: Any) -> str:
    """Return why ``value`` cannot stand in a configuration, in words; empty if it can."""
    if type(value) not in (str, int, float, bool, type(None)):
        return f"is a {type(value).__name__}; allowed are str, int, float, bool and None"
    if isinstance(value, float) and not math.isfinite(value):
        return "is not finite; write None or a text for it"
    return ""
