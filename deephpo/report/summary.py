"""A run in words and figures: the text that ``search`` ends with and ``status`` prints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from deephpo.report.pareto import Point, objectives, pareto_front
from deephpo.report.terminal import columns_of, left_aligned, right_aligned
from deephpo.storage.run_state import RunState, TrialEntry
from deephpo.trial import Config, TrialState, Value

_INDENT = "  "
_WIDTH = 100
"""A table that would be wider than this lacks its last parameters; the CSV has them all."""
_MOST_ON_FRONT = 10
"""So many trials of a Pareto front are shown; the JSON has them all."""


def clock(seconds: float) -> str:
    """Return a time span as 0:07, 12:30 or 3:02:30."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def figure(value: Value) -> str:
    """Return a value in few characters: four significant digits, no more."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4g}" if not math.isclose(value, 0.0) else "0"


def configuration_line(config: Config) -> str:
    """Return a configuration on one line."""
    return " ".join(f"{name}={figure(value)}" for name, value in config.items())


def rate_per_minute(state: RunState) -> float:
    """Return how many trials a minute have been settled so far."""
    return 60 * state.done / state.now_s if state.now_s else 0.0


def counts_line(state: RunState) -> str:
    """Return how many trials ended in which way, and how busy the workers were."""
    counts = [f"{state.counts[kind]} {kind}" for kind in TrialState if state.counts[kind]]
    trials = "trial" if state.done == 1 else "trials"
    parts = [
        f"{state.done} {trials} in {clock(state.now_s)}: {', '.join(counts) or 'none ended'}",
        f"{rate_per_minute(state):.1f}/min",
        f"workers busy {100 * state.utilisation():.0f} %",
    ]
    return " · ".join(parts)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> list[str]:
    """Return aligned lines; numbers stand right, texts left."""
    widths = [max(columns_of(cell) for cell in column) for column in zip(header, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        aligned = [
            right_aligned(cell, columns) if is_number else left_aligned(cell, columns)
            for cell, columns, is_number in zip(cells, widths, numeric, strict=True)
        ]
        return _INDENT + "  ".join(aligned).rstrip()

    return [line(header), _INDENT + "  ".join("-" * w for w in widths), *(line(row) for row in rows)]


def _ranking(state: RunState, top: int) -> list[TrialEntry]:
    """Return the best trials; of several with the best value, the one first that is called the best."""
    best = None if state.best is None else state.best.id
    return sorted(state.ranked(), key=lambda trial: trial.id != best)[:top]


def best_table(state: RunState, top: int) -> list[str]:
    """Return the best trials with their configurations as aligned lines."""
    if state.declaration is None:
        return []
    ranked = _ranking(state, top)
    parameters = [p.name for p in state.declaration.space.parameters]
    header = ["trial", state.declaration.objective, *parameters]
    rows = [
        [str(t.id), figure(t.value), *(figure(t.config[p]) if p in t.config else "-" for p in parameters)]
        for t in ranked
    ]
    _insert_states(header, rows, ranked)
    shown = _columns_that_fit(header, rows)
    numeric = [all(_looks_numeric(row[j]) for row in rows) for j in range(shown)]
    lines = table(header[:shown], [row[:shown] for row in rows], numeric)
    if shown < len(header):
        more = len(header) - shown
        lines.append(f"{_INDENT}({more} more parameter{'s' if more > 1 else ''} in results.csv)")
    return lines


def _insert_states(header: list[str], rows: Sequence[list[str]], trials: Sequence[TrialEntry]) -> None:
    """Say how each trial ended, behind its value, where one of them was stopped."""
    if any(t.state is TrialState.STOPPED for t in trials):
        header.insert(2, "state")
        for row, t in zip(rows, trials, strict=True):
            row.insert(2, str(t.state))


def _columns_that_fit(header: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    widths = [max(columns_of(cell) for cell in column) + 2 for column in zip(header, *rows, strict=True)]
    while len(widths) > 2 and sum(widths) > _WIDTH:
        widths.pop()
    return len(widths)


def _looks_numeric(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell == "-"
    return True


def workers_of(trial: TrialEntry) -> str:
    """Return who trained a trial: "worker 3", or "workers 3, 4" of which the first spoke for it."""
    if not trial.others:
        return f"worker {trial.worker}"
    return f"workers {', '.join(map(str, (trial.worker, *trial.others)))}"


def best_configuration(state: RunState) -> list[str]:
    """Return the best configuration, one parameter a line, at full precision."""
    if state.best is None or state.declaration is None:
        return [f"{_INDENT}No trial has succeeded."]
    best = state.best
    where = f" on {workers_of(best)} ({best.host})" if best.worker is not None else ""
    early = ", stopped early" if best.state is TrialState.STOPPED else ""
    title = f"Best: {state.declaration.objective} = {best.value!r}, trial {best.id}{where}{early}"
    columns = max(columns_of(name) for name in best.config)
    return [
        title,
        *(f"{_INDENT}{left_aligned(name, columns)}  {value!r}" for name, value in best.config.items()),
    ]


def silence_line(trial: TrialEntry, state: RunState) -> str:
    """Return that the first trial to complete reported nothing that a stopping rule could judge.

    Empty if it did, if no rule was to judge it, and for every other trial.
    """
    if state.declaration is None or state.options.get("stop", {}).get("value", "none") == "none":
        return ""
    if trial.state is not TrialState.COMPLETED or state.counts[TrialState.COMPLETED] > 1:
        return ""
    objective = state.declaration.objective
    if any(objective in metrics for _, _, metrics in trial.curve):
        return ""
    return (
        f"trial {trial.id} never reported {objective!r}, so the stopping rule had nothing to judge: "
        "ctx.report(step, ...) under that name, or --stop none"
    )


def thrift_line(state: RunState) -> str:
    """Return how much of the training early stopping spared, or why it could not; empty if nobody asked."""
    declaration, rule = state.declaration, state.options.get("stop", {})
    if declaration is None or rule.get("value", "none") == "none" or not state.done:
        return ""
    settled = [trial for trial in state.ended if trial.state is not TrialState.PREEMPTED]
    objective, fidelity = declaration.objective, declaration.fidelity
    if not any(objective in metrics for trial in settled for _, _, metrics in trial.curve):
        asked = rule.get("origin") == "command line"
        hint = f"No trial could be stopped early, as none reported its objective, {objective!r}."
        return hint if asked else ""
    if fidelity is None or not state.counts[TrialState.STOPPED]:
        return ""
    stopped = [trial for trial in settled if trial.state is TrialState.STOPPED]
    spared = sum(max(0, fidelity.high - (trial.curve[-1][1] if trial.curve else 0)) for trial in stopped)
    share = spared / (fidelity.high * len(settled))
    spared_text = f"{100 * share:.0f} % of the {fidelity.name}s"
    return f"Stopped early: {len(stopped)} of {len(settled)} trials, which spared {spared_text}."


def promotion_line(state: RunState) -> str:
    """Return how many stopped trials went on after all; empty if nobody asked for that."""
    if not state.promoted and not state.options.get("promote", {}).get("value"):
        return ""
    match len(state.promoted):
        case 0:
            return "Promoted: no stopped trial."
        case 1:
            return "Promoted: 1 stopped trial went on from its checkpoint."
        case count:
            return f"Promoted: {count} stopped trials went on from their checkpoints."


def front_lines(state: RunState) -> list[str]:
    """Return the Pareto front of several objectives as aligned lines; nothing if there is only one."""
    subjects = objectives(state)
    if not subjects:
        return []
    *names, last = (f"{subject.metric} ({subject.direction})" for subject in subjects)
    title = f"Pareto front of {', '.join(names)} and {last}:"
    front = pareto_front(state)
    if not front:
        return [f"{title} no trial has all of them."]
    shown = front[:_MOST_ON_FRONT]
    header = ["trial", *(subject.metric for subject in subjects)]
    rows = [[str(p.trial.id), figure(p.trial.value), *map(figure, p.others.values())] for p in shown]
    _insert_states(header, rows, [p.trial for p in shown])
    numeric = [all(map(_looks_numeric, cells)) for cells in zip(*rows, strict=True)]
    lines = table(header, rows, numeric)
    more = [f"{_INDENT}... and {len(front) - len(shown)} more"] if len(front) > len(shown) else []
    return [title, *lines, *more]


def failure_lines(state: RunState) -> list[str]:
    """Return the reasons for which trials failed, the most frequent first: three, and how many more."""
    reasons: dict[str, list[TrialEntry]] = {}
    for trial in state.ended:
        if trial.state is TrialState.FAILED:
            reasons.setdefault(trial.reason, []).append(trial)
    ordered = sorted(reasons.items(), key=lambda item: -len(item[1]))
    lines = [
        f"{_INDENT}{len(trials)} x {reason} (trial {trials[0].id} on {trials[0].host})"
        for reason, trials in ordered[:3]
    ]
    if more := len(ordered[3:]):
        lines.append(f"{_INDENT}and {more} more kind{'s' if more > 1 else ''}")
    return lines


def _in_plain_words(reason: str) -> str:
    """Return why a search ended, with what a signal means that is not for everybody to know."""
    return reason.replace("SIGUSR1", "SIGUSR1 (the batch system's warning that the time is nearly up)")


def full_summary(state: RunState, top: int) -> list[str]:
    """Return everything worth knowing about a run: counts, the best trials, failures."""
    lines = [counts_line(state)]
    if state.finished is not None:
        lines.append(f"Ended: {_in_plain_words(state.finished.reason)}.")
    if thrift := thrift_line(state):
        lines.append(thrift)
    if promotion := promotion_line(state):
        lines.append(promotion)
    if failures := failure_lines(state):
        lines += ["", "Failed trials:", *failures]
    if state.best is not None:
        lines += ["", *best_table(state, top)]
        if front := front_lines(state):
            lines += ["", *front]
    return [*lines, "", *best_configuration(state)]


def as_json(state: RunState, top: int) -> dict[str, Any]:
    """Return the same as plain values, for ``--json``."""
    declaration = state.declaration
    return {
        "problem": declaration.name if declaration else None,
        "objective": declaration.objective if declaration else None,
        "direction": declaration.direction if declaration else None,
        "trials": state.done,
        "running": len(state.running),
        **{kind.value: state.counts[kind] for kind in TrialState},
        "elapsed_s": round(state.now_s, 3),
        "trials_per_minute": round(rate_per_minute(state), 3),
        "utilisation": round(state.utilisation(), 4),
        "workers": len(state.workers),
        "finished": state.finished.reason if state.finished else None,
        "exit_code": state.finished.exit_code if state.finished else None,
        "best": _trial_json(state.best),
        "top": [_trial_json(trial) for trial in _ranking(state, top)],
        **({"front": [_point_json(point) for point in pareto_front(state)]} if objectives(state) else {}),
    }


def _point_json(point: Point) -> dict[str, Any]:
    return {
        **(_trial_json(point.trial) or {}),
        "state": str(point.trial.state),
        "metrics": dict(point.others),
    }


def _trial_json(trial: TrialEntry | None) -> dict[str, Any] | None:
    if trial is None:
        return None
    place = {"worker": trial.worker, "host": trial.host}
    return {"trial": trial.id, "value": trial.value, "config": dict(trial.config), **place}
