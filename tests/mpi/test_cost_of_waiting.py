"""What a rank costs while its trial, or everybody's, runs: next to no CPU time and little memory."""

import time

import psutil
import pytest

from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState

pytestmark = pytest.mark.mpi

MEASURED_S = 10.0
MOST_CPU = 0.005
"""Of one core."""
MOST_BYTES = 80e6

ASLEEP = """
import time
from deephpo import Float, Problem

def run(config):
    time.sleep(600)

problem = Problem([Float("x", 0.0, 1.0)], run)
"""


def test_a_waiting_rank_costs_little_cpu_time_and_memory(
    mpi_job, records_once, ranks_of, problem_file, tmp_path
):
    directory = RunDirectory(tmp_path / "run")
    with mpi_job(3, "search", problem_file(ASLEEP), "--run-dir", directory.path) as job:
        records_once(directory.journal, lambda records: len(RunState(records).running) == 2)
        time.sleep(2.0)
        ranks = ranks_of(job)
        assert ranks.keys() == {0, 1, 2}
        # Busy neighbours make every wake-up dearer, so the least of three measurements counts.
        for _ in range(3):
            shares = cpu_shares(ranks)
            if max(shares.values()) <= MOST_CPU:
                break
        resident = {rank: process.memory_info().rss for rank, process in ranks.items()}
    measured = ", ".join(
        f"rank {rank}: {100 * shares[rank]:.2f} % of a core, {resident[rank] / 1e6:.0f} MB" for rank in ranks
    )
    print(f"within {MEASURED_S:.0f} s {measured}")
    assert max(shares.values()) <= MOST_CPU, measured
    assert max(resident[1], resident[2]) <= MOST_BYTES, measured


def cpu_shares(processes: dict[int, psutil.Process]) -> dict[int, float]:
    """Return the share of a core that each process takes from now on, in the time that is measured."""
    before, began = {name: cpu_s(process) for name, process in processes.items()}, time.monotonic()
    time.sleep(MEASURED_S)
    elapsed_s = time.monotonic() - began
    return {name: (cpu_s(process) - before[name]) / elapsed_s for name, process in processes.items()}


def cpu_s(process: psutil.Process) -> float:
    """Return the CPU seconds of the process alone, without its children's."""
    times = process.cpu_times()
    return times.user + times.system
