"""The parts of a model-based search: the names that each goes by, and each as an option.

Names alone, without what they stand for: who only reads options needs no numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from deephpo.search.options import Choice, Number, Option

TREES = ("forest", "extra-trees")
PROCESSES = ("gp", "blend")
"""Those with a Gaussian process in them, which forests succeed when results are many."""
SURROGATES = (*PROCESSES, *TREES)
TARGETS = ("rank", "raw", "log", "le", "hle")
ACQUISITIONS = ("lcb", "ei", "pi")
SCHEDULES = ("constant", "drawn", "falling")
LIES = ("believer", "min", "mean", "max", "premature", "naive", "next-best", "random")

KAPPA = Number(1.96, "weight of the uncertainty")

PARTS: Mapping[str, Option] = {
    "surrogate": Choice(
        "gp", "the model (blend: gp and trees; both become trees at 500 results)", SURROGATES
    ),
    "target": Choice("rank", "what it learns of the values", TARGETS),
    "tau": Number(0.3, "from this error on the target hle is linear", most=1.0, needs=("target", ("hle",))),
    "acquisition": Choice("lcb", "what a candidate scores", ACQUISITIONS),
    "kappa": replace(KAPPA, needs=("acquisition", ("lcb",))),
    "xi": Number(0.0, "what ei and pi count as no improvement yet", needs=("acquisition", ("ei", "pi"))),
    "schedule": Choice("constant", "how kappa or xi changes", SCHEDULES),
    "lie": Choice("next-best", "what pending trials count as", LIES),
}
"""What may be chosen of a search with one model."""
