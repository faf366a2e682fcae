import pytest

from deephpo.engine.buffer import SuggestionBuffer, depth_for
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
