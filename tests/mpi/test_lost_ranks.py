"""Ranks that are killed or hang, under an MPI that survives it; and what comes after."""

import os
import random
import re
import signal
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from deephpo.storage.journal import read_journal
from deephpo.storage.records import Ended, Resumed, Started, WorkerLost
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.trial import TrialState

pytestmark = pytest.mark.mpi

FAULT_TOLERANT = ("--with-ft", "ulfm")

DIARY = """
import os, time
from deephpo import Float, Problem

def run(config, ctx):
    with open(ctx.directory / "attempts", "a") as file:
        file.write(f"{{ctx.attempt}} ")
    time.sleep({sleep})
    return {{"objective": config["x"], "attempt": ctx.attempt}}

problem = Problem([Float("x", 0.0, 1.0)], run)
"""

UNTIL_SEEN = """
import os, time
from deephpo import Float, Problem

def run(config):
    while not os.path.exists({witness!r}):
        time.sleep(0.05)
    return config["x"]

problem = Problem([Float("x", 0.0, 1.0)], run)
"""

FAREWELL = """
import os, signal, sys, time
import psutil
from deephpo.drivers import mpi as driver, world as place

def wait_for_the_others():
    others = [rank for rank in psutil.Process(os.getppid()).children() if rank.pid != os.getpid()]
    psutil.wait_procs(others)

def die_soon():
    signal.setitimer(signal.ITIMER_REAL, 0.005)  # its action ends the process, whoever holds the GIL

driver.FAREWELL_S = place.FAREWELL_S = 2.0
world = place.join_world()
if world.rank == place.MASTER:
    sys.exit(world.leave({exit_code}, everybody_left=driver.dismiss(world)))
while not any(tag is place.Tag.SHUT_DOWN for _, tag, _ in world.receive()):
    time.sleep(0.01)
driver.say_goodbye(world)
if world.rank == 1:
    time.sleep(1)  # all others are in MPI_Finalize by then
    {fate}
sys.exit(world.leave(0))
"""


@pytest.fixture
def diary(problem_file):
    """Return the path of a problem whose trials write down how often they were started."""
    return problem_file(DIARY.format(sleep='0.2 + config["x"] / 2'))


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path / "run")


def count(records, kind):
    return sum(isinstance(record, kind) for record in records)


def check_complete(directory, trials):
    """Check that each trial has ended once, and knew how often it had been started before."""
    records = list(read_journal(directory.journal))
    state = RunState(records)
    assert +state.counts == {TrialState.COMPLETED: trials}
    assert sorted(state.trials) == list(range(trials))
    settled = [
        record.outcome.trial_id
        for record in records
        if isinstance(record, Ended) and record.outcome.state is not TrialState.PREEMPTED
    ]
    assert sorted(settled) == list(range(trials))
    starts = Counter(record.trial_id for record in records if isinstance(record, Started))
    for trial in state.ended:
        assert trial.metrics["attempt"] == starts[trial.id] - 1
        written = (directory.trials / f"{trial.id:06d}" / "attempts").read_text().split()
        # A rank may die between the journal's word and the trial's.
        assert set(written) <= {str(k) for k in range(starts[trial.id])}
        assert written[-1] == str(starts[trial.id] - 1)
    assert state.finished.exit_code == 0
    assert len(directory.table.read_text().splitlines()) == trials + 1
    return state


def check_nothing_is_left_of(problem, within_s=10):
    """Check that no process of the search runs any more; zombies wait for whoever adopted them."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        processes = psutil.process_iter(["cmdline", "status"])
        left = [
            p
            for p in processes
            if problem in (p.info["cmdline"] or ()) and p.info["status"] != psutil.STATUS_ZOMBIE
        ]
        if not left:
            return
        time.sleep(0.05)
    pytest.fail(f"left behind: {left}")


@pytest.mark.parametrize("victims", [1, 2, 5])
def test_killed_workers_cost_their_trials_another_start_and_nothing_else(
    victims, mpi_job, ranks_of, records_once, diary, directory
):
    moments = random.Random(victims)
    words = ("--trials", 32, "--search", "random", "--retries", 9, "--run-dir", directory.path)
    with mpi_job(8, "search", diary, *words, launcher=FAULT_TOLERANT) as job:
        records_once(directory.journal, lambda records: count(records, Ended) >= 3)
        ranks = ranks_of(job)
        killed = moments.sample(range(1, 8), victims)
        for rank in killed:
            time.sleep(moments.uniform(0.0, 0.4))
            ranks[rank].kill()
        shown, _ = job.communicate(timeout=60)
    assert job.returncode == 0, shown
    state = check_complete(directory, 32)
    lost = {worker for worker, entry in state.workers.items() if entry.left_s is not None}
    assert lost == set(killed)
    host = os.uname().nodename
    log = directory.log.read_text()
    assert all(f"rank {rank} died on {host}" in log for rank in killed)
    assert any(trial.metrics["attempt"] for trial in state.ended)
    check_nothing_is_left_of(diary)


def test_killed_workers_that_have_nothing_to_do_cost_nothing(
    mpi_job, ranks_of, records_once, problem_file, directory, tmp_path
):
    witness = tmp_path / "witness"
    problem = problem_file(UNTIL_SEEN.format(witness=str(witness)))
    words = ("--trials", 2, "--run-dir", directory.path)
    with mpi_job(8, "search", problem, *words, launcher=FAULT_TOLERANT) as job:
        records = records_once(
            directory.journal,
            lambda records: len(RunState(records).workers) == 7 and len(RunState(records).running) == 2,
        )
        busy = {record.worker for record in records if isinstance(record, Started)}
        idle = sorted(set(range(1, 8)) - busy)
        assert len(idle) == 5
        ranks = ranks_of(job)
        for rank in idle[:4]:
            ranks[rank].kill()
        records_once(directory.journal, lambda records: count(records, WorkerLost) == 4)
        witness.touch()
        shown, _ = job.communicate(timeout=60)
    assert job.returncode == 0, shown
    records = list(read_journal(directory.journal))
    assert (count(records, Started), count(records, Ended)) == (2, 2)
    check_nothing_is_left_of(problem)


def test_a_search_whose_workers_all_die_says_so_and_can_be_resumed(
    mpi_job, mpirun, ranks_of, records_once, diary, directory
):
    words = ("--trials", 30, "--search", "random", "--retries", 9, "--run-dir", directory.path)
    with mpi_job(4, "search", diary, *words, launcher=FAULT_TOLERANT) as job:
        records_once(directory.journal, lambda records: count(records, Ended) >= 3)
        ranks = ranks_of(job)
        for rank in (1, 2, 3):
            ranks[rank].kill()
        shown, _ = job.communicate(timeout=60)
    assert job.returncode == 75
    assert re.search(r"Ended: no worker is left; the last one: rank \d died on ", shown)
    assert f"Go on with: deephpo resume {directory.path}" in shown
    check_nothing_is_left_of(diary)
    ended = mpirun(4, "resume", directory.path, launcher=FAULT_TOLERANT)
    assert (ended.returncode, ended.stderr) == (0, "")
    check_complete(directory, 30)


@pytest.mark.parametrize(
    "launcher",
    [pytest.param(FAULT_TOLERANT, id="ulfm"), pytest.param((), id="plain", marks=pytest.mark.slow)],
)
def test_a_killed_master_leaves_no_process_and_a_search_that_can_be_resumed(
    launcher, mpi_job, mpirun, ranks_of, records_once, diary, directory
):
    words = ("--trials", 24, "--search", "random", "--run-dir", directory.path)
    with mpi_job(4, "search", diary, *words, launcher=launcher) as job:
        records_once(directory.journal, lambda records: count(records, Ended) >= 5)
        ranks_of(job)[0].kill()
        began = time.monotonic()
        shown, _ = job.communicate(timeout=30)
        check_nothing_is_left_of(diary)
        assert time.monotonic() - began < 10
    if launcher:
        assert job.returncode == 75
        assert shown.count("deephpo: rank 0, the master, died; what it recorded is safe") == 1
    assert job.returncode != 0
    before = list(read_journal(directory.journal))
    assert RunState(before).finished is None
    ended = mpirun(3, "resume", directory.path, launcher=launcher)
    assert (ended.returncode, ended.stderr) == (0, "")
    state = check_complete(directory, 24)
    records = list(read_journal(directory.journal))
    assert records[: len(before)] == before
    assert isinstance(records[len(before)], Resumed)
    again = RunState(before).running
    assert again
    assert all(state.trials[trial_id].metrics["attempt"] == 1 for trial_id in again)


def test_a_trial_that_kills_its_ranks_is_given_up(mpirun, problem_file, directory):
    source = DIARY.format(sleep="0.1 if ctx.trial_id != 5 else os.kill(os.getppid(), 9) or 10")
    problem = problem_file(source)
    words = ("--trials", 20, "--search", "random", "--retries", 1, "--run-dir", directory.path)
    ended = mpirun(6, "search", problem, *words, launcher=FAULT_TOLERANT)
    assert ended.returncode == 0, ended.stderr
    state = RunState(read_journal(directory.journal))
    assert +state.counts == {TrialState.COMPLETED: 19, TrialState.FAILED: 1}
    assert re.match(
        r"given up: it lost 2 workers, the last one because: rank \d died", state.trials[5].reason
    )
    check_nothing_is_left_of(problem)


@pytest.mark.slow
def test_a_worker_that_hangs_at_the_end_holds_nobody_for_long(
    mpi_job, ranks_of, records_once, problem_file, directory, tmp_path
):
    """The master waits for goodbyes for FAREWELL_S, and everything is written by then."""
    witness = tmp_path / "witness"
    problem = problem_file(UNTIL_SEEN.format(witness=str(witness)))
    with mpi_job(4, "search", problem, "--trials", 2, "--run-dir", directory.path) as job:
        records = records_once(directory.journal, lambda records: len(RunState(records).workers) == 3)
        (idle,) = {1, 2, 3} - {record.worker for record in records if isinstance(record, Started)}
        os.kill(ranks_of(job)[idle].pid, signal.SIGSTOP)
        witness.touch()
        began = time.monotonic()
        records_once(directory.journal, lambda records: RunState(records).finished is not None)
        shown, _ = job.communicate(timeout=60)
    assert 25 < time.monotonic() - began < 45
    # The results are complete; the exit code tells that not all was in order.
    assert job.returncode == 75
    assert f"In {directory.path}: " in shown
    assert all(Path(path).exists() for path in (directory.table, directory.archive, directory.picture))
    assert RunState(read_journal(directory.journal)).counts == {TrialState.COMPLETED: 2}
    check_nothing_is_left_of(problem)


@pytest.mark.parametrize(
    ("ranks", "fate", "exit_code"),
    [
        pytest.param(4, "wait_for_the_others()", 75, id="hangs"),
        pytest.param(4, "wait_for_the_others()", 0, id="hangs after a success"),
        pytest.param(2, "die_soon()", 0, id="dies in MPI_Finalize"),
    ],
)
def test_after_the_goodbyes_nobody_waits_long_for_a_rank_that_hangs_or_dies(
    ranks, fate, exit_code, mpirun_python, problem_file
):
    """MPI_Finalize does not return for the others, or fails; each leaves with the code that it was given."""
    program = problem_file(FAREWELL.format(fate=fate, exit_code=exit_code))
    ended = mpirun_python(ranks, program, timeout=30)
    assert ended.returncode == exit_code, ended.stderr
    assert "Traceback" not in ended.stderr
    check_nothing_is_left_of(program)
