"""The picture of a search: the best value over time, above the timeline of its workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from deephpo.errors import MissingPackageError
from deephpo.report.summary import figure
from deephpo.storage.run_directory import replacing
from deephpo.storage.run_state import RunState, TrialEntry
from deephpo.trial import TrialState

_INK, _FAINT, _FAILED = "#1b2a41", "#b8c4d6", "#c8553d"
_MOST_ROWS = 64
"""A timeline of more workers than this shows so many of them, evenly spread."""


def draw(state: RunState, path: Path) -> None:
    """Write the picture as PNG; raises MissingPackageError without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingPackageError("matplotlib", "The picture of a search", "plot") from None
    workers = _shown_workers(state)
    height = 3.4 + min(4.0, 0.9 + 0.22 * len(workers))
    canvas = Figure(figsize=(10, height), layout="constrained")
    FigureCanvasAgg(canvas)
    upper, lower = canvas.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3.4, height - 3.4]})
    unit, name = _time_unit(state.now_s)
    _draw_values(upper, state, unit)
    _draw_timeline(canvas, lower, state, workers, unit)
    lower.set_xlabel(f"time since the search began ({name})")
    lower.set_xlim(0, state.now_s / unit or 1.0)
    with replacing(path) as temporary:
        canvas.savefig(temporary, dpi=130, format="png")


def _time_unit(seconds: float) -> tuple[float, str]:
    for unit, name in ((3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 3 * unit:
            return unit, name
    return 1.0, "seconds"


def _shown_workers(state: RunState) -> list[int]:
    workers = sorted(state.workers)
    if len(workers) <= _MOST_ROWS:
        return workers
    return [workers[i] for i in np.linspace(0, len(workers) - 1, _MOST_ROWS).astype(int)]


def _draw_values(axes: Any, state: RunState, unit: float) -> None:
    declaration = state.declaration
    completed = sorted((t for t in state.ended if t.value is not None), key=lambda t: t.ended_s or 0.0)
    title, objective = "", "objective"
    if declaration is not None:
        title, objective = declaration.name, f"{declaration.objective} ({declaration.direction})"
    times = np.array([(t.ended_s or 0.0) / unit for t in completed])
    values = np.array([t.value for t in completed], dtype=float)
    title = f"{title}: {state.done} trials on {len(state.workers)} workers"
    axes.set_title(title, loc="left", color=_INK, parse_math=False)
    axes.set_ylabel(objective, parse_math=False)
    _quiet(axes)
    if not len(values):
        axes.text(0.5, 0.5, "no trial has succeeded", transform=axes.transAxes, ha="center", color=_FAILED)
        return
    minimize = declaration is None or declaration.direction == "minimize"
    best = np.minimum.accumulate(values) if minimize else np.maximum.accumulate(values)
    axes.plot(times, values, "o", color=_FAINT, markersize=4, label="one trial", zorder=2)
    steps = np.append(times, state.now_s / unit), np.append(best, best[-1])
    axes.step(*steps, where="post", color=_INK, linewidth=2, label="best so far", zorder=3)
    first = int(np.flatnonzero(values == best[-1])[0])
    axes.plot(times[first], best[-1], "o", color=_INK, markersize=7, zorder=4)
    label = f"{figure(float(best[-1]))} (trial {completed[first].id})"
    axes.annotate(
        label,
        (times[first], best[-1]),
        xytext=(6, -16 if minimize else 8),
        textcoords="offset points",
        color=_INK,
        fontweight="bold",
    )
    if declaration is not None and declaration.optimum is not None:
        axes.axhline(declaration.optimum, color=_FAILED, linewidth=1, linestyle=":", label="optimum")
    _scale(axes, values, declaration.optimum if declaration else None)
    axes.legend(loc="upper right" if minimize else "lower right", frameon=False)


def _scale(axes: Any, values: Any, optimum: float | None) -> None:
    """Use a logarithmic axis where the values span decades, else keep outliers from flattening the rest."""
    if values.min() > 0 and values.max() / values.min() > 30 and (optimum is None or optimum > 0):
        axes.set_yscale("log")
    axes.margins(y=0.12)


def _draw_timeline(canvas: Any, axes: Any, state: RunState, workers: list[int], unit: float) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    colours = LinearSegmentedColormap.from_list("deephpo", ["#1d4e89", "#5fa8d3", "#e8eef4"])
    values = [t.value for t in state.ended if t.value is not None]
    sign = -1.0 if state.declaration and state.declaration.direction == "maximize" else 1.0
    ordered = sorted(sign * value for value in values)
    rows = {worker: row for row, worker in enumerate(workers)}
    for trial in state.trials.values():
        if trial.worker not in rows or trial.started_s is None:
            continue
        end = state.now_s if trial.ended_s is None else trial.ended_s
        span = [(trial.started_s / unit, (end - trial.started_s) / unit)]
        axes.broken_barh(
            span,
            (rows[trial.worker] - 0.4, 0.8),
            facecolors=_colour(trial, ordered, sign, colours),
            edgecolor="white",
            linewidth=0.4,
        )
    axes.set_ylim(len(workers) - 0.4, -0.6)
    if len(workers) <= 16:
        axes.set_yticks(range(len(workers)), [f"worker {worker}" for worker in workers])
    else:
        axes.set_ylabel(f"{len(workers)} of {len(state.workers)} workers")
        axes.set_yticks([])
    busy = f"workers busy {100 * state.utilisation():.0f} % of the time"
    failed = state.counts[TrialState.FAILED]
    axes.set_title(busy + (f"; {failed} failed (red)" if failed else ""), loc="left", color=_INK, fontsize=10)
    _quiet(axes)
    bar = canvas.colorbar(ScalarMappable(Normalize(0, 1), colours), ax=axes, ticks=[0, 1], pad=0.01, aspect=8)
    bar.ax.set_yticklabels(["best", "worst"])
    bar.ax.invert_yaxis()
    bar.outline.set_visible(False)


def _colour(trial: TrialEntry, ordered: list[float], sign: float, colours: Any) -> Any:
    """Return a trial's colour by the rank of its value; failures stand out, unfinished ones do not."""
    if trial.state is TrialState.FAILED:
        return _FAILED
    if trial.value is None:
        return "#dddddd"
    rank = np.searchsorted(ordered, sign * trial.value)
    return colours(rank / max(1, len(ordered) - 1))


def _quiet(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#eeeeee", zorder=0)
    axes.set_axisbelow(True)
