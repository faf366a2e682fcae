"""What an option of a search may be: each kind checks a value, reads it from a text, has a default."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

from deephpo.errors import OptionError, unknown_name


class Option(Protocol):
    """One option of a search."""

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
    """A number from ``least`` on, up to ``most``.

    needs: the other option, and its values, without which this one has no effect.
    """

    default: float
    help: str
    least: float = 0.0
    most: float = math.inf
    needs: tuple[str, tuple[str, ...]] | None = None

    def check(self, name: str, value: Any) -> None:
        """Raise OptionError for what is no such number."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self._holds(value):
            upper = f"to {self.most:g}" if self.most < math.inf else "on"
            raise OptionError(
                f"{name} must be a number from {self.least:g} {upper}, such as {self.default:g}, "
                f"not {value!r}."
            )

    def _holds(self, value: float) -> bool:
        return self.least <= value <= self.most and value < math.inf

    def read(self, text: str) -> float:
        """Return the number."""
        return float(text)


@dataclass(frozen=True)
class Count:
    """A whole number from ``least`` on.

    not_below: another count of the same search, than which this one must not be smaller.
    """

    default: int
    help: str
    least: int = 1
    not_below: str | None = None

    def check(self, name: str, value: Any) -> None:
        """Raise OptionError for what is no such number."""
        if isinstance(value, bool) or not isinstance(value, int) or value < self.least:
            raise OptionError(f"{name} must be a whole number from {self.least} on, not {value!r}.")

    def read(self, text: str) -> int:
        """Return the number."""
        return int(text)
