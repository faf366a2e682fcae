"""Batch systems tell every process of a job to end, on a node or on all; trials have ways of their own."""

import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from deephpo.storage.journal import read_journal
from deephpo.storage.records import Ended, Reported, Started
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.trial import TrialState

BIN = Path(sys.executable).parent
FAULT_TOLERANT = ("--with-ft", "ulfm")

LEAVES = """
import signal, sys, time
from deephpo import Float, Problem

def run(config, ctx):
    def leave(number, frame):
        {leave}
    signal.signal(signal.SIGTERM, leave)
    ctx.report(0, ready=1.0)
    if ctx.attempt == 0:
        time.sleep(100)
    return config["x"]

problem = Problem([Float("x", 0.0, 1.0)], run)
"""
LEAVES_IN_STEP = """
import signal, sys, time
from deephpo import Float, Problem

def run(config, ctx):
    left = ctx.directory / "left"
    def leave(number, frame):
        left.touch()
        time.sleep(0.5)
        sys.exit(143)
    signal.signal(signal.SIGTERM, leave)
    (ctx.directory / f"rank{ctx.rank}").touch()
    if ctx.attempt == 0:
        while not left.exists():
            time.sleep(0.01)
        if ctx.rank == 0:
            raise ConnectionError("a peer is gone")
        time.sleep(100)
    return config["x"]

problem = Problem([Float("x", 0.0, 1.0)], run)
"""
WAYS = pytest.mark.parametrize("leave", ["sys.exit(143)", "raise RuntimeError('told to end')"])


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def local_job():
    """Return a context manager that starts ``deephpo`` by itself; nothing of it outlives the block."""

    @contextmanager
    def start(*words):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        with subprocess.Popen([str(word) for word in (BIN / "deephpo", *words)], **pipes) as job:
            try:
                yield job
            finally:
                job.kill()

    return start


def all_report(trials):
    return lambda records: len({r.report.trial_id for r in records if isinstance(r, Reported)}) == trials


def tell_to_end(*processes):
    """Send SIGTERM to processes and to all that they started, parents first."""
    below = [child for process in processes for child in process.children(recursive=True)]
    for process in [*processes, *below]:
        process.send_signal(signal.SIGTERM)


def ends(directory):
    return [record.outcome for record in read_journal(directory.journal) if isinstance(record, Ended)]


@pytest.mark.mpi
@WAYS
def test_trials_that_leave_in_their_own_way_when_a_node_ends_go_out_again(
    leave, mpi_job, ranks_of, records_once, problem_file, directory
):
    words = ("search", problem_file(LEAVES.format(leave=leave)), "--search", "random", "--trials", 2)
    with mpi_job(3, *words, "--run-dir", directory.path, launcher=FAULT_TOLERANT) as job:
        records_once(directory.journal, all_report(2))
        ranks = ranks_of(job)
        tell_to_end(ranks[1], ranks[2])
        shown, _ = job.communicate(timeout=60)
    assert job.returncode == 0, shown
    outcomes = ends(directory)
    assert [outcome.state for outcome in outcomes] == [TrialState.PREEMPTED] * 2 + [TrialState.COMPLETED] * 2
    assert all(outcome.reason.startswith("its job was ending: ") for outcome in outcomes[:2])


@pytest.mark.mpi
def test_a_trial_of_several_ranks_of_which_one_is_told_to_end_goes_out_again(
    mpi_job, ranks_of, records_once, problem_file, directory
):
    """The leader sees its peer leave, and fails of it, before anybody has said why."""
    words = ("search", problem_file(LEAVES_IN_STEP), "--search", "random", "--trials", 1)
    words += ("--ranks-per-trial", 2, "--run-dir", directory.path)
    with mpi_job(3, *words, launcher=FAULT_TOLERANT) as job:
        ready = [directory.trials / "000000" / f"rank{rank}" for rank in (0, 1)]
        records = records_once(directory.journal, lambda _: all(path.exists() for path in ready))
        (started,) = [record for record in records if isinstance(record, Started)]
        tell_to_end(ranks_of(job)[started.others[0]])
        shown, _ = job.communicate(timeout=60)
    assert job.returncode == 0, shown
    assert [outcome.state for outcome in ends(directory)] == [TrialState.PREEMPTED, TrialState.COMPLETED]


@pytest.mark.parametrize("driver", ["local", pytest.param("mpi", marks=pytest.mark.mpi)])
@WAYS
def test_no_trial_has_failed_when_every_process_was_told_to_end(
    leave, driver, deephpo, mpi_job, ranks_of, records_once, problem_file, directory, local_job
):
    words = ("search", problem_file(LEAVES.format(leave=leave)), "--search", "random", "--trials", 3)
    words += ("--run-dir", directory.path)
    with mpi_job(4, *words) if driver == "mpi" else local_job(*words, "--workers", 3) as job:
        records_once(directory.journal, all_report(3))
        # All ranks, the master last, and then all that they started.
        tell_to_end(*reversed(ranks_of(job).values()) if driver == "mpi" else [psutil.Process(job.pid)])
        shown, _ = job.communicate(timeout=60)
    assert job.returncode == 75, shown
    assert {outcome.state for outcome in ends(directory)} == {TrialState.PREEMPTED}
    done = deephpo("resume", directory.path, *(() if driver == "mpi" else ("--workers", 2)))
    assert done.returncode == 0, done.stderr
    assert +RunState(read_journal(directory.journal)).counts == {TrialState.COMPLETED: 3}
