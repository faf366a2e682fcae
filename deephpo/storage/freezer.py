"""Keeps what lasts out of the sight of Python's garbage collector.

A full collection looks at every object that could be part of a cycle: with 100,000 trials it holds up the
message loop for 0.1 s, half of that for the libraries alone, and finds nothing there, because what is known
of trials has no cycles.
"""

from __future__ import annotations

import gc

from deephpo.storage.records import Record
from deephpo.storage.run_state import RunState

EVERY = 5000
"""After so many ended trials: what the collector then still has to look at takes a few milliseconds."""


class Freezer:
    """A watcher that sets aside all objects that are there, from time to time, as ``gc.freeze`` does.

    They are freed as ever when nobody holds them any more.  A cycle is not found before :meth:`thaw` if it is
    alive at that moment and dies later, or if it had grown old when it died: what lived through two
    collections is looked at the first time only.
    """

    def __init__(self) -> None:
        self._due = 0

    def note(self, record: Record, state: RunState) -> None:
        """Do nothing: how many ended is seen in the state."""

    def refresh(self, state: RunState) -> None:
        """Set aside what is there, if enough came since the last time."""
        if state.done >= self._due:
            # Of all things it takes 50 ms at the beginning; later as long, if each trial has 30 reports.
            gc.collect(1 if self._due else 2)
            self._due = state.done + EVERY
            gc.freeze()

    def thaw(self) -> None:
        """Let the collector look at everything again."""
        gc.unfreeze()
