import numpy as np
import pytest

from deephpo import Categorical, Float, Integer, Space
from deephpo.surrogates import trend as trend_module
from deephpo.surrogates.trend import RIDGES, Trend, ridge

RNG = np.random.default_rng
FEATURES = 9
"""Three numbers, their squares, and three categories."""


@pytest.fixture
def encoding():
    return Space(
        [
            Float("rate", 1e-4, 1.0, log=True),
            Integer("units", 1, 64),
            Categorical("kind", ["a", "b", "c"]),
            Float("momentum", 0, 1, when={"kind": "b"}),
        ]
    ).encoding()


def additive(rows):
    """What a trend can say: a line in each number, a constant for each category."""
    momentum = np.where(rows[:, 3] < 0, 0.5, rows[:, 3])
    return 2 * rows[:, 0] - rows[:, 1] + (rows[:, 2] > 0.5) * 0.7 + 0.4 * momentum + 3


def fitted(encoding, rows, y):
    trend = Trend(encoding)
    trend.fit(rows, y)
    return trend


def test_half_of_the_lines_in_numbers_and_constants_of_categories_is_its(encoding):
    rows = encoding.sample(200, RNG(0))
    unknown = encoding.sample(50, RNG(1))
    half = (additive(rows).mean() + additive(unknown)) / 2
    assert fitted(encoding, rows, additive(rows))(unknown) == pytest.approx(half, abs=0.02)


def test_where_there_is_no_trend_it_is_next_to_nothing(encoding):
    rows = encoding.sample(100, RNG(0))
    y = RNG(1).normal(size=100)
    assert fitted(encoding, rows, y)(encoding.sample(500, RNG(2))).std() < 0.1


def test_a_category_met_at_the_bottom_of_a_valley_alone_gets_no_credit_for_it(encoding):
    """There a search gathers its rows; those of the other category are from all over."""
    rows = encoding.sample(300, RNG(0))
    rows = rows[rows[:, 2] < 0.6]
    b = rows[:, 2] > 0.3
    rows[b, 0] = 0.35 + 0.1 * rows[b, 0]
    y = 10 * (rows[:, 0] - 0.4) ** 2
    pair = np.repeat(rows[:1], 2, axis=0)
    pair[:, 2:] = [rows[~b][0, 2:], [rows[b][0, 2], 0.5]]
    of_a, of_b = fitted(encoding, rows, y)(pair)
    assert y[~b].mean() - y[b].mean() > 0.5
    assert abs(of_a - of_b) < 0.05


def test_it_is_as_stiff_as_foretells_each_row_best_from_the_others():
    A = RNG(3).normal(size=(25, 6))
    A -= A.mean(axis=0)
    y = A @ [1.0, 0.5, 0, 0, 0, 0] + RNG(4).normal(size=25)
    y -= y.mean()

    def slopes(penalty, others):
        """With a constant of its own, which no penalty holds down."""
        B = np.concatenate([np.ones((25, 1)), A], axis=1)[others]
        return np.linalg.solve(B.T @ B + penalty * np.diag([0, *np.ones(6)]), B.T @ y[others])

    def error(penalty):
        """Leave every row out in turn."""
        foretold = [[1.0, *A[i]] @ slopes(penalty, np.arange(25) != i) for i in range(25)]
        return np.square(y - foretold).mean()

    best = min(RIDGES, key=error)
    assert ridge(A, y) == pytest.approx(slopes(best, np.arange(25))[1:])
    assert RIDGES[0] < best < RIDGES[-1]


def test_before_anything_is_told_it_is_zero(encoding):
    assert (Trend(encoding)(encoding.sample(5, RNG(0))) == 0).all()


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_fewer_rows_than_features_will_do(encoding, n):
    rows = encoding.sample(n, RNG(0))
    y = additive(rows)
    trend = fitted(encoding, rows, y)
    assert np.isfinite(trend(encoding.sample(50, RNG(1)))).all()
    assert trend(rows).mean() == pytest.approx(y.mean())


def test_equal_targets_are_its_only_value(encoding):
    trend = fitted(encoding, encoding.sample(20, RNG(0)), np.full(20, 2.0))
    assert trend(encoding.sample(20, RNG(1))) == pytest.approx(np.full(20, 2.0))


def test_of_many_rows_it_learns_from_some_of_all_times(encoding, monkeypatch):
    """So it costs no more however many there are."""
    rows = encoding.sample(300, RNG(0))
    y = additive(rows) + RNG(1).normal(size=300)
    all_known, some_known = fitted(encoding, rows, y), fitted(encoding, rows[::3], y[::3])
    monkeypatch.setattr(trend_module, "MOST_NUMBERS", 100 * FEATURES)
    assert (fitted(encoding, rows, y)(rows) == some_known(rows)).all()
    assert (some_known(rows) != all_known(rows)).any()
