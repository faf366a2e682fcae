"""What each record means to the backlog; the fuzz of test_coordinator_books.py compares it with others."""

import pytest

from deephpo.engine.backlog import Backlog, backlog_of
from deephpo.storage.records import (
    Asked,
    Begun,
    Ended,
    Finished,
    Ignored,
    Resumed,
    Started,
    Suggested,
    WorkerJoined,
    WorkerLost,
)
from deephpo.trial import Outcome, Trial, TrialState


def suggested(*ids):
    return Suggested(0.0, tuple(Trial(k, {"x": k}) for k in ids), False)


def ended(worker, trial_id, state=TrialState.COMPLETED):
    value = 0.5 if state is TrialState.COMPLETED else None
    return Ended(1.0, worker, Outcome(trial_id, state, value, reason="why"))


def lost(worker):
    return WorkerLost(1.0, worker, "why")


PREEMPTED, FAILED = TrialState.PREEMPTED, TrialState.FAILED
RESUMED = Resumed(2.0, "0.1.0", "head", {}, {})


def test_nothing_is_owed_at_the_beginning():
    assert backlog_of([]) == Backlog()
    assert backlog_of([WorkerJoined(0.0, 1, "a"), Asked(0.0, 3)]) == Backlog()


def test_what_was_suggested_waits_until_it_is_settled():
    records = [suggested(0, 1, 2), Started(0.0, 0, 1), Started(0.0, 1, 2), ended(1, 0), ended(2, 1, FAILED)]
    backlog = backlog_of(records)
    assert backlog.waiting == (Trial(2, {"x": 2}),)
    assert (backlog.suggested, backlog.settled, backlog.succeeded) == (3, 2, 1)


@pytest.mark.parametrize("state", [TrialState.COMPLETED, TrialState.STOPPED, FAILED])
def test_every_end_but_a_preemption_settles_a_trial(state):
    assert backlog_of([suggested(0), Started(0.0, 0, 1), ended(1, 0, state)]).waiting == ()
    backlog = backlog_of([suggested(0), Started(0.0, 0, 1), ended(1, 0, PREEMPTED)])
    assert ([trial.id for trial in backlog.waiting], backlog.settled) == ([0], 0)


def test_what_had_been_started_goes_out_before_what_had_not():
    records = [suggested(0, 1, 2, 3, 4), Started(0.0, 3, 1), Started(0.0, 1, 2), suggested(5)]
    assert [trial.id for trial in backlog_of(records).waiting] == [1, 3, 0, 2, 4, 5]


def test_starts_and_lost_workers_are_counted_for_what_waits():
    attempt = [Started(0.0, 0, 1), ended(1, 0, PREEMPTED), lost(1)]
    other = [Started(0.0, 1, 2), ended(2, 1, PREEMPTED), lost(2), Started(0.0, 1, 3), ended(3, 1)]
    backlog = backlog_of([suggested(0, 1, 2), *attempt, *attempt, *other])
    assert backlog.starts == {0: 2}
    assert backlog.losses == {0: 2}


def test_a_trial_that_was_cut_off_with_the_process_counts_as_started_and_not_as_lost():
    backlog = backlog_of([suggested(0), Started(0.0, 0, 1), RESUMED, Started(2.0, 0, 1)])
    assert (backlog.starts, backlog.losses) == ({0: 2}, {})


def test_the_end_of_the_search_is_no_loss_of_a_worker_and_its_loss_in_the_next_process_none_of_the_trial():
    ending = [Started(0.0, 0, 1), ended(1, 0, PREEMPTED), Finished(1.0, "stopped by SIGTERM", 75), RESUMED]
    assert backlog_of([suggested(0, 1), *ending, WorkerJoined(2.0, 1, "a"), lost(1)]).losses == {}
    torn = [*ending[:2], RESUMED, WorkerJoined(2.0, 1, "a"), lost(1)]
    assert backlog_of([suggested(0, 1), *torn]).losses == {}


def test_the_loss_of_a_worker_counts_for_its_own_trial_alone():
    idle = [Started(0.0, 0, 1), ended(1, 0, PREEMPTED), lost(2)]
    assert backlog_of([suggested(0), *idle]).losses == {}


def test_a_result_that_came_too_late_settles_nothing():
    records = [suggested(0), Started(0.0, 0, 1), ended(1, 0, PREEMPTED), lost(1), Ignored(1.0, 1, 0, "late")]
    assert backlog_of(records).settled == 0


class TestTrialsOfSeveralWorkers:
    def suggested(self, *sizes):
        return Suggested(0.0, tuple(Trial(k, {"x": k}, ranks=size) for k, size in enumerate(sizes)), False)

    def test_what_waits_needs_as_many_as_before(self):
        backlog = backlog_of([self.suggested(1, 4, 2), Started(0.0, 1, 3, (1, 2, 4))])
        assert [(trial.id, trial.ranks) for trial in backlog.waiting] == [(1, 4), (0, 1), (2, 2)]

    def test_the_sizes_of_all_are_known_those_of_settled_ones_too(self):
        backlog = backlog_of([self.suggested(1, 4, 2, 4), Started(0.0, 0, 1), ended(1, 0)])
        assert backlog.sizes == {1: 1, 2: 1, 4: 2}

    def test_the_loss_of_any_member_is_one_of_the_trial_and_that_of_further_ones_is_not(self):
        attempt = [Started(0.0, 0, 1, (2, 3)), ended(2, 0, PREEMPTED), lost(2), lost(3), lost(1)]
        assert backlog_of([self.suggested(3), *attempt]).losses == {0: 1}

    def test_one_that_was_too_large_is_settled_without_a_start(self):
        backlog = backlog_of([self.suggested(9, 1), ended(0, 0, FAILED)])
        assert ([trial.id for trial in backlog.waiting], backlog.settled) == ([1], 1)


def test_what_waits_can_be_given_another_number_of_workers():
    backlog = backlog_of([Suggested(0.0, (Trial(0, {"x": 0.5}, ranks=4), Trial(1, {"x": 0.25})), False)])
    assert [trial.ranks for trial in backlog.resized(2).waiting] == [2, 2]
    assert backlog.resized(2).sizes == backlog.sizes


def valued(trial_id, value, state=TrialState.COMPLETED):
    return Ended(3600.0, 1, Outcome(trial_id, state, value))


@pytest.mark.parametrize(
    ("direction", "best", "since"), [("minimize", 0.2, {2, 3, 4, 5}), ("maximize", 0.8, {4, 5})]
)
def test_the_best_is_remembered_and_what_came_after_it(direction, best, since):
    begun = Begun(0.0, "0.1.0", "head", "demo.py", {"direction": direction}, {})
    ends = [
        valued(0, 0.5),
        valued(1, 0.2, TrialState.STOPPED),
        valued(2, None, TrialState.STOPPED),
        valued(3, 0.8),
        valued(4, None, FAILED),
        valued(5, 0.5),
    ]
    backlog = backlog_of([begun, suggested(*range(7)), *ends, valued(6, None, PREEMPTED)])
    assert (backlog.best, backlog.since_best) == (best, since)
    assert (backlog.settled, backlog.succeeded) == (6, 4)


def test_the_hosts_are_paid_until_the_last_record():
    joined = [WorkerJoined(0.0, 1, "a"), WorkerJoined(0.0, 2, "a"), WorkerJoined(600.0, 3, "b")]
    assert backlog_of([*joined, suggested(0), valued(0, 0.5)]).node_s == 3600.0 + 3000.0
    silent = [WorkerLost(1000.0, 2, "not a word from it"), WorkerJoined(1200.0, 2, "")]
    assert backlog_of([*joined, *silent, suggested(0), valued(0, 0.5)]).node_s == 6600.0
