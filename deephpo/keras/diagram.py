"""A picture of a network: its layers, what they do, the shapes between them, and how they are connected.

    python -m deephpo.keras.diagram RUN

draws the network of the best trial of a run to ``RUN/network.png``.  The problem's file builds it with a
function ``network(config)``; where it has further arguments their defaults are taken, which in problems/ are
those of the real data, also for a stand-in.  In one's own code: ``draw(model, Path("network.png"))``.

Keras' own ``plot_model`` needs Graphviz, a program that pip cannot install and compute nodes do not have;
this needs matplotlib only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deephpo.keras.best_trial import best_trial, network_of
from deephpo.keras.canvas import canvas, save
from deephpo.keras.command import answer

PICTURE = "network.png"
_INK, _PLAIN = "#1b2a41", "#f4f1ea"
_COLOURS = {"Conv": "#bcd6ea", "Pool": "#d9e8d2", "Dense": "#f2d7b6", "LSTM": "#e3cfe6", "Input": "#ffffff"}
"""By what the name of a layer's kind contains; all others are plain."""
_TIMES = "\N{MULTIPLICATION SIGN}"
_WIDTH, _HEIGHT = 2.5, 0.62
"""Of one box and the space around it, in inches."""


@dataclass(frozen=True)
class Box:
    """One layer, and its place in the picture."""

    name: str
    kind: str
    text: str
    parents: tuple[str, ...]
    """The names of the layers whose outputs it takes."""
    level: int
    """Counted from the top; below all of its parents."""
    lane: int
    """Counted from the left."""


def boxes_of(model: Any) -> list[Box]:
    """Return the layers of a Sequential or functional Keras model in their order, each below its parents."""
    placed: dict[str, Box] = {}
    taken: set[tuple[int, int]] = set()
    for layer, parents in _layers(model):
        # Of a layer that is called twice, the second call may come after what takes the first one's output.
        above = [placed[name] for name in parents if name in placed]
        level = 1 + max((box.level for box in above), default=-1)
        lane = min((box.lane for box in above), default=0)
        while (level, lane) in taken:
            lane += 1
        taken.add((level, lane))
        kind = type(layer).__name__
        placed[layer.name] = Box(
            layer.name, kind, _text(layer, kind), tuple(b.name for b in above), level, lane
        )
    return list(placed.values())


def draw(model: Any, path: Path, title: str = "") -> None:
    """Write the picture of a Keras model as PNG; raises MissingPackageError without matplotlib."""
    boxes = boxes_of(model)
    lanes, levels = 1 + max(box.lane for box in boxes), 1 + max(box.level for box in boxes)
    figure = canvas("a network", max(_WIDTH * lanes, 5.0), _HEIGHT * (levels + 1))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    middle = (lanes - 1) / 2
    half = max(lanes, 5.0 / _WIDTH) / 2
    axes.set_xlim(middle - half, middle + half)
    axes.set_ylim(levels - 0.4, -1.4)
    title = title or f"{model.name}: {model.count_params():,} weights"
    axes.text(middle, -0.9, title, ha="center", va="center", color=_INK, weight="bold", parse_math=False)
    _draw_connections(axes, boxes)
    for box in boxes:
        _draw_box(axes, box)
    save(figure, path, dpi=110)


def _layers(model: Any) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Yield each layer with the names of its parents, which come before it."""
    described = model.get_config()
    if not any("inbound_nodes" in layer for layer in described["layers"]):  # Sequential
        before: tuple[str, ...] = ()
        for layer in model.layers:
            yield layer, before
            before = (layer.name,)
        return
    for layer in described["layers"]:
        parents = dict.fromkeys(_sources(layer["inbound_nodes"]))
        yield model.get_layer(layer["name"]), tuple(parents)


def _sources(inbound: Any) -> Iterator[str]:
    """Yield the names of the layers whose outputs stand somewhere in a layer's serialized calls."""
    if isinstance(inbound, Mapping):
        if "keras_history" in inbound:
            yield inbound["keras_history"][0]
        else:
            yield from _sources(list(inbound.values()))
    elif isinstance(inbound, Sequence) and not isinstance(inbound, str):
        for part in inbound:
            yield from _sources(part)


def _text(layer: Any, kind: str) -> str:
    """Return what a layer does in one line, and the shape of its output in another."""
    parts = [
        kind,
        *(_times(getattr(layer, name)) for name in ("kernel_size", "pool_size") if hasattr(layer, name)),
    ]
    activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
    parts += [] if activation == "linear" else [activation]
    parts += [f"{layer.rate:.4g}"] if hasattr(layer, "rate") else []
    try:
        shape = layer.output.shape[1:]
    except AttributeError:  # it was called more than once, or never
        return " ".join(parts)
    return f"{' '.join(parts)}\n{_times(shape)}"


def _times(sizes: Sequence[int | None]) -> str:
    return f" {_TIMES} ".join("?" if size is None else f"{size}" for size in sizes)


def _draw_box(axes: Any, box: Box) -> None:
    colour = next((colour for part, colour in _COLOURS.items() if part in box.kind), _PLAIN)
    axes.text(
        box.lane,
        box.level,
        box.text,
        ha="center",
        va="center",
        fontsize=8,
        color=_INK,
        linespacing=1.25,
        parse_math=False,
        bbox={"boxstyle": "round,pad=0.35", "facecolor": colour, "edgecolor": _INK, "linewidth": 0.8},
        zorder=2,
    )


def _draw_connections(axes: Any, boxes: list[Box]) -> None:
    """Draw an arrow from each layer to those that take its output; one that would cross a box goes around."""
    placed = {box.name: box for box in boxes}
    taken = {(box.level, box.lane) for box in boxes}
    for box in boxes:
        for parent in (placed[name] for name in box.parents):
            between = ((level, box.lane) for level in range(parent.level + 1, box.level))
            around = parent.lane == box.lane and not taken.isdisjoint(between)
            bend = 0.65 * _WIDTH / (_HEIGHT * (box.level - parent.level)) if around else 0.0
            axes.annotate(
                "",
                (box.lane, box.level - 0.28),
                (parent.lane, parent.level + 0.28),
                arrowprops={
                    "arrowstyle": "-|>",
                    "color": _INK,
                    "linewidth": 0.8,
                    "connectionstyle": f"arc3,rad={bend}",
                    "shrinkA": 0,
                    "shrinkB": 0,
                },
                zorder=1,
            )


def main(words: Sequence[str] | None = None) -> int:
    """Draw the network of a run's best trial."""
    parser = argparse.ArgumentParser(prog="python -m deephpo.keras.diagram", description=main.__doc__)
    parser.add_argument("run_dir", metavar="RUN_DIR", type=Path, help="the directory of the run")
    run = parser.parse_args(words).run_dir

    def work() -> str:
        best = best_trial(run)
        model = network_of(best.target, best.trial.config)
        title = f"trial {best.trial.id}: {best.objective} = {best.trial.value:.4g}"
        draw(model, run / PICTURE, f"{title}, {model.count_params():,} weights")
        return f"The network of trial {best.trial.id}, the best, is drawn in {run / PICTURE}."

    return answer(work)


if __name__ == "__main__":
    sys.exit(main())
