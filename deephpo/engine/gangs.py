"""Which workers are at which trial."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from deephpo.trial import Trial


@dataclass(frozen=True, slots=True, eq=False)
class Gang:
    """The workers that train one trial together; for most trials that is a single one."""

    trial: Trial
    workers: tuple[int, ...]
    """The leader first: what it reports and returns is the trial's."""
    started_s: float

    @property
    def leader(self) -> int:
        """The worker that speaks for the trial."""
        return self.workers[0]


class Gangs:
    """All gangs; one is there until all its workers are free, although its trial may be over before."""

    def __init__(self) -> None:
        self._of_trial: dict[int, Gang] = {}
        self._of_worker: dict[int, Gang] = {}

    def __len__(self) -> int:
        """How many trials run."""
        return len(self._of_trial)

    def __iter__(self) -> Iterator[Gang]:
        """The gangs whose trials run, in the order of their beginnings."""
        return iter(self._of_trial.values())

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

    def release(self, worker: int) -> None:
        """Let a worker be no part of any gang."""
        self._of_worker.pop(worker, None)

    def dissolve(self, gang: Gang) -> list[int]:
        """Let the trial be over; returns the workers that are still at it."""
        del self._of_trial[gang.trial.id]
        return [worker for worker in gang.workers if self._of_worker.get(worker) is gang]
