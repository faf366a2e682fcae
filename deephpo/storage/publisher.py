"""Keeps ``results.csv`` and ``results.h5`` fresh while a run goes on, beside the message loop."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread

from deephpo.problem import Declaration
from deephpo.storage.archive import write_archive
from deephpo.storage.records import Record
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState, TrialEntry
from deephpo.storage.tables import write_table

INTERVAL_S = 5.0
"""Results are written at most so often."""
SHARE = 0.01
"""And so seldom that writing takes at most this share of the time, however many trials there are."""

_FAILURES = (
    OSError,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    RuntimeError,
    ImportError,
    MemoryError,
)
"""What the disk, csv and h5py raise.  The journal is the truth; its copies can be written later."""

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
        due = time.monotonic() - self._last >= self._pause_s and state.ends > self._published
        if due and state.declaration is not None and (self._thread is None or not self._thread.is_alive()):
            # All trials, so that the loop is not held up by choosing: the thread does it.
            arguments = (state.declaration, list(state.trials.values()), state.version)
            self._thread = Thread(target=self._write, args=arguments, daemon=True)
            self._published = state.ends
            self._thread.start()

    def publish(self, state: RunState) -> str:
        """Write everything now, and wait for it; returns a sentence if it was not possible, else ""."""
        if self._thread is not None:
            self._thread.join()
        if state.declaration is None:
            return ""
        return self._write(state.declaration, list(state.trials.values()), state.version)

    def _write(self, declaration: Declaration, trials: Sequence[TrialEntry], version: str) -> str:
        began = time.monotonic()
        ended = [trial for trial in trials if trial.state is not None]
        failed = [
            _failure(self._directory.table, lambda path: write_table(declaration, ended, path)),
            _failure(self._directory.archive, lambda path: write_archive(declaration, ended, version, path)),
        ]
        self._last = time.monotonic()
        self._pause_s = max(INTERVAL_S, (self._last - began) / SHARE)
        if not any(failed):
            return ""
        names = ", ".join(filter(None, failed))
        sentence = f"Not written: {names}; every result is in {self._directory.journal.name}."
        _LOGGER.warning(sentence)
        return sentence


def _failure(path: Path, write: Callable[[Path], None]) -> str:
    """Write one file; returns its name and why it could not be written, or ""."""
    try:
        write(path)
    except _FAILURES as error:
        # h5py's own texts for the system's errors fill half a screen.
        number = error.errno if isinstance(error, OSError) else None
        return f"{path.name} ({os.strerror(number) if number else f'{type(error).__name__}: {error}'})"
    return ""
