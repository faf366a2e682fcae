"""Several arms that take turns over one history: insurance against the bad case of each.

H. Cho, Y. Kim, E. Lee, D. Choi, Y. Lee, W. Rhee, Basic enhancement strategies when using Bayesian
optimization for hyperparameter tuning of deep neural networks, IEEE Access 8, 2020 (DEEP-BO).

All arms know all results and all pending points, whoever asked for them.  For each point the rule says anew
whose turn it is; of the points of one ask those of the same arm stand beside each other, and later arms see
what earlier ones picked as pending.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from deephpo.errors import OptionError
from deephpo.search.arm import Arm
from deephpo.search.arm_sets import parse_arms
from deephpo.search.frames import frame_of
from deephpo.search.history import History
from deephpo.search.initial import INITIAL, AfterDesign
from deephpo.search.model_based import ModelBasedSearch
from deephpo.search.rewards import Rewards, gain, log_gain, log_reward
from deephpo.search.rotation import TURN_RULES, Hedge, TurnRule
from deephpo.search.search import Forgetful
from deephpo.search.team import Origins, Team
from deephpo.seeds import rng_below
from deephpo.space.arrays import Rows
from deephpo.space.encoding import Encoding

ETA = 0.1
"""How much a gain counts where every arm nominates."""
NOMINATING = "bo-hedge"
LOGARITHMIC = "-le"


def diversified(
    encoding: Encoding,
    seed: np.random.SeedSequence,
    *,
    arms: str = "six",
    rule: str = "sequence",
    initial: int = INITIAL,
) -> AfterDesign:
    """Return the strategy.

    arms: as :func:`deephpo.search.arm_sets.parse_arms` takes them.  rule: whose turn it is; one of
    TURN_RULES, or "bo-hedge", where every arm nominates a point; with "-le" after it rewards are logarithms
    of errors.  initial: how many successes the models need first.

    Raises OptionError for "bo-hedge" with an arm that does not say what it expects.
    """
    design, arms_seed, drawn = seed.spawn(3)
    named = parse_arms(arms)
    team, origins = Team(encoding, arms_seed, list(named.values())), Origins()
    name = rule.removesuffix(LOGARITHMIC)
    logarithmic = name != rule
    if name == NOMINATING:
        silent = [word for word, arm in named.items() if not isinstance(arm, Arm)]
        if silent:
            raise OptionError(
                f"The rule {rule!r} compares what the arms expect of their points, and {silent[0]} does not "
                "say it; take another rule, or other arms."
            )
        nominations = Nominations(team, origins, log_gain if logarithmic else gain, drawn)
        return AfterDesign(encoding, design, nominations, initial)
    rotation = Rotation(team, origins, TURN_RULES[name](len(named)), logarithmic, drawn)
    return AfterDesign(encoding, design, rotation, initial)


class Rotation:
    """Takes turns: the rule says whose points are asked for.

    origins: which arm asked for which point.  logarithmic: whether a reward is the logarithm of an error.
    seed: of the rule's random numbers, which are drawn for each turn anew.
    """

    def __init__(
        self, team: Team, origins: Origins, rule: TurnRule, logarithmic: bool, seed: np.random.SeedSequence
    ) -> None:
        self._team = team
        self._rule = rule
        self._logarithmic = logarithmic
        self._seed = seed
        self._rewards = Rewards()
        self._origins = origins
        self._given = array("d")
        """The rewards of all observations that were told, by their numbers."""
        self._revised = 0
        self._turn = 0

    def propose(self, q: int, history: History) -> Rows:
        """Return q new rows, shape (q, d)."""
        rows = [history.rows[:0]]
        with history.supposing() as suppose:
            for arm, count in self._take_turns(q, history).items():
                rows.append(self._team.strategy(arm, history.n).propose(count, history))
                suppose(rows[-1])
        return np.concatenate(rows)

    def frame_of(self, n: int, m: int) -> tuple[int, int]:
        """Return the frame in which the search is when n results are known of m points that were asked."""
        return frame_of(n, m)

    def pass_over(self, q: int, history: History) -> None:
        """Take note of an ask: of whose turns it was, and that those arms were asked."""
        for arm, count in self._take_turns(q, history).items():
            self._team.strategy(arm, history.n).pass_over(count, history)

    def _take_turns(self, q: int, history: History) -> Counter[int]:
        """Return how many points each arm is asked for, in the order of their first turns."""
        self._catch_up(history)
        turns = range(self._turn, self._turn + q)
        counts = Counter(self._rule.choose(turn, rng_below(self._seed, turn)) for turn in turns)
        self._turn += q
        self._origins.answer(list(counts.elements()), history)
        return counts

    def _catch_up(self, history: History) -> None:
        """Reward the arms for what was told since the last time, or told again."""
        self._origins.catch_up(history)
        for number in history.news(len(self._given), self._revised).tolist():
            reward = self._rewards.of(number, float(history.values[number]))
            arm = self._origins.arms[history.told_places[number]]
            self._reward(arm, number, log_reward(reward) if self._logarithmic else reward)
        self._revised = len(history.revisions)

    def _reward(self, arm: int, number: int, reward: float) -> None:
        """Reward an arm, if one asked for it, for a result, or instead of what it had for it before."""
        if number == len(self._given):
            self._given.append(reward)
            if arm >= 0:
                self._rule.learn(arm, reward)
            return
        before, self._given[number] = self._given[number], reward
        if arm >= 0:
            self._rule.correct(arm, reward - before)


class Nominations:
    """Every arm nominates a point; whose is taken is drawn by what each expected of its nominees so far.

    GP-Hedge: M. Hoffman, E. Brochu, N. de Freitas, Portfolio allocation for Bayesian optimization, UAI 2011;
    as in DEEP-BO an arm's gain is what it expects of its nominee at the time.  worth: what that is, from the
    expected target.

    Every arm nominates once an ask: as many points as are drawn for it, or one that is not taken.  The first
    of them is its nominee.  An arm whose nominee was not taken must fit its model anew for the next ask, so
    an ask for q points costs up to N fits and q + N picks, N being the number of arms.

    What was expected stands in no journal: so a resumed search must think about every ask again.
    """

    def __init__(
        self, team: Team, origins: Origins, worth: Callable[[float], float], seed: np.random.SeedSequence
    ) -> None:
        self._team = team
        self._worth = worth
        self._seed = seed
        self._hedge = Hedge(len(team), ETA)
        self._origins = origins
        self._turn = 0

    def propose(self, q: int, history: History) -> Rows:
        """Return q new rows, shape (q, d)."""
        self._origins.catch_up(history)
        turns = range(self._turn, self._turn + q)
        counts = Counter(self._hedge.choose(turn, rng_below(self._seed, turn)) for turn in turns)
        self._turn += q
        self._origins.answer(list(counts.elements()), history)
        strategies = [self._team.strategy(arm, history.n) for arm in range(len(self._team))]
        expected = self._passed_by(strategies, counts, history)
        rows = [history.rows[:0]]
        with history.supposing() as suppose:
            for arm, count in counts.items():
                rows.append(strategies[arm].propose(count, history))
                suppose(rows[-1])
                expected.setdefault(strategies[arm], _expected(strategies[arm]))
        for arm, strategy in enumerate(strategies):
            self._hedge.learn(arm, self._worth(expected[strategy]))
        return np.concatenate(rows)

    def frame_of(self, n: int, m: int) -> tuple[int, int]:
        """Return the frame of an ask: all asks belong to one."""
        return 0, 0

    def pass_over(self, q: int, history: History) -> None:
        """Take note of an ask whose answer is no more what would be thought; nobody gains by it."""
        self._origins.catch_up(history)
        self._origins.answer([-1] * q, history)
        self._turn += q

    @staticmethod
    def _passed_by(
        strategies: Sequence[Forgetful], counts: Mapping[int, int], history: History
    ) -> dict[Forgetful, float]:
        """Return what those expect of a nominee from whom none is taken."""
        taken = {strategies[arm] for arm in counts}  # two arms may have become one forest
        expected: dict[Forgetful, float] = {}
        for strategy in strategies:
            if strategy not in taken and strategy not in expected:
                strategy.propose(1, history)
                expected[strategy] = _expected(strategy)
        return expected


def _expected(strategy: Forgetful) -> float:
    """Return the target that is expected of the nominee; of one that no model chose, the average."""
    expected = strategy.expected if isinstance(strategy, ModelBasedSearch) else []
    return expected[0] if expected else 0.0
