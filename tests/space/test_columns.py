import math

import numpy as np
import pytest

from deephpo.space.columns import column_of
from deephpo.space.conditions import Between, Clause
from deephpo.space.parameters import Categorical, Float, Integer, Ordinal
from deephpo.space.space import Space

REAL = [Float("x", -2, 5), Float("x", 1e-6, 1e2, log=True)]
LEVELS = [
    Integer("n", 0, 1),
    Integer("n", -3, 9),
    Integer("n", 2, 20, step=3),
    Integer("n", 1, 300, log=True),
    Integer("n", 7, 9, log=True),
    Float("x", 0, 1, step=0.1),
    Ordinal("o", [16, 32, 64]),
    Categorical("c", ["a", None, True, 1, 2.5]),
]
ALL = REAL + LEVELS
RNG = np.random.default_rng


@pytest.fixture(params=ALL, ids=str)
def parameter(request):
    return request.param


@pytest.fixture(params=LEVELS, ids=str)
def stepped(request):
    return request.param


def test_codes_are_single_precision_from_zero_to_below_one(parameter):
    codes = column_of(parameter).snap(np.array([0.0, 0.5, np.nextafter(1.0, 0.0)]))
    assert codes.dtype == np.float32
    assert (codes >= 0).all()
    assert (codes < 1).all()


def test_every_drawn_code_stands_for_a_value_of_the_parameter(parameter):
    column = column_of(parameter)
    assert all(parameter.contains(value) for value in column.values(column.snap(RNG(0).random(200))))


def test_the_code_of_a_codes_value_is_the_code(stepped):
    column = column_of(stepped)
    codes = column.snap(RNG(0).random(200))
    assert [np.float32(column.code(value)) for value in column.values(codes)] == codes.tolist()


def test_the_shares_of_the_levels_fill_the_unit_interval_each_around_its_code(stepped):
    column = column_of(stepped)
    codes = column.axis(None)
    low, high = column.shares(codes)
    assert low[0] == pytest.approx(0.0)
    assert high[-1] == pytest.approx(1.0)
    assert low[1:] == pytest.approx(high[:-1])
    for share in (0.001, 0.5, 0.999):
        assert column.snap(low + share * (high - low)).tolist() == codes.tolist()


@pytest.mark.parametrize("parameter", REAL, ids=str)
def test_a_real_number_survives_coding_to_seven_digits_of_its_range(parameter):
    column = column_of(parameter)
    values = column.values(column.snap(RNG(0).random(200)))
    again = column.values(np.array([column.code(value) for value in values], dtype=np.float32))
    assert again == pytest.approx(values, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    "parameter", [*REAL, Float("x", 1e-4, 1e-1, log=True), Float("x", -0.3, 0.1)], ids=str
)
def test_the_bounds_of_a_real_number_are_reached_exactly(parameter):
    column = column_of(parameter)
    ends = np.array([column.code(parameter.low), column.code(parameter.high)], dtype=np.float32)
    assert column.values(ends) == [parameter.low, parameter.high]
    assert ends[1] < 1


@pytest.mark.parametrize("parameter", [Integer("n", 0, 2**19), Integer("n", 1, 10**5, log=True)], ids=str)
def test_large_integers_survive_coding(parameter):
    column = column_of(parameter)
    values = RNG(0).integers(parameter.low, parameter.high + 1, size=500).tolist()
    values += [parameter.low, parameter.high]
    assert column.values(np.array([column.code(v) for v in values], dtype=np.float32)) == values


def test_the_axis_holds_every_value_once(stepped):
    values = column_of(stepped).values(column_of(stepped).axis(None))
    assert values == [stepped.value_at(level) for level in range(stepped.levels)]


@pytest.mark.parametrize(
    "parameter",
    [Integer("n", 0, 100), Integer("n", 1, 300, log=True), Float("x", 0, 1, step=0.01), *REAL],
    ids=str,
)
def test_a_thinned_axis_has_both_ends_and_no_repeats(parameter):
    column = column_of(parameter)
    values = column.values(column.axis(5))
    assert len(set(values)) == 5
    assert values == sorted(values)
    assert (values[0], values[-1]) == pytest.approx((parameter.low, parameter.high))


def test_categories_are_never_thinned():
    assert len(column_of(Categorical("c", list("abcdef"))).axis(3)) == 6


def test_a_real_number_has_no_complete_axis():
    with pytest.raises(ValueError, match="no end of values"):
        column_of(Float("x", 0, 1)).axis(None)


def test_equal_shares_make_all_levels_equally_frequent():
    column = column_of(Integer("n", 1, 5))
    counts = np.bincount(column.values(column.snap((np.arange(1000) + 0.5) / 1000)))
    assert counts.tolist() == [0, 200, 200, 200, 200, 200]


@pytest.mark.parametrize(
    "parameter", [Float("x", 1e-4, 1, log=True), Integer("n", 1, 10**4, log=True)], ids=str
)
def test_log_parameters_are_uniform_in_the_logarithm(parameter):
    column = column_of(parameter)
    values = column.values(column.snap((np.arange(1000) + 0.5) / 1000))
    middle = math.sqrt(parameter.low * parameter.high)
    assert np.mean([value < middle for value in values]) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("scale", [0.02, 0.3, 1.0])
def test_a_step_leads_to_another_level(stepped, scale):
    column = column_of(stepped)
    codes = np.repeat(column.axis(None), 300)
    stepped_codes = column.step(codes, np.full(len(codes), scale), RNG(0))
    assert (stepped_codes != codes).all()
    assert np.isin(stepped_codes, column.axis(None)).all()


@pytest.mark.parametrize("parameter", REAL, ids=str)
def test_steps_of_a_real_number_are_local_and_stay_within_the_bounds(parameter):
    codes = np.repeat(np.array([0.0, 0.5, 0.999], dtype=np.float32), 200)
    moved = column_of(parameter).step(codes, np.full(len(codes), 0.02), RNG(0))
    assert (moved >= 0).all()
    assert (moved < 1).all()
    assert np.abs(moved - codes).max() < 0.1


def test_small_steps_of_an_ordered_parameter_lead_to_neighbours():
    column = column_of(Integer("n", 0, 100))
    codes = np.full(300, column.code(50), dtype=np.float32)
    assert set(column.values(column.step(codes, np.full(300, 0.001), RNG(0)))) == {49, 51}


def test_a_step_may_lead_to_any_other_category():
    column = column_of(Categorical("c", list("abcd")))
    codes = np.full(200, column.code("b"), dtype=np.float32)
    assert set(column.values(column.step(codes, np.full(200, 0.02), RNG(0)))) == {"a", "c", "d"}


@pytest.mark.parametrize(
    ("parameter", "allowed"),
    [
        (Float("x", -2, 5), Between(0, 1)),
        (Float("x", 1e-6, 1e2, log=True), Between(high=1e-3)),
        (Float("x", 0, 1, step=0.1), (0.3, 0.7)),
        (Integer("n", 1, 300, log=True), Between(low=30)),
        (Integer("n", 0, 4), (1, 3)),
        (Ordinal("o", [16, 32, 64]), Between(high=32)),
        (Categorical("c", ["a", None, True, 1]), (True, None)),
    ],
    ids=str,
)
def test_codes_are_admitted_as_their_values_are(parameter, allowed):
    column, clause = column_of(parameter), Clause(parameter.name, allowed)
    codes = column.snap(RNG(0).random(300))
    admitted = column.admits(clause, codes)
    assert admitted.tolist() == [clause.admits(value) for value in column.values(codes)]
    assert 0 < admitted.sum() < 300


def test_every_whole_number_beyond_what_a_float_holds_has_its_own_code():
    space = Space([Integer("x", 10**17, 10**17 + 50)])
    encoding = space.encoding()
    configs = encoding.decode(np.concatenate(list(encoding.grid())))
    assert len({config["x"] for config in configs}) == 51
    assert encoding.decode(encoding.encode(configs)) == configs


@pytest.mark.parametrize("low", [2**43, 2**44 - 1000, 2**45, 2**50, 2**70])
def test_every_large_number_in_a_narrow_logarithmic_range_has_its_own_code(low):
    parameter = Integer("n", low, low + 1000, log=True)
    column = column_of(parameter)
    codes = column.axis(None)
    assert len(np.unique(codes)) == 1001
    assert column.values(codes) == list(range(low, low + 1001))
    assert [column.code(value) for value in column.values(codes)] == codes.tolist()


def test_bounds_of_any_size_can_be_compared(recwarn):
    encoding = Space([Float("x", -8e307, 8e307)]).encoding()
    assert encoding.sample(10, np.random.default_rng(0)).shape == (10, 1)
    assert not recwarn.list
