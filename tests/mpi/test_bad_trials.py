"""Sixty trials of which most misbehave, in every driver that has real children: all are accounted for."""

import re

import psutil
import pytest

from deephpo.storage.journal import read_journal
from deephpo.storage.records import Ended, Reported, Started, WorkerLost
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.trial import TrialState

TRIALS = 60
LIMITS = ("--trial-timeout", "3s", "--trial-memory", "400M")

MISDEEDS = {
    "error": r"ValueError: wrong shape",
    "leave": r"the trial's process exited with code 9",
    "crash": r"the trial's process was killed by signal 11 \(SIGSEGV\)",
    "kill": r"the trial's process was killed by signal 9 \(SIGKILL",
    "loop_in_c": r"it ran longer than the trial timeout of 3 s",
    "allocate": r"it took \d+ MiB of memory, more than the trial memory of 400 MiB",
    "not_a_number": r"loss is nan",
    "nothing": r"run\(\) returned None",
}
ODDITIES = ("wide", "threads", "fork_that_stays", "fork_that_returns", "flood", "good", "good")
DEEDS = (*MISDEEDS, *ODDITIES)

SOURCE = """
import ctypes, os, signal, threading, time
from deephpo import Float, Problem

DEEDS = {deeds}

def run(config, ctx):
    ctx.report(0, loss=config["x"])
    what = DEEDS[ctx.trial_id % len(DEEDS)]
    globals().get(what, good)(ctx)
    if what == "not_a_number":
        return float("nan")
    if what == "nothing":
        return None
    if what == "wide":
        return {{"loss": config["x"]}} | {{f"metric {{k}}": k / 7 for k in range(10_000)}}
    return config["x"]

def good(ctx):
    time.sleep(0.05)

def error(ctx):
    raise ValueError("wrong shape")

def leave(ctx):
    os._exit(9)

def crash(ctx):
    ctypes.string_at(0)

def kill(ctx):
    os.kill(os.getpid(), signal.SIGKILL)

def loop_in_c(ctx):
    sum(iter(int, 1))

def allocate(ctx):
    block = bytearray(800 << 20)
    time.sleep(100)

def threads(ctx):
    def report(thread):
        for step in range(50):
            ctx.report(step, thread=thread)
    started = [threading.Thread(target=report, args=(k,)) for k in range(4)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()

def fork_that_stays(ctx):
    if os.fork() == 0:
        time.sleep(1000)

def fork_that_returns(ctx):
    if os.fork() != 0:
        time.sleep(0.2)

def flood(ctx):
    for _ in range(50):
        os.write(1, b"x" * (1 << 20))

problem = Problem([Float("x", 0.0, 1.0)], run, objective="loss")
"""


@pytest.mark.parametrize("driver", ["local", pytest.param("mpi", marks=pytest.mark.mpi)])
def test_sixty_bad_trials_hurt_neither_the_search_nor_the_good_ones(
    driver, deephpo, mpirun, problem_file, tmp_path
):
    directory = RunDirectory(tmp_path / "run")
    problem = problem_file(SOURCE.format(deeds=DEEDS))
    words = (problem, "--trials", TRIALS, "--search", "random", "--run-dir", directory.path, *LIMITS)
    if driver == "mpi":
        ended = mpirun(4, "search", *words, timeout=120)
    else:
        ended = deephpo("search", *words, "--workers", 3, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, "")
    records = list(read_journal(directory.journal))
    for kind in (Started, Ended):
        assert sum(isinstance(record, kind) for record in records) == TRIALS
    assert not any(isinstance(record, WorkerLost) for record in records)
    state = RunState(records)
    assert sorted(state.trials) == list(range(TRIALS))
    for trial in state.ended:
        what = DEEDS[trial.id % len(DEEDS)]
        if what in MISDEEDS:
            assert trial.state is TrialState.FAILED, what
            assert re.match(MISDEEDS[what], trial.reason), (what, trial.reason)
        else:
            assert (trial.state, trial.value) == (TrialState.COMPLETED, trial.config["x"]), what
    assert {len(t.metrics) for t in state.ended if DEEDS[t.id % len(DEEDS)] == "wide"} == {10_001}
    told = [
        record for record in records if isinstance(record, Reported) and "thread" in record.report.metrics
    ]
    assert len(told) == 200 * (TRIALS // len(DEEDS))
    assert all(path.stat().st_size <= 2**24 for path in directory.outputs.iterdir())
    assert len(directory.table.read_text().splitlines()) == TRIALS + 1
    left = [p for p in psutil.process_iter(["cmdline"]) if problem in (p.info["cmdline"] or ())]
    assert psutil.wait_procs(left, timeout=10)[1] == []


EDITS_ITSELF = """
import os, time
from deephpo import Float, Problem

def run(config, ctx):
    if ctx.trial_id == 4:
        with open(__file__) as file:
            source = file.read()
        with open(__file__, "w") as file:
            file.write(source.replace("Float('x', 0.0,", "Float('x', -5.0,"))
        os._exit(1)
    time.sleep(0.1)
    return config["x"]

problem = Problem([Float('x', 0.0, 1.0)], run)
"""


@pytest.mark.parametrize("driver", ["local", pytest.param("mpi", marks=pytest.mark.mpi)])
def test_a_child_that_loads_another_declaration_costs_its_worker_and_the_others_go_on(
    driver, deephpo, mpirun, problem_file, tmp_path
):
    directory = RunDirectory(tmp_path / "run")
    problem = problem_file(EDITS_ITSELF)
    words = ("search", problem, "--trials", 20, "--search", "random", "--run-dir", directory.path)
    ended = mpirun(4, *words) if driver == "mpi" else deephpo(*words, "--workers", 3)
    assert (ended.returncode, ended.stderr) == (0, "")
    records = list(read_journal(directory.journal))
    (lost,) = (record for record in records if isinstance(record, WorkerLost))
    assert lost.reason == f"{problem} was changed while the search ran; end it, or undo the change"
    assert lost.reason in ended.stdout
    state = RunState(records)
    assert state.trials[4].state is TrialState.FAILED
    assert +state.counts == {TrialState.COMPLETED: 19, TrialState.FAILED: 1}
    assert all(trial.config["x"] >= 0.0 for trial in state.ended)
    # And whoever resumes it is told.
    again = deephpo("resume", directory.path)
    assert again.returncode == 2
    assert "the bounds of 'x' were 0 to 1 and are -5 to 1" in again.stderr
