import collections

import numpy as np

from deephpo.search.create import create_search
from deephpo.space.parameters import Categorical, Float
from deephpo.space.space import Space

LETTERS = Space([Categorical(name, list("abcdef")) for name in "pqrstuvw"])
LINE = Space([Float("x", 0, 1)])


def count_a(config):
    return -sum(value == "a" for value in config.values())


def differences(one, other):
    return sum(one[name] != other[name] for name in one)


def drift(**options):
    """Return how often the last twenty trials have the letter that is good, as a mean."""
    search = create_search("evolution", LETTERS, seed=2, **options)
    trials = []
    for _ in range(200):
        trials += search.ask(1)
        search.tell(trials[-1], count_a(trials[-1].config))
    return -np.mean([count_a(trial.config) for trial in trials[-20:]])


def test_it_draws_at_random_until_a_tournament_can_be_filled():
    search = create_search("evolution", LINE, seed=1, tournament=8)
    trials = search.ask(8)
    for trial in trials[:7]:
        search.tell(trial, trial.config["x"])
    assert np.histogram([t.config["x"] for t in search.ask(200)], bins=4, range=(0, 1))[0].min() > 30
    search.tell(trials[7], -1.0)
    near = [abs(trial.config["x"] - trials[7].config["x"]) < 0.35 for trial in search.ask(200)]
    assert np.mean(near) > 0.6


def test_children_are_mutations_of_winners():
    search = create_search("evolution", LETTERS, seed=2, population=10, tournament=10)
    first = search.ask(10)
    for trial in first:
        search.tell(trial, 0.0 if trial.id == 4 else 1.0)
    children = search.ask(20)
    parents = collections.Counter(
        min(first, key=lambda trial: differences(trial.config, child.config)).id for child in children
    )
    assert parents.most_common(1)[0][0] == 4
    assert max(differences(first[4].config, child.config) for child in children) >= 2


def test_the_oldest_dies_however_good_it_was():
    search = create_search("evolution", LINE, seed=2, population=10, tournament=10)
    search.learn({"x": 0.05}, -1.0)
    for k in range(9):
        search.learn({"x": 0.9 - k / 100}, k)
    assert np.median([trial.config["x"] for trial in search.ask(50)]) < 0.3
    search.learn({"x": 0.8}, 9)
    assert np.median([trial.config["x"] for trial in search.ask(50)]) > 0.7


def test_a_failure_loses_every_tournament():
    search = create_search("evolution", LINE, seed=2, population=20, tournament=20)
    for trial in search.ask(100):
        if trial.config["x"] < 0.7:
            search.fail(trial, "out of memory")
        else:
            search.tell(trial, 1.0)
    assert np.mean([trial.config["x"] > 0.6 for trial in search.ask(100)]) > 0.85


def test_the_letters_that_are_good_spread():
    assert drift(population=20, tournament=10) > 3


def test_a_larger_tournament_presses_more():
    assert drift(population=50, tournament=25) > drift(population=50, tournament=1) + 1
