"""One strategy at first, another one from some number of results on."""

from __future__ import annotations

from deephpo.search.history import History
from deephpo.search.search import Forgetful
from deephpo.space.arrays import Rows


class HandOver:
    """Follows ``first`` while fewer than ``at`` results are known, and ``then`` afterwards.

    Both see the whole history, so the second one begins with all that the first one found.
    """

    def __init__(self, first: Forgetful, then: Forgetful, at: int) -> None:
        self.first, self.then, self.at = first, then, at

    def propose(self, q: int, history: History) -> Rows:
        """Return q new rows, shape (q, d)."""
        return self._now(history.n).propose(q, history)

    def frame_of(self, n: int, m: int) -> tuple[int, int]:
        """Return the frame in which the search is when n results are known of m points that were asked."""
        return self._now(n).frame_of(n, m)

    def pass_over(self, q: int, history: History) -> Rows | None:
        """Take note of an ask."""
        return self._now(history.n).pass_over(q, history)

    def _now(self, n: int) -> Forgetful:
        return self.first if n < self.at else self.then
