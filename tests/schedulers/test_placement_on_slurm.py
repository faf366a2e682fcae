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


def test_an_srun_that_does_not_fit_the_mpi_is_refused_and_nothing_is_written(cluster, hartmann6, tmp_path):
    run = tmp_path / "run"
    words = ("--trials", 10, "--walltime", "5m", "--run-dir", run, "--launcher", "srun-pmi2")
    said = cluster.wait(cluster.submit(hartmann6, *words, nodes=2, workers=2))
    assert (said["JobState"], said["ExitCode"]) == ("FAILED", "2:0")
    assert "srun started 5 tasks, but MPI sees a world of one" in cluster.output(said)
    assert "pmix for Open MPI" in cluster.output(said)
    assert sorted(path.name for path in run.iterdir()) == ["job.out", "job.sh"]


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
