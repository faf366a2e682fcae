import numpy as np
import pytest

from deephpo.search.history import History
from deephpo.search.untried import Untried
from deephpo.space.arrays import key
from deephpo.space.conditions import Between
from deephpo.space.parameters import Categorical, Float, Integer
from deephpo.space.space import Space

FINITE = Space([Integer("n", 0, 9), Categorical("c", [True, False])]).encoding()
INFINITE = Space([Float("x", 0, 1)]).encoding()


def ask(history, rows):
    for row in rows:
        history.asked(len(history.tried), row)


def keys(rows):
    return list(map(key, rows))


def untried_of(encoding):
    return Untried(encoding, np.random.default_rng(1))


def always(row):
    return lambda n: np.repeat(row, n, axis=0)


@pytest.fixture
def history():
    return History(FINITE.d)


def test_a_good_draw_is_taken_in_its_order(history):
    rows = np.concatenate(list(FINITE.grid()))
    assert (untried_of(FINITE).draw(5, history, lambda n: rows[:n]) == rows[:5]).all()


@pytest.mark.parametrize("q", [1, 3, 40])
def test_no_more_is_drawn_than_is_used_while_draws_are_new(q):
    stream = iter(np.arange(1000, dtype=np.float32) / 1000)
    drawn = []

    def draw(n):
        drawn.extend([[next(stream)] for _ in range(n)])
        return np.array(drawn[-n:], dtype=np.float32)

    history, untried = History(1), untried_of(INFINITE)
    for _ in range(3):
        ask(history, untried.draw(q, history, draw))
    assert len(drawn) == len(history.tried) == 3 * q


def test_what_no_draw_finds_is_counted_out(history):
    row = FINITE.sample(1, np.random.default_rng(0))
    rows = untried_of(FINITE).draw(20, history, always(row))
    assert len(set(keys(rows))) == 20


def test_there_are_fewer_only_when_nothing_untried_is_left(history):
    untried, row = untried_of(FINITE), FINITE.sample(1, np.random.default_rng(0))
    found = []
    for expected in (7, 7, 6, 0):
        rows = untried.draw(7, history, always(row))
        ask(history, rows)
        found += keys(rows)
        assert len(rows) == expected
    assert len(set(found)) == 20


@pytest.mark.parametrize(("q", "there"), [(4, 4), (9, 9), (30, 20)])
def test_an_answer_is_filled_up_behind_what_it_has_with_others(history, q, there):
    rows = np.concatenate(list(FINITE.grid()))[[3, 8, 1]]
    # A draw offers again what is there already, before all else.
    again = np.concatenate([rows, *FINITE.grid()])
    filled = untried_of(FINITE).fill_up(rows, q, history, lambda n: np.resize(again, (n, FINITE.d)))
    assert (filled[:3] == rows).all()
    assert len(filled) == len(set(keys(filled))) == there


def test_what_was_counted_but_not_asked_is_found_again(history):
    untried = untried_of(FINITE)
    first = untried.remaining(6, history)
    ask(history, first[:2])
    again = untried.remaining(20, history)
    assert len(again) == 18
    assert (again[:4] == first[2:]).all()


RARE = Space(
    [
        Categorical("a", list(range(40))),
        Categorical("b", list(range(40)), when={"a": 7}),
        Float("x", 0, 1, when={"b": 3}),
    ]
).encoding()
"""79 configurations without a real number, and one branch with it, of which a draw finds one in 1,600."""


@pytest.mark.parametrize("q", [1, 200])
def test_an_infinite_space_never_ends_even_if_no_draw_is_new(q):
    row, history, untried = RARE.encode([{"a": 0}]), History(RARE.d), untried_of(RARE)
    for _ in range(200 // q):
        rows = untried.draw(q, history, always(row))
        assert len(set(keys(rows))) == q
        ask(history, rows)
    configs = RARE.decode(np.array([np.frombuffer(row, dtype=np.float32) for row in history.tried]))
    assert all(RARE.space.complete(config) == config for config in configs)
    assert sum("x" not in config for config in configs) == 78
    assert len({config["x"] for config in configs if "x" in config}) == 122


def test_what_is_left_of_an_infinite_space_has_other_real_numbers_each_time():
    history, untried = History(RARE.d), untried_of(RARE)
    found = []
    for _ in range(3):
        rows = untried.remaining(90, history)
        ask(history, rows)
        found += keys(rows)
    assert len(set(found)) == 270


@pytest.mark.parametrize("forbidden", [{"a": 1}, {"x": Between(0, 1)}])
def test_a_space_whose_real_numbers_are_all_forbidden_ends(forbidden):
    space = Space([Categorical("a", [0, 1, 2]), Float("x", 0, 1, when={"a": 1})], forbidden=[forbidden])
    rows = untried_of(space.encoding()).remaining(5, History(2))
    assert space.encoding().decode(rows) == [{"a": 0}, {"a": 2}]
