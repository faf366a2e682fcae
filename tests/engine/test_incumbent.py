"""The best value so far, in the user's own direction."""

import pytest

from deephpo.engine.incumbent import Incumbent


def after(direction, *values):
    incumbent = Incumbent(direction)
    for trial_id, value in enumerate(values):
        incumbent.take(trial_id, value)
    return incumbent.value, len(incumbent.since)


@pytest.mark.parametrize(
    ("values", "lowest", "highest"),
    [
        ([], (None, 0), (None, 0)),
        ([None, None], (None, 2), (None, 2)),
        ([None, 0.5], (0.5, 0), (0.5, 0)),
        ([0.5, 0.7, 0.6], (0.5, 2), (0.7, 1)),
        ([0.5, None, 0.3, 0.9], (0.3, 1), (0.9, 0)),
        ([0.5, 0.5, 0.5], (0.5, 2), (0.5, 2)),
        ([-1.0, 0.0, 0.0, None], (-1.0, 3), (0.0, 2)),
    ],
)
def test_the_best_stands_and_those_after_it_are_counted(values, lowest, highest):
    """One that is as good as the best is no new best; one without a value counts like any other."""
    assert after("minimize", *values) == lowest
    assert after("maximize", *values) == highest


@pytest.mark.parametrize(("direction", "worse", "better"), [("minimize", 0.6, 0.4), ("maximize", 0.4, 0.6)])
def test_it_reaches_what_is_no_better(direction, worse, better):
    incumbent = Incumbent(direction)
    assert not incumbent.reaches(worse)
    incumbent.take(0, 0.5)
    assert [incumbent.reaches(mark) for mark in (worse, 0.5, better)] == [True, True, False]


def test_it_goes_on_where_it_was():
    incumbent = Incumbent("minimize", 0.5, {1, 2, 4})
    incumbent.take(5, 0.6)
    assert (incumbent.value, incumbent.since) == (0.5, {1, 2, 4, 5})
    incumbent.take(6, 0.4)
    assert (incumbent.value, incumbent.since) == (0.4, set())


def test_one_that_goes_on_counts_once_and_not_while_it_runs():
    incumbent = Incumbent("minimize", 0.5, {1, 2})
    incumbent.reopen(1)
    assert incumbent.since == {2}
    incumbent.take(1, 0.6)
    assert incumbent.since == {1, 2}
    incumbent.reopen(0)  # it was settled before the best
    incumbent.take(0, 0.7)
    assert incumbent.since == {0, 1, 2}
