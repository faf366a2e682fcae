import math
import statistics

import pytest

from deephpo.search.create import create_search
from deephpo.search.parts import LIES
from deephpo.search.pending import PENDING
from deephpo.space.parameters import Float
from deephpo.space.space import Space

SQUARE = Space([Float("x", 0, 1), Float("y", 0, 1)])


def bowl(config):
    return (config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2


def after_the_design(surrogate, lie, seed):
    search = create_search("single", SQUARE, surrogate=surrogate, lie=lie, seed=seed)
    for trial in search.ask(20):
        search.tell(trial, bowl(trial.config))
    return search


def distance(one, other):
    return math.dist(one.config.values(), other.config.values())


def test_the_table_and_the_names_are_the_same():
    assert set(PENDING) == set(LIES)


def test_a_trial_that_is_said_to_go_badly_keeps_the_next_ones_away():
    def median(said):
        """Return how far from a running trial the next one is when it said so."""
        far = []
        for seed in range(9):
            search = after_the_design("gp", "premature", seed)
            (running,) = search.ask()
            for value in said:
                search.foretell(running.id, value)
            # A result from far off, so that the model looks again.
            (other,) = search.ask()
            search.tell(other, bowl(other.config))
            far.append(distance(running, search.ask()[0]))
        return statistics.median(far)

    assert median([5.0]) > 1.5 * median([])
    assert median([5.0]) == median([0.0, 7.0, 5.0]) == median([5.0, math.nan])


def test_what_a_trial_was_worth_is_forgotten_when_it_is_told():
    search = after_the_design("gp", "premature", 0)
    (trial,) = search.ask()
    search.foretell(trial.id, 5.0)
    assert search._history.interim == {trial.id: 5.0}
    search.tell(trial, 0.1)
    search.foretell(trial.id, 6.0)
    assert search._history.interim == {}


def test_in_a_search_that_maximises_more_is_better():
    search = create_search("single", SQUARE, direction="maximize", lie="premature")
    (trial,) = search.ask()
    search.foretell(trial.id, 5.0)
    assert search._history.interim == {trial.id: -5.0}


@pytest.mark.parametrize("lie", ["next-best", "random", "naive", "premature"])
def test_without_a_lie_points_asked_together_lie_closer_than_with_a_believer(lie):
    def median(lie):
        found = []
        for seed in range(7):
            trials = after_the_design("gp", lie, seed).ask(6)
            found.append(statistics.mean(distance(a, b) for a in trials for b in trials))
        return statistics.median(found)

    assert median(lie) < median("believer")
