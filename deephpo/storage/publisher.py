"""Keeps ``results.csv`` and ``results.h5`` fresh while a run goes on, beside the message loop."""

from __future__ import annotations

import logging
import time
from threading import Thread

from deephpo.storage.archive import write_archive
from deephpo.storage.records import Record
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState, TrialEntry
from deephpo.storage.tables import write_table

INTERVAL_S = 5.0
"""Results are written at most so often."""
SHARE = 0.01
"""And so seldom that writing takes at most this share of the time, however many trials there are."""

_LOGGER = logging.getLogger("deephpo")


class Publisher:
    """A watcher that writes the tables in a thread, when there is something new and some time went by."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._thread: Thread | None = None
        self._published = 0
        self._pause_s = INTERVAL_S
        self._last = time.monotonic()

    def note(self, record: Record, state: RunState) -> None:
        """Do nothing: what is new is seen in the state."""

    def refresh(self, state: RunState) -> None:
        """Start writing if it is time to."""
        due = time.monotonic() - self._last >= self._pause_s and state.counts.total() != self._published
        if due and (self._thread is None or not self._thread.is_alive()):
            self._thread = Thread(target=self._try_to_write, args=(state, state.ended), daemon=True)
            self._published = state.counts.total()
            self._thread.start()

    def publish(self, state: RunState) -> None:
        """Write everything now, and wait for it."""
        if self._thread is not None:
            self._thread.join()
        self._write(state, state.ended)

    def _try_to_write(self, state: RunState, ended: list[TrialEntry]) -> None:
        try:
            self._write(state, ended)
        except OSError as error:
            # The journal is the truth; tables can be written later.
            _LOGGER.warning("The results could not be written (%s); the next try follows.", error)

    def _write(self, state: RunState, ended: list[TrialEntry]) -> None:
        began = time.monotonic()
        if state.declaration is not None:
            write_table(state.declaration, ended, self._directory.table)
            write_archive(state.declaration, ended, state.version, self._directory.archive)
        self._last = time.monotonic()
        self._pause_s = max(INTERVAL_S, (self._last - began) / SHARE)
