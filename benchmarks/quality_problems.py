"""The problems of ``quality``: what a configuration is worth, and how long it takes to find out.

All of them are tables of real trainings or models fitted to real trainings, whose best value is known.
Nothing is trained; ``quality_run`` lets the time of the trainings pass in virtual time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np

from deephpo import Space
from deephpo.trial import Config

CHOICE = (
    "hpolib/naval_propulsion",
    "hpolib/protein_structure",
    "hpobench/phoneme",
    "nb201/imagenet",
    "lc/7593",
    "lc/167168",
)
"""The half of the core problems on which our settings were chosen."""

HELD_OUT = (
    "hpolib/parkinsons_telemonitoring",
    "hpolib/slice_localization",
    "hpobench/vehicle",
    "hpobench/kc1",
    "nb201/cifar100",
    "lc/189906",
)
"""The half that played no part in any choice."""

CORE = (
    "hpolib/naval_propulsion",
    "hpolib/parkinsons_telemonitoring",
    "hpolib/protein_structure",
    "hpolib/slice_localization",
    "hpobench/phoneme",
    "hpobench/vehicle",
    "hpobench/kc1",
    "nb201/cifar100",
    "nb201/imagenet",
    "lc/7593",
    "lc/167168",
    "lc/189906",
)

FURTHER = (
    "hpobench/car",
    "hpobench/australian",
    "hpobench/segment",
    "hpobench/blood_transfusion",
    "hpobench/credit_g",
    "nb201/cifar10",
    "lc/3945",
    "lc/126026",
    "lc/168330",
)

CIFAR100 = ("vooban/cifar100",)
"""A conditional space; the model of it is weak (``quality_cifar100``)."""

LARGE = tuple(name for name in (*CORE, *FURTHER) if not name.startswith("hpobench/"))
"""What is large enough for 2,000 results."""

GROUPS = {
    "core": CORE,
    "choice": CHOICE,
    "held-out": HELD_OUT,
    "further": FURTHER,
    "all": CORE + FURTHER,
    "large": LARGE,
    "cifar100": CIFAR100,
}


@dataclass(frozen=True)
class Evaluation:
    """What one training comes to."""

    loss: float
    """What the optimizer is told."""
    true_loss: float
    """The mean over all that is stored of this configuration; regret is counted by it."""
    duration_s: float


@dataclass(frozen=True)
class TimedProblem:
    """What is minimized.

    evaluate: the evaluation of a configuration; with a generator that of one stored training at random,
    where there are several, with None that of their mean.
    """

    name: str
    space: Space
    evaluate: Callable[[Config, np.random.Generator | None], Evaluation]
    optimum: float
    typical: float
    """The loss of a median random configuration."""

    def regret(self, loss: float) -> float:
        """Return 0 for the optimum, 1 for a median random configuration."""
        return (loss - self.optimum) / (self.typical - self.optimum)


@cache
def problem(name: str) -> TimedProblem:
    """Return a problem by its name, such as "hpobench/vehicle" or "lc/7593"."""
    # Each family has its own packages, which are loaded when the family is asked for.
    family, instance = name.split("/")
    if family == "lc":
        from quality_lcbench import lcbench

        return lcbench(instance)
    if family == "vooban":
        from quality_cifar100 import cifar100

        return cifar100()
    from quality_tables import table

    return table(family, instance)


def named(words: Iterable[str]) -> list[str]:
    """Return the problems that names and groups stand for, each once.

    Raises ValueError for a word that is neither.
    """
    names: dict[str, None] = {}
    for word in words:
        if word not in GROUPS and word not in (*CORE, *FURTHER, *CIFAR100):
            known = ", ".join([*GROUPS, *CORE, *FURTHER, *CIFAR100])
            raise ValueError(f"There is no problem or group of problems {word!r}; there are {known}.")
        names.update(dict.fromkeys(GROUPS.get(word, (word,))))
    return list(names)
