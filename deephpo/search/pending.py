"""What a model-based search makes of the points that are still being evaluated.

Believer and constant lies: D. Ginsbourger, R. Le Riche, L. Carraro, Kriging is well-suited to parallelize
optimization, 2010.  Premature, next-best and random: H. Cho et al., Basic enhancement strategies when using
Bayesian optimization for hyperparameter tuning of deep neural networks, IEEE Access 8, 2020 (DEEP-BO).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from deephpo.space.arrays import Vector


@dataclass(frozen=True)
class Pending:
    """How pending points keep the next ones away; in any case none of them is asked again."""

    believer: bool = False
    """The model is told its own mean where a point is pending."""
    constant: Callable[[Vector], np.float64] | None = None
    """It is told this of all targets."""
    interim: bool = False
    """It is told what the trial is worth so far, where the trial reported that."""
    fresh: bool = False
    """New candidates are drawn for every point, so that chance keeps them apart."""
    at_random: bool = False
    """If the best candidate was asked already, one of the others is taken at random."""


PENDING: Mapping[str, Pending] = {
    "believer": Pending(believer=True),
    "min": Pending(constant=np.min),
    "mean": Pending(constant=np.mean),
    "max": Pending(constant=np.max),
    "premature": Pending(interim=True, fresh=True),
    "naive": Pending(),
    "next-best": Pending(fresh=True),
    "random": Pending(fresh=True, at_random=True),
}
"""By their names: "naive" takes the best q of one model, from one set of candidates."""
