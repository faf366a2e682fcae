"""The picture of ``success_rate``: a panel for each table, the rotation above its arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from quality_plot import COLOURS, INK, plain

from deephpo.space.arrays import Vector

_COLUMNS = 3


def draw(
    shares: Vector,
    rates: Mapping[tuple[str, str], Vector],
    optimizers: Sequence[str],
    tables: Sequence[str],
    path: Path,
) -> None:
    """Write the picture as PNG.

    shares: of the budget, shape (k,).  rates: of success after them, shape (k,), by optimizer and table.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(tables) // _COLUMNS)
    canvas = Figure(figsize=(12.0, 0.9 + 3.3 * rows), layout="constrained")
    FigureCanvasAgg(canvas)
    panels = canvas.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
    for axes, table in zip(panels.flat, tables, strict=False):
        for k, optimizer in enumerate(optimizers):
            colour = INK if k == 0 else COLOURS[(k - 1) % len(COLOURS)]
            style = {"linewidth": 2.6, "zorder": 4} if k == 0 else {"linewidth": 1.3, "zorder": 3}
            # The later arms are dashed, which tells the surrogates apart.
            dash = "-" if k <= len(optimizers) // 2 else "--"
            axes.plot(shares, rates[optimizer, table], dash, color=colour, label=optimizer, **style)
        axes.set_title(table, loc="left", color=INK, fontsize=10)
        axes.set_ylim(0.0, 1.02)
        plain(axes)
    for axes in panels[-1]:
        axes.set_xlabel("share of the budget", color=INK)
    for axes in panels[:, 0]:
        axes.set_ylabel("success rate", color=INK)
    handles, labels = panels[0][0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    canvas.savefig(path, dpi=140, format="png")
