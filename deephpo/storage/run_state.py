"""What is known of a run: the sum of its records, live on the master or replayed from the journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deephpo.problem import Declaration
from deephpo.storage.records import (
    Asked,
    Begun,
    Ended,
    Finished,
    Ignored,
    Learned,
    Record,
    Reported,
    Resumed,
    Started,
    Suggested,
    WorkerJoined,
    WorkerLost,
)
from deephpo.trial import Config, Outcome, TrialState


@dataclass
class TrialEntry:
    """One trial as far as it has come; times are seconds since the search began."""

    id: int
    config: Config
    state: TrialState | None = None
    """None until it ended."""
    value: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    """The last value of each metric, reported or returned."""
    worker: int | None = None
    host: str = ""
    started_s: float | None = None
    ended_s: float | None = None
    reason: str = ""
    detail: str = ""
    curve: list[tuple[float, int, Mapping[str, float]]] = field(default_factory=list)
    """Its reports: time, step, metrics."""
    reports_now: int = 0
    """How many of them came from its last attempt."""


@dataclass
class WorkerEntry:
    """One worker: its host, when it was there, and how long it trained."""

    host: str
    joined_s: float
    left_s: float | None = None
    busy_s: float = 0.0


class RunState:
    """Takes records one by one; everything that people see of a run is read from here."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.declaration: Declaration | None = None
        self.options: Mapping[str, Any] = {}
        self.version = ""
        self.trials: dict[int, TrialEntry] = {}
        self.workers: dict[int, WorkerEntry] = {}
        self._former: list[WorkerEntry] = []
        self.counts: Counter[TrialState] = Counter()
        """How many trials ended in each state."""
        self.running: set[int] = set()
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
        match record:
            case Begun():
                self.declaration = Declaration.from_dict(record.declaration)
                self.options, self.version = record.options, record.version
            case WorkerJoined():
                self._join(record)
            case WorkerLost():
                if record.worker in self.workers:
                    self.workers[record.worker].left_s = record.time_s
            case Suggested():
                self.exhausted = record.exhausted
                self.trials |= {trial.id: TrialEntry(trial.id, trial.config) for trial in record.trials}
            case Started():
                self._start(record)
            case Reported():
                self._take_report(record)
            case Ended():
                self._end(record)
            case Resumed():
                self._take_over(record)
            case Finished():
                self.finished = record
            case Asked() | Ignored() | Learned():
                pass

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
            if entry.left_s is None:
                entry.left_s = record.time_s

    def _join(self, record: WorkerJoined) -> None:
        """Open an account for a worker; one that was here before keeps its old one, which is put aside."""
        before = self.workers.get(record.worker)
        host = record.host or (before.host if before else "")
        if before is not None:
            self._former.append(before)
        self.workers[record.worker] = WorkerEntry(host, record.time_s)

    def _start(self, record: Started) -> None:
        entry = self.trials[record.trial_id]
        entry.worker, entry.host = record.worker, self.workers[record.worker].host
        if entry.state is not None:  # it was preempted, and goes out again
            self.counts[entry.state] -= 1
        entry.started_s, entry.ended_s, entry.state = record.time_s, None, None
        entry.reports_now = 0
        self.running.add(entry.id)

    def _take_report(self, record: Reported) -> None:
        report, entry = record.report, self.trials[record.report.trial_id]
        if not entry.reports_now:  # a new attempt goes on from its checkpoint, or from the beginning
            entry.curve = [point for point in entry.curve if point[1] < report.step]
        entry.reports_now += 1
        entry.curve.append((record.time_s, report.step, report.metrics))
        entry.metrics |= report.metrics

    def _end(self, record: Ended) -> None:
        outcome = record.outcome
        entry = self.trials[outcome.trial_id]
        entry.state, entry.value, entry.ended_s = outcome.state, outcome.value, record.time_s
        entry.reason, entry.detail = outcome.reason, outcome.detail
        entry.metrics |= outcome.metrics
        self.running.discard(entry.id)
        self.counts[outcome.state] += 1
        self.workers[record.worker].busy_s += record.time_s - (entry.started_s or 0.0)
        if self._is_better(entry):
            self.best = entry

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
        return [entry for _, entry in sorted(self.trials.items()) if entry.state is not None]

    @property
    def done(self) -> int:
        """How many trials are settled: preempted ones are not."""
        return self.counts.total() - self.counts[TrialState.PREEMPTED]

    def ranked(self) -> list[TrialEntry]:
        """Return the completed trials, the best first."""
        sign = -1.0 if self.declaration and self.declaration.direction == "maximize" else 1.0
        completed = [entry for entry in self.ended if entry.value is not None]
        return sorted(completed, key=lambda entry: (sign * (entry.value or 0.0), entry.id))

    def utilisation(self) -> float:
        """Return the share of the workers' time, from joining until now, that was spent in trials."""
        available = sum(
            (self.now_s if worker.left_s is None else worker.left_s) - worker.joined_s
            for worker in [*self.workers.values(), *self._former]
        )
        busy = sum(worker.busy_s for worker in [*self.workers.values(), *self._former])
        busy += sum(self.now_s - (self.trials[trial_id].started_s or 0.0) for trial_id in self.running)
        return busy / available if available > 0 else 0.0
