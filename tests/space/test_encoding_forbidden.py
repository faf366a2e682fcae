"""What forbidden combinations leave is settled when a space is encoded, and drawn at a bounded cost."""

import itertools
import time

import numpy as np
import pytest

from deephpo import create_search
from deephpo.errors import SpaceError
from deephpo.space.arrays import key
from deephpo.space.conditions import Between
from deephpo.space.encoding import INACTIVE
from deephpo.space.parameters import Categorical, Float, Integer
from deephpo.space.space import Space

RNG = np.random.default_rng


def switches(k, *others, more=()):
    """At most one of k switches may be on; that is 1 of 7282 random configurations for k = 17."""
    names = [f"switch{i}" for i in range(k)]
    pairs = [{one: True, other: True} for one, other in itertools.combinations(names, 2)]
    return Space([*(Categorical(name, [False, True]) for name in names), *others], forbidden=[*pairs, *more])


def frequencies(rows):
    different, counts = np.unique(rows, axis=0, return_counts=True)
    return dict(zip(map(key, different), counts / len(rows), strict=True))


class Unlucky(np.random.Generator):
    """A generator all of whose points stand near the upper end."""

    def random(self, size=None):
        return np.full(size, 0.99)


RARE = Space(
    [
        Integer("layers", 1, 30, log=True),
        Integer("width", 1, 50, log=True, when={"layers": Between(high=2)}),
        Categorical("kind", ["a", "b", "c", "d"]),
        Float("lr", 0, 1, when={"kind": ["a", "b"]}),
    ],
    forbidden=[
        {"layers": Between(low=2, high=29)},
        {"layers": 1, "width": Between(high=46)},
        {"layers": 30, "kind": ["b", "c", "d"]},
        {"kind": "c"},
    ],
)


@pytest.mark.parametrize("name", ["random", "auto", "ambs"])
def test_a_search_goes_through_all_that_is_left_and_ends(name):
    search = create_search(name, switches(17), seed=1)
    met = []
    while asked := search.ask():
        met.append(tuple(asked[0].config.items()))
        search.tell(asked[0], float(len(met)))
    assert search.exhausted
    assert len(met) == len(set(met)) == 18


@pytest.mark.parametrize("others", [(), (Float("lr", 1e-5, 1, log=True),)], ids=["finite", "endless"])
@pytest.mark.parametrize("k", [8, 12, 17, 40])
def test_many_rows_are_drawn_at_once_however_little_is_allowed(k, others):
    encoding = switches(k, *others).encoding()
    began_s = time.process_time()
    rows = encoding.sample(500, RNG(3))
    assert time.process_time() - began_s < 3
    assert encoding.allowed(rows).all()
    assert len(np.unique(rows[:, :k], axis=0)) == k + 1


def test_rows_are_distributed_as_if_they_were_drawn_until_they_are_allowed():
    rare = RARE.encoding()
    rows = Space(RARE.parameters).encoding().from_unit(RNG(0).random((2**20, rare.d)))
    expected = frequencies(rows[rare.allowed(rows)][:, :3])
    found = frequencies(rare.sample(2**16, RNG(1))[:, :3])
    assert found.keys() == expected.keys()
    assert max(expected.values()) > 3 * min(expected.values())
    assert found == pytest.approx(expected, abs=0.015)


def test_what_a_replaced_row_switches_on_gets_its_own_value():
    encoding = RARE.encoding()
    rows = encoding.sample(500, RNG(0))
    assert all(RARE.complete(config) == config for config in encoding.decode(rows))
    real = rows[:, 3]
    assert len(np.unique(real[real != INACTIVE])) == (real != INACTIVE).sum() > 100


def test_a_forbidden_point_is_always_replaced_by_the_same_row():
    encoding = switches(17).encoding()
    middles = 0.25 + 0.5 * RNG(0).integers(0, 2, (400, 17))
    rows = encoding.from_unit(middles)
    assert encoding.allowed(rows).all()
    assert (encoding.from_unit(middles[::-1])[::-1] == rows).all()
    assert len(np.unique(rows, axis=0)) == 18


def test_the_rest_is_drawn_again_where_real_numbers_are_forbidden_too():
    space = switches(16, Float("lr", 0, 1), more=[{"lr": Between(low=0.1)}])
    configs = space.encoding().decode(space.encoding().sample(200, RNG(0)))
    assert all(space.complete(config) == config for config in configs)


def test_clauses_of_one_and_of_true_are_not_confused():
    kinds = [f"kind{i}" for i in range(500)]
    space = Space([Categorical("n", [True, 1, *kinds])], forbidden=[{"n": True}, {"n": 1}, {"n": kinds[1:]}])
    assert space.encoding().decode(space.encoding().sample(3, RNG(0))) == [{"n": "kind0"}] * 3


@pytest.mark.parametrize("share", [1 / 20000, 1 / 6000])
def test_a_space_with_too_small_a_share_of_real_numbers_is_refused_at_birth(share):
    space = Space([Float("x", 0, 1)], forbidden=[{"x": Between(low=share)}])
    with pytest.raises(SpaceError, match=r"of 262144 random configurations only \d+ are allowed; loosen"):
        space.encoding()


def test_a_space_that_was_accepted_gives_as_many_rows_as_are_asked():
    space = Space([Float("x", 0, 1)], forbidden=[{"x": Between(low=1 / 3000)}])
    assert len(np.unique(space.encoding().sample(300, RNG(0)))) == 300


def test_draws_that_are_never_allowed_end_with_rows_of_the_birth():
    encoding = Space([Float("x", 0, 1)], forbidden=[{"x": Between(low=0.5)}]).encoding()
    rows = encoding.sample(5, Unlucky(np.random.PCG64(0)))
    assert rows.shape == (5, 1)
    assert encoding.allowed(rows).all()


@pytest.mark.parametrize("forbidden", [None, [{"a": 1, "b": 1}], [{"a": 0}, {"b": [0, 2]}]])
def test_where_a_fair_share_is_allowed_the_rows_are_the_first_allowed_draws(forbidden):
    space = Space(
        [Categorical("a", [0, 1]), Integer("b", 0, 3), Float("x", 0, 1)],
        forbidden=forbidden,
    )
    encoding = space.encoding()
    drawn = Space(space.parameters).encoding().from_unit(RNG(7).random((300, 3)))
    drawn = drawn[encoding.allowed(drawn)]
    assert (encoding.sample(300, RNG(7))[: len(drawn)] == drawn).all()


def test_the_same_space_and_generator_give_the_same_rows():
    first, second = (switches(14).encoding().sample(300, RNG(2)) for _ in range(2))
    assert (first == second).all()
