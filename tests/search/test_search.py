import math
from fractions import Fraction

import numpy as np
import pytest

from deephpo.errors import SpaceError
from deephpo.search.create import create_search
from deephpo.space.parameters import Float, Integer
from deephpo.space.space import Space

SPACE = Space([Float("x", 0, 1), Integer("n", 1, 100)])


@pytest.fixture
def search():
    return create_search("random", SPACE, seed=4)


def test_ids_count_from_zero(search):
    assert [trial.id for trial in [*search.ask(3), *search.ask(2)]] == [0, 1, 2, 3, 4]


def test_a_trials_seed_depends_on_the_searchs_seed_and_the_id_alone(search):
    one_by_one = [search.ask()[0].seed for _ in range(4)]
    other_strategy = create_search("sobol", SPACE, seed=4)
    assert [trial.seed for trial in other_strategy.ask(4)] == one_by_one
    assert len(set(one_by_one)) == 4
    assert create_search("random", SPACE, seed=5).ask()[0].seed != one_by_one[0]


@pytest.mark.parametrize("q", [0, -1])
def test_less_than_one_trial_cannot_be_asked(search, q):
    with pytest.raises(ValueError, match=f"from 1 on, not {q}"):
        search.ask(q)


@pytest.mark.parametrize(("direction", "best"), [("minimize", -3.0), ("maximize", 7.0)])
def test_the_best_trial_has_its_value_in_the_users_direction(direction, best):
    search = create_search("random", SPACE, direction=direction)
    for trial, value in zip(search.ask(5), [2.0, 7.0, math.nan, -3.0, 0.0], strict=True):
        search.tell(trial, value)
        assert trial.value is None
    assert search.best.value == best


def test_the_first_of_equals_is_the_best(search):
    first, second = search.ask(2)
    search.tell(second, 0.0)
    search.tell(first, 0.0)
    assert search.best.id == second.id


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, pytest.param(10**5000, id="huge")])
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_value_that_is_no_number_is_a_failure_and_never_the_best(value, direction):
    search = create_search("random", SPACE, direction=direction)
    search.tell(search.ask()[0], value)
    assert search.best is None


def test_the_last_word_about_a_trial_counts(search):
    first, second, third = search.ask(3)
    search.tell(first, 1.0)
    search.fail(second, "it crashed")
    search.tell(second, 0.5)
    assert (search.best.id, search.best.value) == (second.id, 0.5)
    search.tell(second, 3.0)
    assert (search.best.id, search.best.value) == (first.id, 1.0)
    search.fail(first, "it crashed")
    search.tell(third, 4.0)
    assert (search.best.id, search.best.value) == (second.id, 3.0)
    search.tell(second, math.nan)
    assert (search.best.id, search.best.value) == (third.id, 4.0)
    search.fail(third, "it crashed")
    assert search.best is None


def test_a_trial_that_is_told_again_is_no_new_result(search):
    first, second = search.ask(2)
    for value in (1.0, 2.0, math.inf, 3.0):
        search.tell(first, value)
    assert (search._history.n, search._history.succeeded, list(search._history.pending)) == (
        1,
        1,
        [second.id],
    )


def test_what_was_observed_elsewhere_is_no_trial_that_could_be_the_best(search):
    search.learn({"x": 0.5, "n": 3}, -9.0)
    first, second = search.ask(2)
    search.tell(first, 1.0)
    search.tell(second, 2.0)
    search.tell(first, 5.0)
    assert (search.best.id, search.best.value) == (second.id, 2.0)
    assert search.best.config == second.config


def test_what_a_trial_that_goes_on_is_worth_so_far_changes_nothing(search):
    (trial,) = search.ask()
    search.tell(trial, 1.0)
    search.foretell(trial.id, 0.5)
    assert search._history.interim == {}


def test_a_trial_of_another_search_is_refused(search):
    (foreign,) = create_search("random", SPACE).ask()
    with pytest.raises(ValueError, match="never asked here"):
        search.tell(foreign, 1.0)


def test_repeated_starting_points_are_asked_once_and_all_of_them_come_first():
    a, b = {"x": 0.25, "n": 1}, {"x": 0.5, "n": 2}
    search = create_search("random", SPACE, start=[a, a, b])
    assert [search.ask()[0].config for _ in range(2)] == [a, b]
    assert search.ask()[0].config not in (a, b)


@pytest.mark.parametrize("value", ["abc", None, [1.0], True])
def test_a_value_that_is_no_number_is_refused_with_the_cure(search, value):
    (trial,) = search.ask()
    with pytest.raises(TypeError, match=r"tell\(\) takes a number, not .*; without one, say fail\(trial"):
        search.tell(trial, value)
    search.tell(trial, 1.0)
    assert search.best.id == trial.id


@pytest.mark.parametrize("value", [np.float32(0.5), np.array(0.5), Fraction(1, 2)])
def test_a_number_of_any_kind_becomes_a_float(search, value):
    search.tell(search.ask()[0], value)
    assert (search.best.value, type(search.best.value)) == (0.5, float)


def test_a_whole_number_beyond_all_floats_is_a_failure(search):
    search.tell(search.ask()[0], 10**400)
    assert search.best is None


def test_what_is_no_trial_is_refused(search):
    search.ask()
    with pytest.raises(TypeError, match="take a trial that"):
        search.tell(0, 1.0)
    with pytest.raises(TypeError, match="take a trial that"):
        search.fail(0, "it crashed")


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_an_observation_without_a_finite_value_is_a_failure(value):
    search = create_search("random", Space([Float("x", 0, 1)]))
    search.learn({"x": 0.5}, value)
    assert (search._history.n, search._history.succeeded, search._history.best) == (1, 0, math.inf)


class TestWhatIsRefused:
    @pytest.mark.parametrize("q", [1.5, None, "3", True, math.inf])
    def test_a_number_of_trials_that_is_none(self, search, q):
        with pytest.raises(TypeError, match="ask\\(\\) takes a whole number of trials, not"):
            search.ask(q)

    def test_a_trial_of_another_search_with_an_id_that_is_pending_here(self, search):
        own = search.ask(3)[2]
        foreign = create_search("random", SPACE, seed=5).ask(3)[2]
        assert foreign.id == own.id
        with pytest.raises(ValueError, match="never asked here"):
            search.tell(foreign, -5.0)
        search.tell(own, 1.0)
        assert search.best.config == own.config

    @pytest.mark.parametrize(
        ("config", "sentence"),
        [
            ({"x": 5, "n": 1}, "not a value of 'x'"),
            ({"x": 0.5}, "'n' has neither a value nor a default"),
            ({"x": 0.5, "n": 1, "z": 3}, "There is no parameter 'z'"),
            (None, "A configuration is a dict"),
        ],
    )
    def test_an_observation_that_is_not_in_the_space(self, search, config, sentence):
        with pytest.raises(SpaceError, match=sentence):
            search.learn(config, 1.0)

    def test_an_observation_whose_value_is_no_number(self, search):
        with pytest.raises(TypeError, match=r"learn\(\) takes a number, not 'x'; without one, say None\."):
            search.learn({"x": 0.5, "n": 1}, "x")
