import math
import random
import statistics
from collections import Counter

import numpy as np
import pytest

from deephpo.engine.replay import replay
from deephpo.errors import OptionError
from deephpo.search.arm_sets import parse_arms
from deephpo.search.create import RULES, create_search
from deephpo.search.diversified import Rotation
from deephpo.search.initial import AfterDesign
from deephpo.search.search import Search
from deephpo.search.team import Origins, Team
from deephpo.space.parameters import Categorical, Float, Integer
from deephpo.space.space import Space
from deephpo.storage.records import Asked, Ended, Suggested
from deephpo.surrogates.forest import ForestSurrogate
from deephpo.surrogates.gaussian_process import GaussianProcess
from deephpo.trial import Outcome, TrialState

SPACE = Space(
    [
        Float("lr", 1e-5, 1e-1, log=True),
        Integer("units", 8, 512, log=True),
        Categorical("optimizer", ["sgd", "adam"]),
        Float("momentum", 0.0, 0.99, when={"optimizer": ["sgd"]}),
    ]
)
START = [{"lr": 1e-3, "units": 8 * k, "optimizer": "adam"} for k in range(1, 13)]
FORESTS = "rf-ei, et-lcb, rf-hle-ucb"
MIXED = "gp-ei, rf-hle-ucb, et-pi, tpe-ei"


def loss(config):
    lr = math.log10(config["lr"]) + 3
    units = math.log2(config["units"]) - 6
    return (lr**2 + units**2 / 4 + (config["optimizer"] == "sgd") * config.get("momentum", 0)) / 20


def diversified(**options):
    return create_search("diversified", SPACE, **{"seed": 5, **options})


def strategy_of(search):
    return search._strategy.then


def arms_of(search):
    """Return the arms of all points but the last ask's, by their places; -1 where none of them asked."""
    return list(strategy_of(search)._origins.arms)


def live(search, points, seed=0, most=5, out=12, observe=lambda trial: None, again=0.0):
    """Ask until so many points were asked, tell in any order, a tenth failed; returns the records of it.

    again: so often a trial is told, worse or better than it was, that was told before.
    """
    rng, records, pending, told, asked = random.Random(seed), [], [], [], 0
    while asked < points:
        trials = search.ask(rng.randint(1, most))
        asked += len(trials)
        records += [Asked(0.0, len(trials)), Suggested(0.0, tuple(trials), search.exhausted)]
        pending += trials
        while len(pending) > rng.randint(2, out):
            trial = pending.pop(rng.randrange(len(pending)))
            observe(trial)
            if rng.random() < 0.1:
                outcome = Outcome(trial.id, TrialState.FAILED, reason="it is so")
                search.fail(trial, outcome.reason)
            else:
                outcome = Outcome(trial.id, TrialState.COMPLETED, loss(trial.config))
                search.tell(trial, outcome.value)
            records.append(Ended(0.0, 1, outcome))
            told.append(trial)
            if again and rng.random() < again:
                trial = rng.choice(told)
                outcome = Outcome(trial.id, TrialState.COMPLETED, loss(trial.config) + rng.uniform(-0.1, 0.3))
                search.tell(trial, outcome.value)
                records.append(Ended(0.0, 1, outcome))
    return records


def test_it_beats_random_search_by_far():
    def best(name, seed, **options):
        search = create_search(name, SPACE, seed=seed, **options)
        for _ in range(40):
            (trial,) = search.ask()
            search.tell(trial, loss(trial.config))
        return search.best.value

    ours = statistics.median(best("diversified", seed) for seed in range(5))
    assert ours < 0.3 * statistics.median(best("random", seed) for seed in range(5))


def test_after_the_design_one_arm_asks_after_the_other():
    search = diversified(arms=MIXED, initial=4)
    for _ in range(14):
        (trial,) = search.ask()
        search.tell(trial, loss(trial.config))
    search.ask()
    assert arms_of(search) == [-1] * 4 + [k % 4 for k in range(10)]


def test_for_each_point_of_an_ask_the_arm_is_chosen_anew():
    search = diversified(arms=MIXED, initial=4)
    for trial in search.ask(4):
        search.tell(trial, loss(trial.config))
    trials = search.ask(10)
    assert len({tuple(trial.config.items()) for trial in trials}) == 10
    search.ask()
    assert arms_of(search)[4:] == [0] * 3 + [1] * 3 + [2] * 2 + [3] * 2


def test_later_arms_see_what_earlier_ones_picked_as_pending():
    # Two arms that think the same would pick the same.
    arms = "[{surrogate: gp, weight: 1.0}, {surrogate: gp, weight: 1.0, tau: 0.2}]"
    space = Space([Integer("a", 0, 9)])
    search = create_search("diversified", space, arms=arms, initial=4)
    for trial in search.ask(4):
        search.tell(trial, (trial.config["a"] - 4.2) ** 2)
    trials = search.ask(6)
    assert len({trial.config["a"] for trial in trials}) == 6
    assert search.ask(2) == []


class Recorded:
    """A rule that takes turns, and remembers the rewards."""

    def __init__(self, arms):
        self.arms, self.learned = arms, []

    def learn(self, arm, reward):
        self.learned.append((arm, reward))

    def correct(self, arm, by):
        self.learned.append((arm, by))

    def choose(self, turn, rng):
        return (turn * turn) % self.arms


def recorded(start=(), initial=4):
    """Return a search whose rule remembers, and its rotation."""
    encoding = SPACE.encoding()
    arms = parse_arms(FORESTS)
    seeds = np.random.SeedSequence(3).spawn(3)
    team = Team(encoding, seeds[0], list(arms.values()))
    rotation = Rotation(team, Origins(), Recorded(3), False, seeds[1])
    return Search(encoding, AfterDesign(encoding, seeds[2], rotation, initial), start=start), rotation


@pytest.mark.parametrize("start", [[], START], ids=["none", "twelve"])
def test_a_reward_goes_to_the_arm_that_asked_in_whatever_order_results_come(start):
    search, rotation = recorded(start)
    told = []
    rng = random.Random(1)
    pending, arm_of, turn = [], {}, 0
    for q in (4, 5, 1, 7, 1, 1, 3, 6, 2, 1, 1, 9, 4):
        from_arms = search._history.succeeded >= 4
        trials = search.ask(q)
        own = [trial for trial in trials if trial.config not in start] if from_arms else []
        counts = Counter((t * t) % 3 for t in range(turn, turn + len(own)))
        turn += len(own)
        arm_of |= dict(zip((trial.id for trial in own), counts.elements(), strict=True))
        pending += trials
        while len(pending) > 4:
            trial = pending.pop(rng.randrange(len(pending)))
            value = rng.random()
            search.tell(trial, value)
            told.append((trial.id, 1.0 - value))
        # An observation from elsewhere takes a place as well, and is nobody's.
        search.learn({"lr": 1e-4, "units": 8 + turn, "optimizer": "adam"}, 0.5)
    search.ask()
    assert turn > 15
    assert rotation._rule.learned == [(arm_of[k], reward) for k, reward in told if k in arm_of]


def test_a_failure_is_the_least_reward():
    search, rotation = recorded()
    for trial in search.ask(4):
        search.tell(trial, 0.2)
    for value in (0.5, None, math.nan):
        (trial,) = search.ask()
        if value is None:
            search.fail(trial, "it crashed")
        else:
            search.tell(trial, value)
    search.ask()
    assert [reward for _, reward in rotation._rule.learned] == [0.5, 0.0, 0.0]


def test_a_result_that_is_told_again_corrects_the_reward():
    search, rotation = recorded()
    for trial in search.ask(4):
        search.tell(trial, 0.25)
    (trial,) = search.ask()
    search.tell(trial, 0.5)
    search.ask()
    search.fail(trial, "it went on, and crashed")
    search.ask()
    search.tell(trial, 1.0)
    search.tell(trial, 0.25)
    search.ask()
    assert [reward for _, reward in rotation._rule.learned] == [0.5, -0.5, 0.75]


def same_thoughts(search, resumed):
    """Assert that two searches go on alike."""
    for q in (1, 3, 1, 20, 1):
        trials = search.ask(q)
        assert resumed.ask(q) == trials
        for trial in trials[:2]:
            search.tell(trial, loss(trial.config))
            resumed.tell(trial, loss(trial.config))
    assert arms_of(search) == arms_of(resumed)


@pytest.mark.parametrize(("points", "again"), [(40, 0.0), (131, 0.4), (260, 0.0), (260, 0.4)])
@pytest.mark.parametrize("rule", [rule for rule in RULES if not rule.startswith("bo-")])
def test_what_was_cut_off_goes_on_as_it_would_have(rule, points, again):
    search, resumed = (diversified(arms=MIXED, rule=rule, start=START) for _ in range(2))
    records = live(search, points, seed=points, again=again)
    assert replay(resumed, records) is None
    same_thoughts(search, resumed)


@pytest.mark.parametrize("points", [30, 133])
@pytest.mark.parametrize("rule", ["bo-hedge", "bo-hedge-le"])
def test_where_every_arm_nominates_too(rule, points):
    search, resumed = (diversified(arms="gp-ei, rf-hle-ucb", rule=rule, start=START) for _ in range(2))
    records = live(search, points, seed=points, again=0.4)
    assert replay(resumed, records) is None
    assert (strategy_of(search)._hedge.gains == strategy_of(resumed)._hedge.gains).all()
    same_thoughts(search, resumed)


def test_an_answer_belongs_to_one_frame_however_many_arms_gave_it():
    search, resumed = (diversified(arms=FORESTS) for _ in range(2))
    records = []

    def ask(q):
        trials = search.ask(q)
        records.extend([Asked(0.0, q), Suggested(0.0, tuple(trials), False)])
        return trials

    def tell(trials):
        for trial in trials:
            search.tell(trial, loss(trial.config))
            records.append(Ended(0.0, 1, Outcome(trial.id, TrialState.COMPLETED, loss(trial.config))))

    tell(ask(20))
    tell(ask(106)[:80])
    late = ask(6)  # from the 128th point on frames are two results long
    tell(late[:1])
    ask(2)
    assert replay(resumed, records) is None
    same_thoughts(search, resumed)


def test_of_turns_that_are_over_nothing_is_thought_again():
    search, resumed = (diversified(arms="tpe-ei, rf-ei") for _ in range(2))
    records = live(search, 300)
    strategy, asked = strategy_of(resumed), []
    propose = strategy.propose
    strategy.propose = lambda q, history: (asked.append(q), propose(q, history))[1]
    assert replay(resumed, records) is None
    assert 0 < sum(asked) < 40


def test_a_journal_that_says_otherwise_is_believed():
    search, resumed = diversified(rule="bo-hedge", arms=FORESTS), diversified(rule="bo-hedge", arms="gp-ei")
    records = live(search, 40)
    assert replay(resumed, records) == next(place for place, arm in enumerate(arms_of(search)) if arm >= 0)
    assert len(resumed.ask(5)) == 5


def test_a_forest_keeps_its_books_while_others_ask():
    search = diversified(arms=FORESTS)
    live(search, 300)
    strategy, history = strategy_of(search), search._history
    for arm in range(3):
        forest = strategy._team.strategy(arm, history.n).surrogate
        tables = [table.copy() for table in (forest.count, forest.total, forest.square)]
        known = forest._m
        assert known > 290
        for t, tree in enumerate(forest._trees):
            assert (forest._node_of[t, :known] == tree.leaves(history.rows[:known])).all()
        forest._count_anew()
        for table, again in zip(tables, (forest.count, forest.total, forest.square), strict=True):
            assert table == pytest.approx(again, abs=1e-9)


def test_an_arm_believes_something_of_what_others_asked_within_its_frame():
    search = diversified(arms=FORESTS)
    live(search, 700, out=40)
    for _ in range(6):
        search.ask(1)
    strategy, history = strategy_of(search), search._history
    for arm in range(3):
        forest = strategy._team.strategy(arm, history.n).surrogate
        known = history.pending_places[history.pending_places < forest._m]
        assert np.isfinite(forest._left[known]).all()


def test_a_process_hands_over_to_the_forest_of_its_kind():
    arms = parse_arms("gp-hle-ei, gp-pi, et-hle-ei")
    team = Team(SPACE.encoding(), np.random.SeedSequence(1), list(arms.values()))
    early, late = ([team.strategy(arm, n) for arm in range(3)] for n in (499, 500))
    surrogates = [type(strategy.surrogate) for strategy in early]
    assert surrogates == [GaussianProcess, GaussianProcess, ForestSurrogate]
    assert late[0] is late[2] is early[2]
    assert isinstance(late[1].surrogate, ForestSurrogate)
    assert late[1] is not late[0]


def test_a_rule_that_nominates_wants_arms_that_say_what_they_expect():
    with pytest.raises(OptionError, match=r"compares what the arms expect .* tpe-ei does not say it"):
        diversified(arms=MIXED, rule="bo-hedge")


def test_an_arm_that_expects_more_is_taken_more_often():
    search = diversified(arms=FORESTS, rule="bo-hedge", initial=4)
    live(search, 30)
    hedge = strategy_of(search)._hedge
    assert (hedge.gains > 0.0).all()
    assert hedge.probabilities().argmax() == hedge.gains.argmax()


@pytest.mark.parametrize("q", [1, 3, 40])
def test_every_arm_nominates_once_an_ask(q):
    search = diversified(arms="gp-ei, rf-ei, et-lcb", rule="bo-hedge", initial=4)
    live(search, 20)
    search.ask(1)
    strategy, asked = strategy_of(search), Counter()
    for arm in range(3):
        one = strategy._team.strategy(arm, 20)
        one.propose = lambda count, history, arm=arm, propose=one.propose: (
            asked.update({arm: 1}),
            propose(count, history),
        )[1]
    before = strategy._hedge.gains.copy()
    trials = search.ask(q)
    assert len({tuple(trial.config.items()) for trial in trials}) == q
    assert asked == {0: 1, 1: 1, 2: 1}
    assert (strategy._hedge.gains != before).all()


def test_a_nominee_that_is_not_taken_leaves_no_trace_in_an_arm():
    search = diversified(arms="rf-ei, et-lcb", rule="bo-hedge", initial=4)
    live(search, 40)
    search.ask(1)
    strategy, history = strategy_of(search), search._history
    for arm in range(2):
        forest = strategy._team.strategy(arm, history.n).surrogate
        known = min(forest._m, history.m - 1)
        for t, tree in enumerate(forest._trees):
            assert (forest._node_of[t, :known] == tree.leaves(history.rows[:known])).all()


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_asks_every_configuration_of_a_finite_space_once(rule):
    space = Space([Integer("a", 1, 5), Integer("b", 1, 6)])
    search, configs = create_search("diversified", space, arms=FORESTS, rule=rule, initial=3), []
    while not search.exhausted:
        trials = search.ask(4)
        configs += [tuple(trial.config.values()) for trial in trials]
        for trial in trials[1:]:
            search.tell(trial, float(trial.config["a"]))
    assert sorted(configs) == [(a, b) for a in range(1, 6) for b in range(1, 7)]


def test_which_arm_asked_takes_two_bytes_a_trial():
    origins = Origins()
    assert origins.arms.itemsize == 2
