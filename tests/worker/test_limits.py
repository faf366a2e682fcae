"""Limits on trials: real trials that break them, and what is left of those."""

import os
import subprocess
import sys
import time
from multiprocessing.connection import wait

import psutil
import pytest

from deephpo.errors import OptionError
from deephpo.trial import Outcome, Report, TrialState
from deephpo.worker import process as processes
from deephpo.worker.limits import Limits, parse_memory, tree_memory_bytes
from deephpo.worker.messages import Assignment, Loaded
from deephpo.worker.process import TrialProcess

SOURCE = """
import multiprocessing, os, signal, subprocess, sys, time
from deephpo import Categorical, Problem

time.sleep(float(os.environ.get("LOADING_S", 0)))

def run(config, ctx):
    ctx.report(0, pid=os.getpid())
    return globals()[config["what"]](ctx)

def value(ctx):
    return {"objective": 0.5, "pid": os.getpid()}

def hang(ctx):
    time.sleep(1000)

def loop_in_c(ctx):
    return sum(iter(int, 1))

def deaf(ctx):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(1000)

def deaf_in_c(ctx):
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    return sum(iter(int, 1))

def save(ctx, then=lambda: 0.25):
    class Enough(Exception):
        pass
    def enough(number, frame):
        raise Enough
    signal.signal(signal.SIGTERM, enough)
    try:
        time.sleep(1000)
    except Enough:
        (ctx.directory / "saved").write_text("weights")
        return then()

def save_and_hang(ctx):
    return save(ctx, lambda: time.sleep(1000))

def save_and_die(ctx):
    return save(ctx, lambda: os._exit(9))

def allocate(ctx):
    block = bytearray(300 << 20)
    time.sleep(1000)

def keep(ctx):
    globals()["block"] = bytearray(300 << 20)
    return save(ctx)

def allocate_in_children(ctx):
    code = "block = bytearray(150 << 20); import time; time.sleep(1000)"
    for place in (1, 2):
        child = subprocess.Popen([sys.executable, "-c", code])
        ctx.report(place, pid=child.pid)
    time.sleep(1000)

def load(queue):
    while True:
        queue.put(os.getpid())

def data_loaders(ctx):
    queue = multiprocessing.get_context("fork").Queue(4)
    for place in (1, 2, 3):
        loader = multiprocessing.get_context("fork").Process(target=load, args=(queue,), daemon=place < 3)
        loader.start()
        ctx.report(place, pid=loader.pid)
    while True:
        queue.get()

def session_of_its_own(ctx):
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    ctx.report(1, pid=child.pid)
    time.sleep(1000)

what = [name for name, thing in list(globals().items()) if callable(thing) and name != "run"]
problem = Problem([Categorical("what", what)], run)
"""

SHORT = Limits(timeout_s=0.4)
TIMED_OUT = "it ran longer than the trial timeout of 0.4 s"


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch):
    monkeypatch.setattr(processes, "GRACE_S", 0.6)


@pytest.fixture
def start(problem_file, tmp_path):
    """Return a function that starts a child with limits on its trials."""
    started = []

    def start(limits, **environment):
        started.append(TrialProcess(problem_file(SOURCE), tmp_path / "output.txt", environment, limits))
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def evaluate(tmp_path):
    """Return a function that runs a trial: its outcome, the pids that it reported, and how long it took."""

    def evaluate(process, what, trial_id=0):
        process.submit(Assignment(trial_id, {"what": what}, 7, str(tmp_path / "trial")))
        pids, began_s, deadline = [], None, time.monotonic() + 30
        while time.monotonic() < deadline:
            wait(process.sources, 0.05)
            for message in process.poll():
                if isinstance(message, Report):
                    began_s = began_s or time.monotonic()
                    pids.append(int(message.metrics["pid"]))
                if isinstance(message, Outcome):
                    assert message.trial_id == trial_id
                    return message, pids, time.monotonic() - began_s
        return pytest.fail(f"{what} did not end")

    return evaluate


def are_gone(pids, within_s=5.0):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        alive = [pid for pid in pids if psutil.pid_exists(pid)]
        if all(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE for pid in alive):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("what", ["hang", "loop_in_c"])
def test_a_trial_that_takes_too_long_is_ended(start, evaluate, what):
    outcome, _, lasted_s = evaluate(start(SHORT), what)
    assert (outcome.state, outcome.reason) == (TrialState.FAILED, TIMED_OUT)
    assert 0.2 < lasted_s < 0.9


@pytest.mark.parametrize("what", ["deaf", "deaf_in_c", "save_and_hang"])
def test_a_trial_that_does_not_end_when_told_is_killed_after_the_grace(start, evaluate, what):
    outcome, pids, lasted_s = evaluate(start(SHORT), what)
    assert (outcome.state, outcome.reason) == (TrialState.FAILED, TIMED_OUT)
    assert 0.8 < lasted_s < 3
    assert are_gone(pids)


@pytest.mark.parametrize("what", ["save", "save_and_die", "save_and_hang"])
def test_a_trial_may_save_its_state_in_the_grace_and_has_failed_all_the_same(start, evaluate, what, tmp_path):
    outcome, _, _ = evaluate(start(SHORT), what)
    assert (outcome.state, outcome.value, outcome.reason) == (TrialState.FAILED, None, TIMED_OUT)
    assert (tmp_path / "trial" / "saved").read_text() == "weights"


@pytest.mark.parametrize("what", ["hang", "loop_in_c", "deaf_in_c", "save", "save_and_die"])
def test_the_next_trial_gets_a_fresh_child_and_all_of_its_time(start, evaluate, what):
    process = start(SHORT)
    _, (pid, *_), _ = evaluate(process, what, 3)
    for trial_id in (4, 5):
        outcome, (next_pid,), _ = evaluate(process, "value", trial_id)
        assert (outcome.state, outcome.value) == (TrialState.COMPLETED, 0.5)
        assert next_pid != pid
    outcome, (last_pid,), _ = evaluate(process, "hang", 6)
    assert (outcome.reason, last_pid) == (TIMED_OUT, next_pid)


def test_the_time_that_it_takes_to_load_the_problem_does_not_count(start, evaluate):
    process = start(SHORT, LOADING_S="1.0")
    assert evaluate(process, "value", 0)[0].state is TrialState.COMPLETED
    assert evaluate(process, "hang", 1)[0].reason == TIMED_OUT
    assert evaluate(process, "value", 2)[0].state is TrialState.COMPLETED


@pytest.mark.parametrize("what", ["allocate", "allocate_in_children", "keep"])
def test_a_trial_whose_process_tree_takes_too_much_memory_is_ended(start, evaluate, what):
    process = start(Limits(memory_bytes=200 << 20))
    outcome, pids, lasted_s = evaluate(process, what, 3)
    assert outcome.state is TrialState.FAILED
    words = outcome.reason.split()
    assert outcome.reason == f"it took {words[2]} MiB of memory, more than the trial memory of 200 MiB"
    assert 200 < int(words[2]) < 500
    assert lasted_s < 4
    assert are_gone(pids)
    # Also a trial that kept its memory when it was told to end costs the next one nothing.
    assert evaluate(process, "value", 4)[0].state is TrialState.COMPLETED


def test_the_memory_of_a_trial_within_its_limit_is_its_own_business(start, evaluate):
    process = start(Limits(timeout_s=1.2, memory_bytes=600 << 20))
    assert "trial timeout" in evaluate(process, "allocate_in_children")[0].reason


@pytest.mark.parametrize("what", ["data_loaders", "allocate_in_children"])
def test_everything_that_a_trial_started_ends_with_it(start, evaluate, what):
    _, pids, _ = evaluate(start(Limits(timeout_s=1.0)), what)
    assert len(pids) >= 3
    assert are_gone(pids)


def test_a_process_that_goes_into_a_session_of_its_own_is_not_caught(start, evaluate):
    """Its memory counts as long as its parent lives, but a process group does not hold it."""
    process = start(SHORT)
    _, (_, pid), _ = evaluate(process, "session_of_its_own")
    process.kill()
    try:
        assert psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    finally:
        psutil.Process(pid).kill()


def test_the_memory_of_a_tree_is_that_of_all_its_processes():
    code = "import subprocess, sys; b = bytearray(50 << 20); print(flush=True); sys.stdin.read()"
    inner = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", inner], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as tree:
        tree.stdout.readline()
        alone, whole = psutil.Process(tree.pid).memory_info().rss, tree_memory_bytes(tree.pid)
        tree.stdin.close()
    assert whole > alone + (50 << 20)
    assert whole == pytest.approx(2 * alone + (50 << 20), rel=0.3)


def test_the_memory_of_a_process_that_is_gone_is_none():
    with subprocess.Popen(["true"]) as gone:
        pass
    assert tree_memory_bytes(gone.pid) == 0
    assert tree_memory_bytes(os.getpid()) > 1 << 20


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512M", 512 << 20),
        ("4G", 4 << 30),
        ("1.5T", 3 << 39),
        ("2.5g", 5 << 29),
        ("64k", 1 << 16),
    ],
)
def test_a_memory_size_has_a_unit(text, size):
    assert parse_memory(text) == size


@pytest.mark.parametrize(
    "text", ["", "G", "1000000", "much", "4GB", "-1G", "0", "nan", "inf", "infG", "4 Gi"]
)
def test_another_memory_size_is_refused(text):
    with pytest.raises(OptionError, match=r"A memory size is written 512M, 4G or 1.5T, not"):
        parse_memory(text)


def test_a_child_that_is_idle_or_loads_breaks_no_limit(start):
    process = start(Limits(timeout_s=0.1, memory_bytes=1))
    seen, deadline = [], time.monotonic() + 2
    while time.monotonic() < deadline:
        wait(process.sources, 0.1)
        seen += process.poll()
    assert [type(message) for message in seen] == [Loaded]
