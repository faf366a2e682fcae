"""Where the engine's records go: the journal first, then the run's state, then whoever watches it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from deephpo.storage.journal import Journal
from deephpo.storage.records import Record
from deephpo.storage.run_state import RunState


class Watcher(Protocol):
    """Shows a run, or keeps a copy of it, while it goes on."""

    def note(self, record: Record, state: RunState) -> None:
        """Take note of a record; ``state`` holds it already."""

    def refresh(self, state: RunState) -> None:
        """Take note that time went by."""


class RunRecorder:
    """Writes records ahead of what they describe, and keeps the watchers up to date."""

    def __init__(self, journal: Journal, state: RunState, watchers: Sequence[Watcher] = ()) -> None:
        self._journal = journal
        self._watchers = watchers
        self.state = state

    def write(self, records: Sequence[Record]) -> None:
        """Take records in their order; they are in the operating system's hands when this returns."""
        self._journal.append(records)
        for record in records:
            self.state.apply(record)
            for watcher in self._watchers:
                watcher.note(record, self.state)

    def refresh(self, now_s: float) -> None:
        """Take note of the time."""
        self.state.now_s = max(self.state.now_s, now_s)
        self._journal.pulse()
        for watcher in self._watchers:
            watcher.refresh(self.state)
