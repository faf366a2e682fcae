"""deephpo: hyperparameter search for supercomputers.

A problem file needs ``Problem``, ``Space``, the parameters and perhaps ``Fidelity``; ask and tell
without an engine needs ``create_search``.  Importing this package loads the standard library only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deephpo.errors import DeephpoError, TrialStopped, UserError
from deephpo.problem import Fidelity, Problem
from deephpo.space.conditions import Between
from deephpo.space.parameters import Categorical, Float, Integer, Ordinal
from deephpo.space.space import Space
from deephpo.trial import Trial, TrialState

if TYPE_CHECKING:
    from deephpo.search.create import create_search

__version__ = "0.1.0"

__all__ = [
    "Between",
    "Categorical",
    "DeephpoError",
    "Fidelity",
    "Float",
    "Integer",
    "Ordinal",
    "Problem",
    "Space",
    "Trial",
    "TrialState",
    "TrialStopped",
    "UserError",
    "create_search",
]


def __getattr__(name: str) -> Any:
    """Load what needs numpy at its first use."""
    if name == "create_search":
        from deephpo.search.create import create_search

        return create_search
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
