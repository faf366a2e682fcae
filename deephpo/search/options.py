"""What an option of a search, or of a stopping rule, may be: its kinds, and the check of all options said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from deephpo.errors import OptionError, unknown_name
from deephpo.space.values import is_whole


class Option(Protocol):
    """One option: it checks a value, reads it from a text, has a default."""

    @property
    def default(self) -> Any:
        """The value that it has unless another one is said."""

    @property
    def help(self) -> str:
        """What it is, in half a line."""

    def check(self, name: str, value: Any) -> None:
        """Raise OptionError for a value that the option does not take."""

    def read(self, text: str) -> Any:
        """Return the value that a text on the command line stands for; raises ValueError."""


@dataclass(frozen=True)
class Choice:
    """One of some names."""

    default: str
    help: str
    names: tuple[str, ...]

    def check(self, name: str, value: Any) -> None:
        """Raise OptionError for a name that is not among them."""
        if value not in self.names:
            raise OptionError(unknown_name(name, value, self.names))

    def read(self, text: str) -> str:
        """Return the text; whether it is a name is for ``check`` to say."""
        return text


@dataclass(frozen=True)
class Number:
    """A number from ``least`` on, up to ``most``, never infinite.

    needs: the other option, and its values, without which this one has no effect.
    or_zero: whether 0 is taken besides, and stands for something of its own.
    """

    default: float
    help: str
    least: float = 0.0
    most: float = math.inf
    needs: tuple[str, tuple[str, ...]] | None = None
    or_zero: bool = False

    def check(self, name: str, value: Any) -> None:
        """Raise OptionError for what is no such number."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self._holds(value):
            wanted = f"a number{self._range()}"
            wanted = f"0 or {wanted}" if self.or_zero else f"{wanted}, such as {self.default:g}"
            raise OptionError(f"{name} must be {wanted}, not {value!r}.")

    def _holds(self, value: float) -> bool:
        in_range = self.least <= value <= self.most and math.isfinite(value)
        return in_range or (self.or_zero and value == 0)

    def _range(self) -> str:
        if self.least == -math.inf:
            return ""
        return f" from {self.least:g} " + (f"to {self.most:g}" if self.most < math.inf else "on")

    def read(self, text: str) -> float:
        """Return the number."""
        return float(text)


@dataclass(frozen=True)
class Count:
    """A whole number from ``least`` on.

    not_below: another count beside it, than which this one must not be smaller.
    """

    default: int
    help: str
    least: int = 1
    not_below: str | None = None

    def check(self, name: str, value: Any) -> None:
        """Raise OptionError for what is no such number."""
        if not is_whole(value, self.least):
            raise OptionError(f"{name} must be a whole number from {self.least} on, not {value!r}.")

    def read(self, text: str) -> int:
        """Return the number."""
        return int(text)


def check_options(
    kind: str,
    name: str,
    table: Mapping[str, Mapping[str, Option]],
    said: Mapping[str, Any],
    whose: str = "",
) -> None:
    """Raise OptionError for an option that there is not, or values that are not taken.

    kind: what has the options, such as "search"; name: which one, a key of the table.
    table: the options of all of that kind, to say where an option belongs.
    said: the options whose values are said; the others are at their defaults.
    whose: what a sentence about a value begins with, if several of that kind may be meant.
    """
    declared = table[name]
    for option, value in said.items():
        if option not in declared:
            takes = f"takes {', '.join(declared)}" if declared else "takes no options of its own"
            others = [other for other, options in table.items() if option in options]
            elsewhere = f" It is an option of {' and '.join(others)}." if others else ""
            raise OptionError(f"The {kind} {name!r} has no option {option!r}; it {takes}.{elsewhere}")
        declared[option].check(f"{whose}{option}", value)
    _check_effect(declared, said, whose)
    _check_order(declared, said, whose)


def _check_effect(declared: Mapping[str, Option], said: Mapping[str, Any], whose: str) -> None:
    for name, value in said.items():
        option = declared[name]
        if isinstance(option, Number) and option.needs and value != option.default:
            other, values = option.needs
            chosen = said.get(other, declared[other].default)
            if chosen not in values:
                raise OptionError(
                    f"{whose}{name} has no effect with {other} {chosen}; it is for {other} "
                    f"{' and '.join(values)}."
                )


def _check_order(declared: Mapping[str, Option], said: Mapping[str, Any], whose: str) -> None:
    for name, option in declared.items():
        other = option.not_below if isinstance(option, Count) else None
        if other is None:
            continue
        value, least = said.get(name, option.default), said.get(other, declared[other].default)
        if value < least:
            raise OptionError(
                f"{whose}{name} must be at least {other}, which is {least}, not {value}: "
                "raise the one or lower the other."
            )
