import numpy as np

from deephpo.search.candidates import PARENTS, best_rows, draw_candidates
from deephpo.search.history import History
from deephpo.space.parameters import Float
from deephpo.space.space import Space

ENCODING = Space([Float("x", 0, 1), Float("y", 0, 1)]).encoding()


def history_of(n):
    history = History(2)
    rows = ENCODING.sample(n, np.random.default_rng(0))
    for row in rows:
        history.learnt(row, float(((row - 0.25) ** 2).sum()))
    return history


def test_the_best_rows_come_best_first_and_equal_ones_in_their_order():
    history = History(2)
    rows = ENCODING.sample(4, np.random.default_rng(0))
    for row, value in zip(rows, [3.0, 1.0, 1.0, np.inf], strict=True):
        history.learnt(row, value)
    assert (best_rows(history, 3) == rows[[1, 2, 0]]).all()


def test_half_of_the_candidates_are_near_the_best_and_half_anywhere():
    history = history_of(400)
    candidates = draw_candidates(ENCODING, 1000, history, np.random.default_rng(1))
    parents = best_rows(history, PARENTS)
    nearest = np.abs(candidates[:, None] - parents).max(axis=2).min(axis=1)
    assert np.median(nearest[:500]) < 0.1 < np.median(nearest[500:])
    assert candidates[500:].std(axis=0).min() > 0.25


def test_bounds_are_candidates():
    history = History(2)
    for x in (0.99, 0.98, 0.97):
        history.learnt(np.array([x, 0.5], dtype=np.float32), 1.0 - x)
    candidates = draw_candidates(ENCODING, 1000, history, np.random.default_rng(1))
    assert (candidates[:, 0] == candidates[:, 0].max()).sum() > 50
    assert ENCODING.decode(candidates[candidates[:, 0].argmax()][None])[0]["x"] == 1.0


def test_the_same_generator_draws_the_same():
    history = history_of(50)
    one, two = (draw_candidates(ENCODING, 100, history, np.random.default_rng(3)) for _ in range(2))
    assert (one == two).all()
