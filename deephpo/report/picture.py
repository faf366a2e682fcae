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

_INK, _FAINT, _FAILED, _NO_VALUE = "#1b2a41", "#b8c4d6", "#c8553d", "#a9a39a"
_BEST_TO_WORST = ["#1d4e89", "#5fa8d3", "#e8eef4"]
_BAR, _SLIM_BAR = 0.8, 0.3
"""The heights of the bars of trials, and of those that were stopped early, in rows."""
_MOST_ROWS = 64
"""A timeline of more workers than this shows so many of them, evenly spread."""
_COLUMNS = 1000
"""The timeline is about so many pixels wide: what is narrower than one of them cannot be seen."""


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
    """Draw one dot for each trial with a value, the best so far, and the optimum where it is known."""
    declaration = state.declaration
    completed = sorted((t for t in state.ended if t.value is not None), key=lambda t: t.ended_s or 0.0)
    title, objective = "", "objective"
    if declaration is not None:
        title, objective = f"{declaration.name}: ", f"{declaration.objective} ({declaration.direction})"
    title += f"{_count(state.done, 'trial')} on {_count(len(state.workers), 'worker')}"
    axes.set_title(title, loc="left", color=_INK, parse_math=False)
    axes.set_ylabel(objective, parse_math=False)
    _quiet(axes)
    if not completed:
        axes.text(0.5, 0.5, "no trial has succeeded", transform=axes.transAxes, ha="center", color=_FAILED)
        axes.set_yticks([])
        return
    optimum = None if declaration is None else declaration.optimum
    minimize = declaration is None or declaration.direction == "minimize"
    times = np.array([(t.ended_s or 0.0) / unit for t in completed])
    values = np.array([t.value for t in completed], dtype=float)
    best = np.minimum.accumulate(values) if minimize else np.maximum.accumulate(values)
    size = 4 if len(values) < 1000 else 2
    stopped = np.array([t.state is TrialState.STOPPED for t in completed])
    dots = {"linestyle": "", "marker": "o", "color": _FAINT, "markersize": size, "zorder": 2}
    axes.plot(times[~stopped], values[~stopped], label="one trial", **dots)
    if stopped.any():
        axes.plot(times[stopped], values[stopped], label="stopped early", markerfacecolor="none", **dots)
    steps = np.append(times, state.now_s / unit), np.append(best, best[-1])
    axes.step(*steps, where="post", color=_INK, linewidth=2, label="best so far", zorder=3)
    if optimum is not None:
        axes.axhline(optimum, color=_FAILED, linewidth=1, linestyle=":", label="optimum")
    first = int(np.flatnonzero(values == best[-1])[0])
    _mark_best(axes, completed[first], times[first], times[first] > 2 / 3 * state.now_s / unit, minimize)
    _scale(axes, values, optimum)
    _legend(axes)


def _mark_best(axes: Any, best: TrialEntry, time: float, late: bool, minimize: bool) -> None:
    """Mark the best trial; the text of a late one stands left of it, and none changes the layout."""
    axes.plot(time, best.value, "o", color=_INK, markersize=7, zorder=4)
    axes.annotate(
        f"{figure(best.value)} (trial {best.id})",
        (time, best.value),
        xytext=(-6 if late else 6, -16 if minimize else 8),
        textcoords="offset points",
        horizontalalignment="right" if late else "left",
        color=_INK,
        fontweight="bold",
        annotation_clip=False,
    ).set_in_layout(False)


def _scale(axes: Any, values: Any, optimum: float | None) -> None:
    """Use a logarithmic axis where the values span decades, and leave room for the text of the best."""
    if values.min() > 0 and values.max() / values.min() > 30 and (optimum is None or optimum > 0):
        axes.set_yscale("log")
    axes.margins(y=0.15)


def _draw_timeline(canvas: Any, axes: Any, state: RunState, workers: list[int], unit: float) -> None:
    """Draw one row a worker and one bar a trial, coloured by its value's rank, slim if it was stopped."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    colours = LinearSegmentedColormap.from_list("deephpo", _BEST_TO_WORST)
    _draw_bars(axes, state, workers, unit, colours)
    axes.set_ylim(len(workers) - 0.4, -0.6)
    if len(workers) <= 16:
        axes.set_yticks(range(len(workers)), [f"worker {worker}" for worker in workers])
    else:
        shown = f"{len(workers)} of " if len(workers) < len(state.workers) else ""
        axes.set_ylabel(f"{shown}{_count(len(state.workers), 'worker')}")
        axes.set_yticks([])
    busy = f"workers busy {100 * state.utilisation():.0f} % of the time"
    axes.set_title(busy, loc="left", color=_INK, fontsize=10)
    _quiet(axes)
    kinds = (
        (state.counts[TrialState.FAILED], "failed", _FAILED),
        (state.counts[TrialState.PREEMPTED], "preempted", _NO_VALUE),
        (len(state.running), "running", _NO_VALUE),
    )
    handles: list[Any] = [Patch(color=colour, label=f"{n:,} {kind}") for n, kind, colour in kinds if n]
    if stopped := state.counts[TrialState.STOPPED]:
        handles.insert(
            0, Line2D([], [], color=_BEST_TO_WORST[1], linewidth=2.5, label=f"{stopped:,} stopped")
        )
    _legend(axes, handles)
    aspect = 8 if len(workers) <= 8 else 20
    scale = ScalarMappable(Normalize(0, 1), colours)
    bar = canvas.colorbar(scale, ax=axes, ticks=[0, 1], pad=0.01, aspect=aspect)
    bar.ax.set_yticklabels(["best", "worst"])
    bar.ax.invert_yaxis()
    bar.outline.set_visible(False)


def _draw_bars(axes: Any, state: RunState, workers: list[int], unit: float, colours: Any) -> None:
    """Draw the trials' bars in few strokes, however many there are."""
    rows = {worker: row for row, worker in enumerate(workers)}
    places = [
        (trial, rows[worker])
        for trial in state.trials.values()
        if trial.started_s is not None
        for worker in (trial.worker, *trial.others)
        if worker in rows
    ]
    trials = [trial for trial, _ in places]
    row = np.array([row for _, row in places], dtype=float)
    left = np.array([t.started_s for t in trials], dtype=float) / unit
    ends = [state.now_s if t.ended_s is None else t.ended_s for t in trials]
    width = np.array(ends, dtype=float) / unit - left
    colour = _colours(state, trials, colours)
    failed = np.array([t.state is TrialState.FAILED for t in trials], dtype=bool)
    height = np.array([_SLIM_BAR if t.state is TrialState.STOPPED else _BAR for t in trials])
    pixel = (state.now_s or 1.0) / unit / _COLUMNS
    # Edges part wide bars, and would cover narrow ones.  Failures come last, wide enough to be seen.
    wide, hidden = width >= 5 * pixel, width < pixel
    for chosen, least, edge in (
        (np.flatnonzero(wide & ~failed), 0.0, 0.5),
        (np.flatnonzero(~wide & ~hidden & ~failed), 0.0, 0.0),
        (_one_a_pixel(hidden & ~failed, row, left, pixel), 1.5 * pixel, 0.0),
        (np.flatnonzero(wide & failed), 0.0, 0.5),
        (_one_a_pixel(~wide & failed, row, left, pixel), 2.0 * pixel, 0.0),
    ):
        spans = left[chosen], np.maximum(width[chosen], least)
        _add_bars(axes, row[chosen], height[chosen], *spans, colour[chosen], edge)


def _one_a_pixel(chosen: Any, row: Any, left: Any, pixel: float) -> Any:
    """Return the indices of the chosen bars; of those that begin in the same pixel one is enough."""
    indices = np.flatnonzero(chosen)
    places = row[indices] * 2 * _COLUMNS + np.floor(left[indices] / pixel)
    return indices[np.unique(places, return_index=True)[1]]


def _add_bars(axes: Any, row: Any, height: Any, left: Any, width: Any, colour: Any, edge: float) -> None:
    from matplotlib.collections import PolyCollection

    right, top, bottom = left + width, row - height / 2, row + height / 2
    corners = np.stack([left, top, left, bottom, right, bottom, right, top], axis=-1).reshape(-1, 4, 2)
    bars = PolyCollection(list(corners), facecolors=colour, edgecolors="white", linewidths=edge)
    bars.set_antialiased(edge > 0)  # bars without edges keep their colour to the last pixel
    bars.set_in_layout(False)
    axes.add_collection(bars, autolim=False)


def _colours(state: RunState, trials: list[TrialEntry], colours: Any) -> Any:
    """Return the trials' colours by the ranks of their values; failures stand out, unfinished ones do not."""
    from matplotlib.colors import to_rgba

    sign = -1.0 if state.declaration and state.declaration.direction == "maximize" else 1.0
    ordered = np.sort([sign * t.value for t in state.trials.values() if t.value is not None])
    values = np.array([np.nan if t.value is None else sign * t.value for t in trials], dtype=float)
    chosen = colours(np.searchsorted(ordered, values) / max(1, len(ordered) - 1))
    chosen[np.isnan(values)] = to_rgba(_NO_VALUE)
    chosen[[t.state is TrialState.FAILED for t in trials]] = to_rgba(_FAILED)
    return chosen


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _legend(axes: Any, handles: list[Any] | None = None) -> None:
    """Explain the colours above the axes at the right, where nothing is drawn."""
    axes.legend(
        handles=handles,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=4,
        frameon=False,
        fontsize=9,
        borderaxespad=0.2,
        handlelength=1.2,
    )


def _quiet(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#eeeeee", zorder=0)
    axes.set_axisbelow(True)
