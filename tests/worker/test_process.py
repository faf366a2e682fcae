import json
import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import wait
from pathlib import Path

import pytest

from deephpo.trial import Outcome, Report, TrialState
from deephpo.worker import process as processes
from deephpo.worker.limits import Limits
from deephpo.worker.messages import Assignment, Gone, Lasted, Loaded, Meeting, PartEnded
from deephpo.worker.place import Place
from deephpo.worker.process import TrialProcess

SOURCE = """
import ctypes, os, signal, stat, subprocess, sys, threading, time
from deephpo import Categorical, Problem, Space, TrialStopped

def run(config, ctx):
    print("trial", ctx.trial_id, flush=True)
    ctx.report(0, pid=os.getpid())
    return globals()[config["what"]](ctx)

def value(ctx):
    return {"loss": 0.5, "pid": os.getpid()}

def slow(ctx):
    for step in range(1, 4):
        time.sleep(0.2)
        ctx.report(step, loss=1 / step)
    return 0.5

def hang(ctx):
    time.sleep(1000)

def error(ctx):
    raise ValueError("wrong shape")

def leave(ctx):
    print("last words")
    os._exit(7)

def kill(ctx):
    os.kill(os.getpid(), signal.SIGKILL)

def told_to_end(ctx):
    os.kill(os.getpid(), signal.SIGTERM)

def crash(ctx):
    print("before the crash")
    ctypes.string_at(0)

def chat(ctx):
    os.write(1, b"last line without an end")
    return 0.5

def parent(ctx):
    child = subprocess.Popen(["sleep", "1000"])
    ctx.report(1, grandchild=child.pid)
    time.sleep(1000)

def orphan(ctx):
    child = subprocess.Popen(["sleep", "1000"])
    ctx.report(1, grandchild=child.pid)
    os._exit(1)

def speak(ctx):
    names = [name for name in os.environ if name.startswith(("OMPI_", "PMIX_"))]
    return {"loss": len(names), "threads": int(os.environ.get("OMP_NUM_THREADS", 0))}

def noise(ctx):
    line = next(int(fd) for fd in os.listdir("/proc/self/fd") if is_socket(int(fd)))
    os.write(line, bytes([0, 0, 0, 9]) + b"no pickle")
    time.sleep(1000)

def is_socket(descriptor):
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False

def fork(ctx):
    if os.fork() == 0:
        ctx.report(1, pid=os.getpid())
        return 9.0
    time.sleep(0.3)
    return 0.5

def forks_that_exit(ctx):
    if os.fork() == 0:
        sys.exit(3)
    time.sleep(0.3)
    return 0.5

def fork_that_stays(ctx):
    child = os.fork()
    if child == 0:
        time.sleep(1000)
    return {"loss": 0.5, "pid": os.getpid(), "fork": child}

def leaves_a_thread_that_asks(ctx):
    def ask():
        while not ctx.should_stop():
            time.sleep(0.001)
    threading.Thread(target=ask, daemon=True).start()
    return value(ctx)

def threads(ctx):
    def report(thread):
        for step in range(200):
            ctx.report(step, thread=thread, text=step)
    started = [threading.Thread(target=report, args=(k,)) for k in range(8)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return 0.5

def interrupted(ctx):
    handled = []
    def report(number, frame):
        handled.append(number)
        ctx.report(len(handled), handler=1.0)
    signal.signal(signal.SIGALRM, report)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    for step in range(5000):
        ctx.report(step, main=1.0)
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    return {"loss": 0.5, "handled": len(handled)}

def wide(ctx):
    ctx.report(1, **{f"metric {k}": k / 7 for k in range(10_000)})
    return {"loss": 0.5} | {f"metric {k}": k / 7 for k in range(10_000)}

def flood(ctx):
    for _ in range(50):
        os.write(1, b"x" * (1 << 20))
    return 0.5

def last_will(ctx):
    def write(number, frame):
        os.write(1, b"will " * 100_000)
        for step in range(1, 3000):
            ctx.report(step, will=1.0)
        ctx.directory.joinpath("will").write_text("all to the master")
        os._exit(0)
    signal.signal(signal.SIGTERM, write)
    ctx.report(1, ready=1.0)
    time.sleep(1000)

def meet(ctx):
    where = ctx._rendezvous.agree(lambda: "port 5")
    print("met at", where, flush=True)
    return {"loss": 0.5, "met": float(where.split()[1])} if ctx.rank == 0 else None

def part(ctx):
    print("part", os.getpid(), flush=True)
    return "anything" if ctx.trial_id % 2 else None

def train(ctx):
    for step in range(1, 1000):
        ctx.report(step, loss=1 / step)
        time.sleep(0.01)
    return 0.5

def ignore(ctx):
    signal.signal(signal.SIGTERM, lambda *_: ctx.directory.joinpath("asked").touch())
    try:
        train(ctx)
    except BaseException:
        time.sleep(1000)

def deaf(ctx):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("asked to leave"))
    time.sleep(1000)

def late(ctx):
    while not ctx.stopped:
        time.sleep(0.01)
    time.sleep(0.3)
    return {"loss": 0.5, "pid": os.getpid()}

def dies_of_it(ctx):
    while not ctx.should_stop():
        time.sleep(0.01)
    os._exit(7)

def is_told_to_end(ctx):
    while not ctx.should_stop():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(1000)

def threads_that_ask(ctx):
    asked = []
    def ask(thread):
        for step in range(10_000):
            if ctx.should_stop():
                asked.append(thread)
                return
            if step % 8 == thread:
                try:
                    ctx.report(step + 1, thread=thread)
                except TrialStopped:
                    asked.append(thread)
                    return
            time.sleep(0.001)
    started = [threading.Thread(target=ask, args=(k,)) for k in range(8)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return {"loss": 0.5, "asked": len(set(asked))}

def gorge(ctx):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    food = bytearray(2**28)
    print("full", len(food), flush=True)
    if ctx.trial_id == 1:
        time.sleep(1000)
    time.sleep(1)

def shut(ctx):
    os.closerange(3, 100)
    time.sleep(1000)

what = [name for name, thing in list(globals().items()) if callable(thing) and name != "run"]
problem = Problem(Space([Categorical("what", what)]), run, objective="loss", duration=lambda config: 42)
"""


@pytest.fixture
def start(problem_file, tmp_path):
    """Return a function that starts the keeper of a child for some source text."""
    started = []

    def start(source=SOURCE, **options):
        started.append(TrialProcess(problem_file(source), tmp_path / "output.txt", **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def messages_until(process, *kinds, count=1):
    """Return what the child says up to the message of this kind, the last of so many."""
    messages, deadline = [], time.monotonic() + 30
    while sum(isinstance(message, kinds) for message in messages) < count:
        assert time.monotonic() < deadline, messages
        wait(process.sources, 0.05)
        messages += process.poll()
    return messages


def begin(process, what, trial_id=0, directory="/nowhere", **options):
    process.submit(Assignment(trial_id, {"what": what}, 7, str(directory), **options))


def outcome_of(process, what, trial_id=0):
    begin(process, what, trial_id)
    return messages_until(process, Outcome)[-1]


def pid_of(process):
    """Return the process id of the child, by its own account."""
    return outcome_of(process, "value").metrics["pid"]


def gone(pid):
    """Return whether a process has ended; one that nobody has asked about yet has."""
    try:
        return Path(f"/proc/{int(pid)}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def wait_until(true):
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


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


def test_a_fork_that_stays_ends_with_its_parent(start):
    process = start()
    outcome = outcome_of(process, "fork_that_stays", 1)
    assert outcome_of(process, "value", 2).metrics["pid"] == outcome.metrics["pid"]
    assert not gone(outcome.metrics["fork"])
    assert outcome_of(process, "kill", 3).state is TrialState.FAILED
    wait_until(lambda: gone(outcome.metrics["fork"]))


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


# A member of a gang.

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


# A trial that a stopping rule ends.


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
