import json
import math

import numpy as np
import pytest

from deephpo.errors import OptionError, SpaceError
from deephpo.search.create import METHODS, SEARCHES, create_search
from deephpo.search.parts import ACQUISITIONS, LIES, SCHEDULES, SURROGATES, TARGETS, TREES
from deephpo.space.parameters import Float, Integer
from deephpo.space.space import Space

SPACE = Space([Float("x", 0, 1)])


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        (
            "ambz",
            {},
            f"There is no search 'ambz'; did you mean 'ambs'? Known: {', '.join(SEARCHES)}.",
        ),
        ("ambs", {"direction": "max"}, "direction must be 'minimize' or 'maximize', not 'max'."),
        ("random", {"seed": -1}, "seed must be a whole number from 0 on, not -1."),
        ("random", {"seed": 1.5}, "seed must be a whole number from 0 on, not 1.5."),
        ("random", {"seed": True}, "seed must be a whole number from 0 on, not True."),
        ("random", {"seed": np.True_}, "seed must be a whole number from 0 on, not True."),
        ("random", {"seed": np.float64(1)}, "seed must be a whole number from 0 on, not 1.0."),
        ("random", {"seed": np.int64(-1)}, "seed must be a whole number from 0 on, not -1."),
        (
            "ambs",
            {"kapa": 1},
            "The search 'ambs' has no option 'kapa'; it takes surrogate, kappa, lie, initial.",
        ),
        ("grid", {"kappa": 1}, "The search 'grid' has no option 'kappa'; it takes no options of its own."),
        (
            "ambs",
            {"surrogate": "forrest"},
            "There is no surrogate 'forrest'; did you mean 'forest'? Known: forest, extra-trees.",
        ),
        ("ambs", {"surrogate": None}, "There is no surrogate None. Known: forest, extra-trees."),
        ("ambs", {"lie": "median"}, "There is no lie 'median'; did you mean"),
        (
            "ambs",
            {"lie": None},
            "There is no lie None. Known: believer, min, mean, max, premature, naive, next-best, random.",
        ),
        ("ambs", {"kappa": -1}, "kappa must be a number from 0 on, such as 1.96, not -1."),
        ("ambs", {"kappa": math.nan}, "kappa must be a number from 0 on, such as 1.96, not nan."),
        ("ambs", {"kappa": math.inf}, "kappa must be a number from 0 on, such as 1.96, not inf."),
        ("ambs", {"kappa": "1"}, "kappa must be a number from 0 on, such as 1.96, not '1'."),
        ("ambs", {"kappa": True}, "kappa must be a number from 0 on, such as 1.96, not True."),
        ("ambs", {"initial": 0}, "initial must be a whole number from 1 on, not 0."),
        ("ambs", {"initial": 2.0}, "initial must be a whole number from 1 on, not 2.0."),
        ("single", {"tau": 0.5}, "tau has no effect with target rank; it is for target hle."),
        ("single", {"xi": 0.5}, "xi has no effect with acquisition lcb; it is for acquisition ei and pi."),
        (
            "single",
            {"kappa": 3.0, "acquisition": "ei"},
            "kappa has no effect with acquisition ei; it is for acquisition lcb.",
        ),
        (
            "evolution",
            {"population": 10},
            "population must be at least tournament, which is 20, not 10: raise the one or lower the other.",
        ),
        (
            "evolution",
            {"tournament": 60},
            "population must be at least tournament, which is 60, not 50: raise the one or lower the other.",
        ),
        ("ambs", {"initial": True}, "initial must be a whole number from 1 on, not True."),
        ("ambs", {"initial": np.True_}, "initial must be a whole number from 1 on, not True."),
        ("ambs", {"kappa": np.float64("nan")}, "kappa must be a number from 0 on, such as 1.96, not nan."),
    ],
)
def test_a_wrong_name_or_option_is_refused_with_the_cure(name, options, sentence):
    with pytest.raises(OptionError) as error:
        create_search(name, SPACE, **options)
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    ("name", "plain", "numpy"),
    [
        ("random", {"seed": 3}, {"seed": np.int64(3)}),
        ("auto", {"initial": 4}, {"initial": np.uint8(4)}),
        ("ambs", {"kappa": 0.5, "lie": "min"}, {"kappa": np.float32(0.5), "lie": np.str_("min")}),
        (
            "evolution",
            {"population": 6, "tournament": 3},
            {"population": np.int64(6), "tournament": np.int8(3)},
        ),
    ],
)
def test_a_number_of_numpy_is_the_plain_one(name, plain, numpy):
    def trials(options):
        search, asked = create_search(name, SPACE, **options), []
        for _ in range(8):
            (trial,) = search.ask()
            search.tell(trial, abs(trial.config["x"] - 0.3))
            asked.append(trial)
        return asked

    assert trials(numpy) == trials(plain)


@pytest.mark.parametrize("name", SEARCHES)
def test_every_listed_search_can_be_created_and_asked(name):
    assert len(create_search(name, SPACE).ask(2)) == 2


@pytest.mark.parametrize(
    "options",
    [
        *({"surrogate": surrogate} for surrogate in TREES),
        *({"lie": lie} for lie in LIES),
        {"kappa": 0},
        {"initial": 1},
    ],
    ids=str,
)
def test_every_listed_option_is_taken(options):
    METHODS["ambs"].check("ambs", options)
    assert create_search("ambs", SPACE, **options).ask()


@pytest.mark.parametrize(
    "options",
    [
        *({"surrogate": name} for name in SURROGATES),
        *({"target": name} for name in TARGETS),
        *({"acquisition": name} for name in ACQUISITIONS),
        *({"schedule": name} for name in SCHEDULES),
        *({"lie": name} for name in LIES),
        {"xi": 0.01, "acquisition": "ei"},
        {"tau": 0.1, "target": "hle"},
    ],
    ids=str,
)
def test_every_part_of_a_single_search_can_be_chosen(options):
    search = create_search("single", SPACE, initial=3, **options)
    for _ in range(6):
        (trial,) = search.ask()
        search.tell(trial, abs(trial.config["x"] - 0.3))
    assert len(search.ask(3)) == 3


def test_a_starting_point_outside_of_the_space_is_refused():
    with pytest.raises(SpaceError, match="2 is not a value of 'x'"):
        create_search("random", SPACE, start=[{"x": 2}])


def test_a_starting_point_with_numbers_of_numpy_is_asked_as_plain_ones():
    space = Space([Integer("n", -1000, 1000), Float("x", 0, 1)])
    (trial,) = create_search("random", space, start=[{"n": np.int8(5), "x": np.float64(0.1)}]).ask()
    assert json.dumps(trial.config) == '{"n": 5, "x": 0.1}'


def test_a_starting_point_is_completed_by_the_defaults():
    space = Space([Float("x", 0, 1, default=0.25), Float("y", 0, 1, default=0.75)])
    assert create_search("ambs", space, start=[{"y": 0.5}]).ask()[0].config == {"x": 0.25, "y": 0.5}


def test_a_list_of_parameters_is_taken_as_a_space():
    assert create_search("random", [Float("x", 0, 1)]).space == SPACE
    with pytest.raises(SpaceError, match="create_search: space must be a Space, a list of parameters"):
        create_search("random", {"x": (0, 1)})
