"""Which workers are at which trial.

Whether a trial failed, or goes out again, is decided when the last of its workers is out.  Till then a rank
may turn out to be lost, or told to end with its job, of which the others fail although the trial is not to
blame; and nobody else may begin in the trial's directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from deephpo.trial import Outcome, Trial

STOP_GRACE_S = 10.0
"""A trial that is told to stop may take so long, beside the time until its third report from then on."""


@dataclass(slots=True, eq=False)
class Gang:
    """The workers that train one trial together; for most trials that is a single one."""

    trial: Trial
    workers: tuple[int, ...]
    """The leader first: what it reports and returns is the trial's."""
    started_s: float
    reports: int = 0
    """How many the trial sent since it started."""
    told_to_stop: bool = False
    """Whether a stopping rule's word is on its way to the trial."""
    verdict: tuple[int, Outcome] | None = None
    """Which worker says that the trial failed, and how; it counts unless another one turns out to be lost, or
    told to end."""

    @property
    def leader(self) -> int:
        """The worker that speaks for the trial."""
        return self.workers[0]

    def grace_s(self, now_s: float) -> float:
        """Return how long a trial that reports as often as so far may take to hear that it is to stop."""
        return STOP_GRACE_S + 3 * (now_s - self.started_s) / max(1, self.reports)

    def fail(self, worker: int, outcome: Outcome) -> None:
        """Take note of a failure; where there are several ranks it names the worker's."""
        if len(self.workers) > 1:
            place = self.workers.index(worker)
            outcome = replace(outcome, reason=f"on rank {place} of its {len(self.workers)}: {outcome.reason}")
        self.verdict = worker, outcome


class Gangs:
    """All gangs; one is there until all its workers are free, although its trial may be over before."""

    def __init__(self) -> None:
        self._of_trial: dict[int, Gang] = {}
        self._of_worker: dict[int, Gang] = {}
        self._leaving: dict[int, Gang] = {}
        """Those of whose trials nothing is decided before the last of their workers is out."""

    def __len__(self) -> int:
        """How many trials run, or are undecided."""
        return len(self._of_trial) + len(self._leaving)

    def __iter__(self) -> Iterator[Gang]:
        """The gangs whose trials run, in the order of their beginnings."""
        return iter(self._of_trial.values())

    @property
    def failing(self) -> list[Gang]:
        """The gangs whose trials failed, as far as is known, while some of their workers are still in."""
        return [gang for gang in self._leaving.values() if gang.verdict is not None]

    @property
    def returning(self) -> int:
        """How many workers the trials need, all together, that go out again as soon as all are out."""
        return sum(gang.trial.ranks for gang in self._leaving.values() if gang.verdict is None)

    def form(self, trial: Trial, workers: tuple[int, ...], now_s: float) -> Gang:
        """Let free workers begin a trial."""
        gang = Gang(trial, workers, now_s)
        self._of_trial[trial.id] = gang
        for worker in workers:
            self._of_worker[worker] = gang
        return gang

    def of(self, worker: int) -> Gang | None:
        """Return the gang that a worker is at work in."""
        return self._of_worker.get(worker)

    def at(self, worker: int, trial_id: int) -> Gang | None:
        """Return the gang that a worker is in, if it is this trial's."""
        gang = self._of_worker.get(worker)
        return gang if gang is not None and gang.trial.id == trial_id else None

    def runs(self, gang: Gang) -> bool:
        """Return whether its trial still runs."""
        return self._of_trial.get(gang.trial.id) is gang

    def is_open(self, gang: Gang) -> bool:
        """Return whether its trial may still prove to be cut off: it runs, or failed as far as is known."""
        return self.runs(gang) or gang.verdict is not None

    def release(self, worker: int) -> Gang | None:
        """Let a worker be no part of any gang; returns the undecided gang whose last one it was."""
        gang = self._of_worker.pop(worker, None)
        if gang is None or self._leaving.get(gang.trial.id) is not gang:
            return None
        return self._gone(gang)

    def leave(self, gang: Gang) -> Gang | None:
        """Let the trial of a dissolved gang be undecided; returns the gang if all are out already."""
        self._leaving[gang.trial.id] = gang
        return self._gone(gang)

    def decide(self, gang: Gang) -> None:
        """Let nothing more depend on the workers that are still in a dissolved gang."""
        self._leaving.pop(gang.trial.id, None)

    def dissolve(self, gang: Gang) -> list[int]:
        """Let the trial be over; returns the workers that are still at it."""
        del self._of_trial[gang.trial.id]
        return self._still_in(gang)

    def _gone(self, gang: Gang) -> Gang | None:
        if self._still_in(gang):
            return None
        del self._leaving[gang.trial.id]
        return gang

    def _still_in(self, gang: Gang) -> list[int]:
        return [worker for worker in gang.workers if self._of_worker.get(worker) is gang]
