"""The ask/tell object: trial ids, seeds, starting points and the best, around any strategy."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from deephpo.problem import Direction
from deephpo.search.history import History
from deephpo.space.arrays import Rows, key
from deephpo.space.encoding import Encoding
from deephpo.space.values import is_number, plain
from deephpo.trial import Config, Trial


class Strategy(Protocol):
    """Where the next configurations come from; one short file each."""

    def propose(self, q: int, history: History) -> Rows:
        """Return q rows that the history does not hold, all different; fewer only if no more exist."""


@runtime_checkable
class Forgetful(Strategy, Protocol):
    """A strategy that starts afresh from the history with every frame; what it did before leaves no trace."""

    def frame_of(self, n: int, m: int) -> tuple[int, int]:
        """Return the frame to which an ask belongs that knows n results of m points; later ones are larger.

        Of the asks of a frame that is over, :meth:`pass_over` is all that must be repeated.
        """

    def pass_over(self, q: int, history: History) -> Rows | None:
        """Do what of :meth:`propose` leaves a trace for good; returns its answer if it comes with that."""


class Search:
    """Hands out trials and takes their results, in any order, any number of them at a time.

    encoding: the compiled space.  strategy: proposes configurations.  start: complete configurations
    that come before all others.  The same seed gives the same trials for the same calls in the same order.
    """

    def __init__(
        self,
        encoding: Encoding,
        strategy: Strategy,
        *,
        direction: Direction = "minimize",
        seed: int = 0,
        start: Sequence[Config] = (),
    ) -> None:
        self.space = encoding.space
        self.exhausted = False
        """Whether the last ``ask`` found nothing untried any more."""
        self.best: Trial | None = None
        """The best trial so far, with its value; None before the first success."""
        self._encoding = encoding
        self._strategy = strategy
        self._forgetful = strategy if isinstance(strategy, Forgetful) else None
        self._sign = 1.0 if direction == "minimize" else -1.0
        self._seed = seed
        self._start = list(start)
        self._history = History(encoding.d)
        self._configs: list[Config] = []
        """All that were given out, by the trials' ids."""

    def ask(self, q: int = 1) -> list[Trial]:
        """Return q new trials, no configuration ever twice.

        Fewer than q, and ``exhausted`` set, when every configuration of a finite space was asked.
        """
        q = plain(q)
        if isinstance(q, bool) or not isinstance(q, int):
            raise TypeError(f"ask() takes a whole number of trials, not {q!r}.")
        if q < 1:
            raise ValueError(f"ask() takes a number of trials from 1 on, not {q}.")
        return [self._issue(row, config) for row, config in self._propose(q)]

    def frame_after(self, results: int, asked: int) -> tuple[int, int]:
        """Return the frame to which an ask belongs after so many more results and so many more trials.

        For an ask of a frame that is over, :meth:`pass_over` comes to the same as :meth:`replay`, and costs
        next to nothing.
        """
        if self._forgetful is None:
            return 0, 0
        return self._forgetful.frame_of(self._history.n + results, self._history.m + asked)

    def pass_over(self, q: int, trials: Sequence[Trial]) -> bool:
        """Give out the trials that were the answer to an ask, without thinking about it again.

        A strategy of which every answer leaves a trace is asked again all the same.  Returns False if it is
        seen that the answer would be another one now.
        """
        if self._forgetful is None:
            return self.replay(q, trials)
        configs = [trial.config for trial in trials]
        found = [config for _, config in self._starting_points(q)]
        self.exhausted = len(trials) < q
        rows = self._forgetful.pass_over(q - len(found), self._history) if len(found) < q else None
        expected = configs[len(found) :] if rows is None else self._encoding.decode(rows)
        for row, config in zip(self._encoding.encode(configs), configs, strict=True):
            self._note(row, config)
        return found + expected == configs

    def replay(self, q: int, trials: Sequence[Trial]) -> bool:
        """Ask again what was asked before, and give out the trials that were the answer then.

        Replaying all asks and results in their order leaves the search as it was, random numbers included.
        Returns whether the answer would be the same now; with another version of a library, or a changed
        space, it may not be, and then what was given out counts.
        """
        proposed = self._propose(q)
        same = [config for _, config in proposed] == [trial.config for trial in trials]
        if not same:
            for row, _ in proposed:
                self._history.tried.discard(key(row))
            rows = self._encoding.encode([trial.config for trial in trials])
            proposed = [(row, trial.config) for row, trial in zip(rows, trials, strict=True)]
        for row, config in proposed:
            self._issue(row, config)
        return same

    def foretell(self, trial_id: int, value: float) -> None:
        """Take what a running trial is worth so far; the last such value counts until the trial is told.

        NaN and infinity, and trials that are not pending any more, are passed over: this is hearsay.
        """
        if trial_id in self._history.pending and math.isfinite(value):
            self._history.interim[trial_id] = self._sign * value

    def tell(self, trial: Trial, value: float) -> None:
        """Take a trial's objective, in the user's direction; NaN or infinity counts as failed.

        A trial that was stopped may go on later and end once more: so the last word about a trial counts,
        and what was told before, or that it failed, is replaced by it.  It is no new result, and what was
        asked meanwhile stays.

        Raises TypeError for what is no trial or no number, and ValueError for a trial that was not asked.
        """
        number = _number(value, "tell", "fail(trial, reason)")
        if not is_number(number):
            self.fail(trial, "its value is no finite number")
            return
        self._settle(trial, self._sign * float(number))

    def fail(self, trial: Trial, reason: str) -> None:
        """Take note that a trial failed, whatever it was told before; the model learns to stay away from it.

        ``reason`` is said and not kept: a search needs to know no more than that it failed, and whoever
        drives it keeps the reasons, as the journal of a run does.
        """
        self._settle(trial, math.inf)

    def learn(self, config: Config, value: float | None) -> None:
        """Take an observation from elsewhere, which the model knows from now on and no ask repeats.

        config: what it leaves out is at its default.  value: None, NaN or infinity if it failed.

        Raises SpaceError for a configuration that is not in the space, and TypeError for a value that is no
        number.
        """
        number = None if value is None else _number(value, "learn", "None")
        told = self._sign * float(number) if number is not None and is_number(number) else math.inf
        for row in self._history.new(self._encoding.encode([self.space.complete(config)])):
            self._history.learnt(row, told)

    def _settle(self, trial: Trial, value: float) -> None:
        if not isinstance(trial, Trial):
            raise TypeError(f"tell() and fail() take a trial that ask() returned, not {trial!r}.")
        if trial.id >= len(self._configs) or self._configs[trial.id] != trial.config:
            raise ValueError(f"Trial {trial.id} with {dict(trial.config)} was never asked here.")
        if trial.id in self._history.pending:
            self._history.told(trial.id, value)
        else:
            self._history.told_again(trial.id, value)
        self._choose_best(trial.id, value)

    def _choose_best(self, trial_id: int, value: float) -> None:
        """Bring the best up to date after what was told of a trial, in minimisation scale."""
        lowest = math.inf if self.best is None else self._sign * (self.best.value or 0.0)
        if value < lowest:
            self.best = self._trial(trial_id, self._sign * value)
        elif self.best is not None and trial_id == self.best.id and value > lowest:
            found = self._history.best_trial()
            self.best = None if found is None else self._trial(found[0], self._sign * found[1])

    def _propose(self, q: int) -> list[tuple[Rows, Config]]:
        """Return q new configurations with their rows, which count as tried from now on."""
        found = self._starting_points(q)
        missing = q - len(found)
        if missing:
            rows = self._strategy.propose(missing, self._history)
            self.exhausted = len(rows) < missing
            found += zip(rows, self._encoding.decode(rows), strict=True)
        return found

    def _starting_points(self, most: int) -> list[tuple[Rows, Config]]:
        """Return the next starting points with their rows, which count as tried from now on."""
        found: list[tuple[Rows, Config]] = []
        while self._start and len(found) < most:
            config = self._start.pop(0)
            found += [(row, config) for row in self._history.new(self._encoding.encode([config]))]
            self._history.tried.update(key(row) for row, _ in found)
        return found

    def _issue(self, row: Rows, config: Config) -> Trial:
        self._note(row, config)
        return self._trial(len(self._configs) - 1)

    def _note(self, row: Rows, config: Config) -> None:
        self._history.asked(len(self._configs), row)
        self._configs.append(config)

    def _trial(self, trial_id: int, value: float | None = None) -> Trial:
        # One seed for each trial, whoever runs it, and however many were asked beside it.
        seed = np.random.SeedSequence(self._seed, spawn_key=(1, trial_id)).generate_state(1)[0]
        return Trial(trial_id, self._configs[trial_id], int(seed), value)


def _number(value: float, method: str, otherwise: str) -> numbers.Real:
    """Return a number; raises TypeError for anything else, saying what to say instead."""
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, numbers.Real):
        raise TypeError(f"{method}() takes a number, not {value!r}; without one, say {otherwise}.")
    return number
