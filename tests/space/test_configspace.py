import numpy as np
import pytest

from deephpo.errors import SpaceError
from deephpo.space.conditions import Between
from deephpo.space.configspace import from_configspace
from deephpo.space.parameters import Categorical, Float, Integer, Ordinal
from deephpo.space.space import Space

cs = pytest.importorskip("ConfigSpace")


@pytest.fixture
def theirs():
    space = cs.ConfigurationSpace()
    space.add(
        cs.CategoricalHyperparameter("opt", ["adam", "sgd", "lion"]),
        cs.UniformIntegerHyperparameter("layers", 1, 5),
        cs.UniformFloatHyperparameter("lr", 1e-5, 0.1, log=True),
        cs.UniformFloatHyperparameter("momentum", 0, 1),
        cs.UniformIntegerHyperparameter("width", 8, 64, log=True),
        cs.OrdinalHyperparameter("batch", [16, 32, 64]),
    )
    return space


def parameter(space, name):
    return from_configspace(space).by_name[name]


def test_every_kind_of_parameter_has_its_counterpart(theirs):
    ours = from_configspace(theirs)
    assert set(ours.parameters) == {
        Categorical("opt", ["adam", "sgd", "lion"]),
        Integer("layers", 1, 5),
        Float("lr", 1e-5, 0.1, log=True),
        Float("momentum", 0, 1),
        Integer("width", 8, 64, log=True),
        Ordinal("batch", [16, 32, 64]),
    }
    assert ours.defaults == {}


def test_their_values_become_plain_python_values(theirs):
    config = (
        from_configspace(theirs)
        .encoding()
        .decode(from_configspace(theirs).encoding().encode([{"batch": 32}]))
    )
    assert type(config[0]["batch"]) is int
    assert type(parameter(theirs, "opt").choices[0]) is str


@pytest.mark.parametrize(
    ("condition", "when"),
    [
        (lambda s: cs.EqualsCondition(s["momentum"], s["opt"], "sgd"), {"opt": "sgd"}),
        (lambda s: cs.InCondition(s["momentum"], s["opt"], ["sgd", "lion"]), {"opt": ["sgd", "lion"]}),
        (lambda s: cs.NotEqualsCondition(s["momentum"], s["opt"], "adam"), {"opt": ["sgd", "lion"]}),
        (lambda s: cs.GreaterThanCondition(s["momentum"], s["layers"], 2), {"layers": Between(low=3)}),
        (lambda s: cs.LessThanCondition(s["momentum"], s["layers"], 3), {"layers": Between(high=2)}),
        (
            lambda s: cs.AndConjunction(
                cs.EqualsCondition(s["momentum"], s["opt"], "sgd"),
                cs.GreaterThanCondition(s["momentum"], s["layers"], 2),
            ),
            {"opt": "sgd", "layers": Between(low=3)},
        ),
        (
            lambda s: cs.OrConjunction(
                cs.EqualsCondition(s["momentum"], s["opt"], "sgd"),
                cs.EqualsCondition(s["momentum"], s["layers"], 1),
            ),
            [{"opt": "sgd"}, {"layers": 1}],
        ),
    ],
)
def test_every_kind_of_condition_has_its_counterpart(theirs, condition, when):
    theirs.add(condition(theirs))
    assert parameter(theirs, "momentum").alternatives == Float("momentum", 0, 1, when=when).alternatives


@pytest.mark.parametrize(
    ("clauses", "forbidden"),
    [
        (lambda s: [cs.ForbiddenEqualsClause(s["layers"], 5)], [{"layers": 5}]),
        (lambda s: [cs.ForbiddenInClause(s["layers"], [4, 5])], [{"layers": [4, 5]}]),
        (
            lambda s: [
                cs.ForbiddenAndConjunction(
                    cs.ForbiddenEqualsClause(s["opt"], "sgd"), cs.ForbiddenInClause(s["layers"], [1, 2])
                )
            ],
            [{"opt": "sgd", "layers": [1, 2]}],
        ),
    ],
)
def test_every_kind_of_forbidden_clause_has_its_counterpart(theirs, clauses, forbidden):
    theirs.add(*clauses(theirs))
    expected = Space(
        [Categorical("opt", ["adam", "sgd", "lion"]), Integer("layers", 1, 5)], forbidden=forbidden
    ).forbidden
    assert _unordered(from_configspace(theirs).forbidden) == _unordered(expected)


def _unordered(forbidden):
    return {frozenset((c.parameter, frozenset(c.allowed)) for c in conjunction) for conjunction in forbidden}


def test_a_constant_has_no_counterpart(theirs):
    theirs.add(cs.Constant("seed", 1))
    with pytest.raises(SpaceError, match="'seed' is a Constant, which has no counterpart here"):
        from_configspace(theirs)


def test_a_condition_on_a_real_number_has_no_counterpart(theirs):
    theirs.add(cs.GreaterThanCondition(theirs["momentum"], theirs["lr"], 0.01))
    with pytest.raises(SpaceError, match="GreaterThanCondition of 'momentum' on 'lr' has no counterpart"):
        from_configspace(theirs)


def test_two_joined_conditions_on_one_parameter_have_no_counterpart(theirs):
    both = cs.AndConjunction(
        cs.GreaterThanCondition(theirs["momentum"], theirs["layers"], 1),
        cs.LessThanCondition(theirs["momentum"], theirs["layers"], 4),
    )
    theirs.add(both)
    with pytest.raises(SpaceError, match="two conditions on 'layers' are joined"):
        from_configspace(theirs)


def test_a_relation_between_parameters_has_no_counterpart(theirs):
    theirs.add(cs.ForbiddenEqualsRelation(theirs["layers"], theirs["width"]))
    with pytest.raises(SpaceError, match="ForbiddenEqualsRelation has no counterpart"):
        from_configspace(theirs)


def test_what_we_sample_they_accept(theirs):
    theirs.add(
        cs.EqualsCondition(theirs["momentum"], theirs["opt"], "sgd"),
        cs.ForbiddenEqualsClause(theirs["batch"], 64),
    )
    encoding = from_configspace(theirs).encoding()
    for config in encoding.decode(encoding.sample(50, np.random.default_rng(0))):
        cs.Configuration(theirs, values=config).check_valid_configuration()
