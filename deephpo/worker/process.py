"""The keeper of one warm child process: starts it, talks with it, polices it, buries it, starts the next."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from deephpo.trial import Outcome, TrialState
from deephpo.worker.limits import GRACE_S, LOOK_S, Limits
from deephpo.worker.messages import (
    Assignment,
    FromChild,
    FromProcess,
    Gone,
    Halt,
    Loaded,
    Meeting,
    NotLoaded,
    PartEnded,
    ToChild,
)
from deephpo.worker.output import OutputLog

MOST_FAILED_STARTS = 3
"""After so many children in a row that died while loading the problem, none is tried any more."""

PART_GRACE_S = 3.0
"""So long a trial that is over for the other ranks may take to end by itself: they end at about the same
time, or a collective operation fails for those that are left."""

SHORTAGES = frozenset((errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM))
"""The errors of a machine that has no room for one more process."""
PROCESS_LIMITS = "`ulimit -n` for open files, `ulimit -u` for processes"
"""What users raise where no more processes can be started."""

_FORK_PAUSES_S = (0.1, 1.0, 3.0)
_LAST_BREATH_S = 2.0
_MOST_AT_ONCE = 1000
_LAUNCHER_PREFIXES = ("OMPI_", "OPAL_", "PMIX_", "PMI_", "PRTE_", "PALS_", "HYDRA_", "I_MPI_", "MPI_LOCAL")


class TrialProcess:
    """One place where trials run, one at a time, each in the same warm child.

    target: the problem, as for ``deephpo search``.  output: the file for what the trials print.
    environment: variables for the child, on top of this process's own.  limits: what a trial may take.
    declaration: what the problem must declare, as JSON; a child that loads another one is none of ours.
    """

    def __init__(
        self,
        target: str,
        output: Path | None = None,
        environment: dict[str, str] | None = None,
        limits: Limits | None = None,
        declaration: str | None = None,
    ) -> None:
        self._target = target
        self._environment = _clean_environment() | (environment or {})
        self._limits = limits or Limits()
        self._declaration = declaration
        self._output = OutputLog(output)
        self._assignment: Assignment | None = None
        self._meetings: list[Meeting] = []
        """Those of the running trial, for another child should this one not get to them, and those of a trial
        that has not come yet: the two come from different ranks."""
        self._unsaid: list[FromProcess] = []
        """What is to be handed on with the next poll."""
        self._over_at_s: float | None = None
        """When a trial that is over for the others is to have ended here too."""
        self._stop_by_s: float | None = None
        """When a trial that was told to stop is to have ended."""
        self._begun_s: float | None = None
        self._looked_s = 0.0
        self._doom = ""
        """Why the running trial is being ended; empty if it is not."""
        self._kill_at_s = 0.0
        self._spent = False
        """Whether the child is to be replaced although it did not die by itself."""
        self._leaving = False
        """Whether no other child is to follow."""
        self._failed_starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._start()

    @property
    def sources(self) -> list[Any]:
        """What ``multiprocessing.connection.wait`` may wait for before the next :meth:`poll`."""
        if self._process is None:
            return []
        return [self._line, self._printed] if self._output.open else [self._line]

    def submit(self, assignment: Assignment) -> None:
        """Send a trial to the child, as soon as that has loaded the problem."""
        if self._process is None:
            return
        self._assignment = assignment
        self._begun_s = None
        if not self._failed_starts:
            self._hand_over(assignment)

    def pass_on(self, meeting: Meeting) -> None:
        """Tell the child where its gang meets, now or when its trial comes."""
        self._meetings.append(meeting)
        assignment = self._assignment if self._begun_s is not None else None
        if assignment is not None and _is_of(meeting, assignment):
            self._say(meeting)

    def stop(self, trial_id: int, grace_s: float) -> None:
        """Tell the running trial that it is to end, within so much time."""
        assignment = self._assignment if self._begun_s is not None else None
        if assignment is not None and assignment.trial_id == trial_id and self._stop_by_s is None:
            self._stop_by_s = time.monotonic() + grace_s
            self._say(Halt(trial_id))

    def disband(self, trial_id: int) -> None:
        """Let a trial that is over for its other ranks end here, by itself or after a moment."""
        if self._assignment is None or self._assignment.trial_id != trial_id:
            return
        if self._begun_s is None:
            self._assignment = None
            self._unsaid.append(PartEnded(trial_id))
        elif self._over_at_s is None:
            self._over_at_s = time.monotonic() + PART_GRACE_S

    def poll(self) -> list[FromProcess]:
        """Return what came from the child; a child that died is replaced."""
        if self._process is None:
            return []
        ended = self._process.poll() is not None
        self._output.drain(self._printed)
        messages, self._unsaid = self._unsaid, []
        try:
            while self._line.poll() and len(messages) < _MOST_AT_ONCE:
                messages += self._receive(self._line.recv())
        except (EOFError, OSError):
            ended = True
        except Exception:  # noqa: BLE001  (what is no pickle of ours can raise anything)
            self._spend()
        if self._process is not None and (ended or self._spent):
            messages += self._bury()
        self._police()
        return messages

    def terminate(self) -> None:
        """Ask the running trial to save what it can; :meth:`kill` is to follow, and no other child."""
        self._leaving = True
        # One that is over for its other ranks is about to end by itself.
        if self._process is not None and self._assignment is not None and self._over_at_s is None:
            self._signal_group(signal.SIGTERM)

    @property
    def busy(self) -> bool:
        """Whether a child is there and evaluates a trial."""
        return self._process is not None and self._process.poll() is None and self._assignment is not None

    def kill(self) -> None:
        """End the child and everything that it started, now."""
        if self._process is not None:
            self._signal_group(signal.SIGKILL)
            self._wait()
            self._close()

    def _receive(self, message: FromChild) -> list[FromProcess]:
        match message:
            case NotLoaded():
                self.kill()
                return [Gone(message.reason)]
            case Loaded() if self._declaration not in (None, message.declaration):
                self.kill()
                return [Gone(f"{self._target} was changed while the search ran; end it, or undo the change")]
            case Loaded():
                self._failed_starts = 0
                if self._assignment is not None:
                    self._hand_over(self._assignment)
            case Outcome() | PartEnded():
                self._assignment = self._over_at_s = None
                if self._doom:
                    message = Outcome(message.trial_id, self._undone, reason=self._take_doom())
                    # The memory that it kept and what it left running are not to break the next one's limits.
                    self._spend()
            case _:
                pass
        return [message]

    def _police(self) -> None:
        """End a trial that breaks its limits: SIGTERM first, SIGKILL after the grace."""
        if self._process is None or self._assignment is None or self._begun_s is None:
            return
        now = time.monotonic()
        if self._over_at_s is not None and now >= self._over_at_s and not self._doom:
            self._doom, self._kill_at_s = "its trial was over", now
        if self._stop_by_s is not None and now >= self._stop_by_s and not self._doom:
            self._doom, self._kill_at_s = "it did not stop by itself", now + GRACE_S
            self._signal_group(signal.SIGTERM)
        if self._doom:
            if now >= self._kill_at_s:
                self._signal_group(signal.SIGKILL)
            return
        look_at_memory = now - self._looked_s >= LOOK_S
        if look_at_memory:
            self._looked_s = now
        broken = self._limits.broken_by(self._process.pid, now - self._begun_s, look_at_memory)
        if broken is not None:
            self._doom, self._kill_at_s = broken, now + GRACE_S
            self._signal_group(signal.SIGTERM)

    def _hand_over(self, assignment: Assignment) -> None:
        """Let the child begin a trial."""
        self._begun_s, self._stop_by_s = time.monotonic(), None
        self._output.drain(self._printed)  # what is there is the trial's before
        self._output.forget()
        self._say(assignment)
        self._meetings = [meeting for meeting in self._meetings if _is_of(meeting, assignment)]
        for meeting in self._meetings:
            self._say(meeting)

    def _say(self, message: ToChild) -> None:
        # A child that just died is noticed, and its trial accounted for, at the next poll.
        with contextlib.suppress(OSError):
            self._line.send(message)

    def _spend(self) -> None:
        """End the child, so that another one follows."""
        self._spent = True
        self._signal_group(signal.SIGKILL)

    @property
    def _undone(self) -> TrialState:
        """How a trial ended that did not end by itself."""
        return TrialState.FAILED if self._stop_by_s is None else TrialState.STOPPED

    def _take_doom(self) -> str:
        doom, self._doom = self._doom, ""
        return doom

    def _start(self) -> None:
        """Start a child; raises OSError if the machine cannot fork even after some pauses."""
        line, theirs = Pipe()
        printed, printing = os.pipe()
        os.set_blocking(printed, False)
        command = [sys.executable, "-m", "deephpo.worker.child", str(theirs.fileno()), self._target]
        try:
            self._process = self._fork(command, theirs.fileno(), printing)
        except OSError:
            line.close()
            os.close(printed)
            raise
        finally:
            theirs.close()
            os.close(printing)
        self._line, self._printed = line, printed
        self._output.reopen()
        self._failed_starts += 1
        self._spent = False

    def _fork(self, command: list[str], line: int, printing: int) -> subprocess.Popen[bytes]:
        pauses_s = list(_FORK_PAUSES_S)
        while True:
            try:
                return subprocess.Popen(
                    command,
                    pass_fds=[line],
                    stdin=subprocess.DEVNULL,
                    stdout=printing,
                    stderr=printing,
                    env=self._environment,
                    start_new_session=True,  # Ctrl-C is the master's business; a group can be killed as one
                )
            except OSError:
                if not pauses_s:
                    raise
                # Often right after a process was killed for lack of memory: there is some again soon.
                time.sleep(pauses_s.pop(0))

    def _bury(self) -> list[FromProcess]:
        """Account for the trial of a child that died, and start another child."""
        reason = self._cause_of_death()
        told_to_end = self._process is not None and self._process.returncode == -signal.SIGTERM
        self._output.drain(self._printed)
        detail = self._output.tail()
        self._output.forget()
        self._close()
        if self._leaving:
            return []
        loading = self._failed_starts > 0
        if self._failed_starts >= MOST_FAILED_STARTS:
            return [Gone(f"the problem's process {reason} while it loaded the problem.\n{detail}".rstrip())]
        try:
            self._start()
        except OSError as error:
            return [Gone(f"no process could be started any more: {error.strerror}")]
        if self._assignment is None:
            return []
        if loading:  # the trial had not begun
            return []
        assignment, self._assignment, self._over_at_s = self._assignment, None, None
        state, doom = self._undone, self._take_doom()
        if told_to_end and not doom and state is TrialState.FAILED:
            # Not by us: a batch system that ends its job says so to every process of it, and to this one
            # perhaps before the master. A trial that does so to itself is given up there in the end.
            state = TrialState.PREEMPTED
        return [
            Outcome(assignment.trial_id, state, reason=doom or f"the trial's process {reason}", detail=detail)
        ]

    def _cause_of_death(self) -> str:
        """Return how the child ended; what it started and what it left behind is ended with it."""
        returncode = self._wait()  # its line is closed a moment before it is dead
        self._signal_group(signal.SIGKILL)
        self._wait()
        return "closed its line to the search" if returncode is None else _describe_end(returncode)

    def _wait(self) -> int | None:
        """Return how the child ended; None if it has not, as a process in a system call may take its time."""
        try:
            return self._process.wait(_LAST_BREATH_S) if self._process is not None else None
        except subprocess.TimeoutExpired:
            return None

    def _signal_group(self, number: signal.Signals) -> None:
        # Also after the child's own end: it may have left processes behind.
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _close(self) -> None:
        self._output.drain(self._printed)
        self._line.close()
        os.close(self._printed)
        self._process = None

    _line: Connection[Any, Any]
    _printed: int


def _is_of(meeting: Meeting, assignment: Assignment) -> bool:
    return (meeting.trial_id, meeting.attempt) == (assignment.trial_id, assignment.attempt)


def _clean_environment() -> dict[str, str]:
    """Return this process's variables without the launcher's, so that the child is no part of the MPI job."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_LAUNCHER_PREFIXES)}
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}


def _describe_end(returncode: int) -> str:
    if returncode >= 0:
        return f"exited with code {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = "unknown"
    hint = "; often the kernel, for lack of memory" if -returncode == signal.SIGKILL else ""
    return f"was killed by signal {-returncode} ({name}{hint})"
