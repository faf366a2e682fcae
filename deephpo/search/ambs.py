"""AMBS as DeepHyper has it: a forest, a lower confidence bound, lies for what is pending.

P. Balaprakash, M. Salim, T. Uram, V. Vishwanath, S. Wild, DeepHyper: asynchronous hyperparameter search for
deep neural networks, HiPC 2018, algorithm 1.  We deviate in three points: the surrogate learns ranks rather
than raw values, half of the candidates are neighbours of the best configurations, and a lie is an update of
leaf statistics, not a refit.
"""

from __future__ import annotations

import numpy as np

from deephpo.acquisition import KAPPA, Acquisition
from deephpo.search.initial import INITIAL, AfterDesign
from deephpo.search.model_based import ModelBasedSearch
from deephpo.search.pending import PENDING
from deephpo.space.encoding import Encoding
from deephpo.surrogates.forest import ForestSurrogate
from deephpo.surrogates.targets import Ranking
from deephpo.surrogates.trees import Kind

CANDIDATES = 2000
"""How many candidates there are in a generation; a larger one would be dearer to pick from."""


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

    surrogate: a random forest, or extremely randomised trees.  kappa: weight of the uncertainty.  lie: what a
    pending point is taken for, by its name in PENDING.  initial: how many successes the model needs first.
    """
    design, own, below = seed.spawn(3)
    bound = Acquisition("lcb", kappa)
    model = ModelBasedSearch(
        encoding,
        own,
        ForestSurrogate(below, surrogate),
        targets=Ranking,
        acquisition=lambda m: bound,
        pending=PENDING[lie],
        candidates=CANDIDATES,
    )
    return AfterDesign(encoding, design, model, initial)
