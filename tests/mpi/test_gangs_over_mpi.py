"""Trials on several ranks, over real MPI: gangs form, fail and form anew."""

import os
import signal
import time
from collections import Counter

import psutil
import pytest

from deephpo.storage.journal import read_journal
from deephpo.storage.records import Ended, Reported, Started, WorkerLost
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.trial import TrialState

pytestmark = pytest.mark.mpi

MIXED = """
import time
from deephpo import Categorical, Float, Problem

def run(config, ctx):
    where = ctx._rendezvous.agree(lambda: f"trial {ctx.trial_id} of {ctx.size}")
    assert where == f"trial {ctx.trial_id} of {ctx.size}"
    assert ctx.size == config["ranks"] and ctx.local_rank == ctx.rank < ctx.size
    time.sleep(0.05 + 0.1 * config["x"])
    if ctx.rank == 0:
        return config["x"]

problem = Problem(
    [Float("x", 0.0, 1.0), Categorical("ranks", [1, 2, 4])], run, ranks=lambda config: config["ranks"]
)
"""

FATES = """
import os, signal, time
from deephpo import Float, Problem

def run(config, ctx):
    open(os.path.join({pids!r}, f"{{ctx.trial_id}}-{{ctx.rank}}-{{os.getpid()}}"), "w").close()
    if ctx.trial_id == 0 and ctx.rank == 1:
        raise ValueError("rank 1 cannot")
    if ctx.trial_id == 2 and ctx.rank == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    if ctx.trial_id == 4 and ctx.rank == 0:
        os._exit(9)
    time.sleep(30 if ctx.trial_id in (0, 2, 4, 6) else 1.0)
    return config["x"]

problem = Problem([Float("x", 0.0, 1.0)], run, trial_timeout=4.0)
"""

LONG = """
import os, time
from deephpo import Float, Problem

def run(config, ctx):
    if ctx.attempt == 0 and ctx.trial_id == 0:
        ctx.report(1, loss=1.0)
        time.sleep(60)
    return config["x"]

problem = Problem([Float("x", 0.0, 1.0)], run, objective="loss")
"""


def ended(records, state):
    return {
        r.outcome.trial_id: r.outcome for r in records if isinstance(r, Ended) and r.outcome.state is state
    }


def test_trials_of_one_two_and_four_ranks_in_one_search(mpirun, problem_file, tmp_path):
    directory = RunDirectory(tmp_path / "run")
    words = ("search", problem_file(MIXED), "--search", "random", "--seed", 4, "--trials", 30)
    done = mpirun(9, *words, "--run-dir", directory.path)
    assert (done.returncode, done.stderr) == (0, "")
    records = list(read_journal(directory.journal))
    assert RunState(records).counts == {TrialState.COMPLETED: 30}
    started = {record.trial_id: record.workers for record in records if isinstance(record, Started)}
    sizes = {trial.id: trial.config["ranks"] for trial in RunState(records).trials.values()}
    assert {k: len(set(workers)) for k, workers in started.items()} == sizes
    assert set(sizes.values()) == {1, 2, 4}
    assert set().union(*started.values()) == set(range(1, 9))


def test_one_that_fails_ends_its_gang_and_the_ranks_train_the_next_trial(mpirun, problem_file, tmp_path):
    pids = tmp_path / "pids"
    pids.mkdir()
    directory = RunDirectory(tmp_path / "run")
    words = ("search", problem_file(FATES.format(pids=str(pids))), "--search", "random", "--seed", 1)
    began_s = time.monotonic()
    done = mpirun(5, *words, "--trials", 20, "--ranks-per-trial", 2, "--run-dir", directory.path)
    assert done.returncode == 0, done.stdout
    assert time.monotonic() - began_s < 50  # the timeouts and the graces, but none of the 30 seconds
    records = list(read_journal(directory.journal))
    failed = ended(records, TrialState.FAILED)
    assert set(failed) == {0, 2, 4, 6}
    assert failed[0].reason == "on rank 1 of its 2: ValueError: rank 1 cannot"
    assert "on rank 1 of its 2: the trial's process was killed by signal 11" in failed[2].reason
    assert "on rank 0 of its 2: the trial's process exited with code 9" in failed[4].reason
    assert "the trial timeout of 4 s" in failed[6].reason
    assert set(ended(records, TrialState.COMPLETED)) == set(range(20)) - set(failed)
    assert not any(isinstance(record, WorkerLost) for record in records)
    started = [record for record in records if isinstance(record, Started)]
    for trial_id in failed:
        place = next(k for k, record in enumerate(started) if record.trial_id == trial_id)
        later = set().union(*[record.workers for record in started[place + 1 :]])
        assert later.issuperset(started[place].workers)
    assert not [name for name in os.listdir(pids) if psutil.pid_exists(int(name.split("-")[2]))]


def test_a_trial_that_lost_one_of_its_ranks_goes_out_again(
    mpi_job, ranks_of, records_once, problem_file, tmp_path
):
    directory = RunDirectory(tmp_path / "run")
    words = ("search", problem_file(LONG), "--search", "random", "--seed", 1, "--trials", 4)
    with mpi_job(
        5, *words, "--ranks-per-trial", 2, "--run-dir", directory.path, launcher=("--with-ft", "ulfm")
    ) as job:
        records = records_once(directory.journal, lambda found: any(isinstance(r, Reported) for r in found))
        first = next(r for r in records if isinstance(r, Started) and r.trial_id == 0)
        os.kill(ranks_of(job)[first.others[0]].pid, signal.SIGKILL)
        shown, _ = job.communicate(timeout=60)
    assert job.returncode == 0, shown
    records = list(read_journal(directory.journal))
    assert Counter(r.trial_id for r in records if isinstance(r, Started))[0] == 2
    again = [r for r in records if isinstance(r, Started) and r.trial_id == 0][1]
    assert first.others[0] not in again.workers
    assert set(ended(records, TrialState.COMPLETED)) == {0, 1, 2, 3}
    assert [r.worker for r in records if isinstance(r, WorkerLost)] == [first.others[0]]
    # Its leader was told within seconds, and had to be: two of three ranks are a pair again.
    lost_s = next(r.time_s for r in records if isinstance(r, WorkerLost))
    assert records[-1].time_s - lost_s < 20
