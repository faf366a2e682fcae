"""What can happen to a search, and what it can do: the coordinator's whole view of the world."""

from __future__ import annotations

from dataclasses import dataclass

from deephpo.storage.records import Record
from deephpo.trial import Outcome, Report, Trial


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """A new worker asks for its first trial."""

    worker: int
    host: str


@dataclass(frozen=True, slots=True)
class WorkerGone:
    """A worker will take no more trials; the one that it had is without an outcome."""

    worker: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerAlive:
    """A worker has nothing to say, but is there."""

    worker: int


@dataclass(frozen=True, slots=True)
class TrialReported:
    """A running trial reported its metrics."""

    worker: int
    report: Report


@dataclass(frozen=True, slots=True)
class TrialEnded:
    """A trial ended on one of its workers, which is free again."""

    worker: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class PartDone:
    """A worker did its part of a trial that others of its gang speak for, and is free again."""

    worker: int
    trial_id: int


@dataclass(frozen=True, slots=True)
class SuggestionsMade:
    """The search answered an Ask."""

    trials: tuple[Trial, ...]
    exhausted: bool


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Somebody wants the search to end now."""

    reason: str


Event = (
    WorkerReady
    | WorkerGone
    | WorkerAlive
    | TrialReported
    | TrialEnded
    | PartDone
    | SuggestionsMade
    | StopRequested
)


@dataclass(frozen=True, slots=True)
class Write:
    """Write a record to the journal, before any action that follows takes effect."""

    record: Record


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the search for q trials."""

    q: int


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the search how a trial ended."""

    trial: Trial
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Foretell:
    """Tell the search what a running trial is worth so far."""

    trial_id: int
    value: float


@dataclass(frozen=True, slots=True)
class Start:
    """Send a trial to a free worker, or to several that train it together."""

    worker: int
    trial: Trial
    attempt: int = 0
    """How often it was started before."""
    left_s: float | None = None
    """For how long the search goes on at most; None if there is no end of its time."""
    others: tuple[int, ...] = ()
    """The workers that train it together with the first, which speaks for it."""

    @property
    def workers(self) -> tuple[int, ...]:
        """All workers that train the trial, the one that speaks for it first."""
        return (self.worker, *self.others)


@dataclass(frozen=True, slots=True)
class Stop:
    """Tell a running trial, by way of the worker that speaks for it, that it is to end."""

    worker: int
    trial_id: int
    grace_s: float
    """After this time it is ended, if it is still there."""


@dataclass(frozen=True, slots=True)
class Disband:
    """End a worker's part of a trial that is over, if it does not end by itself in a moment."""

    worker: int
    trial_id: int


@dataclass(frozen=True, slots=True)
class ShutDown:
    """Send a worker home; whatever it is doing is given up."""

    worker: int


Thought = Ask | Foretell | Tell
"""What the search is told or asked."""

Action = Write | Thought | Start | Stop | Disband | ShutDown
