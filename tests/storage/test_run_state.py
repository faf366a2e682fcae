import pytest

from deephpo.storage.records import (
    Ended,
    Finished,
    Reported,
    Started,
    Suggested,
    WorkerJoined,
    WorkerLost,
)
from deephpo.storage.run_state import RunState
from deephpo.trial import Outcome, Report, Trial, TrialState


def preempted(time_s, worker, trial_id):
    return Ended(time_s, worker, Outcome(trial_id, TrialState.PREEMPTED, reason="the node died"))


def completed(time_s, worker, trial_id, value=0.5):
    return Ended(time_s, worker, Outcome(trial_id, TrialState.COMPLETED, value, {"loss": value}))


def test_a_run_without_records_is_empty():
    state = RunState()
    assert (state.done, state.best, state.ended, state.ranked(), state.utilisation()) == (0, None, [], [], 0)


def test_trials_are_counted_by_how_they_ended(run_records):
    state = RunState(run_records(0.3, "ValueError", 0.2, None, "ValueError", finished=False))
    assert (state.counts[TrialState.COMPLETED], state.counts[TrialState.FAILED]) == (2, 2)
    assert state.done == 4
    assert state.running == {3}
    assert [entry.id for entry in state.ended] == [0, 1, 2, 4]


@pytest.mark.parametrize(
    ("direction", "best", "order"), [("minimize", 1, [1, 3, 0]), ("maximize", 0, [0, 1, 3])]
)
def test_the_best_is_the_first_with_the_best_value(run_records, direction, best, order):
    state = RunState(run_records(0.9, 0.1, "failed", 0.1, direction=direction))
    assert state.best.id == best
    assert [entry.id for entry in state.ranked()] == order


def test_a_failed_trial_is_never_the_best(run_records):
    assert RunState(run_records("no", "no")).best is None


def test_live_and_replayed_states_are_the_same(run_records):
    records = run_records(0.3, "no", None, 0.1)
    live = RunState()
    for record in records:
        live.apply(record)
    replayed = RunState(records)
    assert vars(live) == vars(replayed)


def test_an_entry_holds_all_that_is_known_of_a_trial(run_records):
    entry = RunState(run_records(0.3, 0.2)).trials[1]
    assert (entry.worker, entry.host, entry.started_s, entry.ended_s) == (2, "node2", 0.0, 1.0)
    assert entry.metrics == {"loss": 0.2, "acc": 0.125}
    assert entry.curve == [(0.5, 1, {"loss": 9.0, "acc": 0.125})]


def test_a_preempted_trial_is_not_settled_and_counts_once_when_it_is_retried(run_records):
    state = RunState(run_records(None, finished=False))
    state.apply(preempted(3.0, 1, 0))
    assert (state.done, state.counts[TrialState.PREEMPTED], state.running) == (0, 1, set())
    assert state.trials[0].reason == "the node died"
    state.apply(Started(4.0, 0, 2))
    assert (state.done, state.counts.total(), state.running) == (0, 0, {0})
    entry = state.trials[0]
    assert (entry.state, entry.worker, entry.started_s, entry.ended_s) == (None, 2, 4.0, None)
    state.apply(completed(6.0, 2, 0))
    assert (state.done, state.counts[TrialState.PREEMPTED], state.counts.total()) == (1, 0, 1)
    assert (entry.state, entry.reason, entry.ended_s) == (TrialState.COMPLETED, "", 6.0)
    assert state.best is entry


def test_the_end_and_an_exhausted_search_are_remembered(run_records):
    state = RunState(run_records(0.3))
    assert (state.finished.exit_code, state.exhausted) == (0, False)
    state.apply(Suggested(2.0, (), True))
    assert state.exhausted


def test_options_version_and_declaration_come_from_the_first_record(run_records, declaration):
    state = RunState(run_records(0.3))
    assert state.declaration == declaration
    assert (state.version, state.options["seed"]["value"]) == ("0.1.0", 1)


class TestUtilisation:
    def state(self, *records):
        trials = tuple(Trial(k, {"lr": 0.1}) for k in range(3))
        return RunState(
            [WorkerJoined(0.0, 1, "a"), WorkerJoined(2.0, 2, "b"), Suggested(2.0, trials, False), *records]
        )

    def test_is_the_share_of_time_from_joining_on_that_was_spent_in_trials(self):
        state = self.state(
            Started(2.0, 0, 1), Started(2.0, 1, 2), completed(10.0, 1, 0), completed(6.0, 2, 1)
        )
        assert state.utilisation() == pytest.approx((8 + 4) / (10 + 8))

    def test_counts_a_running_trial_up_to_now(self):
        state = self.state(Started(2.0, 0, 1), Reported(10.0, Report(0, 1, {"loss": 1.0})))
        assert state.utilisation() == pytest.approx(8 / (10 + 8))

    def test_charges_a_lost_worker_until_it_left_only(self):
        state = self.state(Started(2.0, 0, 1), WorkerLost(4.0, 2, "gone"), Finished(10.0, "the end", 0))
        assert state.utilisation() == pytest.approx(8 / (10 + 2))

    def test_counts_the_time_of_a_preempted_attempt(self):
        state = self.state(Started(2.0, 0, 1), preempted(5.0, 1, 0), WorkerLost(5.0, 1, "gone"))
        state.apply(Started(5.0, 0, 2))
        state.apply(completed(10.0, 2, 0))
        assert state.utilisation() == pytest.approx((3 + 5) / (5 + 8))

    def test_a_worker_that_left_at_once_has_no_time(self):
        state = RunState([WorkerJoined(0.0, 1, "a"), WorkerLost(0.0, 1, "gone"), WorkerJoined(0.0, 2, "b")])
        state.apply(Suggested(0.0, (Trial(0, {}),), False))
        state.apply(Started(0.0, 0, 2))
        state.apply(completed(5.0, 2, 0))
        assert state.utilisation() == 1.0


def test_the_loss_of_a_worker_that_never_joined_is_no_error():
    assert RunState([WorkerLost(1.0, 7, "its problem did not load")]).workers == {}
