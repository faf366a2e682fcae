"""Sums of time spans, of which some still go on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Spans:
    """Adds up time spans as they begin and end; the sum is known at once, however many there were."""

    ended_s: float = 0.0
    """The sum of those that ended."""
    going: int = 0
    """How many have not ended."""
    began_s: float = 0.0
    """The sum of the beginnings of those."""

    def begin(self, began_s: float) -> None:
        """Let one begin."""
        self.going += 1
        self.began_s += began_s

    def end(self, began_s: float, ended_s: float) -> None:
        """Let one end that began then."""
        self.going -= 1
        # Without any it is zero again, and what was lost in rounding with it.
        self.began_s = self.began_s - began_s if self.going else 0.0
        self.ended_s += ended_s - began_s

    def total_s(self, now_s: float) -> float:
        """Return the sum of all, up to now of those that go on."""
        return self.ended_s + self.going * now_s - self.began_s
