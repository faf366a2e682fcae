"""``deephpo replay``: stopping rules tried on recorded learning curves, at no cost."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deephpo.cli.quantities import at_least
from deephpo.errors import OptionError
from deephpo.problem import DIRECTIONS
from deephpo.stopping.create import DEFAULT_RULE

if TYPE_CHECKING:
    from deephpo.stopping.recorded import Recording
    from deephpo.stopping.replay import Judgement, Spread

DESCRIPTION = """Try stopping rules on recorded learning curves: what each would have saved, and what it
would have lost, had the trials come in the recorded order, and in random ones. CURVES is the directory of a
run that nothing stopped, or a CSV file that begins with trial,step,VALUE or trial,step,VALUE,seconds: one
line for each report, VALUE the name of the metric, the seconds counted from the trial's start."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("curves", metavar="CURVES", type=Path, help="a run directory or a CSV file")
    parser.add_argument(
        "--rule",
        action="append",
        default=[],
        dest="rules",
        metavar="RULE",
        help="such as compound:beta=0.25 or asha:eta=2+diverged; said several times, they stand side by side "
        f"(default: {DEFAULT_RULE}, as in a search)",
    )
    parser.add_argument(
        "--orders",
        type=at_least("--orders", 0),
        default=200,
        metavar="N",
        help="random orders of the trials (default: 200)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the random orders (default: 0)")
    parser.add_argument(
        "--workers",
        type=at_least("--workers", 1),
        default=1,
        metavar="W",
        help="so many trials at once, in virtual time (default: 1)",
    )
    parser.add_argument("--direction", choices=DIRECTIONS, help="whether VALUE is better small or large")
    parser.add_argument(
        "--last-step",
        type=at_least("--last-step", 1),
        metavar="N",
        help="with which a training is complete (default: what the problem says, else the longest curve)",
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE.png", help="draw the curves, and where they were stopped"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def run(arguments: argparse.Namespace) -> int:
    """Replay; returns the exit code."""
    from deephpo.stopping.create import create_rule, default_rule
    from deephpo.stopping.recorded import read_recording
    from deephpo.stopping.replay import judge

    recording = read_recording(arguments.curves, arguments.direction, arguments.last_step)
    names = arguments.rules or [default_rule(recording.subject)]
    rules = {rule: partial(create_rule, rule, recording.subject) for rule in names}
    for rule, make_rule in rules.items():  # a mistake in the last is to be heard of before the first is tried
        make_rule()
        _require_metrics(rule, recording)
    orders, seed, workers = arguments.orders, arguments.seed, arguments.workers
    judgements = [judge(recording, name, rule, orders, seed, workers) for name, rule in rules.items()]
    if arguments.plot is not None:
        _draw(recording, judgements, arguments.plot)
    if arguments.json:
        print(json.dumps(_as_json(recording, judgements, arguments)))
    else:
        print("\n".join(_lines(recording, judgements, arguments)))
    return 0


def _require_metrics(rule: str, recording: Recording) -> None:
    """Raise OptionError for a rule that judges by metrics which no report holds all together."""
    from deephpo.stopping.create import further_metrics_of

    also = [metric.metric for metric in further_metrics_of(rule)]
    if not recording.holds(also):
        raise OptionError(
            f"The rule {rule!r} judges by {' and '.join(also)} beside {recording.subject.metric}, but no "
            f"recorded report holds all of them; there are: {', '.join(recording.metrics)}."
        )


def _draw(recording: Recording, judgements: Sequence[Judgement], path: Path) -> None:
    from deephpo.report.replay_plot import draw

    try:
        draw(recording, judgements, path)
    except OSError as error:
        raise OptionError(f"--plot: {path} cannot be written ({error.strerror}).") from None


def _as_json(
    recording: Recording, judgements: Sequence[Judgement], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return what ``--json`` prints; shares lie between 0 and 1."""
    subject = recording.subject
    return {
        "curves": recording.name,
        "metric": subject.metric,
        "direction": subject.direction,
        "last_step": subject.last_step,
        "trials": len(recording.trials),
        "left_out": recording.left_out,
        "steps": recording.steps,
        "seconds": recording.seconds if recording.timed else None,
        "best": subject.loss(recording.best),
        "best_trial": _best_trial(recording),
        "plot": None if arguments.plot is None else str(arguments.plot),
        "workers": arguments.workers,
        "seed": arguments.seed,
        "rules": [_judgement_json(recording, judgement) for judgement in judgements],
    }


def _judgement_json(recording: Recording, judgement: Judgement) -> dict[str, Any]:
    recorded = judgement.recorded
    as_recorded = {
        "stopped": recorded.stopped,
        "steps_saved": recorded.steps_saved,
        "time_saved": recorded.time_saved if recording.timed else None,
        "kept": recorded.kept,
        "found": recording.subject.loss(recorded.found),
        "regret": recorded.regret,
        "stops": [
            {"trial": ending.trial.id, "step": ending.steps, "reason": ending.reason}
            for ending in recorded.endings
            if ending.reason is not None
        ],
    }
    orders = None if judgement.orders is None else asdict(judgement.orders)
    if orders is not None and not recording.timed:
        orders["time_saved"] = None
    return {"rule": judgement.rule, "recorded": as_recorded, "orders": orders}


def _best_trial(recording: Recording) -> int:
    """Return which trial has the best value, the first of several."""
    return next(trial.id for trial in recording.trials if trial.best == recording.best)


def _lines(recording: Recording, judgements: Sequence[Judgement], arguments: argparse.Namespace) -> list[str]:
    """Return what people read."""
    from deephpo.report.summary import clock, figure

    subject, many = recording.subject, arguments.workers > 1
    spent = f", {clock(recording.seconds)} in all" if recording.timed else ""
    lines = [
        f"{recording.name}: {len(recording.trials)} trials, {recording.steps:,} {subject.unit}s{spent}",
        f"best {subject.metric} {figure(subject.loss(recording.best))} (trial {_best_trial(recording)}); "
        f"{subject.direction}",
    ]
    if not arguments.rules:
        lines.append(f"the rule is the one that a search has by itself, {judgements[0].rule}")
    if recording.left_out:
        lines.append(f"{recording.left_out} more were stopped, preempted or have no curve, and are left out")
    at_once = f"{arguments.workers} at a time" if many else "one after the other"
    lines += ["", f"As recorded, {at_once}:", "", *_recorded_table(recording, judgements)]
    if arguments.orders:
        seed = f"seed {arguments.seed}"
        lines += [
            "",
            f"In {arguments.orders} random orders ({seed}), {at_once}:",
            "",
            *_orders_table(recording, judgements),
        ]
    if arguments.plot is not None:
        lines += ["", f"Picture: {arguments.plot}"]
    return lines


def _recorded_table(recording: Recording, judgements: Sequence[Judgement]) -> list[str]:
    from deephpo.report.summary import figure, table

    header = ["rule", "stopped", f"{recording.subject.unit}s saved", "time saved", "best", "found", "lost"]
    rows = [
        [
            rule,
            f"{recorded.stopped} of {len(recording.trials)}",
            _percent(recorded.steps_saved),
            _percent(recorded.time_saved) if recording.timed else "-",
            "kept" if recorded.kept else "stopped",
            figure(recording.subject.loss(recorded.found)),
            figure(recorded.regret),
        ]
        for rule, recorded, _ in judgements
    ]
    return table(header, rows, [False, True, True, True, False, True, True])


def _orders_table(recording: Recording, judgements: Sequence[Judgement]) -> list[str]:
    from deephpo.report.summary import figure, table

    unit = f"{recording.subject.unit}s saved"
    header = ["rule", "stopped", unit, "time saved", "best kept", "lost on average", "at worst"]
    rows = [
        [
            rule,
            f"{orders.stopped.mean:.1f} of {len(recording.trials)}",
            _percents(orders.steps_saved),
            _percents(orders.time_saved) if recording.timed else "-",
            f"{100 * orders.kept:g} %",
            figure(orders.regret),
            figure(orders.worst_regret),
        ]
        for rule, _, orders in judgements
        if orders is not None
    ]
    return table(header, rows, [False] + 6 * [True])


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _percents(shares: Spread) -> str:
    return f"{100 * shares.mean:.1f} ± {100 * shares.deviation:.1f} %"
