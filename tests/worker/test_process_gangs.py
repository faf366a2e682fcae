"""The process of one member of a gang: where it meets the others, and when its part is over."""

import time

import pytest

from deephpo.trial import Outcome, Report, TrialState
from deephpo.worker import process as processes
from deephpo.worker.limits import Limits
from deephpo.worker.messages import Loaded, Meeting, PartEnded
from deephpo.worker.place import Place
from tests.worker.child_under_test import SOURCE, begin, gone, messages_until, outcome_of, pid_of, wait_until

SECOND = Place(1, (1, 2), ("here", "here"))


def wait_for_line(process, path, line):
    """Wait until the children have printed it, as the last line."""
    wait_until(lambda: process.poll() == [] and path.exists() and path.read_text().endswith(f"{line}\n"))


def test_the_leader_says_where_they_meet_before_its_outcome(start):
    process = start()
    begin(process, "meet", 3, attempt=2, place=Place(0, (1, 2), ("here", "here")))
    messages = [m for m in messages_until(process, Outcome) if isinstance(m, Meeting | Outcome)]
    assert messages[0] == Meeting(3, 2, "port 5")
    assert messages[1].metrics["met"] == 5


def test_one_that_is_alone_says_nothing_of_where(start):
    process = start()
    begin(process, "meet", 3)
    messages = messages_until(process, Outcome)
    assert not any(isinstance(message, Meeting) for message in messages)
    assert messages[-1].metrics["met"] == 5


@pytest.mark.parametrize("early", [True, False], ids=["before the trial", "while it runs"])
def test_a_member_hears_where_they_meet(start, tmp_path, early):
    process = start()
    messages_until(process, Loaded)
    if early:
        process.pass_on(Meeting(3, 0, "port 7"))
    begin(process, "meet", 3, place=SECOND)
    if not early:
        wait_for_line(process, tmp_path / "output.txt", "trial 3")
        process.pass_on(Meeting(3, 0, "port 7"))
    assert messages_until(process, PartEnded)[-1] == PartEnded(3)
    assert not process.busy
    wait_for_line(process, tmp_path / "output.txt", "met at port 7")


def test_word_of_an_earlier_attempt_that_comes_late_does_not_hide_that_of_this_one(start, tmp_path):
    process = start()
    for attempt in (1, 0):  # from two leaders, so in any order
        process.pass_on(Meeting(3, attempt, f"port {attempt}"))
    begin(process, "meet", 3, attempt=1, place=SECOND)
    messages_until(process, PartEnded)
    wait_for_line(process, tmp_path / "output.txt", "met at port 1")


def test_word_that_its_trial_did_not_go_to_hear_does_not_reach_the_next_one(start, tmp_path):
    process = start()
    begin(process, "part", 3, place=SECOND)
    process.pass_on(Meeting(3, 0, "port 3"))
    messages_until(process, PartEnded)
    process.pass_on(Meeting(3, 0, "port 3"))
    assert outcome_of(process, "value", 4).value == 0.5
    begin(process, "meet", 3, attempt=1, place=SECOND)
    process.pass_on(Meeting(3, 0, "port 3"))
    process.pass_on(Meeting(3, 1, "port 4"))
    messages_until(process, PartEnded)
    wait_for_line(process, tmp_path / "output.txt", "met at port 4")


def test_a_child_that_follows_one_that_died_while_it_loaded_hears_where_they_meet(start, tmp_path):
    once = f"""
import os, time
if not os.path.exists({str(tmp_path / "seen")!r}):
    while not os.path.exists({str(tmp_path / "told")!r}):
        time.sleep(0.01)
    open({str(tmp_path / "seen")!r}, "w").close()
    os._exit(5)
"""
    process = start(once + SOURCE)
    begin(process, "meet", 3, place=SECOND)
    process.pass_on(Meeting(3, 0, "port 7"))
    (tmp_path / "told").touch()
    messages_until(process, PartEnded)
    wait_for_line(process, tmp_path / "output.txt", "met at port 7")


@pytest.mark.parametrize("trial_id", [2, 3])
def test_what_a_member_returns_is_its_own_affair(start, trial_id):
    process = start()
    begin(process, "part", trial_id, place=SECOND)
    assert messages_until(process, PartEnded)[-1] == PartEnded(trial_id)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("error", "ValueError: wrong shape"),
        ("leave", "the trial's process exited with code 7"),
        (
            "kill",
            "the trial's process was killed by signal 9 (SIGKILL; often the kernel, for lack of memory)",
        ),
    ],
)
def test_what_becomes_of_a_member_is_told_as_of_any_trial(start, what, reason):
    process = start()
    begin(process, what, 3, place=SECOND)
    outcome = messages_until(process, Outcome)[-1]
    assert (outcome.trial_id, outcome.state, outcome.reason) == (3, TrialState.FAILED, reason)
    assert pid_of(process)


def test_what_a_member_reports_stays_with_it(start):
    process = start()
    begin(process, "part", 3, place=SECOND)
    assert not any(isinstance(message, Report) for message in messages_until(process, PartEnded))


def test_a_part_that_goes_on_when_its_trial_is_over_is_ended_and_the_next_child_is_fresh(start, monkeypatch):
    monkeypatch.setattr(processes, "PART_GRACE_S", 0.5)
    process = start()
    pid = pid_of(process)
    begin(process, "hang", 3, place=SECOND)
    began = time.monotonic()
    process.disband(3)
    outcome = messages_until(process, Outcome)[-1]
    assert 0.5 <= time.monotonic() - began < 3
    assert (outcome.trial_id, outcome.reason) == (3, "its trial was over")
    assert gone(pid)
    assert pid_of(process) != pid


def test_a_part_that_ends_soon_after_its_trial_keeps_its_child(start):
    process = start()
    pid = pid_of(process)
    begin(process, "slow", 3, place=SECOND)
    process.disband(3)
    assert messages_until(process, PartEnded)[-1] == PartEnded(3)
    assert pid_of(process) == pid


@pytest.mark.parametrize("trial_id", [2, 4])
def test_word_that_another_trial_is_over_harms_none(start, monkeypatch, trial_id):
    monkeypatch.setattr(processes, "PART_GRACE_S", 0.0)
    process = start()
    process.disband(trial_id)
    begin(process, "slow", 3)
    process.disband(trial_id)
    assert messages_until(process, Outcome)[-1].value == 0.5
    process.disband(3)  # the two crossed on their way
    assert outcome_of(process, "slow", 4).value == 0.5


def test_a_trial_that_is_over_before_it_began_never_does_and_the_child_loads_once(start):
    process = start("import time\ntime.sleep(0.5)\n" + SOURCE)
    began = time.monotonic()
    begin(process, "hang", 3, place=SECOND)
    process.disband(3)
    assert messages_until(process, PartEnded)[-1] == PartEnded(3)
    assert time.monotonic() - began < 0.4  # the rank is free at once; the next trial waits for the child
    assert outcome_of(process, "value", 4).value == 0.5


@pytest.mark.parametrize("trial_id", [1, 2], ids=["goes on", "ends its part meanwhile"])
def test_a_member_that_breaks_a_limit_fails_the_trial_even_if_it_does_its_part(start, monkeypatch, trial_id):
    monkeypatch.setattr(processes, "GRACE_S", 2.0)
    process = start(limits=Limits(memory_bytes=2**27))
    pid = pid_of(process)
    begin(process, "gorge", trial_id, place=SECOND)
    outcome = messages_until(process, Outcome, PartEnded)[-1]
    assert "more than the trial memory of 128 MiB" in outcome.reason
    assert (outcome.trial_id, outcome.state) == (trial_id, TrialState.FAILED)
    assert pid_of(process) != pid


def test_a_member_that_runs_too_long_fails_the_trial(start):
    process = start(limits=Limits(timeout_s=0.5))
    begin(process, "hang", 3, place=SECOND)
    assert messages_until(process, Outcome)[-1].reason == "it ran longer than the trial timeout of 0.5 s"


def test_a_member_that_waits_for_the_leader_can_be_asked_to_leave(start):
    process = start()
    messages_until(process, Loaded)
    begin(process, "meet", 3, place=SECOND)
    wait_until(lambda: process.poll() == [] and process.busy)
    process.terminate()
    wait_until(lambda: process.poll() == [] and not process.sources)
    assert not process.busy
