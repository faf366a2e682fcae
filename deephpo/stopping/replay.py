"""What a rule would have made of recorded curves: what is saved, and what is lost."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from statistics import fmean, pstdev
from typing import NamedTuple

from deephpo.stopping.curve import Curve
from deephpo.stopping.recorded import RecordedTrial, Recording
from deephpo.stopping.rule import StoppingRule


@dataclass(frozen=True, slots=True)
class Ending:
    """How a recorded trial ends under a rule."""

    trial: RecordedTrial
    reports: int
    """So many came before it ended."""
    ended_s: float
    """In virtual time."""
    reason: str | None
    """Why it was stopped; None if it was not."""

    @property
    def steps(self) -> int:
        """The steps that it trained."""
        return self.trial.steps[self.reports - 1]

    @property
    def seconds(self) -> float:
        """The time that it trained."""
        return self.trial.seconds[self.reports - 1]

    @property
    def best(self) -> float:
        """The smallest loss that it had reported by then; infinity if there is none."""
        losses = self.trial.losses[: self.reports]
        return min((loss for loss in losses if math.isfinite(loss)), default=math.inf)


def play(
    trials: Iterable[RecordedTrial], rule: StoppingRule | None, workers: int = 1, last_step: int | None = None
) -> Iterator[Ending]:
    """Yield the ends of trials in virtual time; each free worker takes the next trial, or is done.

    A trial's reports come when they came, and are judged at once; a trial that is stopped frees its worker.
    Its last report is judged too, but nothing is left to be spared then, nor with the last step; and no trial
    is promoted.  Trials are taken from their iterator when they begin: it may draw on what was yielded
    before.
    """
    waiting = iter(trials)
    # When its next report comes, how many began before it, how many reports it has, when it began.
    running: list[tuple[float, int, int, float, RecordedTrial, Curve]] = []
    now_s, begun = 0.0, 0
    while True:
        for trial in islice(waiting, workers - len(running)):
            first_s = now_s + trial.seconds[0]
            heapq.heappush(running, (first_s, begun, 0, now_s, trial, Curve(trial.id)))
            begun += 1
        if not running:
            return
        ending = None
        while ending is None:
            now_s, number, k, began_s, trial, curve = running[0]
            step, reports = trial.steps[k], k + 1
            curve.add(step, trial.losses[k], trial.metrics[k])
            reason = rule.judge(curve) if rule is not None else None
            if reports == len(trial.steps) or (reason is not None and step == last_step):
                ending = Ending(trial, reports, now_s, None)
            elif reason is not None:
                ending = Ending(trial, reports, now_s, reason)
            else:
                next_s = began_s + trial.seconds[reports]
                heapq.heapreplace(running, (next_s, number, reports, began_s, trial, curve))
        heapq.heappop(running)
        if rule is not None:
            rule.close(curve, ending.reason is None and trial.completed)
        yield ending


@dataclass(frozen=True)
class Replay:
    """What came of one order of the trials."""

    recording: Recording
    endings: Sequence[Ending]

    @property
    def stopped(self) -> int:
        """How many trials were stopped."""
        return sum(ending.reason is not None for ending in self.endings)

    @cached_property
    def steps_saved(self) -> float:
        """The share of all steps that was not trained."""
        return _saved(sum(ending.steps for ending in self.endings), self.recording.steps)

    @cached_property
    def time_saved(self) -> float:
        """The share of the trials' time that was not spent."""
        return _saved(sum(ending.seconds for ending in self.endings), self.recording.seconds)

    @cached_property
    def kept(self) -> bool:
        """Whether a trial with the best value of all was trained to its end."""
        best = self.recording.best
        return any(ending.reason is None and ending.trial.best == best for ending in self.endings)

    @cached_property
    def found(self) -> float:
        """The smallest loss that any trial reported before it was stopped; one that failed does not count."""
        return min(ending.best for ending in self.endings if ending.trial.completed)

    @property
    def regret(self) -> float:
        """What is lost: by how much the best value found is worse than the best one of all curves."""
        return self.found - self.recording.best


def replay(recording: Recording, rule: StoppingRule, order: Sequence[int], workers: int = 1) -> Replay:
    """Return what comes of the trials in an order, which holds their places in the recording."""
    trials = (recording.trials[place] for place in order)
    return Replay(recording, tuple(play(trials, rule, workers, recording.subject.last_step)))


@dataclass(frozen=True)
class Spread:
    """A figure over many orders."""

    mean: float
    deviation: float
    """The standard deviation of the orders themselves, not of a sample of them."""

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        """Return mean and deviation."""
        return cls(fmean(figures), pstdev(figures))


@dataclass(frozen=True)
class Orders:
    """What came of many orders."""

    orders: int
    stopped: Spread
    steps_saved: Spread
    time_saved: Spread
    kept: float
    """The share of orders in which a trial with the best value was trained to its end."""
    regret: float
    """The mean over all orders."""
    worst_regret: float


class Judgement(NamedTuple):
    """What a rule makes of recorded curves."""

    rule: str
    recorded: Replay
    orders: Orders | None
    """None if no random orders were asked for."""


def judge(
    recording: Recording,
    name: str,
    make_rule: Callable[[], StoppingRule],
    orders: int,
    seed: int = 0,
    workers: int = 1,
) -> Judgement:
    """Return what a rule makes of the recorded order and of random ones, a fresh rule of each."""
    trials = len(recording.trials)
    recorded = replay(recording, make_rule(), range(trials), workers)
    replays = [
        replay(recording, make_rule(), order, workers) for order in random_orders(trials, orders, seed)
    ]
    return Judgement(name, recorded, _summary(replays) if replays else None)


def _summary(replays: Sequence[Replay]) -> Orders:
    return Orders(
        len(replays),
        Spread.of([r.stopped for r in replays]),
        Spread.of([r.steps_saved for r in replays]),
        Spread.of([r.time_saved for r in replays]),
        fmean(r.kept for r in replays),
        fmean(r.regret for r in replays),
        max(r.regret for r in replays),
    )


def random_orders(trials: int, orders: int, seed: int) -> Iterator[list[int]]:
    """Yield so many orders of so many trials; the first ones do not depend on how many there are."""
    generator = random.Random(seed)
    for _ in range(orders):
        order = list(range(trials))
        generator.shuffle(order)
        yield order


def _saved(spent: float, recorded: float) -> float:
    """Return the share that was not spent; of nothing, as where all trials report step 0 alone, nothing."""
    return 1 - spent / recorded if recorded else 0.0
