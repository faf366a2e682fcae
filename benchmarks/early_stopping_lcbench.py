"""How much sooner a search is as good if hopeless trainings are stopped: LCBench in virtual time.

The surrogate of LCBench (``quality_lcbench``) says after each of 52 epochs how accurate a network is, and how
long it took to get there.  W workers train what a search asks for, once all to the end, and once judged by a
rule.  What a stopped trial teaches the search is its lesson: the best or the last value that it had, or the
value of its last epoch, which only a surrogate can tell, as a perfect extrapolation would.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice, takewhile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from quality_problems import problem
from quality_run import LEAST

from deephpo import create_search
from deephpo.stopping.create import create_rule
from deephpo.stopping.curve import Subject
from deephpo.stopping.recorded import RecordedTrial
from deephpo.stopping.replay import Ending, play
from deephpo.trial import Trial

DEVELOPMENT = ("3945", "7593", "126026", "167168", "168330", "189906")
"""The instances on which choices are made; the others are kept for judging."""

EPOCHS = 52

LESSONS = ("best", "last", "true")
"""What the search may be told of a stopped trial."""

NEAR = 0.01
"""Regret (0 for the optimum, 1 for a median random network) by which a result may be worse to be near."""

SHARES = (0.1, 0.2, 1 / 3, 0.5, 1.0)
"""Shares of the time without stopping after which searches are compared by their regret."""

NONE = "none"
"""The word for a search that stops nothing."""

_DIRECTORY = Path(__file__).parent / "tables" / "lcbench"
_TIME, _ACCURACY = 0, 1


@dataclass(frozen=True)
class Run:
    """What is kept of one search."""

    rule: str
    lesson: str
    search: str
    instance: str
    seed: int
    workers: int
    trials: int
    """So many results the search without stopping had."""
    goal: float
    """Its best loss, that of a network after its last epoch."""
    total_s: float
    """How long it took."""
    reached_s: float | None
    """When this search had a network that was as good after its last epoch; None if not within that time."""
    near_s: float | None
    """When it had one that was nearly as good."""
    measured_s: float | None
    """When it was as good, if what networks had reached in any epoch counts too."""
    regrets: list[float]
    """The regret of its best network after the last epoch, when each of SHARES of that time was over."""
    results: int
    stopped: int
    epochs: int
    """How many were trained for these results."""

    def __str__(self) -> str:
        share = "not reached" if self.reached_s is None else f"reached at {self.reached_s / self.total_s:.3f}"
        how = f"{self.search}, {self.rule}, {self.lesson}, {self.instance}, seed {self.seed}"
        return f"{how}: {share}, {self.results} results"


def without_stopping(search: str, instance: str, seed: int, workers: int, trials: int) -> Run:
    """Run a search that stops nothing until it has so many results."""
    endings = list(islice(_endings(NONE, LESSONS[0], search, instance, seed, workers), trials))
    goal, total_s = min(ending.trial.losses[-1] for ending in endings), endings[-1].ended_s
    return _run(NONE, LESSONS[0], search, instance, seed, workers, trials, goal, total_s, endings)


def with_stopping(rule: str, lesson: str, plain: Run) -> Run:
    """Run the same search, judged by a rule, for as long as the one without took."""
    endings = _endings(rule, lesson, plain.search, plain.instance, plain.seed, plain.workers)
    in_time = list(takewhile(lambda ending: ending.ended_s <= plain.total_s, endings))
    how = plain.search, plain.instance, plain.seed, plain.workers, plain.trials
    return _run(rule, lesson, *how, plain.goal, plain.total_s, in_time)


def _run(
    rule: str,
    lesson: str,
    search: str,
    instance: str,
    seed: int,
    workers: int,
    trials: int,
    goal: float,
    total_s: float,
    endings: Sequence[Ending],
) -> Run:
    """Return what is kept of a search that came to these ends."""
    timed = problem(f"lc/{instance}")
    whole = [(ending.ended_s, ending.trial.losses[-1]) for ending in endings if ending.reason is None]
    near = timed.regret(goal) + NEAR
    return Run(
        rule,
        lesson,
        search,
        instance,
        seed,
        workers,
        trials,
        goal,
        total_s,
        reached_s=next((at_s for at_s, loss in whole if loss <= goal), None),
        near_s=next((at_s for at_s, loss in whole if timed.regret(loss) <= near), None),
        measured_s=next((ending.ended_s for ending in endings if ending.best <= goal), None),
        regrets=[
            timed.regret(min((loss for at_s, loss in whole if at_s <= share * total_s), default=math.inf))
            for share in SHARES
        ],
        results=len(endings),
        stopped=sum(ending.reason is not None for ending in endings),
        epochs=sum(ending.reports for ending in endings),
    )


def _endings(rule: str, lesson: str, name: str, instance: str, seed: int, workers: int) -> Iterator[Ending]:
    """Yield the ends of trainings for ever; the time that the search itself takes does not pass."""
    search = create_search(name, problem(f"lc/{instance}").space, seed=seed)
    judge = None if rule == NONE else create_rule(rule, Subject("error", "minimize", EPOCHS))
    asked: dict[int, Trial] = {}

    def trainings() -> Iterator[RecordedTrial]:
        while True:
            [trial] = search.ask(1)
            asked[trial.id] = trial
            yield training(instance, trial)

    for ending in play(trainings(), judge, workers, EPOCHS):
        search.tell(asked.pop(ending.trial.id), _taught(ending, lesson))
        yield ending


def _taught(ending: Ending, lesson: str) -> float:
    """Return what the search is told: of a trial that ended by itself always the loss of its last epoch."""
    if ending.reason is None or lesson == "true":
        return ending.trial.losses[-1]
    return ending.best if lesson == "best" else ending.trial.losses[ending.reports - 1]


def training(instance: str, trial: Trial) -> RecordedTrial:
    """Return the whole curve of a network: its validation error in percent after each epoch, and the time."""
    steps = np.arange(1, EPOCHS + 1)
    names = [parameter.name for parameter in problem(f"lc/{instance}").space.parameters]
    numbers = np.empty((EPOCHS, 1 + len(names)), dtype=np.float32)
    numbers[:, 0] = steps
    numbers[:, 1:] = [trial.config[name] for name in names]
    category = np.full((EPOCHS, 1), _json("encoding.json")["OpenML_task_id"][instance], dtype=np.int32)
    predicted = _model().run(None, {"x_cat": category, "x_cont": numbers})[0].astype(float)
    # The time is that since the beginning; the surrogate lets it fall, or makes it too short, here and there.
    least_s = _json("references.json")[instance]["t_floor"] * steps / EPOCHS
    seconds = np.maximum(np.maximum.accumulate(predicted[:, _TIME]), least_s)
    errors = (100.0 - predicted[:, _ACCURACY]).tolist()
    return RecordedTrial(
        trial.id, steps.tolist(), errors, seconds.tolist(), [{"error": error} for error in errors]
    )


@cache
def _json(name: str) -> Any:
    return json.loads((_DIRECTORY / name).read_text())


@cache
def _model() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(_DIRECTORY / "model.onnx", options)


def print_shares(plain: Sequence[Run], judged: Sequence[Run]) -> None:
    """Print for each rule after which share of the time without stopping it was as good.

    Medians over instances and seeds; a search that was never as good counts as later than all others.  Of the
    regrets' logarithms the means, and those with a rule less those without, all shares of the time together,
    with the standard error over instances and seeds.
    """
    instances = list(dict.fromkeys(run.instance for run in plain))
    columns = (
        *("search, rule, lesson", "as good after", "quartiles", "never", "nearly as good after"),
        *("as good, counting stopped networks", *instances, "stopped", "epochs"),
        *(f"log10 of the regret after {share:.0%}" for share in SHARES),
    )
    print(f"\n| {' | '.join(columns)} |")
    print(f"|{' --- |' * len(columns)}")
    for key in dict.fromkeys((run.search, run.rule, run.lesson) for run in (*plain, *judged)):
        own = [run for run in (*plain, *judged) if (run.search, run.rule, run.lesson) == key]
        shares = [_share(run.reached_s, run) for run in own]
        low, high = np.quantile(shares, [0.25, 0.75], method="nearest")
        each = [median(_share(r.reached_s, r) for r in own if r.instance == i) for i in instances]
        cells = [
            f"{key[0]}, {key[1]}" + ("" if key[1] == NONE else f", {key[2]}"),
            _shown(median(shares)),
            f"{_shown(low)} to {_shown(high)}",
            f"{np.mean([run.reached_s is None for run in own]):.0%}",
            _shown(median(_share(run.near_s, run) for run in own)),
            _shown(median(_share(run.measured_s, run) for run in own)),
            *map(_shown, each),
            f"{sum(run.stopped for run in own) / sum(run.results for run in own):.0%}",
            f"{sum(run.epochs for run in own) / sum(run.trials * EPOCHS for run in own):.2f}",
            *(f"{logarithm:.2f}" for logarithm in _logarithms(own).mean(axis=0)),
        ]
        print(f"| {' | '.join(cells)} |")

    _print_differences(plain, judged)


def _print_differences(plain: Sequence[Run], judged: Sequence[Run]) -> None:
    unjudged = {(run.search, run.instance, run.seed): run for run in plain}
    for key in dict.fromkeys((run.search, run.rule, run.lesson) for run in judged):
        own = [run for run in judged if (run.search, run.rule, run.lesson) == key]
        without = [unjudged[run.search, run.instance, run.seed] for run in own]
        difference = (_logarithms(own) - _logarithms(without)).mean(axis=1)
        error = difference.std(ddof=1) / math.sqrt(len(difference)) if len(difference) > 1 else math.nan
        print(
            f"{', '.join(key)} less {key[0]}, {NONE}: {difference.mean():+.2f} (standard error {error:.2f})"
        )


def _logarithms(runs: Sequence[Run]) -> NDArray[np.float64]:
    """Return the log10 of the regrets, shape (runs, shares); that of a search without a result is 0."""
    regrets = np.array([run.regrets for run in runs])
    return np.asarray(np.log10(np.clip(regrets, LEAST, 1.0)))


def _share(time_s: float | None, run: Run) -> float:
    return math.inf if time_s is None else time_s / run.total_s


def _shown(share: float) -> str:
    return f"{share:.2f}" if share <= 1 else "> 1"
