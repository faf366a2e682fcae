"""The picture of ``quality``: regret against results, one large panel and a small one for each part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from quality_problems import CHOICE, CORE, HELD_OUT
from quality_summary import BASELINE, Cells

from deephpo.space.arrays import Vector

INK = "#1b2a41"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's, told apart by the colour-blind; yellow, which is hard to see on white, is left out."""
_BASELINE_COLOUR = "#8d99a6"
_DASHES = ("-", "--", ":")
_FAMILIES = {"hpolib": "HPOLib", "hpobench": "HPOBench", "nb201": "NAS-Bench-201", "lc": "LCBench"}
_SMALL_COLUMNS = 2


def draw(cells: Cells, optimizers: Sequence[str], problems: Sequence[str], path: Path) -> None:
    """Write the picture as PNG: means of log10 of the regret over problems, bands of a standard error."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    parts = _parts(problems)
    rows = -(-len(parts) // _SMALL_COLUMNS)
    canvas = Figure(figsize=(13.0 if parts else 7.5, 7.0), layout="constrained")
    FigureCanvasAgg(canvas)
    grid = canvas.add_gridspec(max(rows, 1), 2 + (_SMALL_COLUMNS if parts else 0))
    large = canvas.add_subplot(grid[:, :2])
    _draw_panel(large, cells, optimizers, problems, 2.0)
    core = "core, " if set(problems) == set(CORE) else ""
    large.set_title(f"{core}{_count(problems)}", loc="left", color=INK, fontsize=11)
    large.set_ylabel("log10 of the normalised regret, mean over problems", color=INK)
    large.set_xlabel("results", color=INK)
    for k, (title, part) in enumerate(parts.items()):
        small = canvas.add_subplot(grid[k // _SMALL_COLUMNS, 2 + k % _SMALL_COLUMNS])
        _draw_panel(small, cells, optimizers, part, 1.3)
        small.set_title(f"{title}, {_count(part)}", loc="left", color=INK, fontsize=9)
    handles, labels = large.get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 6), frameon=False)
    canvas.savefig(path, dpi=140, format="png")


def _parts(problems: Sequence[str]) -> dict[str, list[str]]:
    """Return the halves, if the core problems are there, and the families."""
    parts: dict[str, list[str]] = {}
    if set(CORE) <= set(problems):
        parts = {"the half for choosing": list(CHOICE), "the half held out": list(HELD_OUT)}
    for family, title in _FAMILIES.items():
        members = [p for p in problems if p.split("/")[0] == family]
        if members and len(members) < len(problems):
            parts[title] = members
    return parts


def _draw_panel(
    axes: Any, cells: Cells, optimizers: Sequence[str], problems: Sequence[str], width: float
) -> None:
    for k, optimizer in enumerate(optimizers):
        mean, error = _curve(cells, optimizer, problems)
        colour, dash = COLOURS[k % len(COLOURS)], _DASHES[k // len(COLOURS) % len(_DASHES)]
        if optimizer == BASELINE:
            colour, dash = _BASELINE_COLOUR, "-"
        results = np.arange(1, len(mean) + 1)
        axes.plot(results, mean, dash, color=colour, linewidth=width, label=optimizer, zorder=3)
        axes.fill_between(
            results, mean - error, mean + error, color=colour, alpha=0.15, linewidth=0, zorder=2
        )
    plain(axes)


def plain(axes: Any) -> None:
    """Take from a panel what says nothing."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.margins(x=0)
    axes.tick_params(colors=INK, labelsize=9)


def _curve(cells: Cells, optimizer: str, problems: Sequence[str]) -> tuple[Vector, Vector]:
    """Return the mean over problems and seeds, and its standard error over the seeds, per result.

    Problems are weighted alike, and their seeds' variances add up.
    """
    curves = [np.array([run.logarithms for run in cells[optimizer, p]]) for p in problems]
    mean = np.mean([curve.mean(axis=0) for curve in curves], axis=0)
    variances = [curve.var(axis=0, ddof=1) / len(curve) for curve in curves if len(curve) > 1]
    error = np.sqrt(np.sum(variances, axis=0)) / len(problems) if variances else np.zeros_like(mean)
    return mean, error


def _count(problems: Sequence[str]) -> str:
    return "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
