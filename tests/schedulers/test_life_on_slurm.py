"""The life of a search on a real Slurm: warned, requeued, cancelled, its nodes lost; nothing is."""

import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from deephpo.storage.records import Ended, Finished, Resumed, Suggested, WorkerJoined
from deephpo.trial import TrialState
from tests.open_mpi import AS_ROOT

pytestmark = pytest.mark.scheduler

BIN = Path(sys.executable).parent

SLOW = """
import time
from deephpo import Float, Problem

def run(config, ctx):
    time.sleep({seconds})
    return (config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2

problem = Problem([Float("x", 0.0, 1.0), Float("y", 0.0, 1.0)], run, objective="loss")
"""


@pytest.fixture
def slow(problem_file):
    """Return a function that makes a problem whose trials take so many seconds."""
    return lambda seconds: problem_file(SLOW.format(seconds=seconds), "slow.py")


WANTED = (*AS_ROOT, "PRTE_MCA_prte_tmpdir_base", "PYTHONPATH")


@pytest.fixture
def through_qsub(cluster):
    """Return what else to say to `deephpo submit`: qsub hands no variables of the login node on."""
    variables = [f"{name}={value}" for name, value in cluster.environment.items() if name in WANTED]
    return ("--scheduler", "pbs", "--env", *variables)


@pytest.fixture
def completed(records_of):
    """Return a function: the ids of the trials that a run has results of, in their order."""

    def ids(run):
        ended = records_of(run, Ended)
        return [e.outcome.trial_id for e in ended if e.outcome.state is TrialState.COMPLETED]

    return ids


@pytest.fixture
def configurations(records_of):
    """Return a function: what a run tried, in the order in which it was suggested."""

    def tried(run):
        return [trial.config for said in records_of(run, Suggested) for trial in said.trials]

    return tried


def has_results(run, completed, count):
    return lambda said: (run / "journal.jsonl").exists() and len(completed(run)) >= count


def test_a_search_that_is_longer_than_its_job_is_warned_and_requeued_until_it_is_done(
    cluster, slow, tmp_path, completed, configurations, records_of
):
    problem, run, undisturbed = slow(0.3), tmp_path / "run", tmp_path / "undisturbed"
    search = ("--trials", 40, "--seed", 3, "--search", "single")
    words = (*search, "--walltime", "10m", "--chain", 2, "--run-dir", run)
    job = cluster.submit(problem, *words, nodes=1, workers=1)
    for restart in ("1", "2"):
        cluster.until(job, has_results(run, completed, 10 * int(restart)))
        cluster.run("scancel", "--batch", "--signal=USR1", job)  # what Slurm does before the end
        cluster.until(job, lambda said, restart=restart: said["Restarts"] == restart)
    cluster.run(BIN / "deephpo", "search", problem, *search, "--workers", 1, "--run-dir", undisturbed)
    said = cluster.wait(job)
    assert said["JobState"] == "COMPLETED"
    assert cluster.output(said).count("not done yet; Slurm is to start this job again") == 2
    assert [record.exit_code for record in records_of(run, Finished)] == [75, 75, 0]
    assert sorted(completed(run)) == list(range(40))
    assert configurations(run) == configurations(undisturbed)


def test_a_chain_ends_where_it_was_to_end(cluster, slow, tmp_path, completed):
    run = tmp_path / "run"
    words = ("--trials", 1000, "--search", "random", "--walltime", "10m", "--chain", 1, "--run-dir", run)
    job = cluster.submit(slow(0.2), *words, nodes=1, workers=2)
    for start in (0, 1):
        cluster.until(job, lambda said, start=start: said["Restarts"] == str(start))
        cluster.until(job, has_results(run, completed, 4 + 4 * start))
        cluster.run("scancel", "--batch", "--signal=USR1", job)
    said = cluster.wait(job)
    assert (said["JobState"], said["ExitCode"], said["Restarts"]) == ("FAILED", "75:0", "1")
    assert f"not done yet; to go on: sbatch {run}/job.sh" in cluster.output(said)


def test_jobs_whose_time_is_up_are_followed_by_others(
    cluster, slow, tmp_path, completed, records_of, through_qsub
):
    """Slurm warns and starts the same job again; under PBS there is no warning, and there is another job."""
    by_slurm, by_pbs, problem = tmp_path / "slurm", tmp_path / "pbs", slow(0.5)
    words = ("--search", "random", "--walltime", "1m", "--chain", 9)
    job = cluster.submit(problem, *words, "--trials", 70, "--run-dir", by_slurm, nodes=1, workers=1)
    more = ("--trials", 120, "--run-dir", by_pbs, *through_qsub)
    first = cluster.submit(problem, *words, *more, nodes=1, workers=1)
    assert cluster.wait(job, 240)["JobState"] == "COMPLETED"
    assert cluster.wait(first)["ExitCode"] == "75:0"
    second = re.search(r"another job is to go on\n(\d+)", (by_pbs / "job.out").read_text())[1]
    assert cluster.wait(second)["JobState"] == "COMPLETED"
    assert f"Slurm job {second}, on 1 node: node" in (by_pbs / "job.out").read_text()  # which it is, beneath
    assert re.search(rf"Slurm job {job}, start 2, on 1 node: node\d\n", cluster.output(cluster.job(job)))
    ends = {run: [end.reason for end in records_of(run, Finished)] for run in (by_slurm, by_pbs)}
    assert set(ends[by_slurm][:-1]) == {"stopped by SIGUSR1"}
    assert len(ends[by_slurm]) >= 2
    assert len(ends[by_pbs]) == 2
    assert "time is up" in ends[by_pbs][0]
    assert sorted(completed(by_slurm)) == list(range(70))
    assert sorted(completed(by_pbs)) == list(range(120))


def test_a_search_that_was_cancelled_goes_on_with_another_number_of_nodes(cluster, slow, tmp_path, completed):
    run = tmp_path / "run"
    words = ("--trials", 60, "--search", "random", "--walltime", "10m", "--run-dir", run)
    job = cluster.submit(slow(1.5), *words, nodes=2)
    cluster.until(job, has_results(run, completed, 10))
    cluster.run("scancel", job)
    assert cluster.wait(job)["JobState"] == "CANCELLED"
    before = completed(run)
    assert len(before) < 60
    job = cluster.submit(run, "--walltime", "10m", nodes=3)
    assert cluster.wait(job)["JobState"] == "COMPLETED"
    assert completed(run)[: len(before)] == before
    assert sorted(completed(run)) == list(range(60))


def test_a_node_that_is_lost_costs_a_restart_and_no_result(cluster, slow, tmp_path, completed, records_of):
    run = tmp_path / "run"
    words = ("--trials", 60, "--search", "random", "--walltime", "10m", "--run-dir", run)
    job = cluster.submit(slow(1.5), *words, nodes=3)
    said = cluster.until(job, has_results(run, completed, 10))
    last = cluster.run("scontrol", "show", "hostnames", said["NodeList"]).split()[-1]
    cluster.run("scontrol", "update", f"nodename={last}", "state=down", "reason=test")
    try:
        cluster.until(job, lambda said: said["Restarts"] == "1")
    finally:
        cluster.bring_back(last)
    assert cluster.wait(job)["JobState"] == "COMPLETED"
    assert len(records_of(run, Resumed)) == 1
    assert sorted(completed(run)) == list(range(60))


NODE_FILE = """
import os, time
from deephpo import Float, Problem

def run(config, ctx):
    time.sleep(0.5)  # so that all workers have their turn
    with open(os.environ["PBS_NODEFILE"]) as lines:
        return {"loss": config["x"], "lines": len(list(lines))}

problem = Problem([Float("x", 0.0, 1.0)], run, objective="loss")
"""


def test_the_script_for_pbs_goes_through_qsub_to_its_end(
    cluster, problem_file, tmp_path, records_of, through_qsub
):
    run = tmp_path / "run"
    words = ("--trials", 160, "--search", "random", "--walltime", "10m", "--run-dir", run)
    job = cluster.submit(problem_file(NODE_FILE), *words, *through_qsub, nodes=4)
    said = cluster.wait(job)
    assert said["JobState"] == "COMPLETED", cluster.output(said)
    assert "16 MPI workers" in (run / "job.out").read_text()
    hosts = Counter(joined.host for joined in records_of(run, WorkerJoined))
    assert hosts == {f"node{k}": 4 for k in range(1, 5)}
    assert {e.outcome.metrics["lines"] for e in records_of(run, Ended)} == {20.0}
    assert len(records_of(run, Ended)) == 160
