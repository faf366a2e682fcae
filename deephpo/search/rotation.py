"""Rules of rotation: whose turn it is among the arms of a diversified search.

H. Cho, Y. Kim, E. Lee, D. Choi, Y. Lee, W. Rhee, Basic enhancement strategies when using Bayesian
optimization for hyperparameter tuning of deep neural networks, IEEE Access 8, 2020 (DEEP-BO).

A rule is a function of counters, of the rewards in the order in which they came, and of random numbers that
are drawn for each turn anew: it looks neither at the clock nor at what an arm thinks.  Arms have numbers from
0 on; N is how many there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import numpy as np
from scipy.stats import rankdata

from deephpo.space.arrays import Vector

RANDOM_FIRST = 2
"""So many arms are taken at random before an epsilon-greedy rule looks at the rewards."""
LEAST_EPSILON = 0.1
"""An epsilon-greedy rule never explores less often than this."""
ROUND = 10
"""A round of the sequential knock-out has so many results for each arm that it began with."""
LAST = 2
"""So many arms are never knocked out."""


class TurnRule(Protocol):
    """Says whose turn it is."""

    def learn(self, arm: int, reward: float) -> None:
        """Take a reward: more is better, and 0 is the least."""

    def correct(self, arm: int, by: float) -> None:
        """Let another reward, which differs by so much, take the place of one: a result was told again."""

    def choose(self, turn: int, rng: np.random.Generator) -> int:
        """Return the arm of the turn with this number, from 0 on."""


class InTurn:
    """One after the other: turn t is that of arm t mod N (DEEP-BO's S-Div)."""

    def __init__(self, arms: int) -> None:
        self._arms = arms

    def learn(self, arm: int, reward: float) -> None:
        """Do nothing."""

    def correct(self, arm: int, by: float) -> None:
        """Do nothing."""

    def choose(self, turn: int, rng: np.random.Generator) -> int:
        """Return the arm whose turn it is."""
        return turn % self._arms


class AtRandom:
    """Each turn is any arm's."""

    def __init__(self, arms: int) -> None:
        self._arms = arms

    def learn(self, arm: int, reward: float) -> None:
        """Do nothing."""

    def correct(self, arm: int, by: float) -> None:
        """Do nothing."""

    def choose(self, turn: int, rng: np.random.Generator) -> int:
        """Return an arm, all as likely."""
        return int(rng.integers(self._arms))


class Hedge:
    """An arm is the likelier the more it has gained: ``P(i)`` is proportional to ``exp(eta G_i)``.

    P. Auer, N. Cesa-Bianchi, Y. Freund, R. Schapire, Gambling in a rigged casino, FOCS 1995.  As in DEEP-BO
    gains are not divided by how likely an arm was, so one that was lucky early may keep its lead.
    """

    def __init__(self, arms: int, eta: float = 1.0) -> None:
        self._eta = eta
        self.gains = np.zeros(arms)

    def learn(self, arm: int, reward: float) -> None:
        """Add a reward to the arm's gains."""
        self.gains[arm] += reward

    def correct(self, arm: int, by: float) -> None:
        """Add the difference to the arm's gains."""
        self.gains[arm] += by

    def choose(self, turn: int, rng: np.random.Generator) -> int:
        """Return an arm, drawn with the arms' probabilities."""
        return int(rng.choice(len(self.gains), p=self.probabilities()))

    def probabilities(self) -> Vector:
        """Return how likely each arm is, shape (N,)."""
        return softmax(self._eta * self.gains)


def softmax(x: Vector) -> Vector:
    """Return ``exp(x_i) / sum_j exp(x_j)``, shape (N,), also where the exponentials would overflow."""
    weights = np.exp(x - x.max())
    return np.asarray(weights / weights.sum())


class EpsilonGreedy:
    """The arm with the highest mean reward; but with probability epsilon any of the others.

    epsilon: how often, for the number of a turn and the number of results so far.  The first two turns are
    any arm's; an arm without results has the mean 0, and of equal ones any is the best.
    """

    def __init__(self, arms: int, epsilon: Callable[[int, int], float]) -> None:
        self._epsilon = epsilon
        self._total = np.zeros(arms)
        self._count = np.zeros(arms, dtype=np.int64)

    def learn(self, arm: int, reward: float) -> None:
        """Bring the arm's mean up to date."""
        self._total[arm] += reward
        self._count[arm] += 1

    def correct(self, arm: int, by: float) -> None:
        """Bring the arm's mean up to date, which is one of as many rewards as before."""
        self._total[arm] += by

    def choose(self, turn: int, rng: np.random.Generator) -> int:
        """Return the best arm or, to explore, one of the others."""
        arms = len(self._total)
        if turn < RANDOM_FIRST or arms == 1:
            return int(rng.integers(arms))
        means = self._total / np.maximum(self._count, 1)
        best = int(rng.choice(np.flatnonzero(means == means.max())))
        if rng.random() >= self._epsilon(turn, int(self._count.sum())):
            return best
        return int(rng.choice(np.delete(np.arange(arms), best)))


def falls_by_turns(turn: int, results: int, arms: int) -> float:
    """Return ``max(0.1, 1 - 0.1 floor(t / 5 N))``, epsilon of the rule "eg"."""
    del results
    return max(LEAST_EPSILON, (10 - turn // (5 * arms)) / 10)


def falls_by_results(turn: int, results: int) -> float:
    """Return ``max(0.1, 1 / sqrt(T + 1))``, epsilon of the rule "gt".

    The original's T are hours; ours are results: a resumed search must not depend on the clock.
    """
    del turn
    return max(LEAST_EPSILON, 1.0 / math.sqrt(results + 1.0))


class SequentialKnockOut:
    """One after the other, and after each round the worst arm drops out, until two are left.

    With every result all arms are ranked by the newest reward of each, 1 for the best; a round is ten results
    for each of the N arms, and the worst is the one with the highest sum of ranks.  While some arm has no
    result yet, nothing counts.
    """

    def __init__(self, arms: int) -> None:
        self._round = ROUND * arms
        self.alive = list(range(arms))
        """The arms that are left."""
        self._newest: dict[int, float] = {}
        self._begin_round()

    def _begin_round(self) -> None:
        self._results = 0
        self._ranks = np.zeros(len(self.alive))

    def learn(self, arm: int, reward: float) -> None:
        """Rank the arms anew; what one that is out had still to come counts no more."""
        if arm not in self.alive or len(self.alive) <= LAST:
            return
        self._newest[arm] = reward
        if len(self._newest) < len(self.alive):
            return
        self._ranks += rankdata([-self._newest[arm] for arm in self.alive])
        self._results += 1
        if self._results == self._round:
            del self._newest[self.alive.pop(int(self._ranks.argmax()))]
            self._begin_round()

    def correct(self, arm: int, by: float) -> None:
        """Do nothing: the arms were ranked when the result was new."""

    def choose(self, turn: int, rng: np.random.Generator) -> int:
        """Return the arm whose turn it is among those that are left."""
        return self.alive[turn % len(self.alive)]


def _by_turns(arms: int) -> EpsilonGreedy:
    return EpsilonGreedy(arms, partial(falls_by_turns, arms=arms))


def _by_results(arms: int) -> EpsilonGreedy:
    return EpsilonGreedy(arms, falls_by_results)


TURN_RULES: Mapping[str, Callable[[int], TurnRule]] = {
    "sequence": InTurn,
    "random": AtRandom,
    "hedge": Hedge,
    "eg": _by_turns,
    "gt": _by_results,
    "sko": SequentialKnockOut,
}
"""By their names, from N to the rule."""
