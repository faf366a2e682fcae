import numpy as np

from deephpo.search.create import create_search
from deephpo.space.parameters import Categorical, Float, Integer
from deephpo.space.space import Space

SQUARE = Space([Float("x", 0, 1), Float("y", 0, 1)])


def told(search, trials, loss):
    for trial in trials:
        search.tell(trial, loss(trial.config))


def distances(trials, center):
    return [max(abs(trial.config[name] - center[name]) for name in center) for trial in trials]


def test_it_draws_at_random_until_a_trial_succeeds():
    search = create_search("random-walk", SQUARE, seed=1)
    for trial in search.ask(20):
        search.fail(trial, "it crashed")
    xs = [trial.config["x"] for trial in search.ask(200)]
    assert np.histogram(xs, bins=4, range=(0, 1))[0].min() > 30


def test_every_trial_is_a_step_away_from_the_best_one():
    search = create_search("random-walk", SQUARE, seed=1)
    told(search, search.ask(5), lambda config: config["x"])
    best = search.best.config
    trials = search.ask(200)
    assert np.median(distances(trials, best)) < 0.1
    assert any(trial.config["x"] == best["x"] for trial in trials)  # now and then one parameter moves alone


def test_it_follows_the_best_one_and_no_other():
    search = create_search("random-walk", SQUARE, seed=1)
    told(search, search.ask(5), lambda config: config["x"])
    best = search.best
    told(search, search.ask(20), lambda config: best.value + 1)
    assert np.median(distances(search.ask(100), best.config)) < 0.1
    (lucky,) = search.ask(1)
    search.tell(lucky, -1.0)
    assert np.median(distances(search.ask(100), lucky.config)) < 0.1


def test_it_goes_back_when_the_best_one_turns_out_not_to_be():
    search = create_search("random-walk", SQUARE, seed=1)
    first, second, third = search.ask(3)
    for trial, value in ((first, 0.0), (second, 0.0), (third, 1.0)):
        search.tell(trial, value)
    assert np.median(distances(search.ask(100), first.config)) < 0.1
    search.tell(first, 2.0)
    assert np.median(distances(search.ask(100), second.config)) < 0.1
    search.fail(second, "it went on, and crashed")
    assert np.median(distances(search.ask(100), third.config)) < 0.1


def test_it_walks_on_from_what_was_tried_already():
    space = Space([Integer("n", 1, 1000), Categorical("c", ["a", "b"])])
    search = create_search("random-walk", space, start=[{"n": 500, "c": "a"}])
    told(search, search.ask(1), lambda config: 0.0)
    asked = []
    for _ in range(400):
        (trial,) = search.ask(1)
        search.tell(trial, 1.0)
        asked.append(abs(trial.config["n"] - 500))
    # Counting through the space would have begun at 1; a walk leaves the middle little by little.
    assert np.median(asked[:50]) < 120
    assert np.median(asked) < 250


def test_a_smooth_function_is_descended():
    search = create_search("random-walk", SQUARE, seed=3)
    for _ in range(120):
        told(search, search.ask(1), lambda config: (config["x"] - 0.3) ** 2 + (config["y"] - 0.8) ** 2)
    assert search.best.value < 1e-3
