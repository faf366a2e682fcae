"""How many workers train a trial together: one number for all, or the problem's word for each."""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.connection import wait
from threading import Lock
from typing import Protocol

import numpy as np

from deephpo.errors import OptionError, ProblemError
from deephpo.problem import Declaration
from deephpo.trial import Config, Outcome, TrialState
from deephpo.worker.limits import Limits
from deephpo.worker.messages import Assignment, Gone
from deephpo.worker.process import TrialProcess

_SAMPLES = 64
_TIMEOUT_S = 60.0


class Sizing(Protocol):
    """Says how many workers a configuration's trial needs."""

    expected: float
    """What it says on the average."""
    smallest: int
    largest: int
    """Between which it was seen to say."""

    def __call__(self, config: Config) -> int:
        """Return the number of workers for a configuration."""

    def close(self) -> None:
        """Give back what it holds; may be called again."""


class FixedSize:
    """The same number for every trial."""

    def __init__(self, ranks: int) -> None:
        self._ranks = ranks
        self.expected = float(ranks)
        self.smallest = self.largest = ranks

    def __call__(self, config: Config) -> int:
        """Return the number."""
        return self._ranks

    def close(self) -> None:
        """Give back nothing."""


class ProblemSizing:
    """The problem's own word, asked of a child: the search never runs the user's code in its own process.

    samples: configurations to ask about first.  Raises ProblemError with what is wrong about the first of
    them for which it says nothing sensible.
    """

    def __init__(self, target: str, samples: Sequence[Config]) -> None:
        self._process = TrialProcess(target, limits=Limits(_TIMEOUT_S))
        self._in_use = Lock()
        """The search asks beside the loop, which closes."""
        self._closed = False
        self._asked = 0
        try:
            sizes = [self._size_of(config) for config in samples]
        except BaseException:
            self.close()
            raise
        self.expected = sum(sizes) / len(sizes)
        self.smallest, self.largest = min(sizes), max(sizes)

    def __call__(self, config: Config) -> int:
        """Return what the problem says; 1 if that is nothing sensible.

        It is asked once more where the trial runs, and what is wrong with it is that trial's failure.
        """
        with self._in_use:
            try:
                return self._size_of(config)
            except ProblemError:
                return 1

    def close(self) -> None:
        """End the child."""
        self._closed = True
        with self._in_use:
            self._process.kill()

    def _size_of(self, config: Config) -> int:
        if self._closed:
            return 1
        self._process.submit(Assignment(self._asked, config, 0, "", wants_ranks=True))
        self._asked += 1
        while self._process.sources and not self._closed:
            wait(self._process.sources, timeout=0.1)
            for message in self._process.poll():
                match message:
                    case Outcome(state=TrialState.COMPLETED, value=float(ranks)):
                        return int(ranks)
                    case Outcome():
                        raise ProblemError(f"Problem: ranks({dict(config)}) failed: {message.reason}.")
                    case Gone():
                        raise ProblemError(message.reason)
        raise ProblemError("Problem: ranks cannot be asked any more.")


def sizing_of(
    target: str, declaration: Declaration, ranks: int | None, workers: int, resumed: bool = False
) -> Sizing:
    """Return how many workers each trial gets.

    ranks: so many by the command line; None: as the problem says.  workers: so many there are.  resumed:
    whether it is enough if some trials can be trained, as after the loss of a node.  Raises OptionError if a
    trial needs more workers, ProblemError if the problem says nothing sensible.
    """
    fixed = declaration.ranks if ranks is None else ranks
    if fixed is not None:
        _check(fixed, "a trial", workers)
        return FixedSize(fixed)
    sizing = ask_for_sizes(target, declaration)
    try:
        _check(sizing.smallest if resumed else sizing.largest, "some trial", workers)
    except OptionError:
        sizing.close()
        raise
    return sizing


def ask_for_sizes(target: str, declaration: Declaration) -> ProblemSizing:
    """Return the word of a problem whose configurations decide, asked about the first and some random ones.

    Raises ProblemError if it says nothing sensible about one of them.
    """
    encoding = declaration.space.encoding()
    samples = encoding.decode(encoding.sample(_SAMPLES, np.random.default_rng(0)))
    return ProblemSizing(target, [*declaration.start, *samples])


def _check(ranks: int, what: str, workers: int) -> None:
    if ranks > workers:
        there = f"there are {workers}" if workers > 1 else "there is one"
        raise OptionError(
            f"For {what} on {ranks} ranks there must be {ranks} workers at least, but {there}: start "
            f"{ranks + 1} MPI ranks (the first is the master), say --workers {ranks} on one machine, or "
            "--ranks-per-trial with a smaller number."
        )
