"""Who is at which trial, while it runs and after it."""

from deephpo.engine.gangs import Gangs
from deephpo.trial import Trial


def test_a_gang_is_known_by_each_of_its_workers_and_led_by_the_first():
    gangs = Gangs()
    gang = gangs.form(Trial(5, {}, ranks=3), (4, 2, 7), now_s=1.5)
    assert [gangs.of(worker) for worker in (2, 4, 7)] == [gang] * 3
    assert (gangs.of(1), gang.leader, gang.started_s) == (None, 4, 1.5)
    assert gangs.at(7, 5) is gang
    assert gangs.at(7, 6) is None
    assert gangs.runs(gang)
    assert (len(gangs), list(gangs)) == (1, [gang])


def test_a_worker_that_is_released_leaves_its_trial_running():
    gangs = Gangs()
    gang = gangs.form(Trial(5, {}, ranks=2), (1, 2), 0.0)
    gangs.release(2)
    assert gangs.of(2) is None
    assert gangs.runs(gang)
    other = gangs.form(Trial(6, {}), (2,), 1.0)
    assert gangs.of(2) is other
    assert gangs.dissolve(gang) == [1]  # the other one is at another trial by now
    assert gangs.runs(other)


def test_the_workers_of_a_trial_that_is_over_stay_in_its_gang_until_they_are_released():
    gangs = Gangs()
    gang = gangs.form(Trial(5, {}, ranks=3), (1, 2, 3), 0.0)
    gangs.release(1)
    assert gangs.dissolve(gang) == [2, 3]
    assert (gangs.runs(gang), len(gangs)) == (False, 0)
    assert gangs.at(2, 5) is gang
    gangs.release(2)
    assert gangs.of(2) is None


def test_a_second_attempt_at_a_trial_is_another_gang():
    gangs, trial = Gangs(), Trial(5, {}, ranks=2)
    first = gangs.form(trial, (1, 2), 0.0)
    gangs.release(1)
    gangs.dissolve(first)
    second = gangs.form(trial, (1, 3), 1.0)
    assert (gangs.runs(first), gangs.runs(second)) == (False, True)
    assert gangs.at(2, 5) is first
    assert gangs.at(1, 5) is second
    assert gangs.dissolve(second) == [1, 3]


def test_trials_stand_in_the_order_of_their_beginnings():
    gangs = Gangs()
    for trial_id, worker in ((9, 3), (4, 1), (7, 2)):
        gangs.form(Trial(trial_id, {}), (worker,), 0.0)
    assert [gang.trial.id for gang in gangs] == [9, 4, 7]
