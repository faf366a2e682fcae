"""The arms of a diversified search: their strategies, and which of them asked for which point."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np

from deephpo.search.arm import PROCESS_UNTIL, Arm
from deephpo.search.arm_sets import AnyArm
from deephpo.search.history import History
from deephpo.search.search import Forgetful
from deephpo.space.encoding import Encoding


class Team:
    """The arms' strategies.

    An arm with a Gaussian process is handed over to its heir when results are many: handed over rather than
    dropped, so that a set of such arms alone goes on, and that every arm keeps its rewards.  Heirs of the
    same kind are one strategy.
    """

    def __init__(self, encoding: Encoding, seed: np.random.SeedSequence, arms: Sequence[AnyArm]) -> None:
        self._encoding = encoding
        self._early = list(arms)
        self._late = [arm.heir if isinstance(arm, Arm) else arm for arm in arms]
        kinds = dict.fromkeys([*self._early, *self._late])
        self._seeds = dict(zip(kinds, seed.spawn(len(kinds)), strict=True))
        self._strategies: dict[AnyArm, Forgetful] = {}

    def __len__(self) -> int:
        return len(self._early)

    def strategy(self, arm: int, n: int) -> Forgetful:
        """Return an arm's strategy when n results are known."""
        kind = (self._early if n < PROCESS_UNTIL else self._late)[arm]
        if kind not in self._strategies:
            self._strategies[kind] = kind.search(self._encoding, self._seeds[kind])
        return self._strategies[kind]


class Origins:
    """Which arm asked for which point: known by their places, whenever their results come."""

    def __init__(self) -> None:
        self.arms = array("h")
        """The numbers of the arms by the places of their points; -1 where none of them asked."""
        self._answer: list[int] = []
        self._asked = 0

    def catch_up(self, history: History) -> None:
        """Find the places of the last answer; in its ask starting points may stand before it."""
        asked = history.m - history.learned
        before = max(0, asked - self._asked - len(self._answer))
        self.arms.extend([-1] * before + self._answer[: asked - self._asked])
        self.arms.extend([-1] * (history.m - len(self.arms)))

    def answer(self, arms: list[int], history: History) -> None:
        """Take note of the arms of an answer, point by point."""
        self._answer = arms
        self._asked = history.m - history.learned
