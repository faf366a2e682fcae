"""What a trial hears from its search process while it runs."""

from __future__ import annotations

from collections import deque
from multiprocessing.connection import Connection
from threading import RLock
from typing import Any

from deephpo.worker.messages import Assignment, Halt, Meeting

_LOOK_S = 0.05
"""So long at most one thread of the trial keeps the others from looking too."""


class Inbox:
    """The messages to one trial, which may look for them in any of its threads.

    line: to the search process; None for a trial that nobody speaks to.
    """

    def __init__(self, assignment: Assignment, line: Connection[Any, Any] | None = None) -> None:
        self._assignment = assignment
        self._line = line
        self._lock = RLock()
        self._looking = False
        self._meetings: deque[Meeting] = deque()
        self.halted = False
        """Whether the trial, when it looked last, heard that a stopping rule wants it to end."""

    def look(self) -> None:
        """Take in all that is there."""
        self._look(0.0)

    def close(self) -> None:
        """Hear no more: the trial is over, and what comes next is not for a thread that it left behind."""
        with self._lock:
            self._line = None

    def next_meeting(self) -> Meeting:
        """Wait for word where the processes of this trial meet; raises EOFError when nobody will send it."""
        while not self._meetings:
            if self._line is None:
                raise EOFError
            self._look(_LOOK_S)
        return self._meetings.popleft()

    def _look(self, patience_s: float) -> None:
        """Take in all that is there; waits at most so long for the first.

        In a signal handler that came in the middle of another look this does nothing: half of a message may
        have been read.
        """
        with self._lock:
            if self._line is None or self._looking:
                return
            self._looking = True
            try:
                while self._line.poll(patience_s):
                    self._take(self._line.recv())
                    patience_s = 0.0
            finally:
                self._looking = False

    def _take(self, message: Any) -> None:
        assignment = self._assignment
        match message:
            case Halt(trial_id=assignment.trial_id):
                self.halted = True
            case Meeting(trial_id=assignment.trial_id, attempt=assignment.attempt):
                self._meetings.append(message)
            case _:  # of a trial that is over
                pass
