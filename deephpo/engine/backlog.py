"""What an earlier process left to do: the coordinator's beginning when a search is resumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from deephpo.engine.incumbent import Incumbent
from deephpo.engine.node_time import NodeTime
from deephpo.storage.records import Begun, Ended, Promoted, Record, Started, Suggested, WorkerLost
from deephpo.trial import Trial, TrialState


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
    since_best: int = 0
    """How many were settled after it."""
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
    open_trials: dict[int, Trial] = {}
    paused: dict[int, Trial] = {}
    starts: Counter[int] = Counter()
    losses: Counter[int] = Counter()
    sizes: Counter[int] = Counter()
    suggested = settled = succeeded = 0
    incumbent, node_time = Incumbent("minimize"), NodeTime()
    before: Record | None = None
    for record in records:
        node_time.take(record)
        match record:
            case Begun():
                incumbent = Incumbent(record.declaration["direction"])
            case Suggested():
                open_trials |= {trial.id: trial for trial in record.trials}
                suggested += len(record.trials)
                sizes.update(trial.ranks for trial in record.trials)
            case Started():
                starts[record.trial_id] += 1
            case Ended(outcome=outcome) if outcome.state is not TrialState.PREEMPTED:
                trial = open_trials.pop(outcome.trial_id)
                losses.pop(trial.id, None)  # one that goes on after all may lose as many workers again
                if outcome.state is TrialState.STOPPED and outcome.value is not None:
                    paused[trial.id] = trial
                settled, succeeded = settled + 1, succeeded + (outcome.value is not None)
                incumbent.take(outcome.value)
            case Promoted():
                open_trials[record.trial_id] = paused.pop(record.trial_id)
                settled, succeeded = settled - 1, succeeded - 1
            case WorkerLost() if isinstance(before, Ended) and _lost_with(record, before):
                losses[before.outcome.trial_id] += 1
            case _:
                pass
        before = record
    waiting = sorted(open_trials.values(), key=lambda trial: (trial.id not in starts, trial.id))
    kept = [trial.id for trial in (*waiting, *paused.values())]
    return Backlog(
        tuple(waiting),
        tuple(paused.values()),
        suggested,
        settled,
        succeeded,
        incumbent.value,
        incumbent.since,
        node_time.total_s(0.0 if before is None else before.time_s),
        Counter({k: starts[k] for k in kept if k in starts}),
        Counter({k: losses[k] for k in kept if k in losses}),
        sizes,
    )


def _lost_with(loss: WorkerLost, before: Ended) -> bool:
    """Return whether a trial was lost with a worker: it stands right before it, and for the same reason."""
    return (before.worker, before.outcome.reason) == (loss.worker, loss.reason)
