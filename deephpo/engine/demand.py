"""How many trials the search is to be asked for."""

from __future__ import annotations

from collections.abc import Sequence

from deephpo.engine.backlog import Backlog
from deephpo.engine.buffer import SuggestionBuffer, depth_for
from deephpo.engine.gangs import Gangs
from deephpo.engine.roster import Roster
from deephpo.engine.sizes import Sizes
from deephpo.trial import Trial

MOST_PER_ASK = 1024
"""At the start of a search with very many workers the first of them need not wait for the trials of all."""
MOST_ASIDE = 1024
"""So many trials may wait for workers that come back, while smaller ones go on."""


class Demand:
    """Knows how many trials were suggested, and how many more are wanted.

    trials: so many are wanted in all; None: there is no such number.  synchronous: they are wanted batch by
    batch.  ranks_per_trial: how many workers train one, on the average, as far as is known before.
    """

    def __init__(
        self, trials: int | None, synchronous: bool, ranks_per_trial: float, backlog: Backlog
    ) -> None:
        self.suggested = backlog.suggested
        self.exhausted = False
        """Whether the search has nothing more to suggest."""
        self._trials = trials
        self._synchronous = synchronous
        self._batch_is_closed = bool(backlog.waiting)
        """Whether nothing more is wanted beside the trials that are out."""
        self._sizes = Sizes(ranks_per_trial, backlog.sizes)

    def take_note(self, trials: Sequence[Trial], exhausted: bool) -> None:
        """Take note of an answer."""
        self._sizes.add(trials)
        self.suggested += len(trials)
        self.exhausted = exhausted

    def close_batch(self) -> None:
        """Let nothing more be wanted in this batch: something was learnt since it began."""
        self._batch_is_closed = True

    def is_over(self, buffer: SuggestionBuffer) -> bool:
        """Return whether nothing more is wanted with as many workers as there can be."""
        if self.exhausted or (self._trials is not None and self.suggested >= self._trials):
            return True
        aside = len(buffer.aside)
        return aside >= MOST_ASIDE or (aside > 0 and not buffer.fits(self._sizes.least))

    def missing(self, roster: Roster, buffer: SuggestionBuffer, gangs: Gangs) -> int:
        """Return how many trials to ask for, if any."""
        if self.is_over(buffer):
            return 0
        free, spoken_for = len(roster.idle), buffer.ranks + gangs.returning
        if not self._synchronous:
            missing = self._missing_at_any_time(len(roster), free, spoken_for, buffer)
        elif self._wants_a_batch(buffer, gangs):
            missing = self._sizes.trials_for(free - spoken_for)
        else:
            missing = 0
        return missing if self._trials is None else min(missing, self._trials - self.suggested)

    def _missing_at_any_time(self, workers: int, free: int, spoken_for: int, buffer: SuggestionBuffer) -> int:
        """Return how many are missing for the free workers, and for those that will soon be."""
        # Where there is room for one trial only the search is sequential, however many workers train it.
        ahead = depth_for(workers) if self._sizes.leave_room(workers) else 0
        missing = self._sizes.trials_for(free + ahead - spoken_for)
        if missing <= 0 and buffer.wants_smaller(free) and self._sizes.least <= free:
            return 1
        return min(missing, MOST_PER_ASK)

    def _wants_a_batch(self, buffer: SuggestionBuffer, gangs: Gangs) -> bool:
        """Return whether each free worker is to be in the batch, which is so until the first of its results.

        So workers that come one after the other are in the first batch too; nothing was learnt in between.
        Nor does a batch wait for those of its trials that need more workers than there can be.
        """
        if not gangs and not len(buffer):
            self._batch_is_closed = False
        return not self._batch_is_closed
