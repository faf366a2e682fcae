"""What an earlier process left to do: the coordinator's beginning when a search is resumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from deephpo.engine.incumbent import Incumbent
from deephpo.engine.node_time import NodeTime
from deephpo.storage.records import Begun, Ended, Promoted, Record, Started, Suggested, WorkerLost
from deephpo.trial import Outcome, Trial, TrialState


@dataclass(frozen=True)
class Backlog:
    """Where an earlier process left the search; the empty one is a beginning."""

    waiting: tuple[Trial, ...] = ()
    """Suggested and not settled: first those that had been started, then the others."""
    paused: tuple[Trial, ...] = ()
    """Stopped, but may go on."""
    suggested: int = 0
    settled: int = 0
    succeeded: int = 0
    best: float | None = None
    """The best value of all that were settled."""
    since_best: frozenset[int] = frozenset()
    """The trials that were settled after it."""
    node_s: float = 0.0
    """How long the hosts of the workers were there, all together."""
    starts: Counter[int] = field(default_factory=Counter)
    """How often each trial was started that waits or is paused."""
    losses: Counter[int] = field(default_factory=Counter)
    """How often each waiting trial lost a worker."""
    sizes: Counter[int] = field(default_factory=Counter)
    """How many trials were suggested that need so many workers."""

    def resized(self, ranks: int) -> Backlog:
        """Return it with so many workers for each trial that waits."""
        return replace(self, waiting=tuple(replace(trial, ranks=ranks) for trial in self.waiting))


def backlog_of(records: Iterable[Record]) -> Backlog:
    """Return what is still owed after these records."""
    books = _Books()
    for record in records:
        books.take(record)
    return books.balance()


class _Books:
    """The sum of a journal's records, as far as it is of use to the next process."""

    def __init__(self) -> None:
        self._open: dict[int, Trial] = {}
        self._paused: dict[int, Trial] = {}
        self._starts: Counter[int] = Counter()
        self._losses: Counter[int] = Counter()
        self._sizes: Counter[int] = Counter()
        self._settled = self._succeeded = 0
        self._incumbent, self._node_time = Incumbent("minimize"), NodeTime()
        self._last: Record | None = None

    def take(self, record: Record) -> None:
        """Take the next record."""
        self._node_time.take(record)
        match record:
            case Begun():
                self._incumbent = Incumbent(record.declaration["direction"])
            case Suggested():
                self._open |= {trial.id: trial for trial in record.trials}
                self._sizes.update(trial.ranks for trial in record.trials)
            case Started():
                self._starts[record.trial_id] += 1
            case Ended(outcome=outcome) if outcome.state is not TrialState.PREEMPTED:
                self._settle(outcome)
            case Promoted():
                self._reopen(record.trial_id)
            case WorkerLost() if isinstance(self._last, Ended) and _lost_with(record, self._last):
                self._losses[self._last.outcome.trial_id] += 1
            case _:
                pass
        self._last = record

    def balance(self) -> Backlog:
        """Return what is owed after all records so far."""
        starts, losses = self._starts, self._losses
        waiting = sorted(self._open.values(), key=lambda trial: (trial.id not in starts, trial.id))
        kept = [trial.id for trial in (*waiting, *self._paused.values())]
        return Backlog(
            waiting=tuple(waiting),
            paused=tuple(self._paused.values()),
            suggested=self._sizes.total(),
            settled=self._settled,
            succeeded=self._succeeded,
            best=self._incumbent.value,
            since_best=frozenset(self._incumbent.since),
            node_s=self._node_time.total_s(0.0 if self._last is None else self._last.time_s),
            starts=Counter({k: starts[k] for k in kept if k in starts}),
            losses=Counter({k: losses[k] for k in kept if k in losses}),
            sizes=self._sizes,
        )

    def _settle(self, outcome: Outcome) -> None:
        trial = self._open.pop(outcome.trial_id)
        self._losses.pop(trial.id, None)  # one that goes on after all may lose as many workers again
        if outcome.state is TrialState.STOPPED and outcome.value is not None:
            self._paused[trial.id] = trial
        self._settled += 1
        self._succeeded += outcome.value is not None
        self._incumbent.take(trial.id, outcome.value)

    def _reopen(self, trial_id: int) -> None:
        self._open[trial_id] = self._paused.pop(trial_id)
        self._settled -= 1
        self._succeeded -= 1
        self._incumbent.reopen(trial_id)


def _lost_with(loss: WorkerLost, before: Ended) -> bool:
    """Return whether a trial was lost with a worker: it stands right before it, and for the same reason."""
    return (before.worker, before.outcome.reason) == (loss.worker, loss.reason)
