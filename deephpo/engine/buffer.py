"""Suggestions made ahead, so that a free worker gets its next trial by a look-up."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

from deephpo.trial import Trial

SHARE_AHEAD = 1 / 16


def depth_for(workers: int) -> int:
    """Return how many suggestions to keep ahead.

    A suggestion is made without knowing what the running trials will return, one for each worker.  To keep
    a sixteenth of that number ahead adds at most a sixteenth to what it does not know, and spares the worker
    the wait.  A single worker gets none: its search is sequential, and always knows the newest result.
    """
    return 0 if workers <= 1 else math.ceil(workers * SHARE_AHEAD)


class SuggestionBuffer:
    """A queue of trials, and the count of those that were asked for and have not come yet."""

    def __init__(self) -> None:
        self._ready: deque[Trial] = deque()
        self.awaited = 0
        """How many trials the search was asked for and has not answered."""

    def __len__(self) -> int:
        return len(self._ready)

    def take(self) -> Trial | None:
        """Return the next trial to start; None if there is none."""
        return self._ready.popleft() if self._ready else None

    def fill(self, trials: Iterable[Trial]) -> None:
        """Take the search's answer to everything that was asked so far."""
        self._ready.extend(trials)

    def put_back(self, trial: Trial) -> None:
        """Take back a trial that lost its worker; it goes out before all others."""
        self._ready.appendleft(trial)
