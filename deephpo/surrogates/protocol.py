"""What every surrogate is to the searches.

A surrogate knows configurations by their *places* in a table of rows to which rows are only ever appended:
the observations, whose targets were told, and the pending trials, of which something is believed meanwhile.
Both are targets to it; a lie becomes the truth by another :meth:`Posterior.learn`.

Letters: ``m`` rows, ``n`` observations, ``d`` dimensions, ``c`` candidates, ``k`` of whatever it is about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deephpo.space.arrays import Rows, Vector

Places = NDArray[np.int64]
"""Numbers of rows or of candidates, shape (k,)."""

Which = Places | slice
"""Some of the candidates, or all of them."""

ALL = slice(None)


@dataclass(frozen=True, slots=True)
class Moment:
    """What was known at some time; it can still be had when more is known, and when values have changed."""

    n: int
    """How many observations there were."""
    values: Callable[[], Vector]
    """Returns what each was worth then, in the order in which they were told; +inf for a failure."""


class Posterior(Protocol):
    """What a surrogate believes of a fixed set of candidates, kept up to date while it learns."""

    def belief(self, which: Which = ALL) -> tuple[Vector, Vector]:
        """Return the mean and the standard deviation of the targets of some candidates, shape (k,) each."""

    def take(self, index: int, place: int, y: float) -> Which:
        """Let a candidate be the row at ``place``, of which ``y`` is believed; NaN if nothing is.

        Returns the candidates whose belief has changed.
        """

    def learn(self, X: Rows, places: Places, y: Vector) -> Which:
        """Take ``y`` as the targets of the rows ``X[places]``, in place of what was believed of them.

        Returns the candidates whose belief has changed.
        """


class Surrogate(Protocol):
    """A model of the target over encoded configurations; lower targets are better."""

    def renew(self, now: Moment, q: int) -> None:
        """Settle what the next fit, on the observations of this moment and for q points, is to do anew.

        It looks at no data: so calling it for all fits of a search, and :meth:`fit` for the last one alone,
        gives the model that the search had.
        """

    def fit(self, X: Rows, places: Places, y: Vector) -> None:
        """Learn the observations ``X[places]`` and forget all else that was believed.

        X: all rows, shape (m, d).  places, y: the observations in the order in which they were told, and
        their targets, shape (n,) both; all targets may have changed since the last time, as ranks do.
        """

    def forget(self, place: int) -> None:
        """Forget the rows from a place on: others stand there by the next fit."""

    def expect(self, places: Places) -> Vector:
        """Return the mean of what is believed where the rows at ``places`` are, shape (k,)."""

    def learn(self, X: Rows, places: Places, y: Vector) -> None:
        """Take ``y`` as the targets of the rows ``X[places]``, in place of what was believed of them."""

    def posterior(self, candidates: Rows) -> Posterior:
        """Return the belief about the candidates, shape (c, d); it takes the surrogate's learning over."""
