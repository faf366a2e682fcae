"""Numbers and times on the command line: how people write them, and which are refused."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from deephpo.errors import OptionError

_UNITS_S = (86400, 3600, 60, 1)
_NUMBER = r"(\d+\.?\d*|\.\d+)"
_SPAN = re.compile("".join(rf"(?:{_NUMBER}{unit})?" for unit in "dhms"))
"""90s, 30m, 1h30m: as people write it."""
_CLOCK = re.compile(r"(?:(\d+)-)?(\d+):([0-5]\d):([0-5]\d)")
"""2:00:00, 1-12:00:00: as Slurm and PBS write it."""


def at_least(option: str, least: int) -> Callable[[str], int]:
    """Return what reads a whole number for argparse; it raises OptionError for one below ``least``."""

    def parse(text: str) -> int:
        number = int(text)
        if number < least:
            raise OptionError(f"{option} must be at least {least}, not {number}.")
        return number

    parse.__name__ = "int"  # argparse names it when the text is no number
    return parse


def finite(option: str, above: float = -math.inf) -> Callable[[str], float]:
    """Return what reads a number for argparse; it raises OptionError for one that is not above ``above``."""

    def parse(text: str) -> float:
        number = float(text)
        if not above < number < math.inf:
            least = "" if above == -math.inf else f" above {above:g}"
            raise OptionError(f"{option} must be a finite number{least}, not {text}.")
        return number

    parse.__name__ = "number"  # argparse names it when the text is no number
    return parse


def parse_time(text: str) -> float:
    """Return the seconds of "90s", "1h30m", "1d", "2:00:00" or "90"; raises OptionError for anything else."""
    span = f"{text}s" if re.fullmatch(_NUMBER, text) else text
    match = _SPAN.fullmatch(span) or _CLOCK.fullmatch(text)
    if match is None or not any(match.groups()):
        raise OptionError(
            f"A time is written 90s, 30m, 1h30m, 2h, 1d or 2:00:00, not {text!r}; 90 means 90s."
        )
    seconds = sum(
        float(number) * unit_s for number, unit_s in zip(match.groups(), _UNITS_S, strict=True) if number
    )
    if not 0 < seconds < math.inf:
        raise OptionError(f"A time must be above 0 and have an end, not {text!r}.")
    return seconds
