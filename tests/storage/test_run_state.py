import gc
import tracemalloc
from dataclasses import replace

import pytest

from deephpo.storage.records import (
    Ended,
    Finished,
    Ignored,
    Reported,
    Resumed,
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


@pytest.mark.parametrize(
    ("end", "best", "value"),
    [
        (completed(12, 1, 1, 0.05), 1, 0.05),
        (completed(12, 1, 1, 0.4), 0, 0.3),
        (Ended(12, 1, Outcome(1, TrialState.FAILED, reason="no checkpoint")), 0, 0.3),
        (preempted(12, 1, 1), 1, 0.1),
    ],
)
def test_of_a_promoted_trial_the_last_end_counts_also_for_the_best(run_records, end, best, value):
    state = RunState(run_records(0.3, 0.1, finished=False))
    state.apply(Started(11, 1, 1))
    assert (state.best.id, state.best.value) == (1, 0.1)
    state.apply(end)
    assert (state.best.id, state.best.value) == (best, value)
    assert state.ranked()[0] is state.best


def test_promoted_are_the_stopped_trials_that_went_on_each_once(run_records):
    stopped = [Ended(12, 1, Outcome(k, TrialState.STOPPED, 0.4)) for k in (1, 2)]
    state = RunState([*run_records(0.3, None, None, None, finished=False), *stopped, preempted(12, 1, 3)])
    assert state.promoted == set()
    for record in (Started(13, 1, 1), stopped[0], Started(14, 1, 1), Started(14, 3, 2)):
        state.apply(record)
    assert state.promoted == {1}


def test_what_run_returned_is_kept_apart_from_what_was_reported(run_records):
    entry = RunState(run_records(0.3)).trials[0]
    assert (entry.metrics, entry.returned) == ({"loss": 0.3, "acc": 0.0}, {"loss": 0.3})


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
    assert state.ends == 2
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
        assert state.utilisation() == pytest.approx(3 / (5 + 3))
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


class TestWorkersThatComeBack:
    def state(self, *records):
        trials = tuple(Trial(k, {"lr": 0.1}) for k in range(3))
        return RunState([WorkerJoined(0.0, 1, "a"), Suggested(0.0, trials, False), *records])

    def test_one_that_was_lost_has_a_new_account_and_keeps_its_host(self):
        state = self.state(
            Started(0.0, 0, 1), preempted(4.0, 1, 0), WorkerLost(4.0, 1, "silent"), WorkerJoined(8.0, 1, "")
        )
        worker = state.workers[1]
        assert (worker.host, worker.joined_s, worker.left_s) == ("a", 8.0, None)
        state.apply(Started(8.0, 0, 1))
        assert state.trials[0].host == "a"
        state.apply(completed(10.0, 1, 0))
        assert len(state.workers) == 1
        assert state.utilisation() == pytest.approx((4 + 2) / (4 + 2))

    def test_the_time_between_is_nobodys(self):
        state = self.state(WorkerLost(4.0, 1, "gone"), WorkerJoined(8.0, 1, "b"), Finished(10.0, "end", 0))
        assert state.workers[1].host == "b"
        state.apply(Started(10.0, 0, 1))
        state.apply(completed(14.0, 1, 0))
        assert state.utilisation() == pytest.approx(4 / (4 + 6))

    def test_a_late_result_changes_nothing(self):
        state = self.state(Started(0.0, 0, 1), preempted(4.0, 1, 0), WorkerLost(4.0, 1, "silent"))
        before = (state.done, dict(state.counts), state.best, replace(state.trials[0]))
        state.apply(Ignored(5.0, 1, 0, "it came too late"))
        assert before == (state.done, dict(state.counts), state.best, state.trials[0])
        assert state.now_s == 5.0


class TestResumed:
    @pytest.fixture
    def resumed(self, declaration):
        options = {"trials": {"value": 9, "origin": "command line"}}
        return Resumed(10.0, "0.2.0", "other", declaration.to_dict(), options)

    def test_what_ran_is_given_up_and_goes_out_again(self, run_records, resumed):
        state = RunState([*run_records(0.3, None, finished=False), resumed])
        assert (state.running, state.done, state.counts[TrialState.PREEMPTED]) == (set(), 1, 1)
        entry = state.trials[1]
        assert (entry.state, entry.ended_s) == (TrialState.PREEMPTED, 10.0)
        assert entry.reason == "the search ended without a word"
        state.apply(WorkerJoined(10.0, 1, "node9"))
        state.apply(Started(11.0, 1, 1))
        state.apply(completed(12.0, 1, 1, value=0.1))
        assert (state.done, state.counts.total(), state.best.id) == (2, 2, 1)
        assert (state.best.host, state.best.started_s) == ("node9", 11.0)

    def test_all_workers_are_new(self, run_records, resumed):
        state = RunState([*run_records(0.3, 0.2, finished=False), resumed])
        assert [worker.left_s for worker in state.workers.values()] == [10.0, 10.0]
        state.apply(WorkerJoined(12.0, 2, "node9"))
        assert (state.workers[2].host, state.workers[2].left_s) == ("node9", None)
        # Two workers were there for 10 s and busy for 1 s each; nobody was for the next two.
        assert state.utilisation() == pytest.approx(2 / 20)

    def test_options_version_and_problem_are_those_of_the_last_process(self, run_records, resumed):
        state = RunState([*run_records(0.3), resumed])
        assert (state.version, state.options) == ("0.2.0", resumed.options)
        assert state.finished is None
        assert state.now_s == 10.0

    def test_a_search_that_had_ended_well_has_nothing_to_give_up(self, run_records, resumed):
        state = RunState([*run_records(0.3, "no"), resumed])
        assert (state.done, state.counts[TrialState.PREEMPTED]) == (2, 0)


def test_the_reports_of_a_new_attempt_replace_those_that_it_repeats(run_records):
    def report(time_s, step, value):
        return Reported(time_s, Report(0, step, {"loss": value}))

    state = RunState([*run_records(None, finished=False)])  # it reported nothing yet
    for step in (1, 2, 3):
        state.apply(report(step / 10, step, 1.0))
    state.apply(preempted(1.0, 1, 0))
    state.apply(Started(2.0, 0, 2))
    state.apply(report(2.5, 2, 0.5))  # from its checkpoint
    state.apply(report(2.6, 3, 0.25))
    assert [(step, metrics["loss"]) for _, step, metrics in state.trials[0].curve] == [
        (1, 1.0),
        (2, 0.5),
        (3, 0.25),
    ]


def test_an_entry_that_ended_never_changes_again(run_records):
    state = RunState([*run_records(None, finished=False)])
    state.apply(Reported(0.5, Report(0, 1, {"loss": 1.0})))
    state.apply(preempted(1.0, 1, 0))
    entry = state.trials[0]
    before = replace(entry, metrics=dict(entry.metrics), curve=list(entry.curve))
    state.apply(Started(2.0, 0, 2))
    state.apply(Reported(2.5, Report(0, 1, {"loss": 0.5, "acc": 0.75})))
    state.apply(completed(3.0, 2, 0))
    assert entry == before
    assert state.trials[0].metrics == {"loss": 0.5, "acc": 0.75}
    assert state.best is state.trials[0]


def test_what_a_trial_reported_is_kept_beside_what_it_returned(run_records):
    state = RunState([*run_records(None, finished=False)])
    outcome = Outcome(0, TrialState.COMPLETED, 0.5, {"loss": 0.5, "size": 7.0})
    state.apply(Reported(0.5, Report(0, 1, {"loss": 9.0, "acc": 0.25})))
    state.apply(Ended(1.0, 1, outcome))
    assert state.trials[0].metrics == {"loss": 0.5, "acc": 0.25, "size": 7.0}
    assert outcome.metrics == {"loss": 0.5, "size": 7.0}


def test_a_trial_of_ten_parameters_takes_less_than_1200_bytes(figure):
    """A hundred thousand of them are to fit into a master of 400 MB, beside the model."""
    count, workers, names = 2000, 100, [f"parameter_{i}" for i in range(10)]
    state = RunState([WorkerJoined(0.0, worker, f"node{worker}") for worker in range(workers)])
    tracemalloc.start()
    for k in range(count):
        trial = Trial(k, {name: k + i / 7 for i, name in enumerate(names)}, seed=k)
        state.apply(Suggested(k / 8, (trial,), False))
        state.apply(Started(k / 8, k, k % workers))
        state.apply(completed(k / 8 + 60, k % workers, k, value=k / 9))
    del trial
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    figure(f"what is known of a trial with 10 parameters takes {taken / count:.0f} bytes")
    assert taken / count <= 1200


class TestTrialsOfSeveralWorkers:
    def state(self, *records, ranks=2):
        trials = tuple(Trial(k, {"lr": 0.1}, ranks=ranks) for k in range(3))
        joined = [WorkerJoined(0.0, worker, f"node{worker}") for worker in (1, 2, 3, 4)]
        return RunState([*joined, Suggested(0.0, trials, False), *records])

    def test_all_of_them_are_busy_and_the_first_speaks(self):
        state = self.state(Started(0.0, 0, 3, (1, 2)), completed(6.0, 3, 0), Finished(8.0, "end", 0))
        entry = state.trials[0]
        assert (entry.worker, entry.others, entry.host) == (3, (1, 2), "node3")
        assert state.utilisation() == pytest.approx(3 * 6 / (4 * 8))

    def test_they_are_busy_while_it_runs_and_until_it_is_lost(self):
        state = self.state(Started(0.0, 0, 1, (2,)), Reported(4.0, Report(0, 1, {"loss": 1.0})))
        assert state.utilisation() == pytest.approx(2 * 4 / (4 * 4))
        state.apply(preempted(6.0, 2, 0))
        state.apply(WorkerLost(6.0, 2, "the node died"))
        state.apply(Started(8.0, 0, 3, (4,)))
        state.apply(completed(10.0, 3, 0))
        assert state.utilisation() == pytest.approx((2 * 6 + 2 * 2) / (3 * 10 + 6))
        assert (state.trials[0].worker, state.trials[0].others) == (3, (4,))

    def test_a_member_that_fails_ends_it_and_the_leader_is_kept(self):
        failed = Ended(6.0, 2, Outcome(0, TrialState.FAILED, reason="on rank 1 of its 2: ValueError: no"))
        state = self.state(Started(0.0, 0, 1, (2,)), failed, Finished(6.0, "end", 0))
        assert (state.trials[0].worker, state.running) == (1, set())
        assert state.utilisation() == pytest.approx(2 / 4)

    def test_they_are_given_up_with_the_process(self, declaration):
        resumed = Resumed(10.0, "0.2.0", "other", declaration.to_dict(), {})
        state = self.state(Started(0.0, 0, 1, (2, 3)), resumed)
        assert (state.running, state.trials[0].state) == (set(), TrialState.PREEMPTED)
        state.apply(WorkerJoined(10.0, 1, "node1"))
        state.apply(Finished(20.0, "end", 0))
        assert state.utilisation() == pytest.approx(3 * 10 / (4 * 10 + 10))

    def test_one_that_waits_for_more_workers_was_preempted_once(self):
        state = self.state(Started(0.0, 0, 1, (2, 3, 4)), preempted(4.0, 2, 0), ranks=4)
        state.apply(WorkerLost(4.0, 2, "gone"))
        state.apply(Finished(8.0, "end", 75))
        assert state.counts == {TrialState.PREEMPTED: 1}
        assert (state.done, len(state.ended), state.running) == (0, 1, set())
        assert state.utilisation() == pytest.approx(4 * 4 / (3 * 8 + 4))
