"""Suggestions made ahead, so that a free worker gets its next trial by a look-up."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

from deephpo.trial import Trial

SHARE_AHEAD = 1 / 16
MOST_OVERTAKINGS = 4
"""So often a trial that needs more workers than are free may be overtaken by smaller ones; then what becomes
free is kept for it.  Where few workers train trials of several sizes more of them would stand idle otherwise;
with a thousand it makes no difference."""


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
        self._overtakings = 0
        """How often the first one was overtaken."""
        self._most = math.inf
        """How many workers there can be."""
        self.aside: list[Trial] = []
        """The trials that need more than that: they wait for workers to come back, now or after a resume."""
        self.ranks = 0
        """How many workers the others need, all together."""
        self.awaited = 0
        """How many trials the search was asked for and has not answered."""

    def __len__(self) -> int:
        """How many trials wait for their turn, without those aside."""
        return len(self._ready)

    def take(self, free: int) -> Trial | None:
        """Return the next trial to start on so many free workers; None if there is none."""
        if self._ready and self._ready[0].ranks <= free:
            return self._take(0)
        if self._overtakings < MOST_OVERTAKINGS:
            # No more than the first few: the others wait for their turn.
            for place in range(1, min(len(self._ready), MOST_OVERTAKINGS + 1)):
                if self._ready[place].ranks <= free:
                    self._overtakings += 1
                    return self._take(place)
        return None

    def fit_to(self, workers: float) -> None:
        """Set those aside that need more workers than there can be now, and take back those that do not."""
        if workers == self._most:
            return
        self._most = workers
        first = self._ready[0] if self._ready else None
        waiting, self.aside, self._ready, self.ranks = [*self.aside, *self._ready], [], deque(), 0
        self.fill(waiting)
        if not self._ready or self._ready[0] is not first:
            self._overtakings = 0

    def fits(self, ranks: int) -> bool:
        """Return whether there can be so many workers."""
        return ranks <= self._most

    def wants_smaller(self, free: int) -> bool:
        """Return whether smaller trials than those here could be started while the first one waits."""
        may_overtake = self._overtakings < MOST_OVERTAKINGS and len(self._ready) <= MOST_OVERTAKINGS
        return may_overtake and bool(self._ready) and 0 < free < self._ready[0].ranks

    def fill(self, trials: Iterable[Trial]) -> None:
        """Take the search's answer to everything that was asked so far."""
        for trial in trials:
            if not self.fits(trial.ranks):
                self.aside.append(trial)
            else:
                self._ready.append(trial)
                self.ranks += trial.ranks

    def put_back(self, trial: Trial) -> None:
        """Take back a trial that lost its worker; it goes out before all others."""
        if not self.fits(trial.ranks):
            self.aside.insert(0, trial)
        else:
            self._ready.appendleft(trial)
            self.ranks += trial.ranks

    def _take(self, place: int) -> Trial:
        trial = self._ready[place]
        del self._ready[place]
        if not place:
            self._overtakings = 0
        self.ranks -= trial.ranks
        return trial
