import math

import numpy as np
import pytest

from deephpo.search.history import History


def rows(*codes):
    return np.array(codes, dtype=np.float32).reshape(-1, 2)


@pytest.fixture
def history():
    history = History(2)
    for trial_id, row in enumerate(rows([0.1, 0.1], [0.2, 0.2], [0.3, 0.3])):
        history.asked(trial_id, row)
    return history


def test_observations_stand_in_the_order_in_which_they_were_told(history):
    history.told(2, 5.0)
    history.told(0, math.inf)
    assert (history.rows[history.told_places] == rows([0.3, 0.3], [0.1, 0.1])).all()
    assert history.values.tolist() == [5.0, math.inf]
    assert (history.n, history.succeeded, history.best) == (2, 1, 5.0)


def test_a_place_is_kept_when_the_trial_is_told(history):
    history.told(1, 5.0)
    history.asked(3, rows([0.4, 0.4])[0])
    assert (history.rows == rows([0.1, 0.1], [0.2, 0.2], [0.3, 0.3], [0.4, 0.4])).all()
    assert history.told_places.tolist() == [1]
    assert history.pending_places.tolist() == [0, 2, 3]


def test_a_told_trial_is_no_longer_pending_but_stays_tried(history):
    history.told(1, 5.0)
    assert (history.rows[history.pending_places] == rows([0.1, 0.1], [0.3, 0.3])).all()
    assert len(history.tried) == 3


class TestToldAgain:
    @pytest.fixture
    def told(self, history):
        """Two of the three trials are told, the last one first."""
        history.told(2, 5.0)
        history.told(0, 3.0)
        return history

    def test_the_last_value_stands_where_the_first_one_stood(self, told):
        told.told_again(2, 4.0)
        assert told.told_places.tolist() == [2, 0]
        assert told.values.tolist() == [4.0, 3.0]
        assert (told.n, told.succeeded, told.best, list(told.pending)) == (2, 2, 3.0, [1])

    def test_the_best_may_become_worse_and_another_one_the_best(self, told):
        told.told_again(0, 9.0)
        assert told.best == 5.0
        told.told_again(0, 1.0)
        assert told.best == 1.0
        assert told.best_trial() == (0, 1.0)

    def test_a_failure_may_become_a_success_and_the_other_way_round(self, told):
        told.told_again(0, math.inf)
        told.told_again(2, math.inf)
        assert (told.succeeded, told.best, told.best_trial()) == (0, math.inf, None)
        told.told_again(2, 7.0)
        assert (told.succeeded, told.best, told.best_trial()) == (1, 7.0, (2, 7.0))

    def test_of_equal_ones_the_first_that_was_told_is_the_best(self, told):
        told.told_again(0, 5.0)
        assert told.best_trial() == (2, 5.0)

    def test_the_news_are_what_came_since_each_once(self, told):
        told.told_again(0, 2.0)
        seen = told.n, len(told.revisions)
        assert told.news(*seen).tolist() == []
        for value in (1.0, 2.0):
            told.told_again(0, value)
        told.told_again(2, 8.0)
        told.told(1, 3.0)
        told.told_again(1, 4.0)
        assert told.news(*seen).tolist() == [0, 1, 2]
        told.told_again(2, 9.0)
        assert told.news(3, 5).tolist() == [0]
        assert told.news(0, 0).tolist() == [0, 1, 2]

    def test_a_moment_keeps_the_values_that_were_known_then(self, told):
        moments = [(told.moment(), [5.0, 3.0])]
        told.told_again(2, 1.0)
        moments.append((told.moment(), [1.0, 3.0]))
        told.told_again(2, 2.0)
        told.told(1, 6.0)
        moments.append((told.moment(), [2.0, 3.0, 6.0]))
        for trial_id in (0, 1, 2, 0):
            told.told_again(trial_id, -1.0 - told.values[0])
        for moment, values in moments:
            assert moment.n == len(values)
            assert moment.values().tolist() == values


def test_no_pending_trials_are_a_table_without_rows():
    history = History(3)
    assert history.rows[history.pending_places].shape == (0, 3)


def test_new_rows_are_those_never_asked_each_once_in_their_order(history):
    history.told(1, 5.0)
    candidates = rows([0.9, 0.9], [0.2, 0.2], [0.5, 0.5], [0.9, 0.9], [0.3, 0.3])
    assert (history.new(candidates) == rows([0.9, 0.9], [0.5, 0.5])).all()
    assert history.new(rows([0.1, 0.1])).shape == (0, 2)


def test_nothing_is_lost_when_the_tables_grow():
    history = History(1)
    for i in range(1000):
        history.asked(i, np.array([i], dtype=np.float32))
        history.told(i, float(-i))
    assert history.rows[:, 0].tolist() == list(range(1000))
    assert history.values.tolist() == [-i for i in range(1000)]


def test_what_is_supposed_counts_as_asked_for_the_moment(history):
    with history.supposing() as suppose:
        suppose(rows([0.5, 0.5], [0.6, 0.6]))
        suppose(rows([0.7, 0.7]))
        assert (history.m, history.supposed) == (6, 3)
        assert (history.rows[4] == rows([0.6, 0.6])[0]).all()
        assert history.pending_places.tolist() == [0, 1, 2, 3, 4, 5]
        assert len(history.new(rows([0.5, 0.5], [0.8, 0.8]))) == 1
    assert (history.m, history.supposed) == (3, 0)
    assert history.pending_places.tolist() == [0, 1, 2]
    assert len(history.new(rows([0.5, 0.5], [0.1, 0.1]))) == 1


def test_nothing_supposed_is_left_when_thinking_fails(history):
    def think():
        with history.supposing() as suppose:
            suppose(rows([0.5, 0.5]))
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        think()
    assert (history.m, history.supposed, len(history.tried)) == (3, 0, 3)


def test_what_was_observed_elsewhere_is_counted(history):
    history.learnt(rows([0.9, 0.9])[0], 1.0)
    assert (history.learned, history.m, history.n) == (1, 4, 1)
