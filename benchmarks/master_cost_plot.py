"""The picture of ``master_cost``: suggestions per CPU second against what was told, ours and the peers'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol


class Figure(Protocol):
    """One cell of the table, as ``master_cost.Figure`` has it."""

    @property
    def space(self) -> str:
        """The name of the space."""

    @property
    def master(self) -> str:
        """Who was measured."""

    @property
    def told(self) -> int:
        """How many observations were told."""

    @property
    def q(self) -> int:
        """How many points were asked at a time."""

    @property
    def per_second(self) -> float:
        """The rate, or an upper bound of it."""

    @property
    def bound(self) -> bool:
        """Whether it is an upper bound."""


_INK, _TARGET = "#1b2a41", "#c8553d"
_PEERS = ("#3f88c5", "#7a6c9e", "#8d99a6", "#c99a2e")


def draw(
    figures: Sequence[Figure],
    targets: Mapping[str, Mapping[int, int]],
    titles: Mapping[str, str],
    path: Path,
) -> None:
    """Write the picture as PNG: a row for each space, a column for each q."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    spaces, asked = list(targets), list(next(iter(targets.values())))
    canvas = Canvas(figsize=(10.5, 6.2), layout="constrained")
    FigureCanvasAgg(canvas)
    panels = canvas.subplots(len(spaces), len(asked), sharex=True, sharey=True, squeeze=False)
    for row, space in zip(panels, spaces, strict=True):
        for axes, q in zip(row, asked, strict=True):
            shown = [f for f in figures if (f.space, f.q) == (space, q)]
            _draw_panel(axes, shown, targets[space][q])
            axes.set_title(f"{titles[space]}:  q = {q:,}", loc="left", color=_INK, fontsize=10)
        row[0].set_ylabel("suggestions per CPU second", color=_INK)
    for axes in panels[-1]:
        axes.set_xlabel("observations told", color=_INK)
    ticks = sorted({f.told for f in figures})
    panels[0][0].set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    panels[0][0].set_xticks([], minor=True)
    panels[0][0].set_xlim(min(ticks) / 1.6, max(ticks) * 1.6)
    _legend(canvas, panels)
    canvas.savefig(path, dpi=140, format="png")


def _draw_panel(axes: Any, figures: Sequence[Figure], target: int) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.axhline(target, color=_TARGET, linewidth=0.9, linestyle=(0, (5, 3)), zorder=1, label="target")
    axes.annotate(
        f"{target:,}",
        (1.0, target),
        xycoords=("axes fraction", "data"),
        xytext=(-3, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=_TARGET,
    )
    masters = list(dict.fromkeys(f.master for f in figures))
    for master, colour in zip(masters, (_INK, *_PEERS), strict=False):
        own = [f for f in figures if f.master == master and f.per_second > 0.0]
        exact = [f for f in own if not f.bound]
        style = {"color": colour, "linewidth": 2.0 if colour == _INK else 1.3, "markersize": 5}
        axes.plot([f.told for f in exact], [f.per_second for f in exact], "o-", label=master, **style)
        bounds = [f for f in own if f.bound]
        axes.plot([f.told for f in bounds], [f.per_second for f in bounds], "v", mfc="white", **style)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, labelsize=9)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")


def _legend(canvas: Any, panels: Any) -> None:
    """Name the colours once, above all panels; a triangle is a bound wherever there is one."""
    from matplotlib.lines import Line2D

    handles, labels = panels[0][0].get_legend_handles_labels()
    order = [*range(1, len(labels)), 0]
    handles, labels = [handles[k] for k in order], [labels[k] for k in order]
    if any(line.get_marker() == "v" and len(line.get_xdata()) for axes in panels.flat for line in axes.lines):
        handles.append(Line2D([], [], color="#8d99a6", marker="v", mfc="white", linestyle=""))
        labels.append("fewer than that")
    canvas.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=9)
