import math

import pytest

from deephpo.errors import SpaceError
from deephpo.space.parameters import Categorical, Float, Integer, Ordinal


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Float("", 0, 1), "Float: the first argument is the parameter's name, a text, not ''"),
        (lambda: Float(3, 0, 1), "Float: the first argument is the parameter's name, a text, not 3"),
        (lambda: Float("x", "0", 1), "Float 'x': low must be a finite number, not '0'"),
        (lambda: Float("x", 0, math.inf), "Float 'x': high must be a finite number, not inf"),
        (lambda: Float("x", True, 2), "Float 'x': low must be a finite number, not True"),
        (lambda: Float("x", 2, 1), "low=2.0 and high=1.0; swap them"),
        (lambda: Float("x", 1, 1), "one value is a constant: leave it out"),
        (lambda: Float("x", 0, 1, log=True), "Float 'x': log=True needs low above 0, but low=0.0"),
        (lambda: Integer("n", 0, 9, log=True), "Integer 'n': log=True needs low at least 1, but low=0"),
        (lambda: Float("x", 0, 1, step="a"), "Float 'x': step must be a finite number, not 'a'"),
        (lambda: Float("x", 0, 1, step=2), "step must be above 0 and at most high - low = 1.0, not 2"),
        (lambda: Float("x", 0, 1, step=0), "step must be above 0"),
        (lambda: Integer("n", 0, 9, step=0), "Integer 'n': step must be above 0 and at most high - low = 9"),
        (lambda: Integer("n", 0, 9, step=-1), "step must be above 0"),
        (lambda: Float("x", 1, 9, log=True, step=1), "log and step exclude each other"),
        (lambda: Integer("n", 0, 9.5), "Integer 'n': high must be a whole number, not 9.5; or use Float"),
        (lambda: Integer("n", 0, 9, step=1.5), "Integer 'n': step must be a whole number, not 1.5"),
        (lambda: Integer("n", None, 9), "Integer 'n': low must be a finite number, not None"),
        (lambda: Categorical("c", "abc"), "Categorical 'c': choices must be a list of values, not 'abc'"),
        (lambda: Categorical("c", 5), "Categorical 'c': choices must be a list of values, not 5"),
        (lambda: Categorical("c", ["a"]), r"it needs at least two choices, but has \['a'\]"),
        (lambda: Categorical("c", [(1, 2), (3, 4)]), r"the choice \(1, 2\) is a tuple"),
        (lambda: Ordinal("o", [16, 32, 16.0]), "Ordinal 'o': the choice 16.0 stands in the list twice"),
        (lambda: Float("x", 0, 1, default=2), "Float 'x': the default 2 is not one of its values"),
        (lambda: Integer("n", 0, 9, step=2, default=3), "the default 3 is not one of its values"),
        (lambda: Categorical("c", [0, 1], default=True), "the default True is not one of its values"),
        (lambda: Float("x", 0, 1, when="sgd"), "Float 'x': when= takes a mapping"),
    ],
)
def test_what_cannot_be_is_refused_with_its_name_and_the_value(make, sentence):
    with pytest.raises(SpaceError, match=sentence):
        make()


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        (Float("x", 0.1, 0.7, step=0.2), [0.1, 0.3, 0.5, 0.7]),
        (Float("x", 0, 1, step=0.3), [0.0, 0.3, 0.6, 0.9]),
        (Float("x", 0, 3, step=1), [0.0, 1.0, 2.0, 3.0]),
        (Integer("n", -1, 2), [-1, 0, 1, 2]),
        (Integer("n", 1, 8, step=3), [1, 4, 7]),
        (Integer("n", 1, 3, log=True), [1, 2, 3]),
        (Categorical("c", ["a", None, True, 1]), ["a", None, True, 1]),
        (Ordinal("o", (16, 32)), [16, 32]),
    ],
)
def test_the_levels_are_exactly_the_values_that_may_stand_in_a_configuration(parameter, values):
    found = [parameter.value_at(level) for level in range(parameter.levels)]
    assert [repr(value) for value in found] == [repr(value) for value in values]
    assert all(parameter.contains(value) for value in found)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (Float("x", 0, 1), 1.1),
        (Float("x", 0, 1), math.nan),
        (Float("x", 0, 1), True),
        (Float("x", 0, 1), "0.5"),
        (Float("x", 0, 1, step=0.3), 0.4),
        (Float("x", 0, 1, step=0.3), 1.0),
        (Integer("n", 0, 9), 2.5),
        (Integer("n", 0, 9), math.inf),
        (Integer("n", 0, 9), True),
        (Integer("n", 0, 9, step=4), 9),
        (Categorical("c", [1, 2]), True),
        (Categorical("c", ["a", "b"]), None),
    ],
)
def test_what_is_not_a_value_may_not_stand_in_a_configuration(parameter, value):
    assert parameter.contains(value) is False


def test_rounding_dust_does_not_take_a_stepped_value_out_of_the_space():
    assert Float("x", 0.1, 0.7, step=0.1).contains(0.1 + 0.2)


def test_a_real_number_has_no_end_of_levels():
    assert Float("x", 0, 1).levels is None


def test_bounds_get_the_type_of_the_parameter():
    assert isinstance(Float("x", 0, 1).low, float)
    assert isinstance(Integer("n", 0.0, 9.0).high, int)


def test_a_change_to_the_users_list_does_not_reach_the_parameter():
    choices = ["a", "b"]
    parameter = Categorical("c", choices)
    choices.append("c")
    assert parameter.choices == ("a", "b")
