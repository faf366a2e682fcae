import json
import math

import numpy as np
import pytest
import yaml

from deephpo.errors import SpaceError
from deephpo.space.conditions import Between
from deephpo.space.parameters import Categorical, Float, Integer, Ordinal
from deephpo.space.space import Space, as_space


@pytest.fixture
def space():
    return Space(
        [
            Float("momentum", 0, 1, when={"optimizer": "sgd"}, default=0.9),
            Categorical("optimizer", ["adam", "sgd"], default="adam"),
            Integer("layers", 1, 4, default=2),
            Integer(
                "width", 8, 64, log=True, when=[{"layers": Between(low=3)}, {"optimizer": "sgd"}], default=16
            ),
            Ordinal("batch", [16, 32, 64], default=32),
        ],
        forbidden=[{"optimizer": "sgd", "batch": [32, 64]}, {"momentum": Between(0.95), "layers": 4}],
    )


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Space(Float("x", 0, 1)), r"Space takes one list: Space\(\["),
        (lambda: Space(Float("x", 0, 1), Float("y", 0, 1)), r"Space takes one list: Space\(\["),
        (lambda: Space(*(Float(name, 0, 1) for name in "xyz")), r"Space takes one list: Space\(\["),
        (lambda: Space(5), r"Space takes one list: Space\(\["),
        (
            lambda: Space([Float("x", 0, 1)], forbidden={"x": 1}),
            "forbidden takes a list of mappings: forbidden=.*, not {'x': 1}",
        ),
        (lambda: Space([Float("x", 0, 1)], forbidden=5), "forbidden takes a list of mappings: .*, not 5"),
        (lambda: Space([]), "Space: it needs at least one parameter"),
        (
            lambda: Space(["lr"]),
            "Space: 'lr' is no parameter; known kinds: Float, Integer, Categorical, Ordinal",
        ),
        (
            lambda: Space([Float("x", 0, 1), Integer("x", 0, 1)]),
            "two parameters have the name 'x'; rename one",
        ),
        (
            lambda: Space([Categorical("opt", ["a", "b"]), Float("x", 0, 1, when={"opti": "a"})]),
            "Float 'x': when= speaks of an unknown parameter. There is no parameter 'opti'; did you mean",
        ),
        (
            lambda: Space([Categorical("opt", ["a", "b"]), Float("x", 0, 1, when={"opt": "c"})]),
            "Float 'x': when= names 'c', which is not a value of 'opt', a Categorical of 'a', 'b'.",
        ),
        (
            lambda: Space([Categorical("opt", ["a", "b"]), Float("x", 0, 1, when={"opt": Between(1)})]),
            "when= takes Between for numbers, but 'opt' is a Categorical",
        ),
        (lambda: Space([Float("x", 0, 1, when={"x": Between(0.5)})]), "conditions of 'x' form a circle"),
        (
            lambda: Space(
                [Float("x", 0, 1, when={"y": 0}), Float("y", 0, 1, when={"x": 0}), Float("z", 0, 1)]
            ),
            "conditions of 'x', 'y' form a circle",
        ),
        (
            lambda: Space([Float("x", 0, 1)], forbidden=[{"y": 1}]),
            "Space: forbidden= speaks of an unknown parameter. There is no parameter 'y'",
        ),
        (
            lambda: Space([Float("x", 0, 1)], forbidden=[{"x": 2}]),
            "Space: forbidden= names 2, which is not a value of 'x', a Float from 0 to 1",
        ),
        (
            lambda: Space([Integer("n", 1, 4), Float("x", 0, 1, when={"n": Between(low=7)})]),
            "Float 'x': when= can never hold: no value of 'n', an Integer from 1 to 4, lies in Between",
        ),
        (
            lambda: Space([Integer("n", 1, 9, step=4), Float("x", 0, 1)], forbidden=[{"n": Between(2, 4)}]),
            "Space: forbidden= can never hold: no value of 'n', an Integer from 1 to 9",
        ),
        (
            lambda: Space([Float("x", 0, 1), Float("y", 0, 1, when={"x": Between(high=-0.1)})]),
            "Float 'y': when= can never hold: no value of 'x', a Float from 0 to 1, lies in",
        ),
        (
            lambda: Space([Ordinal("size", ["s", "l"]), Float("x", 0, 1, when={"size": Between(low=1)})]),
            "can never hold: no value of 'size', .*; take other bounds, or list the values",
        ),
        (
            lambda: Space([Float("x", 0, 1), Float("y", 0, 1, when={"x": [0.5]})]),
            r"when= lists \[0.5\], but 'x' is a Float from 0 to 1, .* use Between, or give it a step",
        ),
        (lambda: Space([Float("x", 0, 1)], forbidden=["x"]), "Space: forbidden= takes a mapping .* not 'x'"),
    ],
)
def test_a_space_that_cannot_be_is_refused(make, sentence):
    with pytest.raises(SpaceError, match=sentence):
        make()


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (["adam"], "A configuration is a dict from parameter to value, not"),
        ({"layer": 2}, "There is no parameter 'layer'; did you mean 'layers'?"),
        ({"layers": 9}, "9 is not a value of 'layers', which is an Integer from 1 to 4"),
        ({"momentum": 0.5}, "'momentum' has a value, but its condition .* does not hold"),
        ({"optimizer": "sgd", "batch": 64}, "is a forbidden combination"),
        ({"optimizer": "sgd", "batch": 16, "momentum": 0.97, "layers": 4}, "is a forbidden combination"),
    ],
)
def test_a_configuration_outside_of_the_space_is_refused(space, config, sentence):
    with pytest.raises(SpaceError, match=sentence):
        space.complete(config)


def test_a_missing_value_without_a_default_is_refused():
    with pytest.raises(SpaceError, match="'x' has neither a value nor a default"):
        Space([Float("x", 0, 1)]).complete({})


@pytest.mark.parametrize(
    ("config", "complete"),
    [
        ({}, {"optimizer": "adam", "layers": 2, "batch": 32}),
        (
            {"batch": 16, "optimizer": "sgd"},
            {"momentum": 0.9, "optimizer": "sgd", "layers": 2, "width": 16, "batch": 16},
        ),
        ({"layers": 3.0}, {"optimizer": "adam", "layers": 3, "width": 16, "batch": 32}),
    ],
)
def test_a_configuration_is_completed_by_the_defaults_in_the_order_of_the_space(space, config, complete):
    assert repr(space.complete(config)) == repr(complete)


def test_there_is_a_default_configuration_only_if_all_active_parameters_have_defaults(space):
    assert space.default_config() == {"optimizer": "adam", "layers": 2, "batch": 32}
    assert Space([Float("x", 0, 1, default=0.5), Float("y", 0, 1)]).default_config() is None


def test_a_parameter_stands_behind_all_that_its_condition_speaks_of(space):
    names = [p.name for p in space.order]
    assert sorted(names) == sorted(p.name for p in space.parameters)
    assert names.index("optimizer") < names.index("momentum")
    assert max(names.index("optimizer"), names.index("layers")) < names.index("width")


def test_the_child_of_an_inactive_parameter_is_inactive():
    space = Space(
        [
            Categorical("a", ["on", "off"]),
            Categorical("b", ["on", "off"], when={"a": "on"}),
            Float("c", 0, 1, when={"b": "on"}),
        ]
    )
    assert space.complete({"a": "off"}) == {"a": "off"}
    assert space.is_active(space.by_name["c"], {"a": "on", "b": "on"})


@pytest.mark.parametrize(
    ("config", "forbidden"),
    [({"optimizer": "sgd"}, False), ({"optimizer": "sgd", "batch": 32}, True), ({"batch": 32}, False)],
)
def test_a_combination_is_forbidden_when_all_of_it_is_there(space, config, forbidden):
    assert space.is_forbidden(config) is forbidden


def test_a_space_survives_json(space):
    read = Space.from_dict(json.loads(json.dumps(space.to_dict(), allow_nan=False)))
    assert read == space
    assert read.defaults == space.defaults
    assert read.to_dict() == space.to_dict()


@pytest.mark.parametrize(
    "parameter",
    [
        Float("x", 1e-5, 0.1, log=True),
        Float("x", 0, 1, step=0.25, default=0.0),
        Categorical("x", [None, 1], default=None),
        Categorical("x", list(np.logspace(-2, 0, 3)), default=np.float64(1)),
        Integer("x", 1, 9, step=2),
        Categorical("x", [True, False], default=False),
        Categorical("x", [None, 1, 1.5, "a"]),
        Ordinal("x", [16, 32]),
    ],
)
def test_a_parameter_survives_json_with_all_its_options(parameter):
    read = Space.from_dict(json.loads(json.dumps(Space([parameter]).to_dict())))
    assert read.parameters == (parameter,)
    assert type(read.parameters[0]) is type(parameter)
    assert read.defaults == Space([parameter]).defaults


def test_a_space_is_written_as_yaml_and_as_the_same_json_whatever_the_numbers_came_from():
    def record(one, two):
        space = Space([Ordinal("o", [one, two], default=two), Float("x", one, two, when={"o": [two]})])
        return space.to_dict()

    written = record(np.float64(1.5), np.float64(2.5))
    assert yaml.safe_load(yaml.safe_dump(written)) == written
    assert json.dumps(written) == json.dumps(record(1.5, 2.5))


def test_none_is_a_default_like_any_other():
    space = Space([Categorical("c", [None, 1], default=None), Float("x", 0, 1, default=0.5)])
    assert space.defaults == {"c": None, "x": 0.5}
    assert space.default_config() == space.complete({}) == {"c": None, "x": 0.5}


def test_spaces_that_differ_in_a_condition_are_different():
    def space(layers):
        return Space([Integer("n", 1, 3), Float("x", 0, math.pi, when={"n": layers})])

    assert space(1) == space([1])
    assert space(1) != space(2)


def test_the_exact_choice_stands_in_a_completed_configuration():
    space = Space([Ordinal("batch", [16, 32]), Float("x", 0, 1)])
    assert repr(space.complete({"batch": np.float64(32), "x": 1})) == "{'batch': 32, 'x': 1.0}"


@pytest.mark.parametrize(
    ("parent", "bounds"),
    [
        (Integer("n", 1, 9, step=4), Between(5, 5)),
        (Integer("n", 1, 2**19), Between(low=2**19)),
        (Float("n", 0, 1), Between(low=1)),
        (Float("n", 0, 1, step=0.1), Between(0.25, 0.3)),
        (Ordinal("n", ["none", 16]), Between(high=16)),
    ],
    ids=str,
)
def test_bounds_that_hold_a_single_value_are_a_condition(parent, bounds):
    space = Space([parent, Float("x", 0, 1, when={"n": bounds})], forbidden=[{"n": bounds, "x": 0.5}])
    assert space.parameters[1].alternatives[0][0].allowed == bounds


def test_a_condition_holds_at_a_level_whatever_the_rounding_dust():
    dusty = list(np.arange(0.1, 0.5, 0.1))
    assert dusty[2] != 0.3
    child = Float("y", 0, 1, when={"x": dusty})
    space = Space([Float("x", 0, 1, step=0.1), child], forbidden=[{"x": 0.7 + 0.1}])
    assert space.complete({"x": 0.3, "y": 0.5}) == space.complete({"x": 0.1 + 0.2, "y": 0.5})
    assert space.is_forbidden({"x": 0.8})
    encoding = space.encoding()
    configs = encoding.decode(encoding.sample(500, np.random.default_rng(0)))
    assert {config["x"] for config in configs if "y" in config} == {0.1, 0.2, 0.3, 0.4}
    assert 0.8 not in {config["x"] for config in configs}
    assert child.alternatives[0][0].allowed == tuple(dusty)  # the user's own is left as it is


def test_a_condition_that_is_refused_now_is_still_read_from_a_journal():
    record = Space([Float("x", 0, 1), Integer("n", 1, 4), Float("y", 0, 1)]).to_dict()
    record["parameters"][2]["when"] = [
        [{"parameter": "x", "values": [0.5]}, {"parameter": "n", "low": 7}],
    ]
    assert Space.from_dict(record).to_dict() == record


def test_a_list_of_parameters_is_taken_as_a_space():
    space = Space([Float("x", 0, 1)])
    assert as_space(space, "here") is space
    assert as_space([Float("x", 0, 1)], "here") == as_space((Float("x", 0, 1),), "here") == space


def test_what_is_no_space_is_refused_by_name():
    with pytest.raises(SpaceError, match="here: space must be a Space, a list of parameters, or"):
        as_space("lr", "here")
