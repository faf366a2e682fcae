"""Further metrics to judge by, as a text: ``latency`` is to be small, ``max:throughput`` to be large."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deephpo.errors import OptionError
from deephpo.stopping.curve import Curve, Subject

if TYPE_CHECKING:  # it loads numpy, and the command line, which every rank reads, knows of this option
    from deephpo.stopping.ranks import Point

_LARGE = "max:"


def further_metrics(text: str) -> tuple[Subject, ...]:
    """Return the metrics that a text names, with a space between two of them.

    >>> [(metric.metric, metric.direction) for metric in further_metrics("latency max:throughput")]
    [('latency', 'minimize'), ('throughput', 'maximize')]
    """
    return tuple(
        Subject(word.removeprefix(_LARGE), "maximize" if word.startswith(_LARGE) else "minimize")
        for word in text.split()
    )


def last_losses(metrics: Sequence[Subject], curve: Curve) -> Point | None:
    """Return what a trial's last report says of some metrics, as losses; None if one is NaN or lacks."""
    losses = tuple(metric.loss(curve.metrics.get(metric.metric, math.nan)) for metric in metrics)
    return None if any(map(math.isnan, losses)) else losses


@dataclass(frozen=True)
class Metrics:
    """An option that names metrics."""

    default: str
    help: str

    def check(self, name: str, value: Any) -> None:
        """Raise OptionError for what names no metrics, or one of them twice."""
        if not isinstance(value, str):
            raise OptionError(f"{name} must be names of metrics, such as 'latency', not {value!r}.")
        metrics = [metric.metric for metric in further_metrics(value)]
        if "" in metrics or len({*metrics}) < len(metrics):
            raise OptionError(
                f"{name} must be names of different metrics with spaces between them, such as "
                f"'latency max:throughput', not {value!r}."
            )

    def read(self, text: str) -> str:
        """Return the text; whether it names metrics is for ``check`` to say."""
        return text
