"""The picture of ``online_forest``: the best regret so far, medians over the seeds with their quartiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from known_problems import KnownProblem


class Run(Protocol):
    """One search, as ``online_forest.Run`` has it."""

    @property
    def problem(self) -> str:
        """The name of the problem."""

    @property
    def workers(self) -> int:
        """How many points were out at a time."""

    @property
    def method(self) -> str:
        """The name of the search."""

    @property
    def regret(self) -> list[float]:
        """The best regret after each result."""


_INK = "#1b2a41"
_COLOURS = (_INK, "#c8553d", "#8d99a6")


def draw(
    runs: Sequence[Run], methods: Sequence[str], problems: Mapping[str, KnownProblem], path: Path
) -> None:
    """Write the picture as PNG: a row for each problem, a column for each number of workers."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(r.problem for r in runs))
    workers = sorted({r.workers for r in runs})
    canvas = Figure(figsize=(1.5 + 4.5 * len(workers), 0.6 + 3.1 * len(names)), layout="constrained")
    FigureCanvasAgg(canvas)
    panels = canvas.subplots(len(names), len(workers), sharey="row", squeeze=False)
    for row, name in zip(panels, names, strict=True):
        for axes, W in zip(row, workers, strict=True):
            shown = [r for r in runs if (r.problem, r.workers) == (name, W)]
            _draw_panel(axes, shown, methods, problems[name].least)
            axes.set_title(f"{problems[name].name}, {W} workers", loc="left", color=_INK, fontsize=10)
        row[0].set_ylabel("regret of the best so far", color=_INK)
    for axes in panels[-1]:
        axes.set_xlabel("results", color=_INK)
    handles, labels = panels[0][0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=9)
    canvas.savefig(path, dpi=140, format="png")


def _draw_panel(axes: Any, runs: Sequence[Run], methods: Sequence[str], least: float) -> None:
    for method, colour in zip(methods, _COLOURS, strict=True):
        curves = [np.maximum(r.regret, least) for r in runs if r.method == method]
        if curves:
            low, middle, high = np.quantile(curves, [0.25, 0.5, 0.75], axis=0)
            results = np.arange(1, len(middle) + 1)
            axes.plot(results, middle, color=colour, linewidth=1.8, label=method, zorder=3)
            axes.fill_between(results, low, high, color=colour, alpha=0.15, linewidth=0, zorder=2)
    axes.set_yscale("log")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.margins(x=0)
    axes.tick_params(colors=_INK, labelsize=9)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.10g}")
