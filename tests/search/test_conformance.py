"""What every strategy promises; one that stands in the table of searches is tested here."""

import itertools
import math
import random
import statistics
import time

import pytest

from deephpo.engine.replay import replay
from deephpo.search.create import METHODS, SEARCHES, create_search
from deephpo.space.conditions import Between
from deephpo.space.parameters import Categorical, Float, Integer, Ordinal
from deephpo.space.space import Space
from deephpo.storage.records import Asked, Ended, Suggested
from deephpo.trial import Outcome, TrialState

EARLY = {"initial": 4, "population": 6, "tournament": 3, "stage": 5}
"""Values of options with which a search does what it is for after few results."""
VARIANTS = {
    "ambs": [
        *({"surrogate": name} for name in METHODS["ambs"].options["surrogate"].names),
        *({"lie": name} for name in METHODS["ambs"].options["lie"].names[1:]),
    ],
    "single": [
        {"surrogate": "gp"},
        {"surrogate": "blend", "lie": "believer"},
        {
            "surrogate": "forest",
            "target": "hle",
            "acquisition": "ei",
            "schedule": "drawn",
            "lie": "premature",
        },
        {"surrogate": "forest", "lie": "random"},
    ],
    "diversified": [
        {},
        *({"arms": "rf-ei,et-ei", "rule": rule} for rule in ("hedge", "eg", "sko", "bo-hedge")),
    ],
    "tpe": [{"density": density} for density in ("multivariate", "univariate")],
}
"""With which other options a search is tested; with its defaults alone, if nothing stands here."""
STRATEGIES = [
    (name, {**{early: EARLY[early] for early in EARLY if early in METHODS[name].options}, **options})
    for name in SEARCHES
    for options in VARIANTS.get(name, [{}])
]

SPACE = Space(
    [
        Float("momentum", 0, 0.99, when={"optimizer": "sgd"}),
        Categorical("optimizer", ["adam", "sgd"]),
        Float("lr", 1e-5, 1e-1, log=True),
        Integer("layers", 1, 5),
        Integer("units", 8, 512, log=True, when={"layers": Between(low=2)}),
        Ordinal("batch", [16, 32, 64]),
    ],
    forbidden=[{"optimizer": "sgd", "batch": 64}, {"layers": 5, "units": Between(low=256)}],
)
FINITE = Space(
    [
        Categorical("kind", ["a", "b", "c"]),
        Integer("depth", 1, 5, when={"kind": ["a", "b"]}),
        Categorical("flag", [True, False]),
    ],
    forbidden=[{"kind": "b", "depth": [4, 5]}, {"kind": "c", "flag": True}],
)
ALL_OF_FINITE = [
    *({"kind": "a", "depth": depth, "flag": flag} for depth in range(1, 6) for flag in (True, False)),
    *({"kind": "b", "depth": depth, "flag": flag} for depth in range(1, 4) for flag in (True, False)),
    {"kind": "c", "flag": False},
]


def loss(config):
    return abs(math.log10(config["lr"]) + 3) + config.get("momentum", 0.5) + 0.1 * config["layers"]


def distinct(trials):
    return len({tuple(sorted(trial.config.items())) for trial in trials})


@pytest.fixture(
    params=STRATEGIES,
    ids=lambda strategy: "-".join([strategy[0], *(v for v in strategy[1].values() if isinstance(v, str))]),
)
def create(request):
    name, options = request.param

    def create(space=SPACE, **more):
        return create_search(name, space, **{"seed": 7, **options, **more})

    return create


class TestEveryStrategy:
    def test_asks_as_many_as_wanted_all_different_and_all_in_the_space(self, create):
        search = create()
        trials = []
        for q in (1, 3, 8, 1, 5, 1, 1, 20):
            asked = search.ask(q)
            assert len(asked) == q
            trials += asked
            for trial in asked:
                search.tell(trial, loss(trial.config))
        assert distinct(trials) == len(trials) == 40
        assert all(SPACE.complete(trial.config) == trial.config for trial in trials)
        assert not search.exhausted

    def test_does_not_repeat_what_is_pending(self, create):
        search = create()
        trials = search.ask(6)
        for trial in trials[::2]:
            search.tell(trial, loss(trial.config))
        for _ in range(4):
            trials += search.ask(3)
            search.tell(trials[-2], loss(trials[-2].config))
            trials += search.ask(1)
        assert distinct(trials) == len(trials)

    def test_asks_the_same_again_with_the_same_seed_and_the_same_results(self, create):
        assert self._course(create()) == self._course(create())

    def test_asks_the_same_when_it_maximises_the_opposite(self, create):
        assert self._course(create(direction="maximize"), sign=-1.0) == self._course(create())

    @staticmethod
    def _course(search, sign=1.0):
        """Ask by threes, and tell each trial while two others are out."""
        pending, course = search.ask(3), []
        for _ in range(12):
            trial = pending.pop(0)
            search.tell(trial, sign * loss(trial.config))
            pending += search.ask(1)
            course.append(trial)
        return course + pending

    def test_asks_its_starting_points_first(self, create):
        start = [
            {"optimizer": "adam", "lr": 0.01, "layers": 1, "batch": 64},
            {"momentum": 0.5, "optimizer": "sgd", "lr": 0.01, "layers": 2, "units": 64, "batch": 16},
        ]
        trials = create(start=start).ask(4)
        assert [trial.config for trial in trials[:2]] == start
        assert distinct(trials) == 4

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_survives_failures(self, create, value):
        search = create()
        for i in range(14):
            (trial,) = search.ask()
            if i % 3 == 0:
                search.fail(trial, "it crashed")
            elif i % 3 == 1:
                search.tell(trial, value)
            else:
                search.tell(trial, loss(trial.config))
        assert math.isfinite(search.best.value)
        assert len(search.ask(3)) == 3

    def test_survives_nothing_but_failures(self, create):
        search = create()
        for _ in range(12):
            search.fail(search.ask()[0], "it crashed")
        assert search.best is None
        assert len(search.ask(3)) == 3

    def test_survives_results_that_are_all_the_same(self, create):
        search = create()
        for _ in range(12):
            search.tell(search.ask()[0], 1.0)
        assert search.best.id == 0

    @pytest.mark.parametrize("direction", ["minimize", "maximize"])
    def test_knows_the_best_that_it_was_told(self, create, direction):
        search = create(direction=direction)
        values = []
        for trial in [*search.ask(5), *search.ask(5)]:
            values.append(loss(trial.config))
            search.tell(trial, values[-1])
        assert search.best.value == (min if direction == "minimize" else max)(values)
        assert loss(search.best.config) == search.best.value

    @pytest.mark.parametrize("q", [1, 4, 30])
    def test_asks_every_configuration_of_a_finite_space_once_and_then_is_exhausted(self, create, q):
        search, configs = create(FINITE), []
        for _ in itertools.repeat(None, 30):
            if search.exhausted:
                break
            asked = search.ask(q)
            configs += [trial.config for trial in asked]
            for trial in asked:
                search.tell(trial, float(len(trial.config["kind"]) + trial.config.get("depth", 0)))
        assert sorted(configs, key=str) == sorted(ALL_OF_FINITE, key=str)
        assert search.ask(q) == []

    def test_asks_every_configuration_of_a_finite_space_even_if_nothing_comes_back(self, create):
        search = create(FINITE)
        configs = [trial.config for _ in range(9) for trial in search.ask(2)]
        assert sorted(configs, key=str) == sorted(ALL_OF_FINITE, key=str)

    @pytest.mark.parametrize("direction", ["minimize", "maximize"])
    def test_knows_the_best_whatever_it_is_told_again(self, create, direction):
        search, rng, values = create(direction=direction), random.Random(3), {}
        trials = search.ask(8)
        for turn in range(60):
            trial = trials[rng.randrange(8) if turn % 3 or search.best is None else search.best.id]
            values[trial.id] = rng.choice([1.0, 2.0, 3.0, 4.0, math.nan])
            search.tell(trial, values[trial.id])
            known = [value for value in values.values() if math.isfinite(value)]
            if known:
                assert search.best.value == (min if direction == "minimize" else max)(known)
                assert values[search.best.id] == search.best.value
                assert search.best.config == trials[search.best.id].config
            else:
                assert search.best is None

    def test_only_the_last_word_about_a_trial_counts(self, create):
        once, twice = create(), create()
        for q in (6, 3, 5, 1, 1, 4, 1):
            trials = once.ask(q)
            assert twice.ask(q) == trials
            for trial in trials:
                once.tell(trial, loss(trial.config))
                if trial.id % 3:
                    twice.tell(trial, 7.0 - trial.id)
                else:
                    twice.fail(trial, "at first")
            for trial in reversed(trials):
                twice.fail(trial, "once more")
                twice.tell(trial, loss(trial.config))
        assert once.best == twice.best

    @pytest.mark.parametrize("again", [0.0, 0.5], ids=["told-once", "told-again"])
    def test_what_was_cut_off_goes_on_as_it_would_have(self, create, again):
        whole = _journal(create(), 50, again)
        trials = {trial.id: trial for r in whole if isinstance(r, Suggested) for trial in r.trials}
        for cut in (3, 40, 70):
            cut += isinstance(whole[cut], Suggested)  # what was asked last was answered
            resumed = create()
            assert replay(resumed, whole[:cut]) is None
            for record in whole[cut:]:
                if isinstance(record, Asked):
                    asked = resumed.ask(record.q)
                elif isinstance(record, Suggested):
                    assert tuple(asked) == record.trials
                else:
                    _tell(resumed, trials[record.outcome.trial_id], record.outcome)


def _journal(search, points, again=0.0):
    """Return the records of a search that is asked and told at random, and in which a fifth fails.

    again: so often a trial that was told before is told again, after a result.
    """
    rng, records, pending, told = random.Random(5), [], [], []

    def end(trial, worse=0.0):
        if rng.random() < 0.2:
            outcome = Outcome(trial.id, TrialState.FAILED, reason="it is so")
        else:
            outcome = Outcome(trial.id, TrialState.COMPLETED, loss(trial.config) + worse)
        _tell(search, trial, outcome)
        records.append(Ended(0.0, 1, outcome))

    asked = 0
    while asked < points:
        trials = search.ask(rng.randint(1, 4))
        asked += len(trials)
        records += [Asked(0.0, len(trials)), Suggested(0.0, tuple(trials), search.exhausted)]
        pending += trials
        while len(pending) > rng.randint(1, 6):
            told.append(pending.pop(rng.randrange(len(pending))))
            end(told[-1])
            if rng.random() < again:
                end(
                    search.best if search.best and rng.random() < 0.3 else rng.choice(told),
                    rng.uniform(-1, 2),
                )
    return records


def _tell(search, trial, outcome):
    if outcome.state is TrialState.COMPLETED:
        search.tell(trial, outcome.value)
    else:
        search.fail(trial, outcome.reason)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("auto", {}),
        ("ambs", {}),
        ("ambs", {"surrogate": "extra-trees", "lie": "naive"}),
        ("single", {"target": "log", "acquisition": "ei"}),
        ("diversified", {"arms": "gp-ei,rf-ei", "rule": "hedge"}),
        ("tpe", {}),
        ("evolution", {}),
        ("random-walk", {}),
    ],
)
def test_it_leaves_a_region_that_turned_out_to_be_bad(name, options):
    """What was best lies at 0.2; told again it is worse than all else, and the next best lies at 0.8."""
    search = create_search(name, Space([Float("x", 0, 1), Float("y", 0, 1)]), seed=2, **options)
    told = []
    for _ in range(15):
        told += search.ask(3)
        for trial in told[-3:]:
            x = trial.config["x"]
            search.tell(trial, abs(x - 0.2) if x < 0.5 else abs(x - 0.8) + 0.3)
    before = sum(trial.config["x"] < 0.5 for trial in told[-15:])
    for trial in told:
        if trial.config["x"] < 0.5:
            search.tell(trial, 5.0 + trial.config["x"])
    after = sum(trial.config["x"] < 0.5 for _ in range(5) for trial in search.ask(3))
    assert before >= 8 > 4 >= after
    assert search.best.config["x"] > 0.5


OBSERVED = [trial.config for trial in create_search("random", SPACE, seed=3).ask(4000)]


@pytest.mark.parametrize("name", SEARCHES)
def test_an_ask_costs_the_same_however_many_results_there_are(name):
    few, many = (_knowing(create_search(name, SPACE, seed=7), n) for n in (600, 6000))
    ratios = [_cost_s(many) / _cost_s(few) for _ in range(9)]
    assert statistics.median(ratios) < 3


def _knowing(search, n):
    """Return the search when it knows n results, has 16 pending, and has thought once."""
    for config in OBSERVED[:n]:
        search.learn(config, loss(config))
    search.ask(16)
    _cost_s(search)
    return search


def _cost_s(search):
    """Return the CPU time of asking for eight trials, and tell them."""
    began_s = time.process_time()
    trials = search.ask(8)
    cost_s = time.process_time() - began_s
    for trial in trials:
        search.tell(trial, loss(trial.config))
    return cost_s


@pytest.mark.parametrize("choices", [list(range(60)), [f"c{i}" for i in range(60)]], ids=["ints", "texts"])
@pytest.mark.parametrize("q", [1, 7])
@pytest.mark.parametrize("name", [name for name in SEARCHES if name != "grid"])
def test_an_infinite_space_is_never_exhausted(name, q, choices):
    space = Space([Categorical("c", choices), Float("x", 0, 1, when={"c": choices[:1]})])
    search, trials = create_search(name, space, seed=3), []
    while len(trials) < 105:
        trials += search.ask(q)
        assert not search.exhausted
        search.tell(trials[-1], trials[-1].config.get("x", 0.5))
    assert distinct(trials) == 105


@pytest.mark.parametrize("name", [name for name in SEARCHES if name != "grid"])
def test_another_seed_is_another_search(name):
    assert (
        create_search(name, SPACE, seed=1).ask()[0].config
        != create_search(name, SPACE, seed=2).ask()[0].config
    )
