"""Who is at which trial, while it runs and after it."""

from deephpo.engine.gangs import Gangs
from deephpo.trial import Outcome, Trial, TrialState


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


class TestUndecided:
    def test_the_last_one_that_is_released_tells_of_the_gang(self):
        gangs = Gangs()
        gang = gangs.form(Trial(5, {}, ranks=3), (1, 2, 3), 0.0)
        assert gangs.release(1) is None  # it runs
        assert gangs.dissolve(gang) == [2, 3]
        assert gangs.leave(gang) is None
        assert (len(gangs), list(gangs), gangs.returning, gangs.failing) == (1, [], 3, [])
        assert gangs.release(3) is None
        assert gangs.release(2) is gang
        assert (len(gangs), gangs.returning, gangs.release(2)) == (0, 0, None)

    def test_one_of_which_all_are_out_need_not_wait(self):
        gangs = Gangs()
        gang = gangs.form(Trial(5, {}), (1,), 0.0)
        gangs.release(1)
        gangs.dissolve(gang)
        assert gangs.leave(gang) is gang
        assert len(gangs) == 0

    def test_one_that_is_decided_early_is_waited_for_no_more(self):
        gangs = Gangs()
        gang = gangs.form(Trial(5, {}, ranks=2), (1, 2), 0.0)
        gangs.dissolve(gang)
        gangs.leave(gang)
        gangs.decide(gang)
        assert (len(gangs), gangs.release(1), gangs.release(2)) == (0, None, None)

    def test_a_failure_names_its_rank_where_there_are_several(self):
        gangs, outcome = Gangs(), Outcome(5, TrialState.FAILED, reason="no")
        gang = gangs.form(Trial(5, {}, ranks=2), (7, 2), 0.0)
        gang.fail(2, outcome)
        assert gang.verdict == (2, Outcome(5, TrialState.FAILED, reason="on rank 1 of its 2: no"))
        gangs.dissolve(gang)
        gangs.leave(gang)
        assert (gangs.failing, gangs.returning) == ([gang], 0)
        alone = gangs.form(Trial(6, {}), (3,), 0.0)
        alone.fail(3, outcome)
        assert alone.verdict == (3, outcome)
