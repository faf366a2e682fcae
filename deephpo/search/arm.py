"""An arm: one surrogate with its targets, its acquisition function, and what it makes of pending points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from deephpo.acquisition import KAPPA, Acquisition, AcquisitionName
from deephpo.search.hand_over import HandOver
from deephpo.search.model_based import ModelBasedSearch
from deephpo.search.parts import PROCESSES
from deephpo.search.pending import PENDING
from deephpo.search.search import Forgetful
from deephpo.search.weights import Schedule, weights
from deephpo.space.encoding import Encoding
from deephpo.surrogates.blend import Blend
from deephpo.surrogates.forest import ForestSurrogate
from deephpo.surrogates.gaussian_process import GaussianProcess
from deephpo.surrogates.protocol import Surrogate
from deephpo.surrogates.targets import TAU, TargetName, targets_named

PROCESS_UNTIL = 500
"""From so many results on a forest stands in for what has a Gaussian process, which costs more with each."""

SurrogateName = Literal["gp", "blend", "forest", "extra-trees"]

_CANDIDATES = {"gp": 1000, "blend": 1000, "forest": 2000, "extra-trees": 2000}


@dataclass(frozen=True)
class Arm:
    """What makes a model-based search out of its parts, each by its name.

    weight: kappa of the lower confidence bound, xi of the other acquisitions.  schedule: how it changes from
    point to point.  lie: what pending points count as, by its name in PENDING.  tau: the error below which
    "hle" takes logarithms.
    """

    surrogate: SurrogateName
    target: TargetName = "rank"
    acquisition: AcquisitionName = "lcb"
    weight: float = KAPPA
    schedule: Schedule = "constant"
    lie: str = "next-best"
    tau: float = TAU

    @property
    def heir(self) -> Arm:
        """The arm that takes over at PROCESS_UNTIL results: where there is a process a forest's, else itself.

        A forest keeps its candidates for many points, so it needs lies to keep these apart; lies that were
        chosen stay.
        """
        if self.surrogate not in PROCESSES:
            return self
        lie = "believer" if self.lie == "next-best" else self.lie
        return replace(self, surrogate="extra-trees", lie=lie)

    def search(self, encoding: Encoding, seed: np.random.SeedSequence) -> ModelBasedSearch:
        """Return the search."""
        own, below, drawn = seed.spawn(3)
        weight_at = weights(self.weight, self.schedule, drawn)
        return ModelBasedSearch(
            encoding,
            own,
            self._model(encoding, below),
            targets=targets_named(self.target, self.tau),
            acquisition=lambda m: Acquisition(self.acquisition, weight_at(m)),
            pending=PENDING[self.lie],
            candidates=_CANDIDATES[self.surrogate],
        )

    def _model(self, encoding: Encoding, seed: np.random.SeedSequence) -> Surrogate:
        if self.surrogate == "gp":
            return GaussianProcess(encoding, seed)
        if self.surrogate == "blend":
            process, trees = seed.spawn(2)
            return Blend(GaussianProcess(encoding, process), ForestSurrogate(encoding, trees, "extra-trees"))
        return ForestSurrogate(encoding, seed, self.surrogate)


def search_of(arm: Arm, encoding: Encoding, seed: np.random.SeedSequence) -> Forgetful:
    """Return an arm's search, which its heir takes over when results are many."""
    if arm.heir == arm:
        return arm.search(encoding, seed)
    few, many = seed.spawn(2)
    return HandOver(arm.search(encoding, few), arm.heir.search(encoding, many), PROCESS_UNTIL)
