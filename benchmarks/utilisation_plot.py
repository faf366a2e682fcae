"""The pictures of ``utilisation``: what a machine's workers do with their time, and where one master ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol


class Row(Protocol):
    """One simulation, as ``utilisation.Row`` has it."""

    @property
    def space(self) -> str:
        """The name of the space."""

    @property
    def workers(self) -> int:
        """How many workers there are."""

    @property
    def trial_s(self) -> float:
        """The median duration of a trial."""

    @property
    def utilisation(self) -> float | None:
        """The share of the workers' time that went into trials."""

    @property
    def foretold(self) -> bool:
        """Whether it was not simulated."""


_INK, _TARGET = "#1b2a41", "#c8553d"
_COLOURS = (_INK, "#3f88c5", "#7a6c9e", "#c99a2e")


def draw(
    steady: Sequence[Row],
    past: Sequence[Row],
    targets: Mapping[int, float],
    titles: Mapping[str, str],
    path: Path,
) -> None:
    """Write the picture as PNG: on the left machines and their targets, then a panel for each space."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(13.0, 4.2), layout="constrained")
    FigureCanvasAgg(canvas)
    left, *others = canvas.subplots(1, 1 + len(titles))
    _draw_machines(left, steady, targets, titles)
    for axes, (space, title) in zip(others, titles.items(), strict=True):
        _draw_limits(axes, [row for row in past if row.space == space])
        axes.set_title(f"short trials: {title}", loc="left", color=_INK, fontsize=10)
    canvas.savefig(path, dpi=140, format="png")


def _draw_machines(
    axes: Any, rows: Sequence[Row], targets: Mapping[int, float], titles: Mapping[str, str]
) -> None:
    """Draw one point for each machine and space, and what was aimed at."""
    for (space, title), colour, marker in zip(titles.items(), _COLOURS, "os", strict=False):
        own = [row for row in rows if row.space == space and row.utilisation is not None]
        shares = [100 * (row.utilisation or 0.0) for row in own]
        axes.plot([row.workers for row in own], shares, f"{marker}-", color=colour, label=title)
    aims = [100 * share for share in targets.values()]
    axes.plot(list(targets), aims, "_", color=_TARGET, markersize=22, markeredgewidth=2, label="target")
    axes.set_title("trials of 60 s, after the first wave", loc="left", color=_INK, fontsize=10)
    axes.set_ylim(None, 100.5)
    _finish(axes, [row.workers for row in rows] + list(targets))


def _draw_limits(axes: Any, rows: Sequence[Row]) -> None:
    """Draw one line for each trial length; what is foretold has open marks."""
    for trial_s, colour in zip(sorted({row.trial_s for row in rows}), _COLOURS, strict=False):
        own = [row for row in rows if row.trial_s == trial_s and row.utilisation is not None]
        shares = [100 * (row.utilisation or 0.0) for row in own]
        axes.plot([row.workers for row in own], shares, "-", color=colour, label=f"{trial_s:g} s")
        for row, share in zip(own, shares, strict=True):
            axes.plot(row.workers, share, "o", color=colour, mfc="white" if row.foretold else colour)
    axes.set_ylim(0, 105)
    _finish(axes, [row.workers for row in rows])


def _finish(axes: Any, workers: Sequence[int]) -> None:
    ticks = sorted(set(workers))
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks], rotation=30)
    axes.set_xticks([], minor=True)
    axes.set_xlabel("workers", color=_INK)
    axes.set_ylabel("busy, % of their time", color=_INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, labelsize=9)
    axes.legend(frameon=False, fontsize=9, loc="lower left")
