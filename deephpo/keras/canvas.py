"""What the pictures of this package are drawn on: matplotlib's canvas for files, which needs no display."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from deephpo.errors import MissingPackageError
from deephpo.storage.run_directory import replacing


def canvas(subject: str, width: float, height: float, layout: Literal["constrained"] | None = None) -> Any:
    """Return an empty ``Figure`` of this size in inches.

    subject: what the picture is of, for the sentence of the MissingPackageError that is raised without
    matplotlib.  layout: as matplotlib knows it.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingPackageError("matplotlib", f"The picture of {subject}", "plot") from None
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def save(figure: Any, path: Path, dpi: int) -> None:
    """Write what was drawn as PNG, in a directory that is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=dpi, format="png")
