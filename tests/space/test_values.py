import math
from decimal import Decimal
from enum import Enum, StrEnum
from fractions import Fraction

import numpy as np
import pytest

from deephpo.space.values import is_number, is_whole, plain, why_no_value


class Kind(StrEnum):
    TREE = "tree"


class Opaque(Enum):
    TREE = "tree"


class Whole(int):
    def __int__(self):
        return 0


@pytest.mark.parametrize(
    ("value", "exact"),
    [
        (Kind.TREE, "tree"),
        (np.str_("tree"), "tree"),
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.int16(5), 5),
        (np.False_, False),
        (np.array(2.5), 2.5),
        (Whole(7), 7),
        (True, True),
        (None, None),
        (3, 3),
    ],
)
def test_what_stands_for_a_plain_value_becomes_one(value, exact):
    assert plain(value) == exact
    assert type(plain(value)) is type(exact)


@pytest.mark.parametrize("value", [Opaque.TREE, (1, 2), object, Decimal(1)])
def test_what_stands_for_no_plain_value_is_left_alone_and_refused(value):
    assert plain(value) is value
    assert type(value).__name__ in why_no_value(value)


@pytest.mark.parametrize("value", ["a", "", 0, -1.5, True, None])
def test_a_plain_value_may_stand_in_a_configuration(value):
    assert why_no_value(value) == ""


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_json_has_no_infinity(value):
    assert why_no_value(value).startswith("is not finite")


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, True),
        (Fraction(1, 3), True),
        (np.float32(1), True),
        (True, False),
        ("1", False),
        (None, False),
        (math.nan, False),
        (math.inf, False),
        (10**400, False),
    ],
)
def test_a_number_is_finite_and_fits_a_float(value, number):
    assert is_number(value) is number


@pytest.mark.parametrize(
    ("value", "least", "whole"),
    [
        (1, 1, True),
        (0, 1, False),
        (0, 0, True),
        (10**400, 1, True),
        (True, 0, False),
        (1.0, 1, False),
        ("1", 1, False),
        (None, 0, False),
    ],
)
def test_a_whole_number_is_an_int_from_the_least_on(value, least, whole):
    assert is_whole(value, least) is whole
