"""Trials that do everything wrong, mixed with good ones: each is accounted for, none harms another."""

import contextlib
import time

import psutil
import pytest

from deephpo.storage.journal import read_journal
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.trial import TrialState

PROBLEM = r"""
import ctypes, os, signal, sys, threading, time
from deephpo import Categorical, Float, Problem, Space

KINDS = ["good", "good2", "good3", "exception", "exit", "segfault", "kill", "c_loop", "memory", "nan", "none",
         "huge_metrics", "thread_reports", "fork", "flood"]

def run(config, ctx):
    kind = config["kind"]
    if kind == "exception":
        raise RuntimeError("on purpose")
    if kind == "exit":
        os._exit(7)
    if kind == "segfault":
        ctypes.string_at(0)
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "c_loop":
        sum(iter(int, 1))
    if kind == "memory":
        block = bytearray(4 * 2**30)
        block[::4096] = b"x" * len(block[::4096])
        time.sleep(60)
    if kind == "nan":
        return float("nan")
    if kind == "none":
        return None
    if kind == "huge_metrics":
        return {"objective": config["x"], **{f"metric_{i}": float(i) for i in range(5000)}}
    if kind == "thread_reports":
        threads = [threading.Thread(target=ctx.report, args=(step,), kwargs={"a": 1.0}) for step in range(20)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    if kind == "fork" and os.fork() == 0:
        time.sleep(600)
    if kind == "flood":
        for _ in range(500):
            os.write(1, b"x" * 100_000)
    return config["x"]

problem = Problem(Space([Categorical("kind", KINDS), Float("x", 0.0, 1.0)]), run)
"""

FAILS = {"exception", "exit", "segfault", "kill", "c_loop", "memory", "nan", "none"}


@pytest.mark.parametrize("driver", ["local", "mpi"])
def test_all_trials_are_accounted_for(driver, jobs, tmp_path, figure):
    problem, directory, trials = tmp_path / "bad.py", tmp_path / "run", 300 if jobs.long else 60
    problem.write_text(PROBLEM)
    launch = [*jobs.ulfm, 4] if driver == "mpi" else []
    workers = [] if driver == "mpi" else ["--workers", 3]
    limits = ["--trial-timeout", "3s", "--trial-memory", "1G"]
    search = [jobs.deephpo, "search", problem, "--search", "random", "--seed", 1, *limits, *workers]
    process = jobs.start(*launch, *search, "--trials", trials, "--run-dir", directory)
    grown = memory_growth(jobs, process, directory)
    assert process.returncode == 0
    state = RunState(read_journal(RunDirectory(directory).journal))
    assert state.done == trials
    for trial in state.trials.values():
        expected = TrialState.FAILED if trial.config["kind"] in FAILS else TrialState.COMPLETED
        assert trial.state is expected, (trial.config, trial.reason)
        assert trial.reason if expected is TrialState.FAILED else trial.value == trial.config["x"]
    bad = state.counts[TrialState.FAILED]
    figure(
        f"{driver}: {trials} trials, {bad} of them failed as they should; the ranks grew by {grown:.0f} MiB"
    )
    assert grown < 20
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(problem) in (p.info["cmdline"] or [])]


def memory_growth(jobs, process, directory):
    """Wait for the end; returns by how many MiB the search process that grew most did while it searched."""
    journal = RunDirectory(directory).journal
    first, last = {}, {}
    while not jobs.wait_until(lambda: process.poll() is not None, 0.5):
        if journal.exists() and b'"Finished"' in journal.read_bytes()[-500:]:
            continue  # now it draws the picture
        for member in jobs.ranks_of(process, directory) or [psutil.Process(process.pid)]:
            with contextlib.suppress(psutil.Error):
                last[member.pid] = member.memory_info().rss
                if time.time() - member.create_time() > 12:  # until then it imports, h5py as the last
                    first.setdefault(member.pid, last[member.pid])
    return max((last[pid] - first[pid] for pid in first), default=0) / 2**20
