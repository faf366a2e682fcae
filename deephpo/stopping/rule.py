"""The one protocol of all stopping rules."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from deephpo.stopping.curve import Curve


class StoppingRule(Protocol):
    """Judges running trials by their curves; it knows no clock, no worker and no random numbers.

    What it says is a function of the order in which it was called, so that a search that is resumed judges as
    the one that was cut off: the journal holds all reports and ends in that order.
    """

    @property
    def first_step(self) -> float:
        """The earliest step at which it can stop a trial that reports every step; infinity: at none."""

    def judge(self, curve: Curve) -> str | None:
        """Take note of the last report of a running trial; returns why the trial is to be stopped, or None.

        Why is a sentence for the user about what was found at that report's step, which it need not name.

        Called once for every report, in the order in which they come; at 10,000 running trials it may take
        0.2 ms.  A trial that is to be stopped may report once or twice more, for which this is not called.
        """

    def close(self, curve: Curve, completed: bool) -> None:
        """Take note that a trial is over, with its curve; completed: whether it trained to its end.

        Not called for a trial that goes out again: its curve goes on where it was.
        """


@runtime_checkable
class PromotingRule(StoppingRule, Protocol):
    """A rule that can take a verdict back, when what came since makes a stopped trial one of the best."""

    @property
    def promotes(self) -> bool:
        """Whether it can with the options that it has."""

    def promote(self) -> int | None:
        """Return a trial that it stopped and that is to go on after all, each once; None if there is none."""
