"""A trial's process when a stopping rule ends the trial: its own way out, its grace, and its successor."""

import time

import pytest

from deephpo.trial import Outcome, Report, TrialState
from deephpo.worker import process as processes
from deephpo.worker.limits import Limits
from deephpo.worker.messages import Loaded
from tests.worker.child_under_test import SOURCE, begin, gone, messages_until, outcome_of, pid_of


def told_to_stop(process, what, trial_id=3, grace_s=30.0, **options):
    """Tell a trial to stop when it has begun; returns what is heard until it ends, and how long that took."""
    begin(process, what, trial_id, **options)
    messages_until(process, Report)
    time.sleep(0.05)  # else the first report may still hear it
    began = time.monotonic()
    process.stop(trial_id, grace_s)
    return messages_until(process, Outcome), time.monotonic() - began


def test_a_trial_that_is_told_to_stop_does_so_at_once_and_keeps_its_child(start):
    process = start()
    pid = pid_of(process)
    messages, seconds = told_to_stop(process, "train")
    assert (messages[-1], seconds < 2) == (Outcome(3, TrialState.STOPPED), True)
    assert pid_of(process) == pid


def test_a_trial_that_ends_in_its_own_way_in_its_grace_is_left_alone(start):
    process = start()
    messages, seconds = told_to_stop(process, "late")
    assert (messages[-1].state, messages[-1].reason) == (TrialState.STOPPED, "")
    assert 0.3 <= seconds < 3
    assert pid_of(process) == messages[-1].metrics["pid"]


@pytest.mark.parametrize("what", ["train", "ignore"])
def test_no_trial_hears_what_was_meant_for_another(start, monkeypatch, what):
    monkeypatch.setattr(processes, "GRACE_S", 0.1)
    process = start()
    messages_until(process, Loaded)
    process.stop(3, 0.0)  # nobody is there
    begin(process, "slow", 3)
    process.stop(2, 0.0)
    process.stop(4, 0.0)
    assert messages_until(process, Outcome)[-1].state is TrialState.COMPLETED
    process.stop(3, 0.0)  # the two crossed on their way
    messages, _ = told_to_stop(process, what, 4, grace_s=0.3)
    assert messages[-1].state is TrialState.STOPPED
    process.stop(4, 0.0)
    assert outcome_of(process, "slow", 5).state is TrialState.COMPLETED


def test_a_thread_that_a_trial_left_behind_takes_nothing_of_what_comes_for_the_next(start):
    process = start()
    pids = set()
    for trial_id in range(20):
        outcome = outcome_of(process, "leaves_a_thread_that_asks", trial_id)
        assert outcome.state is TrialState.COMPLETED
        pids.add(outcome.metrics["pid"])
    assert len(pids) == 1


def test_a_stop_that_comes_before_the_trial_began_is_none(start):
    process = start("import time\ntime.sleep(0.3)\n" + SOURCE)
    begin(process, "slow", 3)
    process.stop(3, 0.0)
    assert messages_until(process, Outcome)[-1].state is TrialState.COMPLETED


def test_a_stop_that_a_trial_never_looked_for_does_not_reach_the_next(start):
    process = start()
    messages_until(process, Loaded)
    begin(process, "chat", 3)
    time.sleep(0.3)
    process.stop(3, 30.0)  # nobody has read yet that it is over
    assert messages_until(process, Outcome)[-1].state is TrialState.COMPLETED
    assert outcome_of(process, "slow", 4).state is TrialState.COMPLETED
    # The same trial once more, which starts anew.
    assert outcome_of(process, "slow", 3).state is TrialState.COMPLETED


def test_a_trial_that_does_not_stop_is_asked_to_leave_then_killed_and_the_next_child_is_fresh(
    start, tmp_path, monkeypatch
):
    monkeypatch.setattr(processes, "GRACE_S", 0.5)
    process = start()
    pid = pid_of(process)
    messages, seconds = told_to_stop(process, "ignore", grace_s=0.4, directory=tmp_path)
    assert (messages[-1].trial_id, messages[-1].state) == (3, TrialState.STOPPED)
    assert messages[-1].reason == "it did not stop by itself"
    assert 0.9 <= seconds < 4
    assert (tmp_path / "asked").exists()
    assert gone(pid)
    assert pid_of(process) != pid


def test_a_trial_that_never_looks_may_still_leave_when_it_is_asked_to(start):
    process = start()
    pid = pid_of(process)
    messages, seconds = told_to_stop(process, "deaf", grace_s=0.3)
    assert messages[-1] == Outcome(3, TrialState.STOPPED, reason="it did not stop by itself")
    assert 0.3 <= seconds < 3
    assert pid_of(process) != pid


def test_the_grace_runs_from_the_first_word(start, monkeypatch):
    monkeypatch.setattr(processes, "GRACE_S", 0.1)
    process = start()
    begin(process, "hang", 3)
    messages_until(process, Report)
    process.stop(3, 0.4)
    began = time.monotonic()
    process.stop(3, 60.0)
    assert messages_until(process, Outcome)[-1].state is TrialState.STOPPED
    assert time.monotonic() - began < 5


def test_a_trial_that_dies_when_it_is_to_stop_was_stopped_and_says_how_it_died(start):
    process = start()
    messages, _ = told_to_stop(process, "dies_of_it")
    assert (messages[-1].state, messages[-1].reason) == (
        TrialState.STOPPED,
        "the trial's process exited with code 7",
    )
    outcome = outcome_of(process, "leave", 4)  # that was the trial before's
    assert outcome.state is TrialState.FAILED


def test_a_trial_that_is_to_stop_does_not_go_out_again_when_the_job_ends(start):
    messages, _ = told_to_stop(start(), "is_told_to_end")
    assert messages[-1].state is TrialState.STOPPED


def test_several_threads_may_report_and_ask_while_the_word_comes(start):
    process = start()
    messages, seconds = told_to_stop(process, "threads_that_ask")
    assert (messages[-1].state, seconds < 5) == (TrialState.STOPPED, True)
    assert messages[-1].metrics["asked"] == 8
    assert outcome_of(process, "value", 4).value == 0.5


def test_a_stopped_trial_that_breaks_a_limit_in_its_grace_is_ended_for_that(start):
    process = start(limits=Limits(timeout_s=0.8))
    messages, seconds = told_to_stop(process, "deaf")
    assert messages[-1].state is TrialState.STOPPED
    assert messages[-1].reason == "it ran longer than the trial timeout of 0.8 s"
    assert seconds < 5
