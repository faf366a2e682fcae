"""The picture of a replay: where rules would have stopped recorded curves, what that saves and keeps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deephpo.errors import MissingPackageError
from deephpo.report.summary import figure
from deephpo.stopping.recorded import RecordedTrial, Recording
from deephpo.stopping.replay import Ending, Judgement
from deephpo.storage.run_directory import replacing

_INK, _QUIET, _GHOST = "#1b2a41", "#6b7a8f", "#e3e8ef"
_TRAINED, _CUT, _STOP = "#5fa8d3", "#b8c4d6", "#c8553d"
_COLUMNS = 3
_FENCE = 3.0
"""Panels end at the bad side so many times farther from the best value than three quarters of all values of
the second half of the steps lie, so that a few trials that never learnt flatten nothing."""


def draw(recording: Recording, judgements: Sequence[Judgement], path: Path) -> None:
    """Write the picture as PNG: a panel for each rule, and one for all of them if there are several.

    Raises MissingPackageError without matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError:
        raise MissingPackageError("matplotlib", "The picture of a replay", "plot") from None
    compared = [j for j in judgements if j.orders is not None] if len(judgements) > 1 else []
    panels = len(judgements) + bool(compared)
    columns = min(panels, _COLUMNS)
    rows = -(-panels // columns)
    width = 10.0 if columns == 1 else 4.6 * columns + 0.4
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1, wspace=0.02, hspace=0.04)
    canvas = Figure(figsize=(width, 1.0 + (5.0 if columns == 1 else 3.7) * rows), layout=layout)
    FigureCanvasAgg(canvas)
    grid = canvas.subplots(rows, columns, squeeze=False)
    limits = _limits(recording)
    for place, judgement in enumerate(judgements):
        axes = grid.flat[place]
        _draw_curves(axes, recording, judgement, limits)
        if place % columns == 0:
            axes.set_ylabel(recording.subject.metric, color=_INK, parse_math=False)
        axes.set_xlabel(recording.subject.unit, color=_INK, parse_math=False)
    if compared:
        _draw_comparison(grid.flat[len(judgements)], compared)
    for axes in grid.flat[panels:]:
        axes.set_axis_off()
    _explain(canvas, recording)
    with replacing(path) as temporary:
        canvas.savefig(temporary, dpi=140, format="png")


def _limits(recording: Recording) -> tuple[float, float]:
    """Return the values between which the panels show curves; the best one is always inside."""
    losses = [
        loss
        for trial in recording.trials
        for loss in trial.losses[len(trial.losses) // 2 :]
        if math.isfinite(loss)
    ]
    worst = max(loss for trial in recording.trials for loss in trial.losses if math.isfinite(loss))
    low, usual = recording.best, float(np.quantile(losses or [worst], 0.75))
    high = min(worst, usual + _FENCE * (usual - low))
    span = high - low or 0.5
    # More room on the best side, for the text at the best value.
    ends = recording.subject.loss(low - 0.13 * span), recording.subject.loss(high + 0.05 * span)
    return min(ends), max(ends)


def _draw_curves(axes: Any, recording: Recording, judgement: Judgement, limits: tuple[float, float]) -> None:
    """Draw what was trained, as a ghost what was not, and a dot where a trial was stopped."""
    # Of several best trials one that was trained to its end is the one to be shown.
    endings = sorted(judgement.recorded.endings, key=lambda ending: ending.reason is not None)
    best = next(ending for ending in endings if ending.trial.best == recording.best)
    for ending in endings:
        steps, values = _curve(recording, ending.trial)
        cut, stopped = ending.reports, ending.reason is not None
        colour, layer = (_CUT, 2) if stopped else (_TRAINED, 3)
        axes.plot(steps[cut - 1 :], values[cut - 1 :], color=_GHOST, linewidth=0.8, zorder=1)
        axes.plot(steps[:cut], values[:cut], color=colour, linewidth=0.9, alpha=0.85, zorder=layer)
    _draw_best(axes, recording, best)
    _mark_stops(axes, recording, endings, limits)
    axes.set_ylim(*limits)
    axes.set_xlim(0, (recording.subject.last_step or 1) * 1.02)
    _title(axes, judgement)
    _quiet(axes)


def _curve(recording: Recording, trial: RecordedTrial) -> tuple[Any, Any]:
    sign = recording.subject.loss(1.0)
    return np.asarray(trial.steps), sign * np.asarray(trial.losses, dtype=float)


def _mark_stops(
    axes: Any, recording: Recording, endings: Sequence[Ending], limits: tuple[float, float]
) -> None:
    """Draw a dot where each trial was stopped; on the edge, where its value is beyond it or no number."""
    stops = [ending for ending in endings if ending.reason is not None]
    steps = [ending.steps for ending in stops]
    values = [recording.subject.loss(ending.trial.losses[ending.reports - 1]) for ending in stops]
    bad = limits[0] if recording.subject.direction == "maximize" else limits[1]
    shown = np.clip(np.nan_to_num(np.asarray(values, dtype=float), nan=bad), *limits)
    style = {"color": _STOP, "markersize": 3.6, "markeredgewidth": 0, "alpha": 0.9}
    axes.plot(steps, shown, "o", **style, clip_on=False, zorder=6)


def _draw_best(axes: Any, recording: Recording, ending: Ending) -> None:
    """Draw the best trial above all others, dashed what was not trained, and write its value beside it."""
    best, cut = ending.trial, ending.reports
    steps, values = _curve(recording, best)
    axes.plot(steps[:cut], values[:cut], color=_INK, linewidth=2.0, zorder=5)
    axes.plot(steps[cut - 1 :], values[cut - 1 :], color=_INK, linewidth=1.1, linestyle=(0, (3, 2)), zorder=5)
    place = list(best.losses).index(best.best)
    value = recording.subject.loss(best.best)
    maximize = recording.subject.direction == "maximize"
    axes.plot(best.steps[place], value, "o", color=_INK, markersize=6, zorder=6)
    axes.annotate(
        f"{figure(value)} (trial {best.id})",
        (best.steps[place], value),
        xytext=(4, 7 if maximize else -14),
        textcoords="offset points",
        horizontalalignment="right" if place > len(best.steps) / 2 else "left",
        color=_INK,
        fontsize=9,
        fontweight="bold",
        annotation_clip=False,
        zorder=7,
    ).set_in_layout(False)


def _title(axes: Any, judgement: Judgement) -> None:
    """Write the rule above its panel, and below it what came of it."""
    recorded, orders = judgement.recorded, judgement.orders
    line = f"{100 * recorded.steps_saved:.0f} % saved, best {'kept' if recorded.kept else 'lost'}"
    if orders is not None:
        saved, kept = orders.steps_saved.mean, orders.kept
        line += f"; in {orders.orders} orders {100 * saved:.0f} % saved, {100 * kept:.3g} % kept"
    axes.set_title(
        f"{judgement.rule}\n", loc="left", color=_INK, fontsize=11, fontweight="bold", parse_math=False
    )
    axes.text(
        0.0, 1.025, line, transform=axes.transAxes, color=_QUIET if recorded.kept else _STOP, fontsize=8.5
    )


def _draw_comparison(axes: Any, judgements: Sequence[Judgement]) -> None:
    """Draw each rule where it stands: how much it saves, and how often it keeps the best trial."""
    marks = []
    for judgement in judgements:
        orders = judgement.orders
        if orders is None:
            continue
        saved, kept = 100 * orders.steps_saved.mean, 100 * orders.kept
        spread = 100 * orders.steps_saved.deviation
        axes.plot([saved - spread, saved + spread], [kept, kept], color=_CUT, linewidth=3, zorder=2)
        axes.plot(saved, kept, "o", color=_TRAINED, markeredgecolor=_INK, markersize=8, zorder=3)
        marks.append((saved, kept, judgement.rule))
    low = min(90.0, *(kept for _, kept, _ in marks))
    room = 100 - low
    axes.set_xlim(0, 100)
    axes.set_ylim(low - 0.15 * room, 100 + 0.5 * room)
    _name_marks(axes, marks)
    axes.set_yticks([tick for tick in axes.get_yticks() if low - 0.15 * room <= tick <= 100])
    axes.set_xlabel("steps saved (%), mean and standard deviation", color=_INK)
    axes.set_ylabel("best trial kept (% of orders)", color=_INK)
    axes.set_title("what it saves, what it keeps\n", loc="left", color=_INK, fontsize=11, fontweight="bold")
    _quiet(axes)


def _name_marks(axes: Any, marks: Sequence[tuple[float, float, str]]) -> None:
    """Write the names of the rules above their marks, those of neighbours on different heights."""
    low, high = axes.get_ylim()
    height = 0.08 * (high - low)
    ends: list[tuple[float, float]] = []
    for saved, kept, rule in sorted(marks):
        level = kept + height
        left = min(saved - 1.0, 98.0 - 1.9 * len(rule))
        while any(abs(level - other) < 0.9 * height and left < end for other, end in ends):
            level += height
        ends.append((level, left + 2.0 * len(rule)))
        if level > kept + 1.5 * height:
            axes.plot([saved, saved], [kept, level - 0.3 * height], color=_CUT, linewidth=0.8, zorder=1)
        axes.text(left, level, rule, color=_INK, fontsize=8, va="center", parse_math=False)
        axes.set_ylim(low, max(axes.get_ylim()[1], level + height))


def _explain(canvas: Any, recording: Recording) -> None:
    """Say above all panels what is drawn, and what the colours mean."""
    from matplotlib.lines import Line2D

    canvas.suptitle(
        f"{recording.name}: {len(recording.trials)} recorded trials",
        x=0.01,
        horizontalalignment="left",
        color=_INK,
        fontsize=13,
        fontweight="bold",
        parse_math=False,
    )
    handles = [
        Line2D([], [], color=_INK, linewidth=2, label="best trial"),
        Line2D([], [], color=_TRAINED, linewidth=1.5, label="trained to its end"),
        Line2D([], [], color=_CUT, marker="o", markerfacecolor=_STOP, markeredgewidth=0, label="stopped"),
        Line2D([], [], color=_GHOST, linewidth=1.5, label="what it would have done"),
    ]
    canvas.legend(
        handles=handles, loc="outside lower left", ncols=4, frameon=False, fontsize=9, labelcolor=_INK
    )


def _quiet(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_CUT)
    axes.tick_params(colors=_QUIET, labelsize=8.5)
    axes.grid(axis="y", color="#eeeeee", zorder=0)
    axes.set_axisbelow(True)
