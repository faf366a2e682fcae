"""Suggestions made ahead, so that a free worker gets its next trial by a look-up."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

from deephpo.trial import Trial

SHARE_AHEAD = 1 / 16


def depth_for(workers: int) -> int:
    """Return how many suggestions to keep ahead: a sixteenth of the number of workers, rounded up.

    A suggestion is made without knowing what the W running trials will return, and nobody could know that.
    First in, first out through W/16 places, it goes to the worker of one of the next W/16 results, which it
    does not know either: a sixteenth on top of what it cannot know anyway.  So it never gets so old that it
    would have to be thrown away, and no worker waits for the search while so many trials end.

    Rounded up, one place is more than a sixteenth of few workers: half as much on top for two, a quarter for
    four.  A single worker gets none: its search is sequential, and always knows the newest result.
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
