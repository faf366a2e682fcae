import json
import math
from enum import StrEnum

import numpy as np
import pytest
import yaml

from deephpo import Categorical, Fidelity, Float, Integer, Problem, Space
from deephpo.errors import ProblemError, SpaceError
from deephpo.problem import Declaration

SPACE = [
    Float("lr", 1e-5, 0.1, log=True, default=0.01),
    Categorical("optimizer", ["adam", "sgd"], default="adam"),
    Float("momentum", 0, 1, when={"optimizer": "sgd"}, default=0.9),
]


def run(config, ctx):
    return config["lr"]


def run_alone(config):
    return config["lr"]


def run3(config, ctx, device):
    return 0.0


class Model:
    def __call__(self, config):
        return 0.0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"run": 5}, "Problem: run must be a function run(config, ctx), not 5."),
        (
            {"run": run3},
            "Problem: run must take (config, ctx) or (config), but it is run3(config, ctx, device).",
        ),
        ({"run": lambda: 0}, "Problem: run must take (config, ctx) or (config), but it is <lambda>()."),
        ({"objective": ""}, "Problem: objective is the name of what run() returns, not ''."),
        ({"objective": None}, "Problem: objective is the name of what run() returns, not None."),
        ({"direction": "max"}, "Problem: direction must be 'minimize' or 'maximize', not 'max'."),
        ({"fidelity": 50}, "Problem: fidelity must be Fidelity('epoch', 50) or the like, not 50."),
        ({"optimum": math.inf}, "Problem: optimum must be a finite number, not inf."),
        ({"optimum": True}, "Problem: optimum must be a finite number, not True."),
        ({"name": 5}, "Problem: name is what the run is called, a text, not 5."),
        ({"optimum": "0.1"}, "Problem: optimum must be a finite number, not '0.1'."),
        ({"duration": 60}, "Problem: duration must be a function of the configuration, not 60."),
        *(
            (
                {"ranks": ranks},
                "Problem: ranks must be a whole number from 1 on, or a function of the configuration, "
                f"not {ranks!r}.",
            )
            for ranks in (0, -2, 2.0, 2.5, True, "2", None, [2], np.float64(2), np.bool_(True), math.nan)
        ),
        ({"start": [{"lr": 0.1}, {"lr": 9}]}, "Problem: start[1]: 9 is not a value of 'lr'"),
        ({"start": [{"learning": 9}]}, "Problem: start[0]: There is no parameter 'learning'"),
        ({"start": [{"momentum": 0.5}]}, "Problem: start[0]: 'momentum' has a value, but its condition"),
        (
            {"start": {"lr": 0.1}},
            "Problem: start[0]: A configuration is a dict from parameter to value, not 'lr'.",
        ),
    ],
)
def test_a_declaration_that_cannot_be_is_refused_with_the_value(options, sentence):
    with pytest.raises(ProblemError) as error:
        Problem(**{"space": SPACE, "run": run, **options})
    assert str(error.value).startswith(sentence)


def test_what_is_wrong_with_the_space_is_said_by_the_space():
    with pytest.raises(SpaceError, match="two parameters have the name 'lr'"):
        Problem([SPACE[0], SPACE[0]], run)
    with pytest.raises(SpaceError, match="Problem: space must be a Space, a list of parameters, or"):
        Problem("lr", run)


@pytest.mark.parametrize(
    ("name", "high", "sentence"),
    [
        ("", 5, "Fidelity: the first argument is a name such as 'epoch', not ''"),
        (5, 5, "Fidelity: the first argument is a name such as 'epoch', not 5"),
        ("epoch", 0, "Fidelity 'epoch': high is the last step, at least 1, not 0"),
        ("epoch", 2.0, "Fidelity 'epoch': high is the last step, at least 1, not 2.0"),
        ("epoch", True, "Fidelity 'epoch': high is the last step, at least 1, not True"),
    ],
)
def test_a_fidelity_needs_a_name_and_a_last_step(name, high, sentence):
    with pytest.raises(ProblemError, match=sentence):
        Fidelity(name, high)


@pytest.mark.parametrize(
    ("function", "takes_context"),
    [
        (run, True),
        (run_alone, False),
        (Model(), False),
        (lambda config, ctx=None: 0.0, True),
        (lambda config, *, verbose=False: 0.0, False),
        (lambda *args: 0.0, True),
    ],
)
def test_run_gets_the_context_if_it_has_room_for_it(function, takes_context):
    problem = Problem(SPACE, function)
    assert problem.takes_context is takes_context
    assert problem.run is function


@pytest.mark.parametrize("space", [SPACE, tuple(SPACE), Space(SPACE)])
def test_a_space_may_be_a_list_of_parameters(space):
    assert Problem(space, run).declaration.space == Space(SPACE)


def test_a_space_may_be_one_of_configspace():
    cs = pytest.importorskip("ConfigSpace")
    theirs = cs.ConfigurationSpace({"n": (1, 5)})
    assert Problem(theirs, run).declaration.space == Space([Integer("n", 1, 5)])


def test_what_is_left_out_has_a_sensible_value():
    declaration = Problem([Float("x", 0, 1)], run).declaration
    assert declaration == Declaration("", Space([Float("x", 0, 1)]), "objective", "minimize", None, (), None)


DEFAULT = {"lr": 0.01, "optimizer": "adam"}


@pytest.mark.parametrize(
    ("start", "points"),
    [
        ([], [DEFAULT]),
        ([{"lr": 0.1}], [DEFAULT, {"lr": 0.1, "optimizer": "adam"}]),
        ([{}, {"optimizer": "sgd"}], [DEFAULT, {"lr": 0.01, "optimizer": "sgd", "momentum": 0.9}]),
        ([{"lr": 0.1}, {"lr": 0.1, "optimizer": "adam"}], [DEFAULT, {"lr": 0.1, "optimizer": "adam"}]),
    ],
)
def test_the_default_configuration_comes_first_and_then_the_users_without_repeats(start, points):
    assert list(Problem(SPACE, run, start=start).declaration.start) == points


def test_true_and_one_are_two_starting_points():
    space = Space([Categorical("choice", [True, 1])])
    declared = Problem(space, run, start=[{"choice": 1}, {"choice": True}]).declaration
    assert [type(point["choice"]) for point in declared.start] == [int, bool]


def test_without_defaults_only_the_users_starting_points_come():
    space = [Float("x", 0, 1), Float("y", 0, 1, default=0.5)]
    assert Problem(space, run, start=[{"x": 1}]).declaration.start == ({"x": 1.0, "y": 0.5},)


def test_a_name_that_the_user_gave_stays():
    assert Problem(SPACE, run).named("file").name == "file"
    assert Problem(SPACE, run, name="mine").named("file").name == "mine"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "objective": "accuracy",
            "direction": "maximize",
            "fidelity": Fidelity("epoch", 50),
            "start": [{"optimizer": "sgd", "momentum": 0.5}],
            "optimum": 1.0,
            "ranks": np.int64(4),
            "name": "mine",
        },
        {"ranks": lambda config: 2},
    ],
)
def test_a_declaration_survives_json(options):
    declaration = Problem(SPACE, run, **options).declaration
    record = json.loads(json.dumps(declaration.to_dict(), allow_nan=False))
    assert Declaration.from_dict(record) == declaration


@pytest.mark.parametrize(
    ("ranks", "declared", "asked"), [(1, 1, False), (np.int64(4), 4, False), (lambda config: 2, None, True)]
)
def test_the_number_of_ranks_is_declared_unless_it_depends_on_the_configuration(ranks, declared, asked):
    problem = Problem(SPACE, run, ranks=ranks)
    assert problem.declaration.ranks == declared
    assert type(problem.declaration.ranks) in (int, type(None))
    assert problem.ranks is (ranks if asked else None)


def test_a_trial_is_trained_by_one_worker_unless_it_is_said_otherwise():
    assert Problem(SPACE, run).declaration.ranks == 1
    older = {
        name: value for name, value in Problem(SPACE, run).declaration.to_dict().items() if name != "ranks"
    }
    assert Declaration.from_dict(older).ranks == 1


class Goal(StrEnum):
    UP = "maximize"
    WHAT = "accuracy"


def test_only_exact_values_get_into_a_declaration():
    fidelity = Fidelity(Goal.WHAT, np.int64(5))
    problem = Problem(
        SPACE,
        run,
        Goal.WHAT,
        Goal.UP,
        fidelity=fidelity,
        optimum=np.float64(0),
        name=Goal.WHAT,
        start=[{"lr": np.float32(0.5) / 8, "optimizer": np.str_("adam")}],
    )
    record = problem.declaration.to_dict()
    assert yaml.safe_load(yaml.safe_dump(record)) == json.loads(json.dumps(record))
    assert {type(record[key]) for key in ("name", "objective", "direction")} == {str}
    assert type(record["optimum"]) is float
