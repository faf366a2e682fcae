import itertools

import numpy as np
import pytest

from deephpo.errors import SpaceError
from deephpo.space.arrays import key
from deephpo.space.conditions import Between
from deephpo.space.encoding import INACTIVE
from deephpo.space.parameters import Categorical, Float, Integer, Ordinal
from deephpo.space.space import Space

RNG = np.random.default_rng

MIXED = Space(
    [
        Float("momentum", 0, 1, when={"optimizer": "sgd"}),
        Categorical("optimizer", ["adam", "sgd", "lion"]),
        Integer("layers", 1, 4),
        Integer("width", 8, 64, log=True, when=[{"layers": Between(low=3)}, {"optimizer": "sgd"}]),
        Ordinal("batch", [16, 32, 64]),
        Float("dropout", 0, 0.5, step=0.1, when={"width": Between(low=20)}),
    ],
    forbidden=[{"optimizer": "sgd", "batch": [32, 64]}, {"dropout": 0.5, "batch": 16}],
)
FINITE = Space(
    [
        Integer("depth", 1, 2, when={"kind": ["tree", "forest"]}),
        Categorical("kind", ["tree", "forest", "line"]),
        Ordinal("size", [1, 2, 4]),
        Categorical("flag", [True, False], when={"depth": 2, "size": Between(low=2)}),
    ],
    forbidden=[{"kind": "line", "size": 4}, {"flag": True, "kind": "forest"}],
)


def keys(rows):
    return list(map(key, rows))


def configurations_of(space):
    """Count them naively: all values, absent ones included, and ask the space."""
    absent = object()
    axes = [[absent, *(p.value_at(level) for level in range(p.levels))] for p in space.parameters]
    for values in itertools.product(*axes):
        config = {p.name: v for p, v in zip(space.parameters, values, strict=True) if v is not absent}
        try:
            yield space.complete(config)
        except SpaceError:
            continue


@pytest.fixture
def encoding():
    return MIXED.encoding()


def test_every_sampled_row_is_a_complete_and_allowed_configuration(encoding):
    rows = encoding.sample(500, RNG(0))
    assert rows.shape == (500, 6)
    assert rows.dtype == np.float32
    assert all(MIXED.complete(config) == config for config in encoding.decode(rows))


def test_the_order_of_a_decoded_configuration_is_that_of_the_space(encoding):
    order = [p.name for p in MIXED.parameters]
    for config in encoding.decode(encoding.sample(50, RNG(0))):
        assert list(config) == [name for name in order if name in config]


def test_encoding_a_decoded_row_gives_the_row(encoding):
    rows = encoding.sample(500, RNG(0))
    again = encoding.encode(encoding.decode(rows))
    real = [j for j, column in enumerate(encoding.columns) if column.levels is None]
    exact = [j for j in range(encoding.d) if j not in real]
    assert (again[:, exact] == rows[:, exact]).all()
    assert np.abs(again[:, real] - rows[:, real]).max() < 1e-6


def test_rows_have_equal_keys_if_and_only_if_their_configurations_are_equal():
    encoding = FINITE.encoding()
    rows = encoding.sample(300, RNG(0))
    configs = [tuple(config.items()) for config in encoding.decode(rows)]
    assert len(set(keys(rows))) == len(set(configs)) == len(set(zip(keys(rows), configs, strict=True)))


def test_every_configuration_of_a_finite_space_is_sampled():
    encoding = FINITE.encoding()
    assert len(set(keys(encoding.sample(2000, RNG(0))))) == len(list(configurations_of(FINITE)))


def test_the_same_generator_gives_the_same_rows(encoding):
    assert (encoding.sample(50, RNG(5)) == encoding.sample(50, RNG(5))).all()
    assert (encoding.sample(50, RNG(5)) != encoding.sample(50, RNG(6))).any()


def test_neighbours_are_complete_and_allowed_configurations(encoding):
    neighbours = encoding.mutate(encoding.sample(1000, RNG(0)), RNG(1))
    assert all(MIXED.complete(config) == config for config in encoding.decode(neighbours))


def test_the_rows_of_neighbours_are_those_of_the_grid():
    encoding = FINITE.encoding()
    rows = encoding.sample(1000, RNG(0))
    assert set(keys(encoding.mutate(rows, RNG(1)))) <= set(keys(np.concatenate(list(encoding.grid()))))


def test_neighbours_differ_from_their_parents_in_few_places():
    encoding = Space(MIXED.parameters).encoding()
    rows = encoding.sample(1000, RNG(0))
    before = rows.copy()
    neighbours = encoding.mutate(rows, RNG(1))
    assert (rows == before).all()
    both = (rows != INACTIVE) & (neighbours != INACTIVE)
    moved = ((rows != neighbours) & both).sum(axis=1)
    assert 0.8 < moved.mean() < 2.5
    assert ((rows != neighbours).any(axis=1)).mean() > 0.95


def test_what_a_move_switches_on_gets_varied_values(encoding):
    parent = encoding.encode([{"optimizer": "adam", "layers": 1, "batch": 16}])
    configs = encoding.decode(encoding.mutate(np.repeat(parent, 400, axis=0), RNG(0)))
    assert len({config["momentum"] for config in configs if "momentum" in config}) > 20


def test_a_forbidden_neighbour_is_replaced_by_its_parent():
    space = Space([Categorical("a", [0, 1]), Categorical("b", [0, 1])], forbidden=[{"a": 1}, {"b": 1}])
    row = space.encoding().encode([{"a": 0, "b": 0}])
    assert (space.encoding().mutate(np.repeat(row, 50, axis=0), RNG(0)) == row).all()


def test_the_grid_of_a_finite_space_holds_every_configuration_once():
    encoding = FINITE.encoding()
    found = [tuple(encoding.decode(row)[0].items()) for row in encoding.grid()]
    assert len(found) == len(set(found))
    assert set(found) == {tuple(config.items()) for config in configurations_of(FINITE)}


def test_the_rows_of_the_grid_are_those_of_the_samples():
    encoding = FINITE.encoding()
    assert set(keys(encoding.sample(2000, RNG(0)))) == set(keys(np.concatenate(list(encoding.grid()))))


def test_a_thinned_grid_has_so_many_values_of_each_parameter():
    encoding = Space([Float("x", 0, 1), Integer("n", 0, 100)]).encoding()
    assert [encoding.decode(row)[0]["n"] for row in encoding.grid(3)] == [0, 50, 100] * 3


@pytest.mark.parametrize(("space", "finite"), [(MIXED, False), (FINITE, True)])
def test_a_space_is_finite_if_all_its_parameters_are(space, finite):
    assert space.encoding().finite is finite


def test_a_space_of_which_nothing_is_allowed_is_refused():
    space = Space([Categorical("a", [0, 1]), Float("x", 0, 1)], forbidden=[{"a": [0, 1]}])
    with pytest.raises(
        SpaceError, match="every configuration is forbidden; loosen the forbidden combinations"
    ):
        space.encoding()


@pytest.mark.parametrize(
    "space",
    [
        Space([Categorical("a", [0, 1])], forbidden=[{"a": [0, 1]}]),
        Space([Integer("n", 0, 9), Integer("m", 0, 9)], forbidden=[{"n": Between(0, 4)}, {"n": Between(5)}]),
    ],
    ids=["one", "two"],
)
def test_that_every_configuration_is_forbidden_is_said_where_they_can_be_counted(space):
    with pytest.raises(SpaceError, match="Space: every configuration is forbidden; loosen"):
        space.encoding()


def test_the_grid_draws_real_numbers_anew_for_each_combination_before_them():
    space = Space([Integer("n", 1, 20), Float("x", 0, 1, when={"n": Between(11)})])
    configs = [space.encoding().decode(row)[0] for row in space.encoding().grid(rng=RNG(0))]
    assert [config["n"] for config in configs] == list(range(1, 21))
    assert len({config["x"] for config in configs if "x" in config}) == 10
    assert all(space.complete(config) == config for config in configs)


def test_many_rows_can_be_drawn_where_little_is_allowed():
    space = Space([Integer("n", 1, 500), Float("x", 0, 1)], forbidden=[{"n": Between(low=2)}])
    rows = space.encoding().sample(1500, RNG(0))
    assert len(set(keys(rows))) == 1500
    assert all(config["n"] == 1 for config in space.encoding().decode(rows))


@pytest.mark.parametrize("space", [MIXED, FINITE])
def test_rows_are_masked_as_the_space_says_of_their_configurations(space):
    encoding = space.encoding()
    rows = encoding.from_unit(RNG(3).random((300, encoding.d)))
    for row, config, allowed in zip(rows, encoding.decode(rows), encoding.allowed(rows), strict=True):
        active = {p.name for p in space.parameters if space.is_active(p, config)}
        assert set(config) == active
        assert [p.name in active for p in space.parameters] == (row != INACTIVE).tolist()
        assert allowed != space.is_forbidden(config)
