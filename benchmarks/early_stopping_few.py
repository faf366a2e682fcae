"""What do stopping rules save and lose where there is little to compare with: few trials, few steps?

    python benchmarks/early_stopping_few.py [--rules RULE ...] [--trials 12 25] [--steps 10] [--draws 200]

Searches of so many trials are drawn from the curves that ``early_stopping.py`` replays, and run on four
asynchronous workers in virtual time: with all reports, and with as many as a short training has.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from statistics import fmean

from early_stopping import CURVES, recording

from deephpo.stopping.create import DEFAULT_RULE, create_rule
from deephpo.stopping.recorded import RecordedTrial, Recording
from deephpo.stopping.replay import Replay, replay

WORKERS = 4


@cache
def shortened(name: str, steps: int) -> Recording:
    """Return the curves of that name with so many reports, evenly spread, each a step."""
    whole = recording(name)
    last_step = whole.subject.last_step or 0
    trials = [_shortened(trial, steps, last_step) for trial in whole.trials]
    return replace(whole, subject=replace(whole.subject, last_step=steps), trials=trials)


def _shortened(trial: RecordedTrial, steps: int, last_step: int) -> RecordedTrial:
    ends = [round(last_step * step / steps) for step in range(1, steps + 1)]
    places = [place for place, step in enumerate(trial.steps) if step in ends]
    return RecordedTrial(
        trial.id,
        range(1, len(places) + 1),
        [trial.losses[place] for place in places],
        [trial.seconds[place] for place in places],
        [trial.metrics[place] for place in places],
    )


def searches(curves: Recording, rule: str, trials: int, draws: int) -> list[Replay]:
    """Return what a rule makes of searches of so many trials, drawn from the curves."""
    rng = random.Random(trials)
    drawn = (replace(curves, trials=rng.sample(curves.trials, trials)) for _ in range(draws))
    return [replay(some, create_rule(rule, some.subject), range(trials), WORKERS) for some in drawn]


def print_rules(rules: Sequence[str], trials: Sequence[int], steps: int, draws: int) -> None:
    """Print a line for each rule: the steps saved, and how often the best of the drawn trials is kept."""
    sets = [(name, curves) for name in CURVES for curves in (recording(name), shortened(name, steps))]
    columns = [
        f"{name}, {curves.subject.last_step} steps, {n} trials: saved | best kept"
        for name, curves in sets
        for n in trials
    ]
    print(f"| rule | {' | '.join(columns)} |")
    print(f"|{' --- |' * (1 + 2 * len(columns))}")
    for rule in rules:
        cells = []
        for _, curves in sets:
            for n in trials:
                played = searches(curves, rule, n, draws)
                cells.append(f"{100 * fmean(run.steps_saved for run in played):.0f} %")
                cells.append(f"{100 * fmean(run.kept for run in played):.1f} %")
        print(f"| {rule} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Replay searches of few trials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rules", nargs="+", default=[DEFAULT_RULE, "asha", "median"])
    parser.add_argument("--trials", type=int, nargs="+", default=[12, 25])
    parser.add_argument("--steps", type=int, default=10, help="of the short trainings")
    parser.add_argument("--draws", type=int, default=200)
    options = parser.parse_args()
    print_rules(options.rules, options.trials, options.steps, options.draws)


if __name__ == "__main__":
    main()
