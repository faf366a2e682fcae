"""What is known of a run: the sum of its records, live on the master or replayed from the journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from deephpo.problem import Declaration
from deephpo.storage.records import (
    Asked,
    Begun,
    Ended,
    Finished,
    Ignored,
    Judged,
    Learned,
    Promoted,
    Record,
    Reported,
    Resumed,
    Started,
    Suggested,
    WorkerJoined,
    WorkerLost,
)
from deephpo.storage.spans import Spans
from deephpo.trial import Config, Outcome, TrialState

_NOTHING: Mapping[str, float] = MappingProxyType({})
"""One for all: most of a hundred thousand trials would have an empty dictionary of their own."""


@dataclass(slots=True)
class TrialEntry:
    """One trial as far as it has come; times are seconds since the search began.

    Once it has ended nothing in it changes any more: a trial that goes out again gets a new entry.  So a
    thread may read all that ended while the search goes on.
    """

    id: int
    config: Config
    state: TrialState | None = None
    """None until it ended."""
    value: float | None = None
    metrics: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    """The last value of each metric, reported or returned."""
    returned: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    """What ``run`` returned, beside its value."""
    worker: int | None = None
    """The one that spoke for it."""
    others: tuple[int, ...] = ()
    """Those that trained it together with that one."""
    host: str = ""
    started_s: float | None = None
    ended_s: float | None = None
    reason: str = ""
    detail: str = ""
    curve: Sequence[tuple[float, int, Mapping[str, float]]] = ()
    """Its reports: time, step, metrics."""
    reports_now: int = 0
    """How many of them came from its last attempt."""

    @property
    def ranks(self) -> int:
        """How many workers trained it together."""
        return 1 + len(self.others)


@dataclass(slots=True)
class WorkerEntry:
    """One worker: its host, and when it was there."""

    host: str
    joined_s: float
    left_s: float | None = None


class RunState:
    """Takes records one by one; everything that people see of a run is read from here."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.declaration: Declaration | None = None
        self.options: Mapping[str, Any] = {}
        self.version = ""
        self.trials: dict[int, TrialEntry] = {}
        """In the order of their ids, in which they were suggested."""
        self.workers: dict[int, WorkerEntry] = {}
        self._available, self._busy = Spans(), Spans()
        """The time of all workers since they joined, and what of it was spent in trials."""
        self.counts: Counter[TrialState] = Counter()
        """How many trials ended in each state."""
        self.ends = 0
        """How often a trial ended, those included that went out again: it only grows."""
        self.running: set[int] = set()
        self.promoted: set[int] = set()
        """The trials that had been stopped and went on after all."""
        self.best: TrialEntry | None = None
        self.exhausted = False
        self.finished: Finished | None = None
        self.now_s = 0.0
        """The time of the last record."""
        for record in records:
            self.apply(record)

    def apply(self, record: Record) -> None:
        """Take one record."""
        self.now_s = max(self.now_s, record.time_s)
        match record:  # the most frequent first
            case Started():
                self._start(record)
            case Ended():
                self._end(record)
            case Suggested():
                self.exhausted = record.exhausted
                self.trials |= {trial.id: TrialEntry(trial.id, trial.config) for trial in record.trials}
            case Reported():
                self._take_report(record)
            case Asked() | Ignored() | Judged() | Learned() | Promoted():
                pass
            case WorkerJoined():
                self._join(record)
            case WorkerLost():
                if record.worker in self.workers:
                    self._leave(self.workers[record.worker], record.time_s)
            case Begun():
                self.declaration = Declaration.from_dict(record.declaration)
                self.options, self.version = record.options, record.version
            case Resumed():
                self._take_over(record)
            case Finished():
                self.finished = record

    def _take_over(self, record: Resumed) -> None:
        """Close what the process before left open: its workers, and the trials that they were running."""
        self.declaration = Declaration.from_dict(record.declaration)
        self.options, self.version = record.options, record.version
        self.finished = None
        for trial_id in list(self.running):
            worker = self.trials[trial_id].worker or 0
            outcome = Outcome(trial_id, TrialState.PREEMPTED, reason="the search ended without a word")
            self._end(Ended(record.time_s, worker, outcome))
        for entry in self.workers.values():
            self._leave(entry, record.time_s)

    def _join(self, record: WorkerJoined) -> None:
        """Take in a worker; one that was here before may come back without its host's name."""
        before = self.workers.get(record.worker)
        host = record.host or (before.host if before else "")
        self.workers[record.worker] = WorkerEntry(host, record.time_s)
        self._available.begin(record.time_s)

    def _leave(self, entry: WorkerEntry, time_s: float) -> None:
        if entry.left_s is None:
            entry.left_s = time_s
            self._available.end(entry.joined_s, time_s)

    def _start(self, record: Started) -> None:
        entry = self.trials[record.trial_id]
        if entry.state is not None:  # it was preempted or stopped, and goes out again
            self.counts[entry.state] -= 1
            if entry.state is TrialState.STOPPED:
                self.promoted.add(entry.id)
            entry = replace(entry, state=None, ended_s=None, reports_now=0)
            self.trials[entry.id] = entry
        entry.worker, entry.host = record.worker, self.workers[record.worker].host
        entry.others = record.others
        entry.started_s = record.time_s
        self.running.add(entry.id)
        for _ in record.workers:
            self._busy.begin(record.time_s)

    def _take_report(self, record: Reported) -> None:
        report, entry = record.report, self.trials[record.report.trial_id]
        curve = entry.curve
        if not entry.reports_now or not isinstance(curve, list):
            # A new attempt goes on from its checkpoint, or from the beginning.
            entry.curve = curve = [point for point in curve if point[1] < report.step]
        entry.reports_now += 1
        curve.append((record.time_s, report.step, report.metrics))
        entry.metrics = _joined(entry.metrics, report.metrics)

    def _end(self, record: Ended) -> None:
        outcome = record.outcome
        entry = self.trials[outcome.trial_id]
        if entry.value is None or outcome.state is not TrialState.PREEMPTED:  # a promoted one has a value
            entry.value = outcome.value
        entry.ended_s = record.time_s
        entry.reason, entry.detail = outcome.reason, outcome.detail
        entry.metrics = _joined(entry.metrics, outcome.metrics)
        entry.returned = outcome.metrics
        entry.state = outcome.state  # last: from now on other threads may read it
        self.running.discard(entry.id)
        for _ in range(entry.ranks):
            self._busy.end(entry.started_s or 0.0, record.time_s)
        self.counts[outcome.state] += 1
        self.ends += 1
        if self._is_better(entry):
            self.best = entry
        elif self.best is not None and self.best.id == entry.id:  # it was promoted, and ended worse
            self.best = next(iter(self.ranked()), None)

    def _is_better(self, entry: TrialEntry) -> bool:
        if entry.value is None or self.declaration is None:
            return False
        if self.best is None or self.best.value is None:
            return True
        minimize = self.declaration.direction == "minimize"
        return entry.value < self.best.value if minimize else entry.value > self.best.value

    @property
    def ended(self) -> list[TrialEntry]:
        """The trials that ended, by their ids."""
        return [entry for entry in self.trials.values() if entry.state is not None]

    @property
    def done(self) -> int:
        """How many trials are settled: preempted ones are not."""
        return self.counts.total() - self.counts[TrialState.PREEMPTED]

    def ranked(self) -> list[TrialEntry]:
        """Return the trials that have a value, the best first."""
        sign = -1.0 if self.declaration and self.declaration.direction == "maximize" else 1.0
        completed = [entry for entry in self.ended if entry.value is not None]
        return sorted(completed, key=lambda entry: (sign * (entry.value or 0.0), entry.id))

    def utilisation(self) -> float:
        """Return the share of the workers' time, from joining until now, that was spent in trials."""
        available_s = self._available.total_s(self.now_s)
        # Rounding may leave a little more than all.
        return min(1.0, self._busy.total_s(self.now_s) / available_s) if available_s > 0 else 0.0


def _joined(old: Mapping[str, float], new: Mapping[str, float]) -> Mapping[str, float]:
    """Return both, the new ones last; a value that somebody else has already is not copied."""
    return {**old, **new} if old else new
