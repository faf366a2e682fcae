import itertools
import math
import statistics
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from deephpo.search.create import create_search
from deephpo.search.frames import frame_of
from deephpo.space.parameters import Categorical, Float, Integer
from deephpo.space.space import Space
from deephpo.surrogates.targets import Ranking
from deephpo.surrogates.trees import Tree

SPACE = Space(
    [Float("lr", 1e-5, 1, log=True), Integer("n", 1, 50), Categorical("c", ["a", "b", "c"]), Float("x", 0, 1)]
)


def loss(config):
    lr = np.log10(config["lr"]) + 3
    return (
        lr**2 + ((config["n"] - 20) / 10) ** 2 + 2 * "abc".index(config["c"]) + 4 * (config["x"] - 0.3) ** 2
    )


def best_after(n, search):
    for _ in range(n):
        (trial,) = search.ask()
        search.tell(trial, loss(trial.config))
    return search.best.value


@pytest.mark.parametrize("surrogate", ["forest", "extra-trees"])
def test_it_beats_random_search_by_far(surrogate):
    def median(name, **options):
        return statistics.median(
            best_after(40, create_search(name, SPACE, seed=seed, **options)) for seed in range(5)
        )

    assert median("ambs", surrogate=surrogate) < 0.5 * median("random")


SQUARE = Space([Float("x", 0, 1), Float("y", 0, 1)])


def bowl(config):
    return (config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2


def after_the_design(told=20, **options):
    """Return a search on the square that was told some values of the bowl."""
    search = create_search("ambs", SQUARE, **options)
    for trial in search.ask(told):
        search.tell(trial, bowl(trial.config))
    return search


def spread(trials):
    points = np.array([[trial.config["x"], trial.config["y"]] for trial in trials])
    return statistics.mean(np.linalg.norm(a - b) for a, b in itertools.combinations(points, 2))


def test_points_asked_together_lie_the_closer_the_more_hopeful_the_lie():
    def median_spread(lie):
        return statistics.median(spread(after_the_design(60, lie=lie, seed=seed).ask(8)) for seed in range(9))

    assert median_spread("naive") < 0.6 * median_spread("min")
    assert median_spread("min") < 0.85 * median_spread("believer")
    assert median_spread("believer") < median_spread("max")


def test_a_region_where_everything_fails_is_left():
    search = create_search("ambs", SQUARE, seed=3)
    in_failing_half = []
    for _ in range(50):
        (trial,) = search.ask()
        in_failing_half.append(trial.config["x"] > 0.5)
        if in_failing_half[-1]:
            search.fail(trial, "out of memory")
        else:
            search.tell(trial, -trial.config["x"] - trial.config["y"])
    assert sum(in_failing_half[:10]) >= 3
    assert sum(in_failing_half[-25:]) <= 10
    assert search.best.config["x"] > 0.4


def test_results_matter_only_from_the_initial_successes_on():
    def course(sign):
        search = create_search("ambs", SPACE, seed=1, initial=6)
        configs = []
        for i in range(10):
            (trial,) = search.ask()
            configs.append(trial.config)
            if i in (0, 3):
                search.fail(trial, "a failure is no success")
            else:
                search.tell(trial, sign * loss(trial.config))
        return configs

    up, down = course(1.0), course(-1.0)
    assert up[:8] == down[:8]
    assert up[8] != down[8]


def test_only_the_order_of_the_values_matters():
    def course(transform):
        search = create_search("ambs", SPACE, seed=1, initial=5)
        trials = []
        for _ in range(12):
            trials += search.ask()
            search.tell(trials[-1], transform(loss(trials[-1].config)))
        return [trial.config for trial in trials]

    assert course(lambda value: value) == course(lambda value: 1e6 * value**3 - 5)


def test_kappa_trades_what_is_known_for_what_is_not():
    def distance(kappa):
        trials = [trial for seed in range(3) for trial in after_the_design(kappa=kappa, seed=seed).ask(5)]
        return statistics.median(bowl(trial.config) for trial in trials)

    assert distance(0.0) < distance(20.0)


def test_a_new_model_is_told_the_lies_of_all_that_is_pending():
    def distance(lie):
        """Leave a cluster at the optimum pending, and return how far from it the next point lies."""
        cluster = [{"x": 0.3 + dx, "y": 0.6 + dy} for dx in (0.0, 0.02) for dy in (0.0, 0.02)]
        distances = []
        for seed in range(7):
            search = create_search("ambs", SQUARE, lie=lie, kappa=0.0, seed=seed, start=cluster)
            for trial in search.ask(44)[4:]:
                search.tell(trial, bowl(trial.config))
            distances.append(math.sqrt(bowl(search.ask()[0].config)))
        return statistics.median(distances)

    assert distance("max") > 1.5 * distance("naive")


def test_candidates_are_renewed_before_the_good_ones_are_used_up():
    search = after_the_design(told=60, lie="naive")
    losses = [bowl(search.ask()[0].config) for _ in range(1000)]
    assert statistics.median(losses[-200:]) < 0.02


def test_more_points_can_be_asked_than_one_set_of_candidates_bears():
    trials = after_the_design(seed=1).ask(400)
    assert len({tuple(trial.config.values()) for trial in trials}) == 400


class TestFrames:
    """When a frame begins, and what goes on within one."""

    @pytest.mark.parametrize("pending", [1, 32, 256, 75_264])
    def test_frames_are_short_while_little_was_asked_and_never_longer_than_a_64th_of_it(self, pending):
        of_results = itertools.groupby(range(1, 20_000), lambda n: frame_of(n, n + pending))
        frames = [list(results) for _, results in of_results][:-1]
        assert all(len(frame) == 1 for frame in frames if frame[-1] + pending < 128)
        assert all(len(frame) <= (frame[-1] + pending) / 64 for frame in frames if frame[-1] + pending >= 128)
        assert len(frames) <= 128 + 65 * math.log2(20_000 / 128)

    def test_a_frame_is_no_longer_than_what_was_known_before_it_however_much_is_pending(self):
        of_results = itertools.groupby(range(1, 2000), lambda n: frame_of(n, n + 75_264))
        frames = [list(results) for _, results in of_results][:-1]
        assert all(len(frame) <= frame[0] for frame in frames)
        assert len(frames) < 25

    def test_a_later_frame_is_larger(self):
        frames = [frame_of(n, n + pending) for n, pending in zip(range(2000), range(2000, 4000), strict=True)]
        assert frames == sorted(frames)

    def test_the_newest_result_is_always_used(self):
        """Within a frame too: what the last trial returned moves what comes next, frame or no frame."""
        for told in (40, 300, 301, 302, 303):
            after = []
            for value in (-1.0, 100.0):
                search = after_the_design(told=told - 1, seed=1)
                (trial,) = search.ask()
                search.tell(trial, value)
                after.append([trial.config for trial in search.ask(20)])
            assert after[0] != after[1]

    def test_a_result_within_a_frame_costs_the_same_however_many_there_are(self, monkeypatch):
        """Its rank is found, and nothing else: no tree, no row and no value of before is looked at."""
        search = create_search("random", SQUARE)
        past = [(trial.config, bowl(trial.config)) for trial in search.ask(70_000)]
        search = create_search("ambs", SQUARE)
        for config, value in past:
            search.learn(config, value)
        (trial,) = search.ask()
        routed, sorted_values = [], []
        leaves, scores = Tree.leaves, Ranking.scores
        monkeypatch.setattr(Tree, "leaves", lambda tree, X: (routed.append(len(X)), leaves(tree, X))[1])
        monkeypatch.setattr(
            Ranking, "scores", lambda ranking, y: (sorted_values.append(len(y)), scores(ranking, y))[1]
        )
        for _ in range(100):
            search.tell(trial, 1.0)
            (trial,) = search.ask()
        assert routed == []  # a candidate brings its leaves with it
        assert sorted_values == [1] * 100

    def test_a_new_best_brings_neighbours_of_its_own(self):
        search = after_the_design(told=600, seed=2)
        assert frame_of(600, 602) == frame_of(602, 606)
        trials = search.ask(2)
        search.tell(trials[0], 5.0)
        before = search._strategy.then._generation
        search.ask()
        assert search._strategy.then._generation is before
        search.tell(trials[1], -5.0)
        (trial,) = search.ask()
        assert search._strategy.then._generation is not before
        assert math.dist(trial.config.values(), trials[1].config.values()) < 0.2

    def test_what_is_told_again_is_known_at_once(self):
        search = create_search("ambs", SQUARE, seed=2)
        told = search.ask(600)
        for trial in told:
            search.tell(trial, bowl(trial.config))
        search.ask(2)
        strategy, places = search._strategy.then, np.array([search.best.id, 17])
        frame, before = strategy._frame, strategy.surrogate.expect(places)
        told.sort(key=lambda trial: bowl(trial.config))
        for trial in told[:40]:
            search.tell(trial, 5.0)
        search.tell(told[-1], -5.0)
        trials = search.ask(2)
        assert strategy._frame == frame
        after = strategy.surrogate.expect(places)
        assert before[0] < -1.5 < 0.0 < after[0]
        assert (search.best.id, search.best.value) == (told[-1].id, -5.0)
        assert min(math.dist(trial.config.values(), told[-1].config.values()) for trial in trials) < 0.2
        self.check_leaves(strategy.surrogate, 600)

    @staticmethod
    def check_leaves(forest, n):
        """Assert that the leaves hold what all observations and lies are worth, each once."""
        tables = forest.count, forest.total, forest.square
        before = [table.copy() for table in tables]
        forest._count_anew()
        for table, was in zip(tables, before, strict=True):
            assert table == pytest.approx(was, abs=1e-8)
        assert forest.count.sum() >= n * forest._T


class TestWhatWasGivenOutOtherwise:
    """Places in the surrogate are those of the history, whatever was asked between two proposals."""

    def test_starting_points_between(self):
        search = after_the_design(told=30, seed=4)
        search.ask(3)
        search._start.append({"x": 0.111, "y": 0.222})
        trials = search.ask(3)
        assert trials[0].config == pytest.approx({"x": 0.111, "y": 0.222}, abs=1e-6)
        for trial in trials:
            search.tell(trial, bowl(trial.config))
        self.check(search)

    def test_an_answer_that_is_replaced(self):
        search = after_the_design(told=300, seed=4)
        search.ask(3)
        others = create_search("random", SQUARE, seed=9).ask(2)
        assert not search.replay(2, [replace(trial, id=303 + k) for k, trial in enumerate(others)])
        search.ask(1)
        self.check(search)

    def check(self, search):
        """The surrogate knows of each row into which leaves it fell."""
        search.ask(1)
        rows, surrogate = search._history.rows, search._strategy.then.surrogate
        for t, tree in enumerate(surrogate._trees):
            assert (surrogate._node_of[t, : len(rows)] == tree.leaves(rows)).all()


def test_memory_grows_by_little_more_than_a_kilobyte_a_trial():
    """Its configuration included, which whoever asked for it may hold as well."""
    search = after_the_design(told=2000)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(20):
            for trial in search.ask(200):
                search.tell(trial, bowl(trial.config))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / 4000 < 1250
