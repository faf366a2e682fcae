import math

import pytest

from deephpo.engine.buffer import MOST_OVERTAKINGS, SuggestionBuffer, depth_for
from deephpo.trial import Trial


@pytest.mark.parametrize(
    ("workers", "depth"), [(0, 0), (1, 0), (2, 1), (16, 1), (17, 2), (1024, 64), (75_000, 4688)]
)
def test_a_sixteenth_of_the_workers_is_kept_ahead_and_nothing_for_one(workers, depth):
    assert depth_for(workers) == depth


def test_trials_leave_in_the_order_in_which_they_came():
    buffer = SuggestionBuffer()
    buffer.fill([Trial(0, {}), Trial(1, {})])
    buffer.fill([Trial(2, {})])
    assert len(buffer) == 3
    assert [buffer.take(1).id for _ in range(3)] == [0, 1, 2]
    assert buffer.take(1) is None
    assert len(buffer) == 0


def test_a_trial_that_is_put_back_goes_out_before_all_others():
    buffer = SuggestionBuffer()
    buffer.fill([Trial(1, {}), Trial(2, {})])
    buffer.put_back(Trial(0, {}))
    assert [buffer.take(1).id for _ in range(3)] == [0, 1, 2]


def buffer_of(*sizes):
    """Return a buffer of trials that need so many workers; their ids are their places."""
    buffer = SuggestionBuffer()
    buffer.fill([Trial(k, {}, ranks=size) for k, size in enumerate(sizes)])
    return buffer


class TestTrialsOfSeveralWorkers:
    def test_the_first_that_fits_leaves_while_the_first_of_all_waits(self):
        buffer = buffer_of(4, 3, 2, 1)
        assert buffer.ranks == 10
        assert [buffer.take(free).id for free in (2, 1, 3)] == [2, 3, 1]
        assert buffer.take(3) is None
        assert (buffer.take(4).id, buffer.ranks) == (0, 0)

    def test_one_is_overtaken_so_often_and_no_more_until_it_has_left(self):
        buffer = buffer_of(4, *[1] * 10)
        assert [buffer.take(3).id for _ in range(MOST_OVERTAKINGS)] == list(range(1, MOST_OVERTAKINGS + 1))
        assert buffer.take(3) is None
        assert buffer.take(4).id == 0
        assert buffer.take(3).id == MOST_OVERTAKINGS + 1

    def test_no_further_one_than_may_overtake_is_looked_at(self):
        buffer = buffer_of(*[4] * (MOST_OVERTAKINGS + 1), 1)
        assert buffer.take(3) is None
        assert buffer.take(4).id == 0
        assert buffer.take(3).id == MOST_OVERTAKINGS + 1

    def test_smaller_ones_are_wanted_while_they_might_leave_first(self):
        assert not buffer_of().wants_smaller(3)
        assert not buffer_of(3).wants_smaller(3)
        assert not buffer_of(4).wants_smaller(0)
        assert buffer_of(4).wants_smaller(3)
        assert not buffer_of(*[4] * (MOST_OVERTAKINGS + 1)).wants_smaller(3)
        buffer = buffer_of(4, *[1] * MOST_OVERTAKINGS)
        while buffer.take(3) is not None:
            pass
        assert not buffer.wants_smaller(3)

    def test_one_that_is_put_back_takes_its_workers_into_account_again(self):
        buffer = buffer_of(4, 2)
        buffer.put_back(buffer.take(4))
        assert (buffer.ranks, buffer.take(4).id) == (6, 0)


class TestTooFewWorkers:
    def test_what_needs_more_is_set_aside_and_goes_first_when_they_are_back(self):
        buffer = buffer_of(4, 9, 2, 8)
        buffer.fit_to(7)
        assert [trial.id for trial in buffer.aside] == [1, 3]
        assert (len(buffer), buffer.ranks) == (2, 6)
        assert [buffer.take(7).id for _ in range(2)] == [0, 2]
        assert buffer.take(7) is None
        buffer.fit_to(8)
        assert ([trial.id for trial in buffer.aside], buffer.take(8).id) == ([1], 3)
        buffer.fit_to(math.inf)
        assert (buffer.aside, buffer.ranks, buffer.take(9).id) == ([], 9, 1)

    def test_what_comes_later_is_set_aside_too_and_what_comes_back_before_all_others(self):
        buffer = buffer_of()
        buffer.fit_to(7)
        buffer.fill([Trial(1, {}, ranks=8), Trial(2, {}, ranks=7)])
        buffer.put_back(Trial(0, {}, ranks=8))
        assert ([trial.id for trial in buffer.aside], len(buffer), buffer.ranks) == ([0, 1], 1, 7)
        buffer.fit_to(8)
        assert [buffer.take(8).id for _ in range(3)] == [0, 1, 2]

    def test_the_overtakings_of_one_that_is_set_aside_are_not_those_of_the_next(self):
        buffer = buffer_of(8, 4, *[1] * 9)
        for _ in range(MOST_OVERTAKINGS):
            assert buffer.take(3).ranks == 1
        assert buffer.take(3) is None
        buffer.fit_to(7)
        assert buffer.take(3).ranks == 1

    def test_those_of_one_that_still_waits_are_not_forgotten_although_others_are_aside(self):
        buffer = buffer_of(7, 8, *[1] * 9)
        taken = []
        for _ in range(MOST_OVERTAKINGS + 2):
            buffer.fit_to(7)
            taken.append(buffer.take(3))
        assert [trial is not None for trial in taken] == [True] * MOST_OVERTAKINGS + [False] * 2
        buffer.fit_to(8)
        assert [buffer.take(8).id for _ in range(2)] == [1, 0]
