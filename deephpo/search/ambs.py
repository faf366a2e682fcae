"""AMBS as DeepHyper has it: a forest, a lower confidence bound, lies for what is pending.

P. Balaprakash, M. Salim, T. Uram, V. Vishwanath, S. Wild, DeepHyper: asynchronous hyperparameter search for
deep neural networks, HiPC 2018, algorithm 1.  We deviate in three points: the surrogate learns ranks rather
than raw values, half of the candidates are neighbours of the best configurations, and a lie is an update of
leaf statistics, not a refit.
"""

from __future__ import annotations

import numpy as np

from deephpo.acquisition import KAPPA
from deephpo.search.arm import Arm
from deephpo.search.initial import INITIAL, AfterDesign
from deephpo.space.encoding import Encoding
from deephpo.surrogates.trees import Kind


def ambs(
    encoding: Encoding,
    seed: np.random.SeedSequence,
    *,
    surrogate: Kind = "forest",
    kappa: float = KAPPA,
    lie: str = "believer",
    initial: int = INITIAL,
) -> AfterDesign:
    """Return the strategy.

    surrogate: a random forest, or extremely randomised trees above a trend.  kappa: weight of the
    uncertainty.  lie: what a pending point is taken for, by its name in PENDING.  initial: how many successes
    the model needs first.
    """
    design, own = seed.spawn(2)
    arm = Arm(surrogate, weight=kappa, lie=lie)
    return AfterDesign(encoding, design, arm.search(encoding, own), initial)
