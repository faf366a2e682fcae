"""What another implementation found when it replayed the same curves, to compare with ``early_stopping``.

It was written with NumPy before there was a stopping rule here; both shuffle by ``random.Random(0)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields

from deephpo.stopping.replay import Judgement

ORDERS = 200
"""So many random orders it replayed."""


@dataclass(frozen=True)
class Figures:
    """The figures of one rule on one data set, as they are printed."""

    stopped: str
    """In the order in which the trainings were run, as the next two."""
    steps_saved: str
    time_saved: str
    random_orders: str
    """Steps saved, mean and standard deviation."""
    best_kept: str

    @classmethod
    def of(cls, judgement: Judgement) -> Figures:
        """Return the figures of a judgement."""
        recorded, orders = judgement.recorded, judgement.orders
        if orders is None:
            raise ValueError("The reference has figures of random orders; replay some.")
        saved = orders.steps_saved
        return cls(
            str(recorded.stopped),
            f"{100 * recorded.steps_saved:.1f} %",
            f"{100 * recorded.time_saved:.1f} %",
            f"{100 * saved.mean:.1f} ± {100 * saved.deviation:.1f} %",
            f"{100 * orders.kept:.0f} %",
        )

    def __str__(self) -> str:
        return " | ".join(astuple(self))


def differences(ours: Figures, theirs: Figures) -> Iterator[str]:
    """Yield what is not the same, in words."""
    for field in fields(Figures):
        here, there = getattr(ours, field.name), getattr(theirs, field.name)
        if here != there:
            yield f"{field.name.replace('_', ' ')} {here}, not {there}"


REFERENCE = {
    "compound:beta=0.1": {
        "CIFAR-100": Figures("27", "9.3 %", "8.4 %", "11.8 ± 1.1 %", "100 %"),
        "MNIST": Figures("98", "8.8 %", "10.7 %", "10.2 ± 1.3 %", "100 %"),
    },
    "compound:beta=0.2": {
        "CIFAR-100": Figures("23", "13.8 %", "11.1 %", "17.9 ± 1.5 %", "100 %"),
        "MNIST": Figures("66", "11.8 %", "15.8 %", "16.7 ± 0.5 %", "100 %"),
    },
    "compound:beta=0.25": {
        "CIFAR-100": Figures("26", "18.5 %", "15.1 %", "20.8 ± 2.0 %", "100 %"),
        "MNIST": Figures("62", "12.5 %", "16.4 %", "18.6 ± 1.0 %", "100 %"),
    },
    "median": {
        "CIFAR-100": Figures("4", "6.4 %", "3.7 %", "9.1 ± 2.0 %", "100 %"),
        "MNIST": Figures("18", "7.5 %", "11.5 %", "7.9 ± 0.2 %", "100 %"),
    },
    "asha:eta=2": {
        "CIFAR-100": Figures("20", "37.6 %", "30.9 %", "60.8 ± 7.1 %", "98 %"),
        "MNIST": Figures("68", "34.8 %", "42.3 %", "65.7 ± 4.0 %", "100 %"),
    },
    "asha:eta=3": {
        "CIFAR-100": Figures("34", "77.8 %", "77.7 %", "82.4 ± 3.9 %", "32 %"),
        "MNIST": Figures("105", "55.3 %", "69.7 %", "84.8 ± 2.5 %", "99 %"),
    },
    "asha:eta=4": {
        "CIFAR-100": Figures("37", "87.1 %", "89.8 %", "87.7 ± 2.3 %", "12 %"),
        "MNIST": Figures("133", "78.6 %", "84.9 %", "92.2 ± 1.5 %", "98 %"),
    },
}
"""By rule and data set.  asha's first rung is the last step // eta ** 3."""
