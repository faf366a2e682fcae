"""The keeper of one warm child process: starts it, talks with it, buries it, starts the next."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from deephpo.trial import Outcome, Report, TrialState
from deephpo.worker.messages import Assignment, FromChild, Gone, Lasted, Loaded, NotLoaded
from deephpo.worker.output import OutputLog

MOST_FAILED_STARTS = 3
"""After so many children in a row that died while loading the problem, none is tried any more."""

_LAUNCHER_PREFIXES = ("OMPI_", "OPAL_", "PMIX_", "PMI_", "PRTE_", "MPI_LOCAL")


class TrialProcess:
    """One place where trials run, one at a time, each in the same warm child.

    target: the problem, as for ``deephpo search``.  output: the file for what the trials print.
    environment: variables for the child, on top of this process's own.
    """

    def __init__(
        self, target: str, output: Path | None = None, environment: dict[str, str] | None = None
    ) -> None:
        self._target = target
        self._environment = _clean_environment() | (environment or {})
        self._output = OutputLog(output)
        self._assignment: Assignment | None = None
        self._failed_starts = 0
        self._start()

    @property
    def sources(self) -> list[Any]:
        """What ``multiprocessing.connection.wait`` may wait for before the next :meth:`poll`."""
        return [self._line, self._printed]

    def submit(self, assignment: Assignment) -> None:
        """Send a trial to the child; it waits there if the problem is still being loaded."""
        self._assignment = assignment
        self._output.drain(self._printed)  # what is there is the trial's before
        self._output.forget()
        # A child that just died is noticed, and its trial accounted for, at the next poll.
        with contextlib.suppress(OSError):
            self._line.send(assignment)

    def poll(self) -> list[Loaded | Report | Lasted | Outcome | Gone]:
        """Return what came from the child; a child that died is replaced."""
        ended = self._process.poll() is not None
        self._output.drain(self._printed)
        messages: list[Loaded | Report | Lasted | Outcome | Gone] = []
        try:
            while self._line.poll():
                messages += self._receive(self._line.recv())
        except (EOFError, OSError):
            ended = True
        if ended and not any(isinstance(message, Gone) for message in messages):
            messages += self._bury()
        return messages

    def kill(self) -> None:
        """End the child and everything that it started, now."""
        self._kill_group()
        self._close()

    def _receive(self, message: FromChild) -> list[Loaded | Report | Lasted | Outcome | Gone]:
        if isinstance(message, NotLoaded):
            self.kill()
            return [Gone(message.reason)]
        if isinstance(message, Loaded):
            self._failed_starts = 0
        elif isinstance(message, Outcome):
            self._assignment = None
        return [message]

    def _start(self) -> None:
        self._line, theirs = Pipe()
        self._printed, printing = os.pipe()
        os.set_blocking(self._printed, False)
        command = [sys.executable, "-m", "deephpo.worker.child", str(theirs.fileno()), self._target]
        self._process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=printing,
            stderr=printing,
            env=self._environment,
            start_new_session=True,  # Ctrl-C is the master's business; and a group can be killed as one
        )
        theirs.close()
        os.close(printing)
        self._failed_starts += 1

    def _bury(self) -> list[Loaded | Report | Lasted | Outcome | Gone]:
        """Account for the trial of a child that died, and start another child."""
        self._kill_group()
        self._output.drain(self._printed)
        reason, detail = _cause_of_death(self._process.returncode), self._output.tail()
        self._close()
        if self._failed_starts >= MOST_FAILED_STARTS:
            return [Gone(f"the problem's process {reason} while it loaded the problem.\n{detail}".rstrip())]
        loading = self._failed_starts > 0
        self._start()
        if self._assignment is None:
            return []
        if loading:  # the trial had not begun
            self.submit(self._assignment)
            return []
        trial_id, self._assignment = self._assignment.trial_id, None
        return [Outcome(trial_id, TrialState.FAILED, reason=f"the trial's process {reason}", detail=detail)]

    def _kill_group(self) -> None:
        # Also after the child's own end: it may have left processes behind.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _close(self) -> None:
        if not self._line.closed:
            self._output.drain(self._printed)
            self._line.close()
            os.close(self._printed)

    _line: Connection[Any, Any]
    _printed: int


def _clean_environment() -> dict[str, str]:
    """Return this process's variables without the launcher's, so that the child is no part of the MPI job."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_LAUNCHER_PREFIXES)}
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}


def _cause_of_death(returncode: int) -> str:
    if returncode >= 0:
        return f"exited with code {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = "unknown"
    hint = "; often the kernel, for lack of memory" if -returncode == signal.SIGKILL else ""
    return f"was killed by signal {-returncode} ({name}{hint})"
