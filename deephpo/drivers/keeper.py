"""One worker's child in the engine's words: what it says becomes events."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from deephpo.engine.events import (
    Event,
    PartDone,
    Start,
    TrialEnded,
    TrialReported,
    WorkerGone,
    WorkerReady,
)
from deephpo.hardware.devices import Devices
from deephpo.trial import Outcome, Report, TrialState
from deephpo.worker.limits import GRACE_S
from deephpo.worker.messages import Assignment, Gone, Loaded, Meeting, PartEnded
from deephpo.worker.place import Place
from deephpo.worker.workplace import Workplace

Post = Callable[[Sequence[int], Meeting], None]
"""Takes what a leader's child says to the other workers of its gang there."""


class Keeper:
    """Keeps the child of one worker, on this host.

    cores, devices: what its trials own of the host.  post: brings what its child says to the others of its
    gang there.
    """

    def __init__(self, worker: int, workplace: Workplace, cores: float, devices: Devices, post: Post) -> None:
        self._worker = worker
        self._post = post
        self._others: tuple[int, ...] = ()
        self._process = workplace.process_of(worker, cores, devices)
        self._welcomed = False
        self._leaves_at_s: float | None = None
        self._interrupted = False

    @property
    def sources(self) -> list[Any]:
        """What ``multiprocessing.connection.wait`` may wait for before the next :meth:`poll`."""
        return self._process.sources

    @property
    def busy(self) -> bool:
        """Whether the child evaluates a trial."""
        return self._process.busy

    @property
    def expects_news(self) -> bool:
        """Whether the child trains together with others, and may be waiting for word from them."""
        return bool(self._others) and self.busy

    def submit(self, assignment: Assignment) -> None:
        """Send a trial to the child."""
        self._others = assignment.place.workers[1:]
        self._interrupted = False  # who begins after the word was not told
        self._process.submit(assignment)

    def pass_on(self, meeting: Meeting) -> None:
        """Tell the child where its gang meets."""
        self._process.pass_on(meeting)

    def stop(self, trial_id: int, grace_s: float) -> None:
        """Tell the child's trial that it is to end."""
        self._process.stop(trial_id, grace_s)

    def disband(self, trial_id: int) -> None:
        """Let the child's part of a trial end that is over."""
        self._process.disband(trial_id)

    def interrupt(self) -> None:
        """Take note that the job is about to end: how the present trial fails need not be its own fault.

        May be called from a signal handler.
        """
        self._interrupted = True

    def poll(self) -> list[Event]:
        """Return what happened to the child."""
        events: list[Event] = []
        for message in self._process.poll():
            match message:
                case Loaded() if not self._welcomed:
                    self._welcomed = True
                    events.append(WorkerReady(self._worker, platform.node()))
                case Report():
                    events.append(TrialReported(self._worker, message))
                case Outcome():
                    events.append(TrialEnded(self._worker, self._excused(message)))
                case PartEnded():
                    events.append(PartDone(self._worker, message.trial_id))
                case Meeting():
                    self._post(self._others, message)
                case Gone():
                    events.append(WorkerGone(self._worker, message.reason))
        return events

    def _excused(self, outcome: Outcome) -> Outcome:
        """Return a failure as a preemption, if the trial was told to end and left in a way of its own."""
        if not self._interrupted or outcome.state is not TrialState.FAILED:
            return outcome
        return replace(outcome, state=TrialState.PREEMPTED, reason=f"its job was ending: {outcome.reason}")

    def send_home(self) -> None:
        """Let the child end: one that is at work may save its state first, for the time of the grace."""
        if self._leaves_at_s is None:
            self._leaves_at_s = time.monotonic() + (GRACE_S if self._process.busy else 0.0)
            self._process.terminate()

    def is_home(self) -> bool:
        """Return whether a child that was sent home is gone; ends it when its grace is over."""
        if self._leaves_at_s is None:
            return False
        if self._process.busy and time.monotonic() < self._leaves_at_s:
            return False
        self._process.kill()
        return True


def assignments(
    workplace: Workplace, start: Start, hosts: tuple[str, ...]
) -> Iterator[tuple[int, Assignment]]:
    """Yield what each worker's child is told of a trial that starts; hosts: those of its workers."""
    for rank, worker in enumerate(start.workers):
        place = Place(rank, start.workers, hosts)
        yield worker, workplace.assignment(start.trial, start.attempt, start.left_s, place)
