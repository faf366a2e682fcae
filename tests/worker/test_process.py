"""What a trial's process says and prints while it evaluates one trial after the other."""

import json
import os
from multiprocessing.connection import wait

import pytest

from deephpo.trial import Outcome, Report
from deephpo.worker.messages import Lasted, Loaded
from tests.worker.child_under_test import begin, gone, messages_until, outcome_of, wait_until


def test_the_child_declares_its_problem_first(start):
    (loaded,) = messages_until(start(), Loaded)
    declaration = json.loads(loaded.declaration)
    assert (declaration["name"], declaration["objective"]) == ("task", "loss")


def test_reports_arrive_while_the_trial_runs(start):
    process = start()
    begin(process, "slow")
    early = [message for message in messages_until(process, Report) if not isinstance(message, Loaded)]
    assert not any(isinstance(message, Outcome) for message in early)
    *reports, outcome = messages_until(process, Outcome)
    assert [report.step for report in early + reports] == [0, 1, 2, 3]
    assert outcome.value == 0.5


def test_one_child_evaluates_one_trial_after_the_other(start):
    process = start()
    outcomes = [outcome_of(process, "value", k) for k in range(5)]
    assert [outcome.trial_id for outcome in outcomes] == list(range(5))
    assert len({outcome.metrics["pid"] for outcome in outcomes}) == 1
    assert outcomes[0].metrics["pid"] != os.getpid()


@pytest.mark.parametrize("what", ["fork", "forks_that_exit"])
def test_a_fork_that_comes_back_from_run_does_not_speak_for_its_parent(start, what):
    process = start()
    begin(process, what, 1)
    messages = messages_until(process, Outcome)
    pids = [message.metrics["pid"] for message in messages if isinstance(message, Report)]
    assert len(pids) == (2 if what == "fork" else 1)
    assert messages[-1].value == 0.5
    # Neither does it take the next trial, nor end it.
    for trial_id in (2, 3, 4):
        outcome = outcome_of(process, "value", trial_id)
        assert (outcome.trial_id, outcome.metrics["pid"]) == (trial_id, pids[0])
    wait_until(lambda: all(gone(pid) for pid in pids[1:]))


def test_several_threads_may_report_at_once(start):
    process = start()
    begin(process, "threads")
    *reports, outcome = (m for m in messages_until(process, Outcome) if not isinstance(m, Loaded))
    assert outcome.value == 0.5
    told = [(m.metrics["thread"], m.step) for m in reports if "thread" in m.metrics]
    assert len(told) == len(set(told)) == 8 * 200
    assert all(m.metrics["text"] == m.step for m in reports if "thread" in m.metrics)


def test_a_signal_handler_may_report_in_the_middle_of_a_report(start):
    process = start()
    begin(process, "interrupted")
    *reports, outcome = (m for m in messages_until(process, Outcome) if not isinstance(m, Loaded))
    for who, count in (("main", 5000), ("handler", outcome.metrics["handled"])):
        assert sum(who in report.metrics for report in reports) == count > 10


def test_ten_thousand_metrics_and_fifty_megabytes_of_output_are_no_trouble(start, tmp_path):
    process = start()
    begin(process, "wide", 1)
    *_, report, outcome = messages_until(process, Outcome)
    assert len(report.metrics) == 10_000
    assert len(outcome.metrics) == 10_001
    assert outcome_of(process, "flood", 2).value == 0.5
    assert 2**23 < (tmp_path / "output.txt").stat().st_size <= 2**24


def test_everything_that_is_printed_goes_to_one_file(start, tmp_path):
    process = start()
    outcome_of(process, "value", 0)
    outcome_of(process, "leave", 1)
    outcome_of(process, "chat", 2)
    process.kill()
    assert (tmp_path / "output.txt").read_text() == (
        "trial 0\ntrial 1\nlast words\ntrial 2\nlast line without an end"
    )


def test_what_was_printed_before_the_child_is_killed_is_kept(start, tmp_path):
    process = start()
    messages_until(process, Loaded)
    begin(process, "hang")
    assert wait(process.sources[:1], 10)  # the report is there, and nobody polls
    process.kill()
    assert (tmp_path / "output.txt").read_text() == "trial 0\n"


def test_the_child_is_no_part_of_an_mpi_job_and_gets_what_it_is_given(start, monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    monkeypatch.setenv("PMIX_RANK", "1")
    outcome = outcome_of(start(environment={"OMP_NUM_THREADS": "3"}), "speak")
    assert (outcome.value, outcome.metrics["threads"]) == (0, 3)


@pytest.mark.parametrize("wants", [True, False])
def test_a_problem_says_how_long_a_trial_lasts_only_if_asked(start, wants):
    process = start()
    begin(process, "value", wants_duration=wants)
    lasted = [m for m in messages_until(process, Outcome) if isinstance(m, Lasted)]
    assert lasted == ([Lasted(42.0)] if wants else [])
