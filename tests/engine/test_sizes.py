"""How many trials are asked for where each needs several workers."""

import math

import pytest

from deephpo.engine.sizes import Sizes
from deephpo.trial import Trial


def trials(*ranks):
    return [Trial(k, {}, ranks=size) for k, size in enumerate(ranks)]


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
@pytest.mark.parametrize("known", [0, 1, 1000])
def test_trials_of_one_size_are_counted_exactly(ranks, known):
    sizes = Sizes(float(ranks), {})
    sizes.add(trials(*[ranks] * known))
    for count in range(1, 100):
        assert sizes.trials_for(count * ranks) == count
        assert sizes.trials_for(count * ranks - ranks + 1) == count
    assert sizes.trials_for(0) == 0
    assert sizes.trials_for(-ranks) == -1


def test_what_was_expected_gives_way_to_what_came():
    sizes = Sizes(8.0, {})
    assert sizes.trials_for(80) == 10
    sizes.add(trials(*[1] * 699))
    assert sizes.trials_for(80) == math.ceil(80 / (707 / 700)) == 80


def test_an_earlier_process_is_counted_like_this_one():
    before, now = Sizes(2.5, {}), Sizes(2.5, {1: 1, 2: 1, 4: 2, 3: 1})
    before.add(trials(1, 2, 4, 4, 3))
    for later in (before, now):
        later.add(trials(8))
    assert before.least == now.least == 1
    assert [now.trials_for(w) for w in range(-50, 50)] == [before.trials_for(w) for w in range(-50, 50)]


def test_the_least_that_is_known_is_remembered_and_no_more_than_what_is_expected():
    sizes = Sizes(4.5, {})
    assert sizes.least == 4  # not all are above it
    for size, least in ((8, 4), (4, 4), (8, 4), (2, 2), (3, 2)):
        sizes.add(trials(size))
        assert sizes.least == least


def test_there_is_room_for_more_than_one_trial_from_twice_their_mean_on():
    sizes = Sizes(4.0, {})
    assert not sizes.leave_room(7)
    assert sizes.leave_room(8)
    sizes.add(trials(*[1] * 299))
    assert not sizes.leave_room(2)  # 303 / 300 is the mean
    assert sizes.leave_room(3)
