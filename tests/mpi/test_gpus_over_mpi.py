"""Which GPUs the children of real MPI ranks see.  There are none here: the variable says that there are."""

import json

import pytest

pytestmark = pytest.mark.mpi

SEEN = """
import json, os, time
from deephpo import Float, Problem

def run(config, ctx):
    seen = {{"sees": os.environ.get("CUDA_VISIBLE_DEVICES"), "device": ctx.device}}
    with open(os.path.join({kept!r}, f"{{os.getppid()}}.json"), "w") as file:
        json.dump(seen, file)
    time.sleep(0.2)
    return config["x"]

problem = Problem([Float("x", 0.0, 1.0)], run)
"""


@pytest.fixture
def search(mpirun, problem_file, tmp_path):
    """Return a function that searches on three workers, and returns the job and what their trials saw."""
    kept = tmp_path / "kept"
    kept.mkdir()
    target = problem_file(SEEN.format(kept=str(kept)))

    def run(visible, *options):
        words = ("search", target, "--search", "random", "--trials", 9, "--run-dir", tmp_path / "run")
        done = mpirun(4, *words, *options, CUDA_VISIBLE_DEVICES=visible)
        seen = [json.loads(path.read_text()) for path in kept.iterdir()]
        return done, sorted(entry["sees"] for entry in seen), {entry["device"] for entry in seen}

    return run


def test_each_worker_sees_the_gpus_that_are_its_own(search):
    done, sees, devices = search("2,3,5")
    assert done.returncode == 0, done.stderr
    assert (sees, devices) == (["2", "3", "5"], {"gpu:0"})


def test_more_workers_than_gpus_are_refused_before_anything_is_on_disk(search, tmp_path):
    done, sees, _ = search("0")
    assert done.returncode == 2
    assert "Each worker needs a GPU of its own, but 3 workers" in done.stderr
    assert "--share-gpus" in done.stderr
    assert "Traceback" not in done.stderr
    assert (sees, (tmp_path / "run").exists()) == ([], False)


def test_who_asks_for_it_shares_them(search):
    done, sees, devices = search("0", "--share-gpus")
    assert done.returncode == 0, done.stderr
    assert (sees, devices) == (["0", "0", "0"], {"gpu:0"})
