import numpy as np
import pytest

from deephpo.search.history import History
from deephpo.search.untried import Untried
from deephpo.space.encoding import keys
from deephpo.space.parameters import Categorical, Float, Integer
from deephpo.space.space import Space

FINITE = Space([Integer("n", 0, 9), Categorical("c", [True, False])]).encoding()
INFINITE = Space([Float("x", 0, 1)]).encoding()


def ask(history, rows):
    for row in rows:
        history.asked(len(history.tried), row)


def always(row):
    return lambda n: np.repeat(row, n, axis=0)


@pytest.fixture
def history():
    return History(FINITE.d)


def test_a_good_draw_is_taken_in_its_order(history):
    rows = np.concatenate(list(FINITE.grid()))
    assert (Untried(FINITE).draw(5, history, lambda n: rows[:n]) == rows[:5]).all()


@pytest.mark.parametrize("q", [1, 3, 40])
def test_no_more_is_drawn_than_is_used_while_draws_are_new(q):
    stream = iter(np.arange(1000, dtype=np.float32) / 1000)
    drawn = []

    def draw(n):
        drawn.extend([[next(stream)] for _ in range(n)])
        return np.array(drawn[-n:], dtype=np.float32)

    history, untried = History(1), Untried(INFINITE)
    for _ in range(3):
        ask(history, untried.draw(q, history, draw))
    assert len(drawn) == len(history.tried) == 3 * q


def test_what_no_draw_finds_is_counted_out(history):
    row = FINITE.sample(1, np.random.default_rng(0))
    rows = Untried(FINITE).draw(20, history, always(row))
    assert len(set(keys(rows))) == 20


def test_there_are_fewer_only_when_nothing_untried_is_left(history):
    untried, row = Untried(FINITE), FINITE.sample(1, np.random.default_rng(0))
    found = []
    for expected in (7, 7, 6, 0):
        rows = untried.draw(7, history, always(row))
        ask(history, rows)
        found += keys(rows)
        assert len(rows) == expected
    assert len(set(found)) == 20


def test_what_was_counted_but_not_asked_is_found_again(history):
    untried = Untried(FINITE)
    first = untried.remaining(6, history)
    ask(history, first[:2])
    again = untried.remaining(20, history)
    assert len(again) == 18
    assert (again[:4] == first[2:]).all()


def test_an_infinite_space_is_not_counted():
    assert len(Untried(INFINITE).remaining(5, History(1))) == 0
