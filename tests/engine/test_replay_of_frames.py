"""A search of several hundred points, so that frames are many results long, cut off in the middle of one."""

import math
import random

import numpy as np
import pytest

from deephpo.engine.events import Ask, Tell
from deephpo.engine.replay import learn, replay
from deephpo.engine.suggester import InlineSuggester
from deephpo.search.arm import PROCESS_UNTIL
from deephpo.search.create import create_search
from deephpo.space.parameters import Categorical, Float, Integer
from deephpo.space.space import Space
from deephpo.storage.records import Asked, Ended, Learned, Observation, Promoted, Reported, Suggested
from deephpo.trial import Outcome, Report, TrialState

SPACE = Space(
    [
        Float("lr", 1e-5, 1e-1, log=True),
        Float("narrow", 1e6, 1e6 + 1),
        Integer("units", 8, 512, log=True),
        Categorical("optimizer", ["sgd", "adam"]),
        Float("momentum", 0.0, 0.99, when={"optimizer": ["sgd"]}),
    ]
)
FINITE = Space([Integer(name, 1, 9) for name in "abc"])
BASE = {"lr": 1e-2, "narrow": 1e6 + 0.5, "units": 64, "optimizer": "adam"}
START = [BASE | {"lr": 1e-3}, BASE | {"units": 100}]


def loss(config):
    return sum(
        (math.log(abs(value) + 1) - 1.3 - 0.1 * k) ** 2 if not isinstance(value, str) else len(value) / 9
        for k, value in enumerate(config.values())
    )


OBSERVED = tuple(
    Observation(trial.config, loss(trial.config)) for trial in create_search("random", SPACE, seed=1).ask(505)
)
"""What an earlier run found."""


class Life:
    """A search that is asked and told at random, and the records of it.

    fail: so often a trial fails.  again: so often one ends once more that had ended before.
    reports: whether running trials say what they are worth so far.
    """

    def __init__(self, search, seed=0, fail=0.0, records=(), reports=False, again=0.0):
        self._reports = reports
        self.search, self.records = search, list(records)
        self._random, self._fail, self._again = random.Random(seed), fail, again
        self.pending, self.told = [], []

    def live(self, points, most=7):
        """Ask until so many points were asked; results come in any order."""
        while sum(len(r.trials) for r in self.records if isinstance(r, Suggested)) < points:
            q = self._random.randint(1, most)
            trials = self.search.ask(q)
            self.records += [Asked(0.0, q), Suggested(0.0, tuple(trials), self.search.exhausted)]
            self.pending += trials
            if self.search.exhausted:
                return
            if self._reports:
                self._report(self._random.choice(self.pending))
            while len(self.pending) > self._random.randint(3, 20):
                self._settle(self.pending.pop(self._random.randrange(len(self.pending))))

    def _report(self, trial):
        report = Report(trial.id, 1, {"loss": loss(trial.config) + self._random.random()})
        self.search.foretell(trial.id, report.metrics["loss"])
        self.records.append(Reported(0.0, report))

    def _settle(self, trial):
        self._end(trial)
        self.told.append(trial)
        if self._again and self._random.random() < self._again:
            among = self.told[-5:] if self._random.random() < 0.3 else self.told
            self._end(self._random.choice(among), self._random.uniform(-1, 2))

    def _end(self, trial, worse=0.0):
        if self._random.random() < self._fail:
            outcome = Outcome(trial.id, TrialState.FAILED, reason="it is so")
            self.search.fail(trial, outcome.reason)
        else:
            outcome = Outcome(trial.id, TrialState.COMPLETED, loss(trial.config) + worse)
            self.search.tell(trial, outcome.value)
        self.records.append(Ended(0.0, 1, outcome))


def check_resumed(search, resumed, records):
    """Assert that a search and what was made of its records know the same and ask the same."""
    assert replay(resumed, records) is None
    for known in ("rows", "values", "told_places", "pending_places"):
        assert (getattr(search._history, known) == getattr(resumed._history, known)).all()
    asked = [[trial.config for trial in one.ask(q)] for one in (search, resumed) for q in (1, 3, 40)]
    assert asked[:3] == asked[3:]


def check_same_forest(search, resumed):
    """Assert that two searches' forests count the same, to the last bit."""
    mine, theirs = (one._strategy.then.surrogate for one in (search, resumed))
    for table in ("count", "total", "square"):
        assert (getattr(mine, table) == getattr(theirs, table)).all()


@pytest.mark.parametrize("again", [0.0, 0.5])
@pytest.mark.parametrize("lie", ["believer", "max", "naive"])
@pytest.mark.parametrize(("surrogate", "points"), [("forest", 300), ("extra-trees", 203), ("forest", 517)])
def test_the_search_thinks_what_it_would_have_thought(surrogate, lie, points, again):
    def create():
        return create_search("ambs", SPACE, seed=5, surrogate=surrogate, lie=lie)

    life = Life(create(), seed=points, fail=0.1, again=again)
    life.live(points)
    resumed = create()
    check_resumed(life.search, resumed, life.records)
    check_same_forest(life.search, resumed)


@pytest.mark.parametrize(
    ("learned", "points", "again"), [(12, 150, 0.0), (12, 150, 0.5), (480, 60, 0.5), (505, 40, 0.0)]
)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ambs", {}),
        ("auto", {}),
        ("single", {"surrogate": "extra-trees", "lie": "believer"}),
        ("single", {"surrogate": "blend", "lie": "believer"}),
        ("tpe", {}),
        ("diversified", {"arms": "rf-ei,et-ei"}),
        ("diversified", {"arms": "gp-ei,rf-ei"}),
    ],
    ids=["ambs", "auto", "trees", "blend", "tpe", "forests", "process-and-forest"],
)
def test_with_starting_points_and_observations_from_elsewhere(name, options, learned, points, again):
    """Some of the first answer is starting points; from 480 observations on forests take over meanwhile."""

    def create():
        return create_search(name, SPACE, seed=5, start=START, **options)

    record = Learned(0.0, "elsewhere", OBSERVED[:learned])
    search = create()
    learn(search, record)
    life = Life(search, records=[record], again=again)
    life.live(points)
    assert len(life.records[2].trials) > len(START) + 2
    assert (search._history.n >= PROCESS_UNTIL) == (learned > 12)
    check_resumed(search, create(), life.records)


def test_a_finite_space_to_its_end():
    def create():
        return create_search("ambs", FINITE, seed=5)

    for points in (400, 700, 729):
        life = Life(create(), seed=points, again=0.2)
        life.live(points, most=30)
        resumed = create()
        check_resumed(life.search, resumed, life.records)
        check_same_forest(life.search, resumed)


def test_a_search_that_was_resumed_can_be_resumed():
    def create():
        return create_search("ambs", SPACE, seed=5)

    whole, life = Life(create(), seed=1, again=0.3), Life(create(), seed=1, again=0.3)
    whole.live(400)
    for points in (140, 251, 252, 400):
        life.live(points)
        resumed = create()
        assert replay(resumed, life.records) is None
        life.search = resumed
    assert [r for r in life.records if isinstance(r, Suggested)] == [
        r for r in whole.records if isinstance(r, Suggested)
    ]


def test_only_the_last_frame_is_thought_again(monkeypatch):
    life = Life(create_search("ambs", SPACE, seed=5), seed=2, again=0.5)
    life.live(600)
    resumed = create_search("ambs", SPACE, seed=5)
    asked = []
    propose = resumed._strategy.propose
    monkeypatch.setattr(
        resumed._strategy, "propose", lambda q, history: (asked.append(q), propose(q, history))[1]
    )
    assert replay(resumed, life.records) is None
    assert 0 < sum(asked) < 40


def test_codes_of_a_narrow_number_are_those_of_its_values():
    encoding = SPACE.encoding()
    rows = encoding.sample(20_000, np.random.default_rng(0))
    rows = np.concatenate([rows, encoding.mutate(rows, np.random.default_rng(1))])
    assert (encoding.encode(encoding.decode(rows)) == rows).all()


@pytest.mark.parametrize("name", ["ambs", "evolution"])
def test_a_stopped_trial_that_goes_on_teaches_what_was_foreseen_until_it_ends(name):
    search, resumed = (create_search(name, SPACE, seed=5) for _ in range(2))
    suggester, records = InlineSuggester(search), []

    def end(trial, state, value, foreseen=None):
        outcome = Outcome(trial.id, state, value, foreseen=foreseen)
        records.append(Ended(0.0, 1, outcome))
        suggester.submit(Tell(trial, outcome))

    trials = []
    for turn in range(30):
        suggester.submit(Ask(4))
        (answer,) = suggester.collect()
        records += [Asked(0.0, 4), Suggested(0.0, answer.trials, False), Promoted(0.0, turn)]
        trials += answer.trials
        for trial in answer.trials[1:]:
            end(trial, TrialState.STOPPED, loss(trial.config) + 1.0, loss(trial.config) / 2)
        if turn % 2:
            end(trials[2 * turn], TrialState.COMPLETED, loss(trials[2 * turn].config))
    assert replay(resumed, records) is None
    assert (search._history.values == resumed._history.values).all()
    assert search.best == resumed.best
    assert search.ask(20) == resumed.ask(20)


@pytest.mark.parametrize("surrogate", ["gp", "blend", "forest"])
def test_what_running_trials_reported_is_known_again(surrogate):
    def create():
        return create_search("single", SPACE, seed=5, surrogate=surrogate, lie="premature")

    life = Life(create(), seed=3, reports=True)
    life.live(160)
    resumed = create()
    assert sum(isinstance(record, Reported) for record in life.records) > 30
    assert replay(resumed, life.records, "loss") is None
    assert resumed._history.interim == life.search._history.interim != {}
    for q in (1, 3, 20):
        assert [t.config for t in resumed.ask(q)] == [t.config for t in life.search.ask(q)]
