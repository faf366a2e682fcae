"""The search's place in the engine: it works off asks and tells in their order, beside the loop or in it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from queue import SimpleQueue
from threading import Thread
from typing import Protocol

from deephpo.engine.events import Ask, Foretell, SuggestionsMade, Thought
from deephpo.search.search import Search
from deephpo.trial import Config, Outcome, Trial

SWITCH_S = 0.0005
"""A thread keeps the interpreter for so long while the other one wants it.

The loop lets go of it with every message and every write.  With Python's own 5 ms a turn with 20 results
took 8 ms beside a search that thinks in plain Python, 46 ms at the 99th percentile; with this it takes 2 ms
and 18 ms.
"""


RanksOf = Callable[[Config], int]
"""How many workers are to train a configuration's trial together."""


def one_each(config: Config) -> int:
    """Return that one worker trains the trial."""
    return 1


class Suggester(Protocol):
    """Takes what the search is to know, and answers each Ask with one SuggestionsMade.

    All are worked off strictly in their order, so the answers depend on nothing but that order.
    """

    def submit(self, action: Thought) -> None:
        """Take an action; never waits."""

    def collect(self) -> list[SuggestionsMade]:
        """Return the answers that are there."""

    def close(self) -> None:
        """Give up what is not answered; may be called again."""


class InlineSuggester:
    """Works at once, in the caller's thread: for virtual time, in which thinking takes none."""

    def __init__(self, search: Search, ranks_of: RanksOf = one_each) -> None:
        self._search = search
        self._ranks_of = ranks_of
        self._answers: list[SuggestionsMade] = []

    def submit(self, action: Thought) -> None:
        """Work the action off."""
        answer = _work(self._search, self._ranks_of, action)
        if answer is not None:
            self._answers.append(answer)

    def collect(self) -> list[SuggestionsMade]:
        """Return the answers that are there."""
        answers, self._answers = self._answers, []
        return answers

    def close(self) -> None:
        """Give up what is not answered, which is nothing."""


class ThreadedSuggester:
    """Works in a thread beside the message loop, so that no message waits for a fit."""

    def __init__(self, search: Search, ranks_of: RanksOf = one_each) -> None:
        self._search = search
        self._ranks_of = ranks_of
        self._actions: SimpleQueue[Thought | None] = SimpleQueue()
        self._answers: SimpleQueue[SuggestionsMade | BaseException] = SimpleQueue()
        self._closed = False
        self._switch_s = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_S)
        self._thread = Thread(target=self._run, name="suggester", daemon=True)
        self._thread.start()

    def submit(self, action: Thought) -> None:
        """Queue the action."""
        self._actions.put(action)

    def collect(self) -> list[SuggestionsMade]:
        """Return the answers that are there; raises what the search raised."""
        answers = []
        while not self._answers.empty():
            answer = self._answers.get()
            if isinstance(answer, BaseException):
                raise answer
            answers.append(answer)
        return answers

    def close(self) -> None:
        """Let the thread end after the action that it is at."""
        self._closed = True
        self._actions.put(None)  # it may be waiting
        sys.setswitchinterval(self._switch_s)

    def _run(self) -> None:
        try:
            while (action := self._actions.get()) is not None and not self._closed:
                answer = _work(self._search, self._ranks_of, action)
                if answer is not None:
                    self._answers.put(answer)
        except BaseException as error:  # noqa: BLE001  (it is raised again in the loop's thread)
            self._answers.put(error)


def _work(search: Search, ranks_of: RanksOf, action: Thought) -> SuggestionsMade | None:
    if isinstance(action, Ask):
        trials = search.ask(action.q)
        if ranks_of is not one_each:
            trials = [replace(trial, ranks=ranks_of(trial.config)) for trial in trials]
        return SuggestionsMade(tuple(trials), search.exhausted)
    if isinstance(action, Foretell):
        search.foretell(action.trial_id, action.value)
        return None
    teach(search, action.trial, action.outcome)
    return None


def teach(search: Search, trial: Trial, outcome: Outcome) -> None:
    """Tell a search what it is to learn of a trial that ended, for the first time or once more."""
    if outcome.lesson is not None:
        search.tell(trial, outcome.lesson)
    else:
        search.fail(trial, outcome.reason)
