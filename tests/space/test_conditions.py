import json
import math
from enum import StrEnum

import numpy as np
import pytest

from deephpo.errors import SpaceError
from deephpo.space.conditions import (
    Between,
    Clause,
    clause_from_dict,
    clause_to_dict,
    parse_conjunction,
    parse_when,
    same_value,
)


@pytest.mark.parametrize(("low", "high"), [(2, 1), (math.nan, 1), (0, math.nan)])
def test_between_refuses_bounds_that_hold_nothing(low, high):
    with pytest.raises(SpaceError, match="low must not be above high"):
        Between(low, high)


@pytest.mark.parametrize("bounds", [{"low": -(10**400)}, {"high": 10**5000}])
def test_between_refuses_a_whole_number_beyond_all_floats(bounds):
    with pytest.raises(SpaceError, match=r"that a float can hold, not one of \d+ bits; leave out"):
        Between(**bounds)


@pytest.mark.parametrize(("low", "high"), [("a", 1), (0, None), (True, 2)])
def test_between_takes_numbers(low, high):
    with pytest.raises(SpaceError, match="must be a number, not"):
        Between(low, high)


def test_a_condition_holds_plain_values_only():
    class Kind(StrEnum):
        TREE = "tree"

    (clauses,) = parse_when({Kind.TREE: [Kind.TREE, np.float64(2), np.True_]}, "here")
    assert [type(value) for value in (clauses[0].parameter, *clauses[0].allowed)] == [str, str, float, bool]
    bounds = Between(np.float32(1), np.int64(2))
    assert (type(bounds.low), type(bounds.high)) == (float, int)


def test_the_values_of_a_set_stand_in_an_order_of_their_own():
    names = [f"name{i}" for i in range(20)]
    assert parse_conjunction({"a": set(names)}, "here") == parse_conjunction({"a": sorted(names)}, "here")


@pytest.mark.parametrize(
    ("allowed", "value", "admitted"),
    [
        (("sgd", "adam"), "sgd", True),
        (("sgd", "adam"), "rmsprop", False),
        ((2, 4), 4.0, True),
        ((1,), True, False),
        ((True,), 1, False),
        ((True,), True, True),
        ((None,), None, True),
        (Between(2, 4), 2, True),
        (Between(2, 4), 4, True),
        (Between(2, 4), 4.5, False),
        (Between(high=4), -1e300, True),
        (Between(low=2**53 + 1), 2**53 + 1, True),
        (Between(low=2**53 + 1), 2**53, False),
        (Between(high=2**53), 2**53 + 1, False),
        (Between(0, 1), True, False),
        (Between(), "sgd", False),
        (Between(), None, False),
    ],
)
def test_a_clause_admits_its_values_and_no_others(allowed, value, admitted):
    assert Clause("p", allowed).admits(value) is admitted


@pytest.mark.parametrize(
    ("a", "b", "same"), [(1, 1.0, True), (1, True, False), (0, False, False), ("a", "a", True)]
)
def test_true_is_not_one(a, b, same):
    assert same_value(a, b) is same


@pytest.mark.parametrize(
    ("when", "alternatives"),
    [
        (None, ()),
        ({"a": "x"}, ((Clause("a", ("x",)),),)),
        ({"a": ["x", "y"], "b": Between(1)}, ((Clause("a", ("x", "y")), Clause("b", Between(1))),)),
        ([{"a": "x"}, {"b": None}], ((Clause("a", ("x",)),), (Clause("b", (None,)),))),
    ],
)
def test_a_condition_becomes_alternatives_of_clauses(when, alternatives):
    assert parse_when(when, "Float 'x'") == alternatives


@pytest.mark.parametrize(
    ("when", "sentence"),
    [
        ("sgd", "Float 'x': when= takes a mapping .* not 'sgd'"),
        (5, "Float 'x': when= takes a mapping .* not 5"),
        ({}, "Float 'x': when= takes a mapping .* not {}"),
        (["sgd"], "Float 'x': when= takes a mapping .* not 'sgd'"),
        ({"a": []}, "Float 'x': when=: a list of allowed values must not be empty"),
        ({"a": [0.5, math.inf]}, "Float 'x': when=: inf is not finite"),
        ({"a": [object]}, "Float 'x': when=: <class 'object'> is a type; allowed are str, int, float"),
    ],
)
def test_a_condition_that_cannot_be_read_is_refused_by_name(when, sentence):
    with pytest.raises(SpaceError, match=sentence):
        parse_when(when, "Float 'x'")


@pytest.mark.parametrize(
    "allowed", [["a", 1, 2.5, True, None], Between(1), Between(high=3), Between(1, 3), Between()]
)
def test_a_clause_survives_json(allowed):
    (clause,) = parse_conjunction({"p": allowed}, "here")
    assert clause_from_dict(json.loads(json.dumps(clause_to_dict(clause), allow_nan=False))) == clause
