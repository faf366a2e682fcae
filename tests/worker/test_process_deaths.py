"""How a trial's process ends, loads or leaves: what that costs, who follows it, and what goes with it."""

import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import wait

import pytest

from deephpo.trial import Outcome, Report, TrialState
from deephpo.worker.messages import Gone, Loaded
from tests.worker.child_under_test import SOURCE, begin, gone, messages_until, outcome_of, pid_of, wait_until


def test_an_exception_costs_a_trial_and_no_child(start):
    process = start()
    pid = pid_of(process)
    outcome = outcome_of(process, "error", 3)
    assert (outcome.trial_id, outcome.state) == (3, TrialState.FAILED)
    assert outcome.reason == "ValueError: wrong shape"
    assert 'task.py", line' in outcome.detail
    assert pid_of(process) == pid


@pytest.mark.parametrize(
    ("death", "reason", "detail"),
    [
        ("leave", "exited with code 7", "last words"),
        ("kill", "was killed by signal 9 (SIGKILL; often the kernel, for lack of memory)", "trial 3"),
        ("crash", "was killed by signal 11 (SIGSEGV)", "before the crash"),
        ("crash", "was killed by signal 11 (SIGSEGV)", "in crash"),
    ],
)
def test_a_childs_death_costs_one_trial_and_one_child(start, death, reason, detail):
    process = start()
    pid = pid_of(process)
    outcome = outcome_of(process, death, 3)
    assert (outcome.trial_id, outcome.state) == (3, TrialState.FAILED)
    assert outcome.reason == f"the trial's process {reason}"
    assert detail in outcome.detail
    next_outcome = outcome_of(process, "value", 4)
    assert next_outcome.value == 0.5
    assert next_outcome.metrics["pid"] != pid


@pytest.mark.parametrize("attempt", [0, 2, 9])
def test_a_trial_that_a_batch_system_tells_to_end_is_preempted_whatever_befell_it_in_earlier_jobs(
    start, attempt
):
    process = start()
    begin(process, "told_to_end", attempt=attempt)
    outcome = messages_until(process, Outcome)[-1]
    assert "was killed by signal 15 (SIGTERM)" in outcome.reason
    assert outcome.state is TrialState.PREEMPTED


def test_the_detail_of_a_death_holds_nothing_of_the_trials_before(start):
    process = start()
    outcome_of(process, "value", 3)
    assert "trial 3" not in outcome_of(process, "kill", 4).detail


def test_a_child_that_cuts_its_line_is_replaced(start):
    process = start()
    assert outcome_of(process, "shut").state is TrialState.FAILED
    assert outcome_of(process, "value", 1).value == 0.5


def test_a_child_whose_words_make_no_sense_is_replaced(start):
    process = start()
    pid = pid_of(process)
    outcome = outcome_of(process, "noise", 1)
    assert (outcome.trial_id, outcome.state) == (1, TrialState.FAILED)
    assert outcome_of(process, "value", 2).metrics["pid"] != pid


def test_a_fork_that_stays_ends_with_its_parent(start):
    process = start()
    outcome = outcome_of(process, "fork_that_stays", 1)
    assert outcome_of(process, "value", 2).metrics["pid"] == outcome.metrics["pid"]
    assert not gone(outcome.metrics["fork"])
    assert outcome_of(process, "kill", 3).state is TrialState.FAILED
    wait_until(lambda: gone(outcome.metrics["fork"]))


def test_a_trial_that_is_asked_to_leave_is_heard_while_it_does_and_has_no_successor(start, tmp_path):
    process = start()
    begin(process, "last_will", 1, tmp_path)
    messages_until(process, Report, count=2)
    process.terminate()
    deadline = time.monotonic() + 10
    while process.busy:
        assert time.monotonic() < deadline
        wait(process.sources, 0.05)
        process.poll()
    process.poll()
    assert process.sources == []
    assert (tmp_path / "will").read_text() == "all to the master"
    assert not process.busy


def test_a_child_that_still_loads_when_it_is_asked_to_leave_is_not_tried_again(start):
    process = start("import time\ntime.sleep(1000)")
    begin(process, "value")
    process.terminate()
    deadline = time.monotonic() + 10
    while process.sources:
        assert time.monotonic() < deadline
        wait(process.sources, 0.05)
        assert process.poll() == []
    assert not process.busy


def test_a_child_that_dies_between_trials_costs_none(start):
    process = start()
    pid = pid_of(process)
    os.kill(int(pid), signal.SIGKILL)
    assert [type(message) for message in messages_until(process, Loaded)] == [Loaded]
    assert outcome_of(process, "value", 1).value == 0.5


@pytest.mark.parametrize("what", ["parent", "orphan"])
def test_what_a_trial_started_is_killed_with_it(start, what):
    process = start()
    begin(process, what)
    messages = messages_until(process, Report, count=2)
    pids = [pid for m in messages if isinstance(m, Report) for pid in m.metrics.values()]
    if what == "parent":
        process.kill()
    elif not isinstance(messages[-1], Outcome):
        messages_until(process, Outcome)
    wait_until(lambda: all(gone(pid) for pid in pids))


def test_killing_twice_is_no_error(start):
    process = start()
    process.kill()
    process.kill()


def test_the_child_dies_when_its_parent_is_killed(problem_file):
    keeper = """
import sys
from multiprocessing.connection import wait
from deephpo.trial import Report
from deephpo.worker.messages import Assignment
from deephpo.worker.process import TrialProcess
process = TrialProcess(sys.argv[1])
process.submit(Assignment(0, {"what": "hang"}, 7, "/nowhere"))
while True:
    wait(process.sources)
    for message in process.poll():
        if isinstance(message, Report):
            print(int(message.metrics["pid"]), flush=True)
"""
    command = [sys.executable, "-c", keeper, problem_file(SOURCE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert not gone(pid)
        parent.kill()
    wait_until(lambda: gone(pid))


def test_a_problem_that_cannot_be_loaded_is_given_up_at_once(start):
    process = start("x = 1\nraise ValueError('no')\n")
    (message,) = messages_until(process, Gone)
    assert message.reason.endswith("task.py, line 2: ValueError: no.")


def test_a_problem_that_kills_its_process_is_tried_three_times(start, tmp_path):
    process = start("import os\nprint('loading', flush=True)\nos._exit(5)\n")
    begin(process, "value")
    (message,) = messages_until(process, Gone)
    assert message.reason == "the problem's process exited with code 5 while it loaded the problem.\nloading"
    assert (tmp_path / "output.txt").read_text() == "loading\n" * 3


def test_a_trial_waits_for_a_child_that_needs_a_second_start(start, tmp_path):
    once = f"""
import os
if not os.path.exists({str(tmp_path / "seen")!r}):
    open({str(tmp_path / "seen")!r}, "w").close()
    os._exit(5)
"""
    process = start(once + SOURCE)
    outcome = outcome_of(process, "value", 6)
    assert (outcome.trial_id, outcome.value) == (6, 0.5)
