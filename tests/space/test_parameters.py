import math
import time
from enum import IntEnum, StrEnum
from fractions import Fraction

import numpy as np
import pytest

from deephpo.errors import SpaceError
from deephpo.space.parameters import NO_DEFAULT, Categorical, Float, Integer, Ordinal


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
        (lambda: Integer("n", 0, 10**400), "Integer 'n': high must be a finite number, not 1000"),
        (lambda: Integer("n", 0, 2**30), "give it a larger step, or use Float and round in run"),
        (lambda: Float("x", 0, 1, step=1e-8), "100000001 values .* give it a larger step, or leave the step"),
        (
            lambda: Float("x", -1e308, 1e308),
            "Float 'x': from low=-1e.308 to high=1e.308 is farther than a float",
        ),
        (lambda: Float("x", 0, 1, log="yes"), "Float 'x': log must be True or False, not 'yes'"),
        (lambda: Float("x", 0, 1, default=None), "Float 'x': the default None is not one of its values"),
        (lambda: Categorical("c", [1, math.inf]), "Categorical 'c': the choice inf is not finite"),
        (lambda: Categorical("c", [1, np.float64("nan")]), "Categorical 'c': the choice nan is not finite"),
        (lambda: Ordinal("o", [1, np.int64(1)]), "Ordinal 'o': the choice 1 stands in the list twice"),
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
        (Float("x", 0.1, 0.3, step=0.2), [0.1, 0.3]),
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
        (Float("x", 0, 0.1), np.float32(0.1)),
        (Float("x", 0, 1), math.nan),
        (Float("x", 0, 1), True),
        (Float("x", 0, 1), "0.5"),
        (Float("x", 0, 1, step=0.3), 0.4),
        (Float("x", 0, 1, step=0.3), 1.0),
        (Float("x", 0, 0.9999999, step=0.1), 0.9999999),
        (Float("x", 0, 1, step=0.1), -0.1),
        (Float("x", 0, 1, step=1e-5), 1e308),
        (Integer("n", 0, 9), 2.5),
        (Integer("n", 0, 9), math.inf),
        (Integer("n", 0, 9), True),
        (Integer("n", 0, 9), np.True_),
        (Integer("n", 0, 9, step=4), 9),
        (Categorical("c", [1, 2]), True),
        (Categorical("c", ["a", "b"]), None),
    ],
)
def test_what_is_not_a_value_may_not_stand_in_a_configuration(parameter, value):
    assert parameter.contains(value) is False


@pytest.mark.parametrize(
    ("parameter", "value", "exact"),
    [
        (Integer("n", -1000, 1000, step=5), np.int8(5), 5),
        (Integer("n", -1000, 1000), np.uint8(200), 200),
        (Integer("n", 0, 9), np.float64(3), 3),
        (Float("x", 0, 1), np.float32(0.5), 0.5),
        (Float("x", 0, 1, step=0.1), np.float32(0.3), 0.3),
        (Float("x", 0, 1), np.array(0.25), 0.25),
        (Categorical("c", [1, 2.5]), np.float64(2.5), 2.5),
    ],
)
def test_a_number_of_numpy_stands_for_a_plain_one_of_however_few_bits(parameter, value, exact):
    assert parameter.contains(value)
    assert repr(parameter.exact(value)) == repr(exact)


@pytest.mark.parametrize("high", [0.7, 0.3])
def test_rounding_dust_does_not_take_a_stepped_value_out_of_the_space(high):
    parameter = Float("x", 0.1, high, step=0.1, default=0.1 + 0.2)
    assert parameter.contains(0.1 + 0.2)
    assert parameter.default == parameter.exact(0.1 + 0.2) == 0.3


def test_the_time_that_many_choices_take_is_not_their_square():
    started = time.process_time()
    Categorical("c", range(20_000))
    assert time.process_time() - started < 5  # the square of them takes two minutes


def test_a_real_number_has_no_end_of_levels():
    assert Float("x", 0, 1).levels is None


def test_bounds_get_the_type_of_the_parameter():
    assert type(Float("x", 0, 1).low) is float
    assert type(Float("x", np.float64(0), np.int64(1), step=np.float32(0.5)).step) is float
    assert type(Integer("n", 0.0, 9.0).high) is int
    assert type(Integer("n", np.int8(0), np.float64(9.0)).high) is int


def test_a_change_to_the_users_list_does_not_reach_the_parameter():
    choices = ["a", "b"]
    parameter = Categorical("c", choices)
    choices.append("c")
    assert parameter.choices == ("a", "b")


class Kind(StrEnum):
    TREE = "tree"
    LINE = "line"


class Size(IntEnum):
    SMALL = 16
    LARGE = 64


class Loud(str):
    def __str__(self):
        return "LOUD"


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        (Categorical("c", list(Kind), default=Kind.LINE), ["tree", "line", "line"]),
        (Ordinal("o", list(Size), default=Size.SMALL), [16, 64, 16]),
        (Ordinal("o", list(np.logspace(-2, 0, 3)), default=np.float64(0.1)), [0.01, 0.1, 1.0, 0.1]),
        (Categorical("c", [np.str_("a"), np.True_, np.int8(3)], default="a"), ["a", True, 3, "a"]),
        (Categorical("c", [Loud("a"), "b"], default="b"), ["a", "b", "b"]),
        (Float(Kind.TREE, np.float32(0), Fraction(1, 2), step=np.float64(0.5), default=0), [0.0, 0.5, 0.0]),
        (Integer("n", np.int64(0), Size.SMALL, step=np.int8(16), default=16.0), [0, 16, 16]),
    ],
)
def test_only_exact_types_get_into_a_parameter(parameter, values):
    found = [*(parameter.value_at(level) for level in range(parameter.levels)), parameter.default]
    assert [repr(value) for value in found] == [repr(value) for value in values]
    assert type(parameter.name) is str
    plain = {str, int, float, bool, type(None)}
    assert {type(getattr(parameter, name, None)) for name in ("low", "high", "step", "log")} <= plain


@pytest.mark.parametrize(
    ("parameter", "value", "exact"),
    [
        (Categorical("c", ["tree", 1]), Kind.TREE, "tree"),
        (Ordinal("o", [16, 32]), np.float64(32), 32),
        (Float("x", 0, 1), np.float32(0.5), 0.5),
        (Integer("n", 0, 100), Size.LARGE, 64),
    ],
)
def test_a_value_that_is_contained_has_its_exact_form(parameter, value, exact):
    assert parameter.contains(value)
    assert repr(parameter.exact(value)) == repr(exact)


def test_an_array_is_not_one_of_the_choices():
    assert not Categorical("c", [1, 2]).contains(np.array([1, 2]))


def test_none_may_be_a_choice_and_the_default():
    assert Categorical("c", [None, 1], default=None).default is None
    assert Categorical("c", [None, 1]).default is NO_DEFAULT


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        (Float("x", 1e-5, 1, log=True), "a Float from 1e-05 to 1 (log)"),
        (Float("x", 0, 1, step=0.1), "a Float from 0 to 1 (step 0.1)"),
        (Integer("n", 1, 9), "an Integer from 1 to 9"),
        (Categorical("c", ["a", None]), "a Categorical of 'a', None"),
        (Ordinal("o", range(100)), "an Ordinal of 0, 1, 2, 3, 4, 5, 6, 7, ... (100 choices)"),
    ],
)
def test_a_message_calls_a_parameter_by_a_short_name(parameter, words):
    assert str(parameter) == words
