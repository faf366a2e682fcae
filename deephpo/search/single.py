"""One surrogate with one acquisition function, both of the user's choice."""

from __future__ import annotations

import numpy as np

from deephpo.acquisition import KAPPA, AcquisitionName
from deephpo.search.arm import Arm, SurrogateName, search_of
from deephpo.search.initial import INITIAL, AfterDesign
from deephpo.search.weights import Schedule
from deephpo.space.encoding import Encoding
from deephpo.surrogates.targets import TAU, TargetName


def single(
    encoding: Encoding,
    seed: np.random.SeedSequence,
    *,
    surrogate: SurrogateName = "gp",
    target: TargetName = "rank",
    tau: float = TAU,
    acquisition: AcquisitionName = "lcb",
    kappa: float = KAPPA,
    xi: float = 0.0,
    schedule: Schedule = "constant",
    lie: str = "next-best",
    initial: int = INITIAL,
) -> AfterDesign:
    """Return the strategy; the options are those of :class:`deephpo.search.arm.Arm`.

    kappa: the weight of the lower confidence bound.  xi: that of the other acquisitions.
    initial: how many successes the model needs first.
    """
    design, own = seed.spawn(2)
    weight = kappa if acquisition == "lcb" else xi
    arm = Arm(surrogate, target, acquisition, weight, schedule, lie, tau)
    return AfterDesign(encoding, design, search_of(arm, encoding, own), initial)
