"""A search submitted to a real Slurm: who runs where, with which device."""

import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from deephpo.storage.records import Ended, Finished, Started, WorkerJoined

pytestmark = pytest.mark.scheduler

BIN = Path(sys.executable).parent
HARTMANN6 = Path(__file__).parents[2] / "problems" / "hartmann6.py"
DEBIANS_MPI = sorted(Path("/usr/lib").glob("*-linux-gnu/libmpi.so.40"))
WITH_DEVICE = """
import os, time

def run_on_a_device(config):
    time.sleep(0.5)  # so that the workers that are ready last have their turn
    return {"value": run(config), "device": int(os.environ["CUDA_VISIBLE_DEVICES"])}

space = Space([Float(f"x{j}", 0.0, 1.0) for j in range(1, 7)])
problem = Problem(space, run_on_a_device, objective="value", direction="minimize")
"""


@pytest.fixture
def hartmann6(tmp_path):
    """Return Hartmann's function, which also says on which device it was computed."""
    problem = tmp_path / "hartmann6.py"
    problem.write_text(HARTMANN6.read_text() + WITH_DEVICE)
    return problem


def test_sixteen_workers_on_four_nodes_each_with_a_device_of_its_own(
    cluster, hartmann6, tmp_path, records_of, figure
):
    run = tmp_path / "run"
    words = ("--trials", 200, "--search", "random", "--walltime", "5m", "--run-dir", run)
    began = time.monotonic()
    job = cluster.submit(hartmann6, *words, nodes=4)
    cluster.until(job, lambda said: (run / "journal.jsonl").exists() and records_of(run, Started))
    waited_s = time.monotonic() - began
    figure(f"17 ranks on 4 nodes: {waited_s:.1f} s from submit to the first trial running")
    assert cluster.wait(job)["JobState"] == "COMPLETED"
    hosts = {joined.worker: joined.host for joined in records_of(run, WorkerJoined)}
    assert Counter(hosts.values()) == {f"node{k}": 4 for k in range(1, 5)}
    ended = records_of(run, Ended)
    assert len(ended) == 200
    places = {(hosts[e.worker], int(e.outcome.metrics["device"])) for e in ended}
    assert places == {(f"node{k}", device) for k in range(1, 5) for device in range(4)}
    assert len({(e.worker, e.outcome.metrics["device"]) for e in ended}) == 16
    assert records_of(run, Finished)[-1].exit_code == 0


def test_the_same_by_srun_with_the_open_mpi_of_the_system(cluster, hartmann6, tmp_path, records_of):
    run = tmp_path / "run"
    words = ("--trials", 128, "--search", "random", "--walltime", "5m", "--run-dir", run)
    launch = ("--launcher", "srun-pmix", "--env", f"MPI4PY_LIBMPI={DEBIANS_MPI[0]}")
    assert cluster.wait(cluster.submit(hartmann6, *words, *launch, nodes=4))["JobState"] == "COMPLETED"
    hosts = {joined.worker: joined.host for joined in records_of(run, WorkerJoined)}
    assert Counter(hosts.values()) == {f"node{k}": 4 for k in range(1, 5)}
    ended = records_of(run, Ended)
    assert len(ended) == 128
    places = {(hosts[e.worker], int(e.outcome.metrics["device"])) for e in ended}
    assert places == {(f"node{k}", device) for k in range(1, 5) for device in range(4)}


REMOTE_SHELL = """#!/bin/bash
# Stands for ssh, as where an MPI does not know the batch system: HOST COMMAND, and nothing of our variables.
while [[ $1 == -* ]]; do shift; done
host=$1; shift
exec srun --overlap -N1 -n1 -w "$host" /usr/bin/env -i HOME=/root {variables} PATH=/usr/bin:/bin bash -c "$*"
"""
SEES = """
import os, time
from deephpo import Float, Problem

def run(config, ctx):
    time.sleep(0.5)  # so that the workers that are ready last have their turn
    return {"loss": config["x"], "seen": float(os.environ.get("DATA") == "my data")}

problem = Problem([Float("x", 0.0, 1.0)], run, objective="loss")
"""


def test_variables_reach_nodes_whose_daemons_have_none_of_ours(cluster, problem_file, tmp_path, records_of):
    run, shell = tmp_path / "run", tmp_path / "shell"
    mpi = {name: value for name, value in cluster.environment.items() if name.startswith(("OMPI_", "PRTE_"))}
    shell.write_text(REMOTE_SHELL.format(variables=" ".join(f"{name}={mpi[name]}" for name in mpi)))
    shell.chmod(0o755)
    words = ("--trials", 16, "--search", "random", "--walltime", "5m", "--run-dir", run)
    path = f"PYTHONPATH={cluster.environment.get('PYTHONPATH', '')}"
    given = ("--env", "DATA=my data", path, "PRTE_MCA_plm=ssh", f"PRTE_MCA_plm_ssh_agent={shell}")
    said = cluster.wait(cluster.submit(problem_file(SEES), *words, *given, nodes=2, workers=2))
    assert said["JobState"] == "COMPLETED", cluster.output(said)
    hosts = {joined.worker: joined.host for joined in records_of(run, WorkerJoined)}
    assert Counter(hosts.values()) == {"node1": 2, "node2": 2}
    seen = {(hosts[ended.worker], ended.outcome.metrics["seen"]) for ended in records_of(run, Ended)}
    assert seen == {("node1", 1.0), ("node2", 1.0)}


def test_each_worker_gets_its_cores_and_the_master_one(cluster, hartmann6, tmp_path, records_of):
    run = tmp_path / "run"
    search = ("--trials", 16, "--search", "random", "--run-dir", run)
    words = ("--walltime", "5m", "--cpus-per-worker", 3)
    said = cluster.wait(cluster.submit(hartmann6, *search, *words, nodes=2, workers=2))
    assert (said["JobState"], said["NumCPUs"]) == ("COMPLETED", "14")
    hosts = Counter(joined.host for joined in records_of(run, WorkerJoined))
    assert hosts == {"node1": 2, "node2": 2}


def test_an_srun_that_does_not_fit_the_mpi_is_refused_and_nothing_is_written(cluster, hartmann6, tmp_path):
    run = tmp_path / "run"
    words = ("--trials", 10, "--walltime", "5m", "--run-dir", run, "--launcher", "srun-pmi2")
    said = cluster.wait(cluster.submit(hartmann6, *words, nodes=2, workers=2))
    assert (said["JobState"], said["ExitCode"]) == ("FAILED", "2:0")
    assert "srun started 5 tasks, but MPI sees a world of one" in cluster.output(said)
    assert "pmix for Open MPI" in cluster.output(said)
    assert sorted(path.name for path in run.iterdir()) == ["job", "job.out", "job.sh"]


def test_the_doctor_shows_who_is_where_and_what_is_wrong_with_it(cluster, tmp_path):
    seen = {}
    for name, placing in (("well", "--map-by node"), ("badly", "--map-by slot")):
        line = f"{BIN}/mpirun -np 17 {placing} --bind-to none {BIN}/deephpo doctor"
        job = (
            "sbatch",
            "--parsable",
            "-N4",
            "--ntasks-per-node=5",
            "--gpus-per-node=4",
            "-o",
            tmp_path / name,
        )
        assert cluster.wait(cluster.run(*job, "--wrap", line).strip())["JobState"] == "COMPLETED"
        seen[name] = (tmp_path / name).read_text()
    rows = [line.split() for line in seen["well"].splitlines() if " worker " in line]
    assert Counter((row[0], row[3]) for row in rows) == {
        (f"node{k}", f"CUDA_VISIBLE_DEVICES={device}"): 1 for k in range(1, 5) for device in range(4)
    }
    assert "more workers" not in seen["well"]
    assert "round robin" not in seen["well"]
    assert "--share-gpus" in seen["badly"]
    assert "deal the ranks out round robin" in seen["badly"]
