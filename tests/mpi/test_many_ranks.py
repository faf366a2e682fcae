"""Searches with many more ranks than this machine has cores, from their start to their end."""

import pytest

from deephpo.storage.journal import read_journal
from deephpo.storage.records import Ended, Started, WorkerJoined, WorkerLost
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.trial import TrialState

pytestmark = pytest.mark.mpi

FAULT_TOLERANT = ("--with-ft", "ulfm")

LOOKS_AT_ITS_RANK = """
import os
from deephpo import Float, Problem

def run(config):
    with open(f"/proc/{os.getppid()}/maps") as file:
        mapped = file.read()
    return {"objective": config["x"], **{name: mapped.count(f"/{name}/") for name in ("mpi4py", "numpy")}}

problem = Problem([Float("x", 0.0, 1.0)], run)
"""


@pytest.mark.parametrize(("workers", "trials"), [(31, 250), pytest.param(127, 1000, marks=pytest.mark.slow)])
def test_a_search_with_many_ranks_starts_uses_them_all_and_ends_in_order(
    workers, trials, mpirun, problem_file, tmp_path
):
    directory = RunDirectory(tmp_path / "run")
    words = ("--trials", trials, "--search", "random", "--run-dir", directory.path)
    problem = problem_file(LOOKS_AT_ITS_RANK)
    ended = mpirun(workers + 1, "search", problem, *words, launcher=FAULT_TOLERANT, timeout=4 * workers)
    assert ended.returncode == 0, ended.stderr
    assert f"{workers} MPI workers" in ended.stdout
    records = list(read_journal(directory.journal))
    assert {r.worker for r in records if isinstance(r, WorkerJoined)} == set(range(1, workers + 1))
    assert not any(isinstance(record, WorkerLost) for record in records)
    for kind in (Started, Ended):
        assert sum(isinstance(record, kind) for record in records) == trials
    state = RunState(records)
    assert +state.counts == {TrialState.COMPLETED: trials}
    assert state.finished.exit_code == 0
    check_what_ranks_load(state)


def check_what_ranks_load(state):
    """Check that a worker rank has mpi4py, and nothing of what rank 0 alone pays for."""
    for trial in state.ended:
        assert trial.metrics["mpi4py"] > 0
        assert trial.metrics["numpy"] == 0
